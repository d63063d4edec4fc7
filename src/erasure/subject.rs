//! Tells whom an erasure concerns, from the identifiers that a job's row keeps.

use serde_json::Value;

/// Whom a job concerns: one customer of a shop, or the whole shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The shop's domain, lower case.
    pub shop_domain: String,
    /// How much of the shop.
    pub scope: Scope,
}

/// How much of a shop an erasure concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The rows of these orders.
    Orders(Vec<Order>),
    /// All rows of the shop.
    Shop,
}

/// An order, as apps store it: Shopify's number, which may also stand as its global id, or some other text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// A number, in decimal.
    Number(String),
    /// Any other text, looked for as it stands.
    Text(String),
}

/// What precedes the number in an order's global id.
const GLOBAL: &str = "gid://shopify/Order/";

/// Bounds between which every global id of an order lies, whatever the collation: they differ from one another, and from
/// all ids between them, in nothing but digits.
pub const GLOBAL_IDS: (&str, &str) = ("gid://shopify/Order/0", "gid://shopify/Order/99999999999999999999");

impl Order {
    fn parse(text: &str) -> Self {
        let number = text.strip_prefix(GLOBAL).unwrap_or(text);
        if !number.is_empty() && number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit()) {
            Self::Number(number.to_owned())
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// The number or text itself.
    pub fn plain(&self) -> &str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    /// The global id, of those that have one.
    pub fn global(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(format!("{GLOBAL}{number}")),
            Self::Text(_) => None,
        }
    }
}

/// A job's payload that does not have the shape that its type asks for.
#[derive(Debug, thiserror::Error)]
#[error("row {id} of \"GDPRJob\" does not read back: {reason} in \"{column}\"")]
pub struct UnreadablePayload {
    id: String,
    column: &'static str,
    reason: &'static str,
}

impl UnreadablePayload {
    /// A job whose type is none that this build knows.
    pub fn job_type(id: &str) -> Self {
        Self { id: id.to_owned(), column: "jobType", reason: "an unknown type" }
    }
}

impl Target {
    /// The target of a `customer_redact` or `data_request` job, from the list of orders at `key`.
    ///
    /// # Errors
    /// [`UnreadablePayload`] when the list is not one of numbers and texts.
    pub fn of_orders(id: &str, shop_domain: &str, payload: &Value, key: &str) -> Result<Self, UnreadablePayload> {
        let unreadable = |reason| UnreadablePayload { id: id.to_owned(), column: "payload", reason };
        let orders = payload.get(key).and_then(Value::as_array).ok_or_else(|| unreadable("no list of orders"))?;
        let mut parsed = Vec::with_capacity(orders.len());
        for order in orders {
            parsed.push(match order {
                Value::Number(n) if n.is_u64() => Order::Number(n.to_string()),
                Value::String(text) if !text.is_empty() => Order::parse(text),
                _ => return Err(unreadable("an order that is neither a whole number nor text")),
            });
        }
        parsed.sort_unstable();
        parsed.dedup();
        Ok(Self { shop_domain: shop_domain.to_owned(), scope: Scope::Orders(parsed) })
    }

    /// The target of a `shop_redact` job.
    pub fn of_shop(shop_domain: &str) -> Self {
        Self { shop_domain: shop_domain.to_owned(), scope: Scope::Shop }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn forms(orders: &Value) -> Vec<String> {
        let payload = json!({ "orders_to_redact": orders });
        match Target::of_orders("gdpr_1", "a.myshopify.com", &payload, "orders_to_redact").unwrap().scope {
            Scope::Orders(orders) => orders
                .iter()
                .flat_map(|order| std::iter::once(order.plain().to_owned()).chain(order.global()))
                .collect(),
            Scope::Shop => panic!("orders expected"),
        }
    }

    #[test]
    fn an_order_is_looked_for_as_number_and_as_global_id() {
        let both = ["9007199254740993", "gid://shopify/Order/9007199254740993"];
        assert_eq!(forms(&json!([9_007_199_254_740_993_u64])), both);
        assert_eq!(forms(&json!(["9007199254740993"])), both);
        assert_eq!(forms(&json!(["gid://shopify/Order/9007199254740993", 9_007_199_254_740_993_u64])), both);
    }

    #[test]
    fn an_order_name_is_looked_for_as_it_stands() {
        assert_eq!(forms(&json!(["#72348"])), ["#72348"]);
    }

    #[test]
    fn a_payload_that_makes_no_sense_is_an_error_that_names_the_row_and_quotes_nothing() {
        for bad in [json!({}), json!({"orders_to_redact": [1.5]}), json!({"orders_to_redact": "jane@example.com"})] {
            let error = Target::of_orders("gdpr_7", "a.myshopify.com", &bad, "orders_to_redact").unwrap_err();
            let text = error.to_string();
            assert!(text.contains("gdpr_7") && text.contains("\"payload\"") && !text.contains("jane"), "{text}");
        }
    }
}
