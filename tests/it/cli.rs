//! The command line as the built program runs it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

fn efface(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(args).env_clear();
    command
}

fn run(args: &[&str]) -> Output {
    efface(args).output().unwrap()
}

/// One request as it came over the wire.
struct Received {
    head: String,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", self.head)).split_once(": ").unwrap().1
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(&self.body);
        mac.verify_slice(&STANDARD.decode(self.header("x-shopify-hmac-sha256")).unwrap()).is_ok()
    }
}

/// A server that gives `count` requests the same answer, one connection each, and hands over what it received.
fn server(count: usize, status: &'static str) -> (String, JoinHandle<Vec<Received>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        (0..count)
            .map(|_| {
                let (mut stream, _) = listener.accept().unwrap();
                let received = read_request(&mut stream);
                let body = r#"{"jobId":null,"duplicate":false}"#;
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
                    .unwrap();
                received
            })
            .collect()
    });
    (address, received)
}

fn read_request(stream: &mut TcpStream) -> Received {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    Received { head, body }
}

#[test]
fn a_triggered_webhook_is_signed_and_shaped_as_shopify_does() {
    let (address, received) = server(1, "200 OK");
    let trigger = ["webhook", "trigger", "--address", &address, "--secret", "hush", "--json"];
    let about = ["--topic", "customers/redact", "--customer-id", "9007199254740993", "--order", "299938"];
    let output = run(&[&trigger[..], &about[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["answers"][0]["status"], 200);
    assert_eq!(printed["lastAnswer"]["duplicate"], false);

    let received = received.join().unwrap().remove(0);
    assert!(received.head.starts_with("POST /webhooks HTTP/1.1\r\n"), "{}", received.head);
    assert!(received.is_signed_with("hush"));
    assert_eq!(received.header("x-shopify-topic"), "customers/redact");
    assert_eq!(received.header("x-shopify-shop-domain"), "snowdevil.myshopify.com");
    assert_eq!(received.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(
        body,
        json!({
            "shop_id": 954_889, "shop_domain": "snowdevil.myshopify.com", "orders_to_redact": [299_938],
            "customer": { "id": 9_007_199_254_740_993_u64, "email": null, "phone": null },
        })
    );
}

#[test]
fn many_webhooks_have_an_id_each_and_a_given_id_makes_duplicates() {
    for (extra, distinct) in [(&[][..], 3), (&["--webhook-id", "w-1"][..], 1)] {
        let (address, received) = server(3, "200 OK");
        let address = format!("{address}/custom/path");
        let trigger =
            ["webhook", "trigger", "--topic=shop/redact", "--address", &address, "--secret=hush", "--count=3"];
        let output = run(&[&trigger[..], extra].concat());
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains("200     3"));
        let received = received.join().unwrap();
        let mut ids: Vec<_> = received.iter().map(|received| received.header("x-shopify-webhook-id")).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), distinct);
        assert!(received.iter().all(|received| received.head.starts_with("POST /custom/path ")));
    }
}

#[test]
fn an_answer_other_than_2xx_and_no_answer_end_with_code_1() {
    let (address, received) = server(1, "401 Unauthorized");
    let trigger =
        |address: &str| run(&["webhook", "trigger", "--topic=shop/redact", "--address", address, "--secret=x"]);
    let refused = trigger(&address);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("401"));
    received.join().unwrap();
    let unanswered = trigger(&address);
    assert_eq!(unanswered.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unanswered.stdout).contains("no answer"));
    assert!(String::from_utf8_lossy(&unanswered.stderr).contains("refused"));
}

#[test]
fn keys_are_generated_once_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("efface.keys");
    let generate = || run(&["keys", "generate", "--output", file.to_str().unwrap()]);
    let first = generate();
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    assert_eq!(String::from_utf8_lossy(&first.stdout).trim(), file.to_str().unwrap());
    let keys = std::fs::read(&file).unwrap();
    assert_eq!(generate().status.code(), Some(1));
    assert_eq!(std::fs::read(&file).unwrap(), keys);
}

#[test]
fn a_healthcheck_says_what_ready_says() {
    for (status, code) in [("200 OK", 0), ("503 Service Unavailable", 1)] {
        let (address, received) = server(1, status);
        assert_eq!(run(&["healthcheck", "--address", &address]).status.code(), Some(code));
        assert!(received.join().unwrap()[0].head.starts_with("GET /ready "));
    }
    let (address, received) = server(1, "200 OK");
    let listen = address.strip_prefix("http://").unwrap();
    let configured = efface(&["healthcheck"]).env("EFFACE__HTTP__LISTEN", listen).output().unwrap();
    assert_eq!(configured.status.code(), Some(0));
    received.join().unwrap();
    let nobody = run(&["healthcheck", "--address", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nothing answers at http://127.0.0.1:1"));
}

#[test]
fn wrong_usage_ends_with_code_2() {
    for args in [
        &["unknown"][..],
        &["webhook", "trigger", "--topic=orders/create", "--address=http://localhost", "--secret=x"],
        &["webhook", "trigger", "--topic=shop/redact", "--address=localhost:80", "--secret=x"],
        &["webhook", "trigger", "--topic=shop/redact", "--address=http://localhost", "--secret=x", "--order=1"],
        &["jobs", "cancel", "gdpr_1", "--reason=mistake"],
        &["jobs", "list", "--status=done"],
        &["report", "--from=yesterday"],
        &["-q", "-v", "check"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn completions_and_help_are_printed_to_stdout() {
    for args in [&["completions", "bash"][..], &["--help"], &["webhook", "trigger", "--help"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("webhook"), "{args:?}");
    }
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let mut child = efface(&["completions", "bash"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn migrate_down_names_what_goes_and_leaves_the_apps_tables_alone() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |args: &[&str]| {
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("efface.db").display());
        let output = efface(&[&["migrate"], args].concat()).env("EFFACE__DATABASE__URL", url).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let is_applied = |step: &str| {
        let states: Vec<Value> = serde_json::from_str(&migrate(&["status", "--json"]).1).unwrap();
        states.iter().any(|state| state["name"].as_str().unwrap().contains(step) && state["status"] == "applied")
    };
    let (_, up, _) = migrate(&["up"]);
    let latest = up.lines().rfind(|step| step.starts_with('m')).unwrap();
    let (code, _, asked) = migrate(&["down"]);
    assert!(code == Some(2) && asked.contains(latest) && !asked.contains("reference_app"), "{asked}");
    assert!(is_applied(latest), "it went without --yes");
    assert_eq!(migrate(&["down", "--yes"]).1, format!("{latest}\n"));
    assert!(!is_applied(latest) && is_applied("reference_app"));
    let (_, gone, _) = migrate(&["down", "--reference", "--steps=100", "--yes"]);
    assert!(gone.starts_with("r20261121_000001_reference_app\n"), "{gone}");
    assert!(!is_applied("0"));
    let (code, _, told) = migrate(&["down"]);
    assert!(code == Some(0) && told.contains("no migration is applied"), "{told}");
}

#[test]
fn what_keeps_a_database_from_being_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = |url: String| {
        let output = efface(&["jobs", "list"]).env("EFFACE__DATABASE__URL", url).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("text"), "no database, but long enough to have a header of one hundred bytes".repeat(9))
        .unwrap();
    for (url, said) in [
        (format!("sqlite://{}?mode=rwc", file("new")), "`efface migrate up`"),
        (format!("sqlite://{}?mode=rwc", file("new")), "(database.url)"),
        ("postgres://app:hidden@127.0.0.1:1/app".to_owned(), "does it run at that address?"),
        (format!("sqlite://{}", file("missing")), "?mode=rwc"),
        (format!("sqlite://{}", file("text")), "no SQLite database"),
    ] {
        let told = jobs(url);
        assert!(told.contains(said), "{said}: {told}");
    }
}

/// The exit code, stdout and stderr of a command in `folder`, with the defaults and these variables.
fn within(folder: &std::path::Path, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = efface(args).current_dir(folder).envs(env.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn no_file_is_made_by_a_command_that_looks() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        "check",
        "migrate status",
        "jobs list",
        "holds list",
        "audit list",
        "report",
        "retention show",
        "retention runs",
        "plan --shop a.myshopify.com",
        "data-map check",
        "keys show",
    ] {
        let args: Vec<_> = args.split(' ').collect();
        let secret = [("SHOPIFY_API_SECRET", "hush")];
        let (code, told, errors) = within(folder.path(), &args, &secret);
        let made: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(made.is_empty(), "{args:?} made {made:?}");
        let looks_ahead = args == ["check"] || args == ["migrate", "status"];
        assert_eq!(code, Some(i32::from(!looks_ahead)), "{args:?}: {told}{errors}");
        if looks_ahead {
            assert!(told.contains("pending"), "{args:?}: {told}");
        } else {
            assert!(errors.contains("efface "), "{args:?} names no next step: {errors}");
        }
    }
}

#[test]
fn a_database_without_its_tables_is_told_from_a_map_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("efface.db"), "").unwrap();
    for args in [&["plan", "--shop", "a.myshopify.com"][..], &["retention", "show"]] {
        let (code, _, told) = within(folder.path(), args, &[]);
        assert!(code == Some(1) && told.contains("`efface migrate up`") && !told.contains("data map"), "{told}");
    }
}

#[test]
fn check_finds_files_that_could_not_be_written_and_names_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("SHOPIFY_API_SECRET", "hush"),
        ("EFFACE__EVIDENCE__CHECKPOINT_FILE", "nowhere/log.checkpoint"),
        ("EFFACE__SUPPRESSION__LEDGER_FILE", "."),
        ("AMQP_URL", "amqp://app:hidden@127.0.0.1:1/"),
    ];
    let (code, told, _) = within(folder.path(), &["check"], &env);
    assert_eq!(code, Some(1), "{told}");
    for bad in [
        "FAIL  files          evidence.checkpoint_file nowhere/log.checkpoint cannot be written",
        "FAIL  files          suppression.ledger_file . cannot be written",
        "FAIL  broker         amqp://app:***@127.0.0.1:1/ (broker.url): ",
    ] {
        assert!(told.contains(bad), "{bad}: {told}");
    }
    let env = [("SHOPIFY_API_SECRET", "hush"), ("DATABASE_URL", "sqlite://nowhere/efface.db?mode=rwc")];
    let (code, told, _) = within(folder.path(), &["check"], &env);
    assert!(code == Some(2) && told.contains("FAIL  keys           nowhere/efface.keys cannot be written"), "{told}");
    let env = [("SHOPIFY_API_SECRET", "hush"), ("EFFACE__KEYS__FILE", "gone.keys")];
    let (code, told, _) = within(folder.path(), &["check"], &env);
    assert!(code == Some(2) && told.contains("`efface keys generate --output gone.keys`"), "{told}");
}
