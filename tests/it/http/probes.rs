//! Health, readiness and metrics.

use efface::http::{Finding, Readiness, ServerSettings};
use serde_json::json;

use super::house::{BODY, House, Request, accepting};

#[tokio::test]
async fn a_living_process_tells_its_version_under_both_names() {
    let house = House::open().await;
    for path in ["/health", "/livez"] {
        let answer = house.get(path, &[]).await;
        assert_eq!(answer.code(), 200);
        assert_eq!(answer.json(), json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    }
}

#[tokio::test]
async fn readiness_needs_every_part_and_names_them() {
    let good = || async { Finding::good("answers") };
    let ready = House::open().await;
    let broken = Readiness::new().with("database", good).with("broker", || async { Finding::bad("not connected") });
    let unready = House::with_readiness(accepting(), ServerSettings::default(), broken).await;
    for path in ["/ready", "/readyz"] {
        let answer = ready.get(path, &[]).await;
        assert_eq!((answer.code(), answer.json()["status"].as_str()), (200, Some("ready")));
        let answer = unready.get(path, &[]).await;
        assert_eq!(answer.code(), 503);
        let checks = json!({
            "database": { "ok": true, "detail": "answers" },
            "broker": { "ok": false, "detail": "not connected" },
        });
        assert_eq!(answer.json(), json!({ "status": "not_ready", "checks": checks }));
    }
}

#[tokio::test]
async fn webhooks_are_counted_by_provider_topic_and_answer() {
    let house = House::open().await;
    let webhook = Request::webhook("/webhooks", Some("shop/redact"), BODY.as_bytes());
    house.ask(&webhook).await;
    house.ask(&webhook.without("X-Shopify-Hmac-Sha256")).await;
    let answer = house.get("/metrics", &[]).await;
    assert_eq!(answer.code(), 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        r#"efface_webhooks_total{provider="shopify",topic="shop/redact",answer="accepted"} "#,
        r#"efface_webhooks_total{provider="shopify",topic="unknown",answer="unauthentic"} "#,
        r#"efface_webhook_seconds_bucket{le="+Inf"} "#,
    ] {
        assert!(answer.text().contains(line), "{line} in\n{}", answer.text());
    }
}

#[tokio::test]
async fn a_path_or_method_that_does_not_exist_is_a_problem_document() {
    let house = House::open().await;
    house.get("/nothing/here", &[]).await.problem(404);
    let post = Request { method: "POST", path: "/health", headers: Vec::new(), body: b"" };
    let answer = house.ask(&post).await;
    answer.problem(405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    let head = Request { method: "HEAD", path: "/health", headers: Vec::new(), body: b"" };
    let answer = house.ask(&head).await;
    assert_eq!((answer.code(), answer.body.len()), (200, 0));
}
