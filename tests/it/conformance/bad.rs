//! Endpoints that are bad at one thing each, and one that is good at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::{TcpSocket, TcpStream};

use super::endpoint::{Endpoint, Received, Reply};
use super::{Findings, play};
use crate::outside::webhook::{SECRET, sign};

/// What an endpoint that checks no signature takes.
const FORGED: [&str; 7] = [
    "forged-hmac",
    "missing-hmac",
    "empty-hmac",
    "hex-hmac",
    "other-bodys-hmac",
    "reserialised-hmac",
    "empty-secret-hmac",
];

async fn against(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Findings {
    let endpoint = Endpoint::open(answer).await;
    play(&endpoint.url(), &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_endpoint_passes_everything() {
    let findings = against(Received::answered_well).await;
    findings.assert(&[], &[]);
    assert_eq!(findings.with("skipped"), BTreeSet::from(["old-secret"]));
    assert_eq!(findings.with("noted"), BTreeSet::from(["replay-other-topic", "unknown-topic"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_everything_fails_every_forgery() {
    let findings = against(|_| Reply::Status(200)).await;
    findings.assert(&FORGED, &["method-get", "method-put", "not-json"]);
    assert_eq!(findings.check("forged-hmac")["detail"], "expected 401, came 200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_refuses_with_403_fails_what_must_be_401() {
    let findings = against(|received| match received.answered_well() {
        Reply::Status(401) => Reply::Status(403),
        other => other,
    })
    .await;
    findings.assert(
        &["forged-hmac", "hex-hmac", "other-bodys-hmac", "reserialised-hmac", "empty-secret-hmac"],
        &["missing-hmac", "empty-hmac"],
    );
}

/// Shopify's own templates answer so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_answers_400_without_a_signature_gets_advice() {
    let findings = against(|received| match received.answered_well() {
        Reply::Status(401) if received.hmac().is_none() => Reply::Status(400),
        other => other,
    })
    .await;
    findings.assert(&[], &["missing-hmac", "empty-hmac"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_crashes_without_a_signature_fails() {
    let findings = against(|received| match received.answered_well() {
        Reply::Status(401) if received.hmac().is_none() => Reply::Status(500),
        other => other,
    })
    .await;
    findings.assert(&["missing-hmac", "empty-hmac"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_forgot_the_check_on_one_topic_fails() {
    let findings = against(|received| {
        received.answered_when(received.is_signed_with(SECRET) || received.topic() == "shop/redact")
    })
    .await;
    findings.assert(&["forged-hmac", "missing-hmac", "empty-hmac"], &[]);
    let exchanges = findings.check("forged-hmac")["exchanges"].as_array().unwrap();
    let came: Vec<_> = exchanges.iter().map(|exchange| exchange["came"].as_str().unwrap()).collect();
    assert_eq!(came, ["401", "401", "200"], "every topic is tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_takes_hexadecimal_fails() {
    let findings = against(|received| {
        let hex = hex::encode(STANDARD.decode(sign(SECRET, &received.body)).unwrap());
        received.answered_when(received.is_signed_with(SECRET) || received.hmac() == Some(hex.as_str()))
    })
    .await;
    findings.assert(&["hex-hmac"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_would_also_verify_with_an_empty_secret_fails() {
    let findings =
        against(|received| received.answered_when(received.is_signed_with(SECRET) || received.is_signed_with("")))
            .await;
    findings.assert(&["empty-secret-hmac"], &[]);
}

/// As `JSON.stringify(JSON.parse(body))` does: without spaces, without needless escapes, fields in their order.
fn reserialised(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).replace(r"\u00f6", "ö").replace(r"\/", "/");
    let mut in_text = false;
    let kept = text.chars().filter(|c| {
        in_text ^= *c == '"';
        in_text || !c.is_whitespace()
    });
    kept.collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_verifies_json_written_anew_fails_every_unusual_body() {
    let findings = against(|received| {
        let genuine = received.hmac() == Some(sign(SECRET, &reserialised(&received.body)).as_str());
        received.answered_when(genuine)
    })
    .await;
    let failed = ["raw-spacing", "raw-trailing-newline", "raw-escapes", "reserialised-hmac"];
    // A text that is no JSON has spaces to lose as well, and is then refused as forged.
    findings.assert(&failed, &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_expects_the_fields_in_their_usual_order_fails() {
    let findings = against(|received| {
        let usual = received.body.starts_with(br#"{"shop_id""#);
        received.answered_when(received.is_signed_with(SECRET) && usual)
    })
    .await;
    findings.assert(&["raw-key-order"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_reads_latin_letters_only_fails() {
    let findings =
        against(|received| received.answered_when(received.is_signed_with(SECRET) && received.body.is_ascii())).await;
    findings.assert(&["utf8-body"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_looks_for_headers_in_one_spelling_fails() {
    let findings = against(|received| {
        let spelled = received.headers.iter().any(|(name, _)| name == "X-Shopify-Hmac-Sha256");
        received.answered_when(received.is_signed_with(SECRET) && spelled)
    })
    .await;
    findings.assert(&["lower-case-headers"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_redirects_a_slash_gets_advice() {
    let findings =
        against(|received| if received.path.ends_with('/') { Reply::Redirect } else { received.answered_well() }).await;
    findings.assert(&[], &["trailing-slash"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_redirects_fails_and_is_not_followed() {
    let findings = against(|received| {
        assert_ne!(received.path, "/elsewhere");
        if received.is_taken() { Reply::Redirect } else { received.answered_well() }
    })
    .await;
    let failed = findings.with("failed");
    for id in ["valid-data-request", "valid-customers-redact", "valid-shop-redact", "burst"] {
        assert!(failed.contains(id), "{id}");
        assert_eq!(findings.check(id)["detail"], "came 308, a redirect: Shopify follows none");
    }
    assert!(!failed.contains("forged-hmac"));
    assert_eq!(findings.code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_calls_a_duplicate_a_conflict_fails() {
    for (header, failed) in [
        ("x-shopify-webhook-id", &["duplicate-delivery"][..]),
        ("x-shopify-event-id", &["duplicate-delivery", "same-event-new-webhook-id"]),
    ] {
        let seen = Mutex::new(BTreeSet::new());
        let findings = against(move |received| {
            let id = received.header(header).unwrap_or_default().to_owned();
            let is_new = !received.is_taken() || seen.lock().unwrap().insert(id);
            if is_new { received.answered_well() } else { Reply::Status(409) }
        })
        .await;
        findings.assert(failed, &[]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_finds_late_deliveries_stale_gets_advice() {
    let newest = Mutex::new(DateTime::<Utc>::MIN_UTC);
    let findings = against(move |received| {
        let at = received.header("x-shopify-triggered-at").unwrap().parse().unwrap();
        let mut newest = newest.lock().unwrap();
        *newest = (*newest).max(at);
        received.answered_when(received.is_signed_with(SECRET) && *newest - at < TimeDelta::hours(1))
    })
    .await;
    findings.assert(&[], &["late-delivery"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_limits_the_rate_fails_a_burst() {
    let counts = Mutex::new(BTreeMap::<String, u32>::new());
    let findings = against(move |received| {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(received.shop().to_owned()).or_default();
        *count += 1;
        if *count > 10 { Reply::Status(429) } else { received.answered_well() }
    })
    .await;
    findings.assert(&["burst"], &[]);
    assert_eq!(findings.check("burst")["exchanges"][0]["came"], "10 × 200, 40 × 429");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_closes_the_connection_fails() {
    let findings =
        against(
            |received| {
                if received.topic() == "customers/data_request" { Reply::Close } else { received.answered_well() }
            },
        )
        .await;
    let failed = ["valid-data-request", "answer-time", "forged-hmac", "missing-hmac", "empty-hmac", "empty-orders"];
    findings.assert(&failed, &[]);
    let came = findings.check("valid-data-request")["exchanges"][0]["came"].as_str().unwrap();
    assert!(came.starts_with("no answer: "), "{came}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_works_before_it_answers_fails_by_the_time_it_takes() {
    let endpoint = Endpoint::open(|received| {
        let is_slow = received.is_taken() && received.topic() == "customers/data_request";
        if is_slow { Reply::Hang } else { received.answered_well() }
    })
    .await;
    let only = "valid-data-request,valid-customers-redact,valid-shop-redact,answer-time,forged-hmac";
    let findings = play(&endpoint.url(), &["--timeout-ms", "1000", "--only", only]).await;
    findings.assert(&["valid-data-request", "answer-time"], &[]);
    let check = findings.check("valid-data-request");
    assert_eq!(check["detail"], "no answer within 1000 ms");
    assert!(check["millis"].as_u64().unwrap() >= 1000 && check["exchanges"][0]["connectMillis"].is_u64(), "{check}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_accepts_no_connection_fails_once_and_is_left_alone() {
    // A queue for one that nobody takes from: it is full, and further connections are left hanging.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..16).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    // Those that the queue has room for stand; only then is it full.
    while waiting.iter().filter(|connect| connect.is_finished()).count() < 2 {
        tokio::task::yield_now().await;
    }
    let findings = play(&format!("http://{address}/"), &["--timeout-ms", "300"]).await;
    findings.assert(&["valid-data-request"], &[]);
    let detail = findings.check("valid-data-request")["detail"].as_str().unwrap();
    assert!(detail.starts_with("no connection: ") || detail.starts_with("no answer within"), "{detail}");
    assert!(findings.check("valid-data-request")["exchanges"][0]["connectMillis"].is_null());
    assert_eq!(findings.check("burst")["status"], "skipped");
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_stumbles_over_a_shape_fails_by_its_name() {
    let stumbles = |is_bad: fn(&serde_json::Value) -> bool| {
        against(move |received| match received.json() {
            Some(body) if received.is_taken() && is_bad(&body) => Reply::Status(500),
            _ => received.answered_well(),
        })
    };
    let no_orders = stumbles(|body| body["orders_to_redact"] == serde_json::json!([]));
    no_orders.await.assert(&["empty-orders"], &[]);
    let no_phone = stumbles(|body| body["customer"]["email"].is_null() && !body["customer"].is_null());
    no_phone.await.assert(&["contact-missing"], &[]);
    let big = stumbles(|body| body["customer"]["id"].as_u64() >= Some(1 << 53));
    big.await.assert(&[], &["ids-above-2-53"]);
    let texts = stumbles(|body| body["shop_id"].is_string());
    texts.await.assert(&[], &["string-ids"]);
    let nameless = stumbles(|body| body["customer"]["id"].is_null() && body["orders_to_redact"][0].is_u64());
    nameless.await.assert(&["customer-id-missing"], &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_crashes_where_shopify_never_goes_gets_advice() {
    let findings = against(|received| {
        let genuine = received.is_signed_with(SECRET);
        let is_odd = received.method != "POST"
            || received.body.len() > 100_000
            || received.header("content-type") != Some("application/json")
            || received.json().is_none();
        if genuine && is_odd || received.method != "POST" { Reply::Status(500) } else { received.answered_well() }
    })
    .await;
    findings.assert(&[], &["method-get", "method-put", "large-body", "wrong-content-type", "not-json"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_that_is_forgotten_gets_advice() {
    let endpoint = Endpoint::open(Received::answered_well).await;
    play(&endpoint.url(), &["--old-secret", "older"]).await.assert(&[], &["old-secret"]);
    let endpoint = Endpoint::open(|received| {
        received.answered_when([SECRET, "older"].iter().any(|secret| received.is_signed_with(secret)))
    })
    .await;
    let findings = play(&endpoint.url(), &["--old-secret", "older"]).await;
    findings.assert(&[], &[]);
    assert!(findings.with("passed").contains("old-secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_for_each_topic_is_asked_at_each() {
    let endpoint = Endpoint::open(|received| {
        let is_right = received.path.trim_end_matches('/') == format!("/webhooks/{}", received.topic());
        if is_right && received.topic() != "shop/redact" { received.answered_well() } else { Reply::Status(404) }
    })
    .await;
    let findings = play(&endpoint.url(), &["--path-per-topic"]).await;
    let failed = ["valid-shop-redact", "shop-never-installed", "forged-hmac"];
    // A topic without an address is refused with 404, with or without a signature.
    findings.assert(&failed, &["missing-hmac", "empty-hmac"]);
    assert_eq!(findings.report["pathPerTopic"], true);
}
