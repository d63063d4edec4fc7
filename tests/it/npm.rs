//! The running server against Shopify's own client library, from npm. `EFFACE_TEST_SHOPIFY_API` names a folder with it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::outside::http::Client;
use crate::outside::program::{Plan, Program};
use crate::outside::wait_for;
use crate::outside::webhook::{SECRET, customer_redact, data_request, shop_redact};

/// Shop names as the library's helpers want them: without their domain.
const STORE: &str = "snowdevil";
const DOMAIN: &str = "snowdevil.myshopify.com";

struct Answer {
    status: u64,
    body: Value,
}

impl Answer {
    fn job(&self) -> &str {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["jobId"].as_str().expect("without a broker the job is known at once")
    }

    fn is_duplicate(&self) -> bool {
        self.body["duplicate"].as_bool().unwrap()
    }
}

/// Has the library sign and send webhooks, one after the other.
fn send(program: &Program, requests: &[Value]) -> Vec<Answer> {
    let packages = std::env::var("EFFACE_TEST_SHOPIFY_API")
        .expect("EFFACE_TEST_SHOPIFY_API is not set: run ./scripts/test, which installs @shopify/shopify-api with npm");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npm/send-webhooks.mjs");
    let address = format!("http://{}", program.address());
    let mut node = Command::new("node");
    node.args([script, &packages, &address]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().expect("node starts");
    node.stdin.take().unwrap().write_all(Value::from(requests).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    answers
        .into_iter()
        .map(|mut answer| Answer { status: answer["status"].as_u64().unwrap(), body: answer["body"].take() })
        .collect()
}

fn request(topic: &str, webhook_id: &str, event_id: &str, body: &Value) -> Value {
    json!({ "store": STORE, "topic": topic, "webhookId": webhook_id, "eventId": event_id, "secret": SECRET, "body": body })
}

fn with(mut request: Value, key: &str, value: &str) -> Value {
    request[key] = value.into();
    request
}

/// The three topics with a body each.
fn topics() -> [(&'static str, Value); 3] {
    [
        ("customers/data_request", data_request(DOMAIN, 191_167, &[299_938, 280_263])),
        ("customers/redact", customer_redact(DOMAIN, 191_167, &[299_938, 280_263])),
        ("shop/redact", shop_redact(DOMAIN)),
    ]
}

async fn embedded(folder: &tempfile::TempDir) -> Program {
    let database = format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display());
    Program::start(&Plan::new(folder.path(), "efface", "all").with("DATABASE__URL", database)).await
}

async fn job(client: &mut Client, id: &str) -> Value {
    wait_for("the job is completed", Duration::from_secs(30), async || {
        let job = client.get(&format!("/api/v1/jobs/{id}")).await.json();
        (job["status"] == "completed").then_some(job)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_topic_signed_by_shopifys_library_becomes_a_completed_job() {
    let folder = tempfile::tempdir().unwrap();
    let program = embedded(&folder).await;
    let requests = topics().map(|(topic, body)| request(topic, &format!("w {topic}"), &format!("e {topic}"), &body));
    let answers = send(&program, &requests);
    let mut client = Client::new(program.address());
    let job_types = ["data_request", "customer_redact", "shop_redact"];
    for ((answer, job_type), (topic, _)) in answers.iter().zip(job_types).zip(topics()) {
        assert!(!answer.is_duplicate());
        let job = job(&mut client, answer.job()).await;
        assert_eq!((&job["jobType"], &job["shopDomain"]), (&json!(job_type), &json!(DOMAIN)));
        assert_eq!(job["outcome"], "nothing_found", "the shop is unknown: {job}");
        assert_eq!((&job["webhookId"], &job["eventId"]), (&json!(format!("w {topic}")), &json!(format!("e {topic}"))));
        assert!(!job.to_string().contains("mail.example"), "{job}");
    }
    let listed = client.get("/api/v1/jobs").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_webhooks_are_401_and_make_no_job() {
    let folder = tempfile::tempdir().unwrap();
    let program = embedded(&folder).await;
    let mut requests = Vec::new();
    for (topic, body) in topics() {
        let genuine = || request(topic, "w", "e", &body);
        requests.push(with(genuine(), "secret", "guess"));
        requests.push(with(genuine(), "tamper", "body"));
        requests.push(with(genuine(), "tamper", "unsigned"));
    }
    for answer in send(&program, &requests) {
        assert_eq!(answer.status, 401, "{}", answer.body);
    }
    let listed = Client::new(program.address()).get("/api/v1/jobs").await.json();
    assert_eq!(listed["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_link_to_the_first_job_and_a_new_event_is_a_new_job() {
    let folder = tempfile::tempdir().unwrap();
    let program = embedded(&folder).await;
    let mut client = Client::new(program.address());
    for (topic, body) in topics() {
        let ids = |webhook: &str, event: &str| {
            request(topic, &format!("{topic} {webhook}"), &format!("{topic} {event}"), &body)
        };
        let answers = send(&program, &[ids("1", "1"), ids("1", "1"), ids("2", "1"), ids("3", "2")]);
        let duplicates: Vec<_> = answers.iter().map(Answer::is_duplicate).collect();
        assert_eq!(duplicates, [false, true, true, false], "{topic}");
        let first = answers[0].job();
        assert_eq!((answers[1].job(), answers[2].job()), (first, first), "{topic}");
        assert_ne!(answers[3].job(), first, "{topic}");
        job(&mut client, first).await;
        job(&mut client, answers[3].job()).await;
    }
    let listed = client.get("/api/v1/jobs").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 6);
}
