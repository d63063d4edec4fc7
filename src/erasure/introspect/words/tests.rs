use super::*;

fn column(name: &str, family: Family) -> Column {
    Column {
        name: name.to_owned(),
        declared: String::new(),
        udt: String::new(),
        family,
        element: None,
        length: None,
        nullable: true,
        generated: false,
        identity: false,
    }
}

fn text(name: &str) -> Column {
    column(name, Family::Text)
}

fn key(table: &str, name: &str) -> Option<(Key, Written)> {
    lead(table, &text(name)).map(|lead| (lead.key, lead.written))
}

#[test]
fn names_of_every_style_fall_into_the_same_words() {
    for name in ["shopifyOrderId", "shopify_order_id", "ShopifyOrderID", "SHOPIFY_ORDER_ID", "shopify-order-id"] {
        assert_eq!(words(name), ["shopify", "order", "id"], "{name}");
    }
    assert_eq!(words("IPAddress"), ["ip", "address"]);
    assert_eq!(words("email_sha256"), ["email", "sha256"]);
    assert_eq!(words("address1"), ["address1"]);
}

#[test]
fn result_keys_are_plurals_in_pascal_case() {
    for (table, ending) in [
        ("ConversionLog", "ConversionLogs"),
        ("survey_responses", "SurveyResponses"),
        ("Address", "Addresses"),
        ("category", "Categories"),
        ("order_status", "OrderStatuses"),
        ("Survey", "Surveys"),
        ("line_items", "LineItems"),
        ("box", "Boxes"),
    ] {
        assert_eq!(pascal_plural(table), ending);
    }
}

#[test]
fn ways_to_a_customer_are_known_by_name() {
    use Key::{CustomerId, Email, OrderId, Phone};
    for (table, name, expected) in [
        ("ConversionLog", "orderId", Some((OrderId, Written::Plain))),
        ("orders", "shopify_order_id", Some((OrderId, Written::Plain))),
        ("orders", "shopify_id", Some((OrderId, Written::Plain))),
        ("products", "shopify_id", None),
        ("x", "orderids", None),
        ("x", "orderid", Some((OrderId, Written::Plain))),
        ("x", "order_admin_graphql_api_id", Some((OrderId, Written::Plain))),
        ("x", "draft_order_id", None),
        ("x", "order_line_id", None),
        ("x", "customer_gid", Some((CustomerId, Written::Plain))),
        ("customers", "admin_graphql_api_id", Some((CustomerId, Written::Plain))),
        ("x", "contact_email", Some((Email, Written::Plain))),
        ("x", "emailAddress", Some((Email, Written::Plain))),
        ("x", "hashedEmail", Some((Email, Written::Sha256))),
        ("x", "email_hash", Some((Email, Written::Sha256))),
        ("x", "email_hmac", Some((Email, Written::HmacSha256))),
        ("x", "em", Some((Email, Written::Sha256))),
        ("x", "ph", Some((Phone, Written::Sha256))),
        ("x", "customerPhoneNumber", Some((Phone, Written::Plain))),
        ("x", "email_template", None),
        ("x", "shop_email", None),
        ("x", "order_number", None),
    ] {
        assert_eq!(key(table, name), expected, "{table}.{name}");
    }
    assert_eq!(lead("x", &column("email", Family::Boolean)), None);
    assert_eq!(lead("x", &column("orderId", Family::Instant)), None);
    assert!(lead("x", &column("order_ids", Family::Json)).is_some());
}

#[test]
fn personal_columns_are_known_by_name_and_type() {
    for (table, name, expected) in [
        ("x", "firstName", Some(Personal::Name)),
        ("customers", "name", Some(Personal::Name)),
        ("plans", "name", None),
        ("x", "shipping_address", Some(Personal::Address)),
        ("x", "user_agent", Some(Personal::Network)),
        ("x", "gift_note", Some(Personal::FreeText)),
        ("x", "access_token", Some(Personal::Credential)),
        ("x", "checkoutToken", Some(Personal::Identifier)),
        ("x", "order_number", Some(Personal::Identifier)),
        ("x", "owner_email", Some(Personal::Contact)),
        ("x", "status", None),
        ("x", "returnRequestId", None),
        ("x", "message_id", None),
        ("x", "visitor_id", Some(Personal::Identifier)),
        ("x", "tax_id", Some(Personal::Trait)),
        ("x", "request", Some(Personal::Payload)),
    ] {
        assert_eq!(personal(table, &text(name)), expected, "{table}.{name}");
    }
    assert_eq!(personal("x", &column("settings", Family::Json)), Some(Personal::Payload));
    assert_eq!(personal("x", &column("amount", Family::Numeric)), None);
}

#[test]
fn a_name_that_says_nothing_is_not_called_harmless() {
    assert!(harmless("x", &text("status")).is_some());
    assert!(harmless("x", &text("product_id")).is_some());
    assert!(harmless("x", &text("foo")).is_none());
    assert!(harmless("x", &text("note")).is_none());
    assert!(harmless("x", &text("returnRequestId")).is_some());
    for name in ["resourceId", "record_id", "external_id", "sourceId"] {
        assert!(harmless("x", &text(name)).is_none(), "{name} may be an order's");
    }
    assert!(harmless("x", &text("lineItemId")).is_some());
}

#[test]
fn settings_are_the_merchants_unless_they_are_a_customers() {
    assert!(is_settings("ShopSettings") && is_settings("app_configurations"));
    assert!(!is_settings("CustomerSettings") && !is_settings("Order"));
}

#[test]
fn whom_a_message_went_to_is_known_in_tables_of_messages() {
    assert!(addressee("NotificationLog", &text("to")));
    assert!(addressee("email_outbox", &text("recipient")));
    assert!(!addressee("Redirect", &text("to")));
    assert!(!addressee("NotificationLog", &text("subject")));
    assert!(!addressee("NotificationLog", &column("to", Family::Integer)));
}
