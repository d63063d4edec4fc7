//! Health, readiness and metrics.

use efface::http::{Finding, Readiness, ServerSettings};
use serde_json::json;

use super::house::{BODY, House, Request, accepting};
use crate::outside::http::Client;
use crate::outside::program::{Plan, Program};

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

/// The value of a line of the metrics page; other tests of the process count as well, so only rises tell something.
fn value(page: &str, line: &str) -> f64 {
    page.lines().find_map(|text| text.strip_prefix(line)).map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn webhooks_are_counted_and_timed_by_provider_topic_and_answer() {
    let house = House::open().await;
    let before = house.get("/metrics", &[]).await;
    let webhook = Request::webhook("/webhooks", Some("shop/redact"), BODY.as_bytes());
    house.ask(&webhook).await;
    house.ask(&webhook.clone().without("X-Shopify-Hmac-Sha256")).await;
    house.ask(&Request { method: "PUT", ..webhook }).await;
    let after = house.get("/metrics", &[]).await;
    assert_eq!(after.code(), 200);
    assert!(after.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        r#"efface_webhooks_total{provider="shopify",topic="shop/redact",answer="accepted"}"#,
        r#"efface_webhooks_total{provider="shopify",topic="unknown",answer="unauthentic"}"#,
        r#"efface_webhooks_total{provider="unknown",topic="unknown",answer="wrong_method"}"#,
        r#"efface_webhook_seconds_bucket{le="+Inf"}"#,
        "efface_webhook_seconds_sum",
    ] {
        assert!(value(after.text(), line) > value(before.text(), line), "{line} in\n{}", after.text());
    }
}

#[tokio::test]
async fn what_the_broker_confirms_is_counted_from_the_first_message_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display());
    let plan = Plan::new(folder.path(), "efface", "all").with("DATABASE__URL", database);
    // Nobody is there: what counts was made when the room was opened, and not in vain.
    let program = Program::start(&plan.with("BROKER__URL", "amqp://app:app@127.0.0.1:1/")).await;
    let page = Client::new(program.address()).get("/metrics").await;
    let page = String::from_utf8(page.body).unwrap();
    for line in ["efface_broker_published_total 0", "efface_broker_consumed_total 0"] {
        assert!(page.lines().any(|text| text == line), "{line} in\n{page}");
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
