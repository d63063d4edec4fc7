//! `efface redact` and `efface unseal` as the built program runs them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const SHOP: &str = "snowdevil.myshopify.com";

const POLICY: &str = r#"
version = 1

[[rule]]
path = "customer.email"
mode = "hash"

[[event."orders/create".rule]]
path = "line_items[*].email"
mode = "encrypt"

[[event."orders/create".rule]]
path = "note"
mode = "remove"

[[event."orders/create".rule]]
path = "phone"
mode = "redact"
"#;

/// A folder with a policy and keys.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(policy: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(desk.path("policy.toml"), policy).unwrap();
        desk.generate_keys("efface.keys");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn generate_keys(&self, name: &str) {
        let output = self.efface(&["keys", "generate", "--output", self.path(name).to_str().unwrap()], b"");
        assert_eq!(output.status.code(), Some(0));
    }

    fn efface(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
        command.args(args).env_clear().current_dir(self.folder.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // Beside: the program may answer before it has read everything. One that ends early leaves the rest unread.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    fn redact(&self, extra: &[&str], input: &[u8]) -> Output {
        self.efface(&[&["redact", "--policy=policy.toml"], extra].concat(), input)
    }

    fn unseal(&self, extra: &[&str], input: &[u8]) -> Output {
        self.efface(&[&["unseal", "--shop", SHOP], extra].concat(), input)
    }
}

const ORDER: [&str; 5] = ["--event=orders/create", "--shop", SHOP, "--keys", "efface.keys"];

fn order(number: usize) -> Value {
    json!({
        "customer": { "email": "john@example.com", "id": 9_007_199_254_740_993_u64 }, "number": number,
        "line_items": [{ "email": format!("gift-{number}@example.com"), "price": "1.50" }, { "email": null }],
        "note": "ring twice", "phone": "+49 30 1234567",
    })
}

fn lines(documents: impl IntoIterator<Item = Value>) -> Vec<u8> {
    documents.into_iter().flat_map(|document| format!("{document}\n").into_bytes()).collect()
}

fn printed(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn talk(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn documents_are_masked_line_by_line_and_opened_again() {
    let desk = Desk::new(POLICY);
    let given = lines((0..3).map(order));
    let masked = desk.redact(&ORDER, &given);
    assert_eq!(masked.status.code(), Some(0), "{}", talk(&masked));
    assert!(talk(&masked).contains("Documents: 3. Values redacted: 3, hashed: 3, encrypted: 3, removed: 3."));
    let text = std::str::from_utf8(&masked.stdout).unwrap();
    for secret in ["john@", "gift-", "ring twice", "1234567"] {
        assert!(!text.contains(secret), "{secret} is left");
    }
    let documents = printed(&masked);
    assert_eq!(documents.len(), 3);
    for (number, document) in documents.iter().enumerate() {
        assert_eq!((&document["phone"], document.get("note")), (&json!("***REDACTED***"), None));
        assert!(document["customer"]["email"].as_str().unwrap().starts_with("hash:"));
        assert!(document["line_items"][0]["email"].as_str().unwrap().starts_with("enc:"));
        assert_eq!((&document["number"], &document["line_items"][0]["price"]), (&json!(number), &json!("1.50")));
        assert_eq!(document["customer"]["id"], json!(9_007_199_254_740_993_u64));
        assert_eq!(document["line_items"][1], json!({ "email": null }));
    }
    assert_eq!(documents[0]["customer"], documents[1]["customer"], "one address has one hash");
    let again = desk.redact(&ORDER, &masked.stdout);
    assert_eq!(printed(&again), documents, "a second pass changes nothing");

    let opened = desk.unseal(&["--keys=efface.keys"], &masked.stdout);
    assert_eq!(opened.status.code(), Some(0), "{}", talk(&opened));
    assert_eq!(printed(&opened)[2]["line_items"], order(2)["line_items"]);
    let elsewhere = desk.unseal(&["--keys=efface.keys", "--path=customer"], &masked.stdout);
    assert_eq!((elsewhere.status.code(), printed(&elsewhere)), (Some(0), documents));
}

#[test]
fn one_document_of_many_lines_is_masked_too() {
    let desk = Desk::new(POLICY);
    let list = Desk::new("version = 1\n[[rule]]\npath = \"[*].customer.email\"\nmode = \"redact\"");
    let pretty = serde_json::to_vec_pretty(&order(1)).unwrap();
    assert_eq!(printed(&desk.redact(&ORDER, &pretty))[0]["phone"], "***REDACTED***");
    let pretty = serde_json::to_vec_pretty(&json!([order(1), order(2)])).unwrap();
    // Without a hash or an encryption, neither shop nor keys are needed.
    let masked = list.redact(&["--event=anything"], &pretty);
    assert_eq!(masked.status.code(), Some(0), "{}", talk(&masked));
    assert_eq!(printed(&masked)[0][1]["customer"]["email"], "***REDACTED***");
}

#[test]
fn a_line_that_is_no_json_is_named_and_not_quoted() {
    let desk = Desk::new(POLICY);
    let mut input = lines([order(1)]);
    input.extend_from_slice(b"{\"email\": \"secret@example.com\", }\n");
    let output = desk.redact(&ORDER, &input);
    assert_eq!((output.status.code(), printed(&output).len()), (Some(1), 1));
    assert_eq!(talk(&output), "efface: line 2 is not JSON\n");
}

#[test]
fn a_policy_that_would_not_mask_as_meant_stops_before_anything_is_read() {
    let per_shop = format!("{POLICY}[[shop.\"a.example.com\".rule]]\npath = \"x\"\nmode = \"redact\"");
    let only_orders = "version = 1\n[[event.order.rule]]\npath = \"x\"\nmode = \"redact\"";
    let broken = "version = 1\n[[rule]]\npath = \"a..b\"\nmode = \"blur\"\nsalt = \"hunter2\"";
    for (policy, args, told) in [
        (POLICY, &["--event=x"][..], "each shop has keys of its own"),
        (&per_shop, &["--event=x"], "rules for single shops"),
        (only_orders, &["--event=orders"], "no rule for this event type"),
        (broken, &["--event=x"], "the redaction policy has 2 problems:\n  rule[0].path: not a path"),
        (POLICY, &["--event=x", "--shop=nobody"], "expected a shop's domain"),
        (POLICY, &["--event=x", "--shop=a.example.com", "--keys=none.keys"], "--keys FILE"),
        // The keys of the configuration: beside the SQLite file, where none were made.
        (POLICY, &["--event=x", "--shop=a.example.com"], "efface.keys"),
    ] {
        let desk = Desk::new(policy);
        std::fs::rename(desk.path("efface.keys"), desk.path("other.keys")).unwrap();
        let output = desk.redact(args, &lines([order(1)]));
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", talk(&output));
        assert!(talk(&output).contains(told), "{args:?}: {}", talk(&output));
        assert!(output.stdout.is_empty() && !talk(&output).contains("hunter2"));
    }
    let desk = Desk::new(POLICY);
    let output = desk.efface(&["redact", "--policy=none.toml", "--event=x"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(talk(&output).contains("none.toml cannot be read"));
}

#[test]
fn the_configurations_keys_are_used_when_none_are_given() {
    let desk = Desk::new(POLICY);
    // efface.keys stands where the configuration looks: beside efface.db.
    let masked = desk.redact(&ORDER[..3], &lines([order(1)]));
    assert_eq!(masked.status.code(), Some(0), "{}", talk(&masked));
    let opened = desk.unseal(&[], &masked.stdout);
    assert_eq!(printed(&opened)[0]["line_items"], order(1)["line_items"]);
}

#[test]
fn a_salted_hash_is_made_with_a_warning() {
    let policy = "version = 1\n[[rule]]\npath = \"email\"\nmode = \"hash\"\nsalt = \"hunter2\"";
    let output = Desk::new(policy).redact(&["--event=x"], b"{\"email\":\"x\"}\n");
    // printf hunter2x | sha256sum
    let hash = "hash:f2fe04935ee0052f3f674d4c01e1e73613d12f10b7debeb538508b88aa897078";
    assert_eq!(printed(&output), [json!({ "email": hash })]);
    assert!(talk(&output).starts_with("warning: rule[0].salt:") && !talk(&output).contains("hunter2"));
}

#[test]
fn what_does_not_open_is_left_and_named_and_the_rest_is_opened() {
    let desk = Desk::new(POLICY);
    desk.generate_keys("other.keys");
    let mut ours = desk.redact(&ORDER, &lines([order(1)])).stdout;
    let theirs = desk.redact(&[&ORDER[..3], &["--keys=other.keys"]].concat(), &lines([order(2)])).stdout;
    ours.extend_from_slice(&theirs);

    let output = desk.unseal(&["--keys=efface.keys"], &ours);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed(&output)[0]["line_items"], order(1)["line_items"]);
    assert_eq!(lines([printed(&output)[1].clone()]), theirs);
    let told = talk(&output);
    assert!(
        told.starts_with("line 2, line_items[*].email: the sealed value was altered, or belongs to another"),
        "{told}"
    );
    assert!(told.ends_with("Documents: 2. Values opened: 1, left closed: 1.\n"), "{told}");

    // A key that is not there is named.
    let keys = std::fs::read_to_string(desk.path("efface.keys")).unwrap().replace("kek-1", "kek-9");
    std::fs::write(desk.path("renamed.keys"), keys).unwrap();
    let output = desk.unseal(&["--keys=renamed.keys", "-qq"], &ours);
    assert_eq!(output.status.code(), Some(1));
    assert!(talk(&output).contains("the key \"kek-1\" is not in the keyring"), "{}", talk(&output));
    let output = desk.efface(&["unseal", "--shop=other.example.com", "--keys=efface.keys"], &ours);
    assert_eq!(
        (output.status.code(), printed(&output)),
        (Some(1), printed(&Output { stdout: ours, ..output.clone() }))
    );
}

#[test]
fn a_stream_of_any_length_is_masked_in_bounded_memory() {
    let desk = Desk::new("version = 1\n[[rule]]\npath = \"a\"\nmode = \"redact\"");
    let mut command = Command::new(env!("CARGO_BIN_EXE_efface"));
    command.args(["redact", "--policy=policy.toml", "--event=x"]).env_clear().current_dir(desk.folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(256 << 10));
    // A pipe holds 64 KiB: all but the last line that was written was read by then.
    let mut peak_after = |lines: usize| -> usize {
        (0..lines).for_each(|_| stdin.write_all(line.as_bytes()).unwrap());
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
        peak.parse().unwrap()
    };
    // What the program itself takes, whose pages come and go with the machine, is in both.
    let (few, many) = (32, 256);
    let (before, peak) = (peak_after(few), peak_after(many - few));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"a\":\"***REDACTED***\"}\n".repeat(many));
    let read = line.len() * (many - few) / 1024;
    println!("peak {before} KiB, and {peak} KiB after {read} KiB more");
    assert!(peak - before < read / 4, "{before} KiB of memory, and {peak} KiB after {read} KiB more");
}
