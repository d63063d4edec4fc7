//! Bodies about nobody: ids that Shopify has not reached, addresses that cannot exist, numbers kept for fiction.

use crate::cli::webhook::About;
use crate::webhook::Topic;

/// Just below 2^53, a thousand times beyond the ids that Shopify gives today.
pub const SHOP_ID: u64 = 9_007_199_254_000_001;
const CUSTOMER_ID: u64 = 9_007_199_254_100_000;
const ORDER_ID: u64 = 9_007_199_254_200_000;
/// A list of one order, for bodies whose point is elsewhere.
pub const ORDERS: &str = "[9007199254200001]";
/// `.invalid` is reserved and never resolves (RFC 2606).
pub const EMAIL: &str = "nobody@efface-conformance.invalid";
/// From the numbers that North America keeps for fiction.
pub const PHONE: &str = "+1-202-555-0147";

/// The body of a topic as Shopify writes it, about the customer and the orders of a number.
///
/// # Errors
/// Never: see [`About::to_json`].
pub fn of(topic: Topic, shop: &str, number: u64) -> anyhow::Result<String> {
    let is_about_a_customer = topic != Topic::ShopRedact;
    let customer = (CUSTOMER_ID + number).to_string();
    let orders = [1, 2, 3].map(|order| (ORDER_ID + 3 * number + order).to_string());
    let about = About {
        topic,
        shop,
        shop_id: SHOP_ID,
        customer_id: is_about_a_customer.then_some(customer.as_str()),
        email: is_about_a_customer.then_some(EMAIL),
        phone: is_about_a_customer.then_some(PHONE),
        orders: if is_about_a_customer { &orders } else { &[] },
    };
    Ok(String::from_utf8(about.to_json()?)?)
}

/// A `customers/redact` with this JSON for the customer and for the orders.
pub fn redact(shop: &str, customer: &str, orders: &str) -> String {
    format!(r#"{{"shop_id":{SHOP_ID},"shop_domain":"{shop}","customer":{customer},"orders_to_redact":{orders}}}"#)
}

/// A `customers/data_request` with this JSON for the customer and for the orders.
pub fn data_request(shop: &str, customer: &str, orders: &str) -> String {
    format!(
        r#"{{"shop_id":{SHOP_ID},"shop_domain":"{shop}","orders_requested":{orders},"customer":{customer},"data_request":{{"id":9999}}}}"#
    )
}

/// The ordinary customer, as JSON.
pub fn customer() -> String {
    format!(r#"{{"id":{CUSTOMER_ID},"email":"{EMAIL}","phone":"{PHONE}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_exact_for_readers_that_know_doubles_only() {
        for id in [SHOP_ID, CUSTOMER_ID + 100, ORDER_ID + 400] {
            assert!(id < 1 << 53);
        }
    }

    #[test]
    fn ordinary_bodies_are_those_of_the_fragments() {
        let orders = "[9007199254200001,9007199254200002,9007199254200003]";
        let redacted = redact("a.myshopify.com", &customer(), orders);
        assert_eq!(of(Topic::CustomersRedact, "a.myshopify.com", 0).unwrap(), redacted);
        let requested = data_request("a.myshopify.com", &customer(), orders);
        assert_eq!(of(Topic::CustomersDataRequest, "a.myshopify.com", 0).unwrap(), requested);
    }
}
