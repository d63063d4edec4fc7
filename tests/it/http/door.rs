//! What a sender of webhooks is answered.

use std::sync::{Arc, Mutex};

use efface::acceptance::{Accepted, NotDurable};
use efface::http::ServerSettings;
use efface::webhook::Delivery;
use serde_json::{Value, json};

use super::house::{BODY, House, Request, desk, sign};

const TOPIC: &str = "shop/redact";

fn webhook() -> Request<'static> {
    Request::webhook("/webhooks", Some(TOPIC), BODY.as_bytes())
}

#[tokio::test]
async fn a_genuine_webhook_is_answered_with_its_job() {
    let house = House::open().await;
    let answer = house.ask(&webhook()).await;
    assert_eq!(answer.code(), 200);
    assert_eq!(answer.json(), json!({ "jobId": "gdpr_1", "duplicate": false }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("x-request-id").map(str::len), Some(16));
}

#[tokio::test]
async fn a_duplicate_is_no_error_and_a_job_id_may_be_unknown_yet() {
    let house = House::with(desk(Ok(Accepted { job_id: None, duplicate: true })), ServerSettings::default()).await;
    let answer = house.ask(&webhook()).await;
    assert_eq!((answer.code(), answer.json()), (200, json!({ "jobId": null, "duplicate": true })));
}

#[tokio::test]
async fn the_sender_is_told_to_come_back_when_nothing_is_durable() {
    let house = House::with(desk(Err(NotDurable)), ServerSettings::default()).await;
    let answer = house.ask(&webhook()).await;
    answer.problem(503);
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn the_desk_gets_the_exact_bytes_and_the_topic_of_header_or_path() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let accept = Arc::new(move |delivery: Delivery| -> futures_util::future::BoxFuture<'static, _> {
        notes.lock().unwrap().push((delivery.topic.as_str(), delivery.body.expose().clone()));
        Box::pin(std::future::ready(Ok(Accepted { job_id: None, duplicate: false })))
    });
    let house = House::with(accept, ServerSettings::default()).await;
    let body = format!("{BODY}\n");
    for (path, topic) in [
        ("/webhooks", Some(TOPIC)),
        ("/webhooks/", Some(TOPIC)),
        ("/webhooks/shop/redact", None),
        ("/webhooks/shop/redact/", None),
        ("/webhooks/shop/redact?x=1", Some(TOPIC)),
    ] {
        let answer = house.ask(&Request::webhook(path, topic, body.as_bytes())).await;
        assert_eq!(answer.code(), 200, "{path}");
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|(topic, bytes)| *topic == TOPIC && bytes == body.as_bytes()));
}

#[tokio::test]
async fn header_names_count_in_any_case_and_without_the_x() {
    let house = House::open().await;
    let hmac = sign("hush_old", BODY.as_bytes());
    for name in ["x-shopify-hmac-sha256", "SHOPIFY-HMAC-SHA256", "X-Shopify-Hmac-SHA256"] {
        let answer = house.ask(&webhook().without("X-Shopify-Hmac-Sha256").and(name, &hmac)).await;
        assert_eq!(answer.code(), 200, "{name}");
    }
}

#[tokio::test]
async fn without_a_genuine_signature_the_answer_is_a_bare_401_whatever_else_is_wrong() {
    let house = House::open().await;
    let unsigned = |request: Request<'static>| request.without("X-Shopify-Hmac-Sha256");
    let forged = |request: Request<'static>| unsigned(request).and("X-Shopify-Hmac-Sha256", &sign("guess", b"{}"));
    let not_json = Request::webhook("/webhooks", Some(TOPIC), b"not json");
    let unknown_topic = Request::webhook("/webhooks/orders/create", Some("orders/create"), BODY.as_bytes());
    let form = webhook().without("Content-Type").and("Content-Type", "application/x-www-form-urlencoded");
    let empty = Request::webhook("/webhooks", None, b"");
    let good = sign("hush", BODY.as_bytes());
    for (name, request) in [
        ("missing", unsigned(webhook())),
        ("forged", forged(webhook())),
        ("empty", unsigned(webhook()).and("X-Shopify-Hmac-Sha256", "")),
        ("missing, not JSON", unsigned(not_json.clone())),
        ("forged, not JSON", forged(not_json)),
        ("missing, unknown topic", unsigned(unknown_topic.clone())),
        ("forged, unknown topic", forged(unknown_topic)),
        ("missing, form", unsigned(form.clone())),
        ("forged, form", forged(form)),
        ("missing, empty", unsigned(empty)),
        ("given twice", webhook().and("X-Shopify-Hmac-Sha256", &good)),
        ("given twice, once without x", webhook().and("Shopify-Hmac-Sha256", &good)),
        ("of two providers", webhook().and("X-Shopline-Hmac-Sha256", &good)),
        ("of another encoding", unsigned(webhook()).and("X-Shopify-Hmac-Sha256", &"ab".repeat(32))),
    ] {
        let answer = house.ask(&request).await;
        assert_eq!(answer.problem(401), None, "{name}");
        assert_eq!(answer.header("www-authenticate"), None, "{name}");
    }
}

#[tokio::test]
async fn a_signed_webhook_that_cannot_be_read_is_400_and_is_not_quoted() {
    let house = House::open().await;
    for (path, topic, body) in [
        ("/webhooks", Some(TOPIC), &b"john@example.com"[..]),
        ("/webhooks", Some(TOPIC), b""),
        ("/webhooks", Some(TOPIC), br#"{"shop_domain":"a.example","shop_domain":"b.example"}"#),
        ("/webhooks", Some("orders/create"), BODY.as_bytes()),
        ("/webhooks", None, BODY.as_bytes()),
        ("/webhooks/customers/redact", Some(TOPIC), BODY.as_bytes()),
        ("/webhooks/john@example.com", None, BODY.as_bytes()),
    ] {
        let detail = house.ask(&Request::webhook(path, topic, body)).await.problem(400).unwrap();
        assert!(!detail.contains("example"), "{detail}");
    }
}

#[tokio::test]
async fn a_signed_webhook_of_another_content_type_is_415() {
    let house = House::open().await;
    for (content_type, code) in
        [("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("application/json; charset=utf-8", 200)]
    {
        let request = webhook().without("Content-Type").and("Content-Type", content_type);
        assert_eq!(house.ask(&request).await.code(), code, "{content_type}");
    }
    assert_eq!(house.ask(&webhook().without("Content-Type")).await.code(), 200);
}

#[tokio::test]
async fn every_other_method_is_405_and_none_is_redirected() {
    let house = House::open().await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/webhooks", "/webhooks/", "/webhooks/shop/redact", "/webhooks/shop/redact/"] {
            let answer = house.ask(&Request { method, path, ..webhook() }).await;
            assert_eq!((answer.code(), answer.header("allow")), (405, Some("POST")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_vector_gets_what_it_says() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/shopify-webhooks.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let house = House::open().await;
    for vector in vectors {
        let body = vector["body"].as_str().unwrap().as_bytes();
        let mut request =
            Request::webhook("/webhooks", vector["topic"].as_str(), body).without("X-Shopify-Hmac-Sha256");
        if let Some(hmac) = vector["hmac"].as_str() {
            request = request.and("X-Shopify-Hmac-Sha256", hmac);
        }
        let code = match vector["expect"].as_str().unwrap() {
            // What is held is held by the intake: the sender has done its part.
            "accepted" | "accepted_while_old_secret_is_active" | "held_payload_mismatch" => 200,
            "rejected_400_or_held" => 400,
            "rejected_401" => 401,
            other => panic!("unknown expectation {other}"),
        };
        assert_eq!(house.ask(&request).await.code(), code, "{}", vector["name"]);
    }
    assert_eq!(vectors.len(), 19);
}

#[tokio::test]
async fn a_panic_behind_the_door_is_500_and_the_next_webhook_is_served() {
    let accept = Arc::new(|delivery: Delivery| -> futures_util::future::BoxFuture<'static, _> {
        Box::pin(async move {
            assert!(delivery.webhook_id.is_some(), "planted: john@example.com");
            Ok(Accepted { job_id: None, duplicate: false })
        })
    });
    let house = House::with(accept, ServerSettings::default()).await;
    let mut client = house.connect().await;
    client.send(&webhook().without("X-Shopify-Webhook-Id").bytes()).await;
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.problem(500), None);
    assert!(!answer.text().contains("john"));
    client.send(&webhook().bytes()).await;
    assert_eq!(client.answer().await.unwrap().code(), 200);
}
