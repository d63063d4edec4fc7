//! A receipt is kept for ten years and handed to strangers: it holds no personal data.

use entity::audit_log::Action;
use serde_json::json;

use super::payload;
use crate::house::{ADA, EMAIL, House, PHONE, Webhook};

/// Ids long enough that no digest holds one by chance.
const CUSTOMER: u64 = 8_111_222_333_444_555_617;
const ORDERS: [u64; 3] = [7_000_000_000_000_000_123, 7_000_000_000_000_000_124, 9_007_199_254_740_993];

both_databases! {
    async fn no_receipt_holds_an_id_of_a_person_an_address_or_an_operators_words(house: House) {
        house.open_shop(ADA).await;
        house.place_order(ADA, &ORDERS[0].to_string()).await;
        let person = json!({ "id": CUSTOMER, "email": EMAIL, "phone": PHONE });
        let orders = json!([ORDERS[0], ORDERS[1].to_string(), format!("gid://shopify/Order/{}", ORDERS[2])]);
        let redact = json!({ "shop_id": 1, "shop_domain": ADA, "customer": person, "orders_to_redact": orders });
        let request = json!({
            "shop_id": 1, "shop_domain": ADA, "customer": person, "orders_requested": orders,
            "data_request": { "id": 8_111_222_333_444_555_618_u64 },
        });
        for (topic, body) in [("customers/redact", &redact), ("customers/data_request", &request)] {
            // The headers are not signed, and a sender may write into them what it likes.
            let webhook = Webhook::new(topic, body.to_string());
            house.done(&webhook.clone().id(&format!("for {EMAIL}")).event(PHONE)).await;
            house.done(&webhook.clone().id(&CUSTOMER.to_string())).await;
            house.done(&webhook.without_id()).await;
        }
        let withdrawn = house.post(&Webhook::new("customers/redact", redact.to_string())).await;
        house.command(&withdrawn, house.cancel("Jane asked us by phone")).await.unwrap();

        let receipts = house.receipts().await;
        assert_eq!(receipts.len(), 7);
        let mut secrets = vec![EMAIL.to_owned(), EMAIL.to_uppercase(), PHONE.to_owned(), "5550147".to_owned()];
        secrets.extend(["jane".to_owned(), "asked us".to_owned(), CUSTOMER.to_string()]);
        secrets.extend(ORDERS.iter().map(ToString::to_string));
        secrets.push("8111222333444555618".to_owned());
        for receipt in &receipts {
            let told = String::from_utf8(payload(&receipt.envelope)).unwrap();
            for secret in &secrets {
                assert!(!told.contains(secret.as_str()), "{secret}: {told}");
                assert!(!told.contains(&hex::encode(secret)), "{secret} in hex: {told}");
            }
            assert!(!told.contains("body-"), "a digest of a body that names people: {told}");
        }
        // The same ids in the audit log, each as its receipt names it.
        for entry in house.audit_rows().await.into_iter().filter(|entry| entry.action == Action::Create) {
            let told = entry.metadata.unwrap_or_default();
            let told_as_text = told.to_string();
            assert!(!secrets.iter().any(|secret| told_as_text.contains(secret.as_str())), "{told}");
            assert!(!told_as_text.contains("body-"), "{told}");
            if entry.resource_type == "GDPRJob" {
                assert_eq!(told["webhookId"], house.receipt(&entry.resource_id).await.predicate.request.webhook_id);
            }
        }
    }

    async fn one_customer_has_one_pseudonym_within_a_shop_and_no_digest_that_can_be_guessed(house: House) {
        let first = house.done(&Webhook::customers_redact(ADA, &["1001"])).await;
        let again = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let global = house.done(&Webhook::customers_redact(ADA, &["gid://shopify/Order/1001"])).await;
        let elsewhere = house.done(&Webhook::customers_redact("other.myshopify.com", &[1001_u64])).await;
        let subject = async |id: &str| house.receipt(id).await.predicate.subject;
        let one = subject(&first.id).await;
        assert_eq!((subject(&again.id).await, subject(&global.id).await), (one.clone(), one.clone()));
        let other = subject(&elsewhere.id).await;
        assert_ne!(other.customer, one.customer);
        assert_ne!(other.orders, one.orders);
        let digest = |text: &str| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
        let told = serde_json::to_string(&one).unwrap();
        for guess in ["191167", "1001", "ada.myshopify.com/191167"] {
            assert!(!told.contains(&digest(guess)[..32]), "a plain digest of {guess}");
        }
    }
}
