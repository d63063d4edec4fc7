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
    /// The rows of these orders, each in every form that an app may have stored it in.
    Orders(Vec<String>),
    /// All rows of the shop.
    Shop,
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
        let mut forms = Vec::with_capacity(orders.len() * 2);
        for order in orders {
            match order {
                Value::Number(n) if n.is_u64() => push_forms(&n.to_string(), &mut forms),
                Value::String(text) if !text.is_empty() => push_forms(text, &mut forms),
                _ => return Err(unreadable("an order that is neither a whole number nor text")),
            }
        }
        forms.sort_unstable();
        forms.dedup();
        Ok(Self { shop_domain: shop_domain.to_owned(), scope: Scope::Orders(forms) })
    }

    /// The target of a `shop_redact` job.
    pub fn of_shop(shop_domain: &str) -> Self {
        Self { shop_domain: shop_domain.to_owned(), scope: Scope::Shop }
    }
}

/// Apps store an order as Shopify's number or as its global id; a listed order is looked for in both forms.
fn push_forms(order: &str, forms: &mut Vec<String>) {
    const GLOBAL: &str = "gid://shopify/Order/";
    let plain = order.strip_prefix(GLOBAL).unwrap_or(order);
    if !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit()) {
        forms.push(plain.to_owned());
        forms.push(format!("{GLOBAL}{plain}"));
    } else {
        forms.push(order.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn forms(orders: &Value) -> Vec<String> {
        let payload = json!({ "orders_to_redact": orders });
        match Target::of_orders("gdpr_1", "a.myshopify.com", &payload, "orders_to_redact").unwrap().scope {
            Scope::Orders(forms) => forms,
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
