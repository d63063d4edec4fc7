//! Says what a message looks like on the wire, in both directions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::publisher::PublishError;

/// Content type of a webhook as its sender signed it: the exact body, its headers as message headers.
pub const CONTENT_TYPE_RAW: &str = "application/json";

/// Content type of a body that only Efface can open.
pub const CONTENT_TYPE_SEALED: &str = "application/vnd.efface.sealed";

/// Header of a parked message that says why nobody could read it, as a code like `bad_hmac`.
pub const REASON_HEADER: &str = "x-efface-reason";

/// AMQP's delivery mode of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Bytes of all headers together. They travel in one frame, and one above the frame limit (128 KiB, unless an operator
/// lowered it) makes the broker close the connection under everybody.
const HEADERS_MAX: usize = 64 * 1024;

/// A message to publish. Its exchange is the broker's affair.
#[derive(Clone)]
pub struct Outgoing {
    /// The topic with `.` for `/`, as in `customers.redact`; at most 255 bytes.
    pub routing_key: String,
    /// The webhook's id, or what stands for it; at most 255 bytes. Several messages may share one.
    pub message_id: String,
    pub content_type: &'static str,
    /// Message headers; names of at most 255 bytes.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("routing_key", &self.routing_key)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A message pulled from the queue; whoever published it.
#[derive(Clone)]
pub struct Incoming {
    pub content_type: Option<String>,
    pub routing_key: String,
    /// Message headers by lower-case name. Numbers and booleans read as text; tables, lists and bytes that are no
    /// UTF-8 are left out.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
    pub message_id: Option<String>,
    /// Set by the broker when it handed out this message before; a hint, never a count.
    pub redelivered: bool,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("content_type", &self.content_type)
            .field("routing_key", &self.routing_key)
            .field("body_bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// What became of one message of a batch.
pub enum Disposition {
    /// Durable elsewhere, or known already: to be acknowledged.
    Done,
    /// Nobody can read it: to be put into the dead-letter queue, sealed, and acknowledged after that.
    Park {
        /// A code such as `bad_hmac`, for the header and the metrics.
        reason: &'static str,
        sealed: Vec<u8>,
        headers: Vec<(String, String)>,
    },
}

impl fmt::Debug for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Park { reason, .. } => f.debug_struct("Park").field("reason", reason).finish_non_exhaustive(),
        }
    }
}

/// A message in AMQP's own types: everything that could be refused has been checked.
pub(super) struct Parcel {
    pub exchange: ShortString,
    pub routing_key: ShortString,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
}

impl Parcel {
    pub fn new(exchange: &ShortString, message: Outgoing) -> Result<Self, PublishError> {
        let bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > HEADERS_MAX {
            return Err(PublishError::TooLong("the headers together"));
        }
        let mut headers = BTreeMap::new();
        for (name, value) in message.headers {
            headers.insert(short("a header's name", name)?, AMQPValue::LongString(LongString::from(value)));
        }
        let properties = BasicProperties::default()
            .with_content_type(short("the content type", message.content_type)?)
            .with_message_id(short("the message id", message.message_id)?)
            .with_delivery_mode(PERSISTENT)
            .with_headers(FieldTable::from(headers));
        Ok(Self {
            exchange: exchange.clone(),
            routing_key: short("the routing key", message.routing_key)?,
            properties,
            body: message.body,
        })
    }
}

fn short(what: &'static str, text: impl Into<String>) -> Result<ShortString, PublishError> {
    ShortString::try_new(text).map_err(|_| PublishError::TooLong(what))
}

/// Copies a delivery, which stays with the consumer until it is acknowledged.
pub(super) fn read(delivery: &Delivery) -> Incoming {
    let properties = &delivery.properties;
    let headers = properties.headers().as_ref().map(read_headers).unwrap_or_default();
    Incoming {
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        routing_key: delivery.routing_key.to_string(),
        headers,
        body: delivery.data.clone(),
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        redelivered: delivery.redelivered,
    }
}

fn read_headers(table: &FieldTable) -> HashMap<String, String> {
    table
        .inner()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_ascii_lowercase(), read_value(value)?)))
        .collect()
}

fn read_value(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ByteArray(bytes) => String::from_utf8(bytes.as_slice().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortShortUInt(value) => Some(value.to_string()),
        AMQPValue::ShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortUInt(value) => Some(value.to_string()),
        AMQPValue::LongInt(value) => Some(value.to_string()),
        AMQPValue::LongUInt(value) => Some(value.to_string()),
        AMQPValue::LongLongInt(value) => Some(value.to_string()),
        AMQPValue::Timestamp(value) => Some(value.to_string()),
        AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::Void => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing() -> Outgoing {
        Outgoing {
            routing_key: "customers.redact".into(),
            message_id: "b1946ac9".into(),
            content_type: CONTENT_TYPE_RAW,
            headers: vec![("X-Shopify-Topic".into(), "customers/redact".into())],
            body: b"{\"email\":\"john@example.com\"}".to_vec(),
        }
    }

    #[test]
    fn a_parcel_is_persistent_and_carries_id_type_and_headers() {
        let parcel = Parcel::new(&"efface.webhooks".into(), outgoing()).unwrap();
        assert_eq!(*parcel.properties.delivery_mode(), Some(2));
        assert_eq!(parcel.properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(parcel.properties.message_id().as_ref().unwrap().as_str(), "b1946ac9");
        assert_eq!(parcel.routing_key.as_str(), "customers.redact");
        let headers = read_headers(parcel.properties.headers().as_ref().unwrap());
        assert_eq!(headers["x-shopify-topic"], "customers/redact");
    }

    #[test]
    fn what_amqp_cannot_carry_is_refused_and_named() {
        let long = "k".repeat(256);
        let exchange = ShortString::from("efface.webhooks");
        let refused = |message| Parcel::new(&exchange, message).err();
        let routing_key = Outgoing { routing_key: long.clone(), ..outgoing() };
        assert_eq!(refused(routing_key), Some(PublishError::TooLong("the routing key")));
        let message_id = Outgoing { message_id: long.clone(), ..outgoing() };
        assert_eq!(refused(message_id), Some(PublishError::TooLong("the message id")));
        let name = Outgoing { headers: vec![(long, String::new())], ..outgoing() };
        assert_eq!(refused(name), Some(PublishError::TooLong("a header's name")));
        let headers = Outgoing { headers: vec![("h".into(), "x".repeat(HEADERS_MAX))], ..outgoing() };
        assert_eq!(refused(headers), Some(PublishError::TooLong("the headers together")));
    }

    #[test]
    fn headers_of_other_publishers_are_read_whatever_their_type() {
        let mut table = FieldTable::default();
        table.insert("X-Shopify-Topic".into(), AMQPValue::LongString("shop/redact".into()));
        table.insert("Number".into(), AMQPValue::LongLongInt(-7));
        table.insert("Flag".into(), AMQPValue::Boolean(true));
        table.insert("Broken".into(), AMQPValue::LongString(vec![0xff_u8, 0xfe].into()));
        table.insert("Nested".into(), AMQPValue::FieldTable(FieldTable::default()));
        let headers = read_headers(&table);
        assert_eq!(headers["x-shopify-topic"], "shop/redact");
        assert_eq!(headers["number"], "-7");
        assert_eq!(headers["flag"], "true");
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn messages_print_neither_body_nor_headers() {
        let incoming = Incoming {
            content_type: None,
            routing_key: "customers.redact".into(),
            headers: HashMap::from([("x".into(), "john@example.com".into())]),
            body: b"john@example.com".to_vec(),
            message_id: None,
            redelivered: false,
        };
        let park = Disposition::Park { reason: "bad_hmac", sealed: b"john".to_vec(), headers: vec![] };
        let printed = format!("{:?} {incoming:?} {park:?}", outgoing());
        assert!(!printed.contains("john") && !printed.contains("106, 111"), "{printed}");
    }
}
