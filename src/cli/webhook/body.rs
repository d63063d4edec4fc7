//! Bodies in the shape of each topic, as Shopify's documentation shows them.

use serde::Serialize;
use serde_json::Value;

use crate::webhook::Topic;

/// A customer nobody has, from Shopify's own examples; used when the command names none.
const SAMPLE_CUSTOMER: u64 = 191_167;

/// What the body is about.
#[derive(Debug)]
pub struct About<'a> {
    pub topic: Topic,
    pub shop: &'a str,
    pub shop_id: u64,
    pub customer_id: Option<&'a str>,
    pub email: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub orders: &'a [String],
}

/// The shop object of the platform's API, as far as it names the shop.
#[derive(Serialize)]
struct Shop<'a> {
    id: u64,
    name: &'a str,
    domain: &'a str,
    myshopify_domain: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    shop_id: u64,
    shop_domain: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_requested: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_to_redact: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_request: Option<DataRequest>,
}

#[derive(Serialize)]
struct Customer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
}

#[derive(Serialize)]
struct DataRequest {
    id: u64,
}

impl About<'_> {
    /// The bytes to sign and send.
    ///
    /// # Errors
    /// Never: texts and numbers are always valid JSON.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        if self.topic == Topic::AppUninstalled {
            let name = self.shop.split('.').next().unwrap_or(self.shop);
            let shop = Shop { id: self.shop_id, name, domain: self.shop, myshopify_domain: self.shop };
            return serde_json::to_vec(&shop);
        }
        let orders = || Some(self.orders.iter().map(|order| id(order)).collect());
        let (is_request, is_redact) = (self.topic == Topic::CustomersDataRequest, self.topic == Topic::CustomersRedact);
        serde_json::to_vec(&Body {
            shop_id: self.shop_id,
            shop_domain: self.shop,
            orders_requested: is_request.then(orders).flatten(),
            customer: (is_request || is_redact).then(|| self.customer()),
            orders_to_redact: is_redact.then(orders).flatten(),
            data_request: is_request.then_some(DataRequest { id: 9999 }),
        })
    }

    /// A sample id stands in only when nothing else names the customer: an e-mail alone must stay alone.
    fn customer(&self) -> Customer<'_> {
        let nameless = self.email.is_none() && self.phone.is_none();
        let sample = nameless.then(|| Value::from(SAMPLE_CUSTOMER));
        Customer { id: self.customer_id.map(id).or(sample), email: self.email, phone: self.phone }
    }
}

/// A number as a JSON integer, anything else (`#72348`, `gid://shopify/Order/1`) as text.
fn id(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(topic: Topic, email: Option<&str>, orders: &[&str]) -> String {
        let orders: Vec<_> = orders.iter().map(|&order| order.to_owned()).collect();
        let about = About {
            topic,
            shop: "a.myshopify.com",
            shop_id: 1,
            customer_id: None,
            email,
            phone: None,
            orders: &orders,
        };
        String::from_utf8(about.to_json().unwrap()).unwrap()
    }

    #[test]
    fn each_topic_has_its_own_shape() {
        assert_eq!(
            json(Topic::CustomersDataRequest, None, &["9007199254740993"]),
            r#"{"shop_id":1,"shop_domain":"a.myshopify.com","orders_requested":[9007199254740993],"customer":{"id":191167,"email":null,"phone":null},"data_request":{"id":9999}}"#
        );
        assert_eq!(
            json(Topic::CustomersRedact, Some("john@example.com"), &["#72348"]),
            r##"{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{"email":"john@example.com","phone":null},"orders_to_redact":["#72348"]}"##
        );
        assert_eq!(json(Topic::ShopRedact, None, &[]), r#"{"shop_id":1,"shop_domain":"a.myshopify.com"}"#);
        assert_eq!(
            json(Topic::AppUninstalled, None, &[]),
            r#"{"id":1,"name":"a","domain":"a.myshopify.com","myshopify_domain":"a.myshopify.com"}"#
        );
    }
}
