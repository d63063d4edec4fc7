//! Mutations of valid bundles, each judged by our verifier and by the one in Python: every one is found by both, at the same
//! part, and what was not altered is not suspected.
//!
//! `EFFACE_TEST_MUTATIONS` asks for more than the usual number.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use efface::evidence::bundle::container::{self, Files};
use efface::evidence::bundle::event::Event;
use efface::evidence::bundle::gather::Wishes;
use efface::evidence::bundle::manifest::{self, Manifest};
use efface::evidence::bundle::verify::{Part, verify};
use efface::evidence::bundle::{MANIFEST_TYPE, proof};
use efface::evidence::checkpoint::SignedCheckpoint;
use efface::evidence::public_key::PublicKey;
use efface::evidence::receipt::Signer;
use efface::redaction::{Engine, Policy};
use efface::seal::Keyring;
use serde_json::json;

use crate::house::{ADA, House};

const USUAL: usize = 20_000;
/// Of them, those that are sealed again, as somebody could who holds the signing key.
const SEALED_AGAIN: usize = 2_000;

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }
}

/// A bundle that was altered without the key.
fn altered(base: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let (at, n) = (dice.next(base.len()), 1 + dice.next(64));
    let end = (at + n).min(base.len());
    let altered = match dice.next(8) {
        0 => [&base[..at], &[base[at] ^ (1 << dice.next(8))], &base[at + 1..]].concat(),
        1 => [&base[..at], &base[end..]].concat(),
        2 => [&base[..at], &vec![b'0'; n][..], &base[at..]].concat(),
        3 => [&base[..end], &base[at..]].concat(),
        4 => base[..at].to_vec(),
        5 => {
            let mut swapped = base.to_vec();
            swapped[at..end].reverse();
            swapped
        }
        6 => {
            // A whole file of another valid bundle, well packed.
            let (ours, theirs) = (container::read(base).unwrap(), container::read(other).unwrap());
            let mut files = ours.clone();
            let name = *theirs.keys().nth(dice.next(theirs.len())).unwrap();
            files.insert(name, theirs[name]);
            container::write(&files).unwrap()
        }
        _ => {
            // An altered byte of a file, well packed.
            let files = container::read(base).unwrap();
            let name = *files.keys().nth(dice.next(files.len())).unwrap();
            let mut data = files[name].to_vec();
            let place = dice.next(data.len());
            data[place] ^= 1 << dice.next(8);
            let mut files = files.clone();
            files.insert(name, &data);
            container::write(&files).unwrap()
        }
    };
    if altered == base { [base, b"!"].concat() } else { altered }
}

/// Lists the files anew and signs the manifest.
fn sealed(files: &Files<'_>, signer: &Signer) -> Vec<u8> {
    let mut manifest = Manifest::parse(files["manifest.json"]).unwrap();
    manifest.files = manifest::files(files);
    let events: Vec<&[u8]> =
        files["events.ndjson"].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    manifest.events = events.len() as u64;
    let parsed = events.iter().filter_map(|line| Event::parse(std::str::from_utf8(line).ok()?).ok());
    manifest.withheld = parsed.map(|event| event.withheld() as u64).sum();
    let text = manifest.to_text();
    let signature = signer.seal(MANIFEST_TYPE, text.as_bytes());
    let mut files = files.clone();
    files.insert("manifest.json", text.as_bytes());
    files.insert("manifest.dsse.json", signature.as_bytes());
    container::write(&files).unwrap()
}

fn lines(data: &[u8]) -> Vec<Vec<u8>> {
    data.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// A bundle that was altered and sealed again with the right key: what the manifest cannot show, the parts below must.
fn altered_and_sealed(base: &[u8], signer: &Signer, dice: &mut Dice) -> (String, Vec<u8>) {
    let files = container::read(base).unwrap();
    let names = ["events.ndjson", "events.ndjson", "events.ndjson", "events.ndjson", "proof.txt", "receipts"];
    let wanted = names[dice.next(names.len())];
    let names: Vec<&str> = files.keys().copied().filter(|name| name.starts_with(wanted)).collect();
    let Some(name) = names.get(dice.next(names.len().max(1))).copied() else {
        return altered_and_sealed(base, signer, dice);
    };
    let mut data = files[name].to_vec();
    let mut some = lines(&data);
    let (at, other) = (dice.next(some.len().max(1)), dice.next(some.len().max(1)));
    let mut files = files.clone();
    let kind = dice.next(6);
    match kind {
        0 if some.len() > 1 => {
            some.remove(at);
            data = some.concat();
        }
        1 if some.len() > 1 && at != other => {
            some.swap(at, other);
            data = some.concat();
        }
        2 if !some.is_empty() => {
            some.insert(at, some[other].clone());
            data = some.concat();
        }
        3 if std::path::Path::new(name).extension().is_some_and(|end| end == "json") => {
            files.remove(name);
            files.remove(name.replace(".json", ".tlog-proof").as_str());
            return (format!("{name} is left out"), sealed(&files, signer));
        }
        _ if !data.is_empty() => {
            // One letter or digit becomes another.
            let places: Vec<usize> = (0..data.len()).filter(|place| data[*place].is_ascii_alphanumeric()).collect();
            let place = places[dice.next(places.len())];
            data[place] = if data[place] == b'3' { b'5' } else { b'3' };
        }
        _ => return altered_and_sealed(base, signer, dice),
    }
    if data == files[name] || name == "events.ndjson" && committed(&data) == committed(files[name]) {
        return altered_and_sealed(base, signer, dice);
    }
    files.insert(name, &data);
    (format!("{name}, altered in way {kind}"), sealed(&files, signer))
}

/// What the leaves commit to: all of the entries but what a withheld field shows in its place, which nothing proves. The
/// bytes, when they are no JSON.
fn committed(events: &[u8]) -> Result<Vec<serde_json::Value>, &[u8]> {
    let lines = events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut event: serde_json::Value = serde_json::from_slice(line).map_err(|_| events)?;
            let fields = event.get_mut("fields").and_then(serde_json::Value::as_object_mut).ok_or(events)?;
            for field in fields.values_mut().filter_map(serde_json::Value::as_object_mut) {
                field.remove("masked");
            }
            Ok(event)
        })
        .collect()
}

/// The bundle without one of its entries, with the proof that fits what is left.
async fn without_an_entry(house: &House, base: &[u8], at: usize) -> Vec<u8> {
    let files = container::read(base).unwrap();
    let mut some = lines(files["events.ndjson"]);
    some.remove(at);
    let events = some.concat();
    let index = |line: &Vec<u8>| Event::parse(std::str::from_utf8(line).unwrap().trim_end()).unwrap().index;
    let indices: Vec<u64> = some.iter().map(index).collect();
    let size = SignedCheckpoint::parse(files["checkpoint.txt"]).unwrap().checkpoint().size;
    let hashes = house.app().log().hashes(&proof::nodes(&indices, size)).await.unwrap();
    let text = proof::to_text(&hashes);
    let mut files: Files<'_> = files.into_iter().filter(|(name, _)| !name.ends_with(".tlog-proof")).collect();
    files.insert("events.ndjson", &events);
    files.insert("proof.txt", text.as_bytes());
    sealed(&files, house.app().signer())
}

/// Bundles in the form that the verifier in Python reads, and what ours says of each.
pub(super) struct Cases {
    base: Vec<u8>,
    keys: Vec<PublicKey>,
    text: String,
    verdicts: Vec<String>,
}

impl Cases {
    pub(super) fn new(key: PublicKey) -> Self {
        Self { base: Vec::new(), keys: vec![key], text: String::new(), verdicts: Vec::new() }
    }

    /// What ours said last: `OK`, or the part.
    pub(super) fn last(&self) -> &str {
        self.verdicts.last().unwrap()
    }

    pub(super) fn set_base(&mut self, base: &[u8]) {
        self.base = base.to_vec();
        let _ = writeln!(self.text, "{}", json!({ "base": STANDARD.encode(base) }));
        self.judge(base, None);
    }

    pub(super) fn add(&mut self, bundle: &[u8]) -> Option<Part> {
        let base = &self.base;
        let before = base.iter().zip(bundle).take_while(|(a, b)| a == b).count();
        let rest = base.len().min(bundle.len()) - before;
        let after = base.iter().rev().zip(bundle.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
        let put = STANDARD.encode(&bundle[before..bundle.len() - after]);
        let _ = writeln!(self.text, "{}", json!({ "cut": [before, base.len() - after - before, put] }));
        self.judge(bundle, None)
    }

    pub(super) fn add_since(&mut self, bundle: &[u8], since: &[u8]) -> Option<Part> {
        let _ = writeln!(self.text, "{}", json!({ "whole": STANDARD.encode(bundle), "since": STANDARD.encode(since) }));
        self.judge(bundle, Some(since))
    }

    fn judge(&mut self, bundle: &[u8], since: Option<&[u8]>) -> Option<Part> {
        let part = verify(bundle, &self.keys, since).err().map(|refused| refused.part);
        self.verdicts.push(part.map_or("OK", Part::as_str).to_owned());
        part
    }

    /// Asks the other verifier, once for all.
    pub(super) fn both_agree(self, folder: &Path) {
        let key = folder.join("key.pem");
        std::fs::write(&key, self.keys.iter().map(PublicKey::to_pem).collect::<String>()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify.py");
        let mut python = Command::new("python3")
            .args([script.as_os_str(), "--cases".as_ref(), key.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for the second verifier");
        let mut stdin = python.stdin.take().unwrap();
        let text = self.text.into_bytes();
        let writer = std::thread::spawn(move || stdin.write_all(&text).unwrap());
        let output = python.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        let theirs = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<&str> = theirs.lines().collect();
        assert_eq!(theirs.len(), self.verdicts.len());
        for (at, (ours, theirs)) in self.verdicts.iter().zip(theirs).enumerate() {
            assert_eq!(ours, theirs, "case {at}: ours and theirs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutation_is_found_by_both_verifiers_and_nothing_else_is() {
    let house = House::sqlite().await;
    let jobs = house.jobs_with_a_past().await;
    let policy = "version = 1\n[[rule]]\npath = \"actorId\"\nmode = \"hash\"\n";
    let (policy, engine) = (Policy::parse(policy).unwrap(), Engine::new(Arc::new(Keyring::generate())));
    let redacted = Wishes { redact: Some((&policy, &engine)), ..Wishes::default() };
    let mut bases = Vec::new();
    for id in &jobs {
        bases.push(house.bundle(id, &Wishes::default()).await);
        bases.push(house.bundle(id, &redacted).await);
    }
    bases.push(house.bundle_of_shop(ADA, &redacted).await);
    let (signer, stranger) = (house.app().signer().clone(), crate::house::signer());
    let (mut dice, mut found) = (Dice(1), 0_usize);
    let mut cases = Cases::new(house.key());
    let wanted = std::env::var("EFFACE_TEST_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(USUAL);
    for (at, base) in bases.iter().enumerate() {
        cases.set_base(base);
        assert_eq!(cases.verdicts.last().unwrap(), "OK", "no false alarm");
        let other = &bases[(at + 1) % bases.len()];
        for _ in 0..=wanted / bases.len() {
            let bundle = altered(base, other, &mut dice);
            if other.len() == bundle.len() && *other == bundle {
                continue;
            }
            assert!(cases.add(&bundle).is_some(), "an altered bundle verifies");
            found += 1;
        }
        for _ in 0..=SEALED_AGAIN / bases.len() {
            let (what, bundle) = altered_and_sealed(base, &signer, &mut dice);
            let part = cases.add(&bundle);
            assert!(part.is_some_and(|part| part != Part::Manifest), "{what}, and sealed again: {part:?}");
            found += 1;
        }
        assert_eq!(cases.add(&sealed(&container::read(base).unwrap(), &signer)), None, "sealed again, and not altered");
        let forged = sealed(&container::read(base).unwrap(), &stranger);
        assert_eq!(cases.add(&forged), Some(Part::Manifest), "another key");
        found += 1;
    }
    // Entries left out by somebody who holds the key and knows the whole tree: the ledger shows it.
    for id in [&jobs[0], &jobs[3]] {
        let base = house.bundle(id, &Wishes::default()).await;
        cases.set_base(&base);
        for at in 0..lines(container::read(&base).unwrap()["events.ndjson"]).len() {
            let part = cases.add(&without_an_entry(&house, &base, at).await);
            assert_eq!(part, Some(Part::Ledger), "entry {at} of {id} is missing");
            found += 1;
        }
    }
    // A log that was rolled back, and one that has grown.
    let log = house.app().log();
    let earlier = log.latest().await.unwrap().unwrap();
    house.advance(chrono::TimeDelta::seconds(5));
    let job = house.done(&crate::house::Webhook::customers_redact(ADA, &[1005_u64])).await;
    let grown = house.bundle(&job.id, &Wishes { earlier: Some(&earlier), ..Wishes::default() }).await;
    let later = container::read(&grown).unwrap()["checkpoint.txt"].to_vec();
    assert_eq!(cases.add_since(&grown, earlier.note().as_bytes()), None);
    assert_eq!(cases.add_since(&bases[0], &later), Some(Part::EarlierCheckpoint), "rolled back");
    let mut files = container::read(&grown).unwrap();
    files.insert("checkpoint.txt", earlier.note().as_bytes());
    assert_eq!(cases.add(&sealed(&files, &signer)), Some(Part::Checkpoint), "an older checkpoint");
    println!("{found} mutations found in {} cases", cases.verdicts.len());
    assert!(found >= wanted);
    cases.both_agree(tempfile::tempdir().unwrap().path());
}
