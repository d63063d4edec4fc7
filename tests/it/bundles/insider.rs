//! Bundles altered by somebody who holds the key that manifests are signed with: the signature of the manifest holds, and the parts
//! below it must tell.

use std::path::Path;

use ed25519_dalek::SigningKey;
use efface::evidence::bundle::MANIFEST_TYPE;
use efface::evidence::bundle::container::{self, Files};
use efface::evidence::bundle::gather::Wishes;
use efface::evidence::bundle::manifest::{self, Manifest};
use efface::evidence::bundle::verify::Part;
use efface::evidence::checkpoint::{Checkpoint, SignedCheckpoint};
use efface::evidence::dsse::{Envelope, PAYLOAD_TYPE};
use efface::seal::Keyring;
use serde_json::{Value, json};

use super::mutations::Cases;
use crate::house::{ADA, House, Webhook};

/// Seals files with the house's key, under a manifest that says something else besides.
fn sealed(house: &House, files: &Files<'_>, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let mut manifest = Manifest::parse(files["manifest.json"]).unwrap();
    manifest.files = manifest::files(files);
    change(&mut manifest);
    let text = manifest.to_text();
    let signature = house.app().signer().seal(MANIFEST_TYPE, text.as_bytes());
    let mut files = files.clone();
    files.insert("manifest.json", text.as_bytes());
    files.insert("manifest.dsse.json", signature.as_bytes());
    container::write(&files).unwrap()
}

fn again(head: &Checkpoint, origin: &str, key: &SigningKey) -> SignedCheckpoint {
    let origin = origin.to_owned();
    Checkpoint { origin, size: head.size, root: head.root, extensions: Vec::new() }.sign(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_holder_of_the_signing_key_alters_is_seen_by_both_verifiers() {
    let house = House::sqlite().await;
    let jobs = house.jobs_with_a_past().await;
    let (id, other) = (&jobs[0], &jobs[1]);
    let base = house.bundle(id, &Wishes::default()).await;
    let of_other = house.bundle(other, &Wishes::default()).await;
    let (files, others) = (container::read(&base).unwrap(), container::read(&of_other).unwrap());
    let receipt = format!("receipts/{id}.json");
    let mut cases = Cases::new(house.key());
    cases.set_base(&base);
    assert_eq!(cases.add(&sealed(&house, &files, |_| {})), None, "sealed again, and not altered");

    let signed = SignedCheckpoint::parse(files["checkpoint.txt"]).unwrap();
    let stranger = again(signed.checkpoint(), &signed.checkpoint().origin, &SigningKey::from_bytes(&[7; 32]));
    let mut altered = files.clone();
    altered.insert("checkpoint.txt", stranger.note().as_bytes());
    assert_eq!(cases.add(&sealed(&house, &altered, |_| {})), Some(Part::Checkpoint), "the checkpoint of a stranger");

    let size = signed.checkpoint().size;
    let pruned = sealed(&house, &files, |manifest| manifest.minimum_index = size - 1);
    assert_eq!(cases.add(&pruned), Some(Part::Events), "entries that are said to be pruned");
    let more = sealed(&house, &files, |manifest| manifest.events += 1);
    assert_eq!(cases.add(&more), Some(Part::Events), "an entry that is not there");
    let masked = sealed(&house, &files, |manifest| manifest.withheld += 1);
    assert_eq!(cases.add(&masked), Some(Part::Events), "a field that is not withheld");

    let mut altered = files.clone();
    altered.remove(receipt.as_str());
    assert_eq!(cases.add(&sealed(&house, &altered, |_| {})), Some(Part::HashChain), "a proof without its receipt");
    let mut altered = files.clone();
    altered.insert(&receipt, others[format!("receipts/{other}.json").as_str()]);
    assert_eq!(cases.add(&sealed(&house, &altered, |_| {})), Some(Part::Receipts), "the receipt of another job");
    let left_out = sealed(&house, &files, |manifest| manifest.receipts_left_out = true);
    assert_eq!(cases.add(&left_out), Some(Part::Receipts), "receipts that are said to be left out");

    // Earlier checkpoints that prove nothing.
    let earlier = house.app().log().latest().await.unwrap().unwrap();
    house.advance(chrono::TimeDelta::seconds(5));
    let job = house.done(&Webhook::customers_redact(ADA, &[1005_u64])).await;
    let grown = house.bundle(&job.id, &Wishes { earlier: Some(&earlier), ..Wishes::default() }).await;
    let head = earlier.checkpoint();
    let keyring = Keyring::load(Path::new(&house.keys_file())).unwrap();
    let key = SigningKey::from_bytes(keyring.signing_seed().1);
    assert_eq!(cases.add_since(&grown, earlier.note().as_bytes()), None);
    let of_stranger = again(head, &head.origin, &SigningKey::from_bytes(&[7; 32]));
    let of_another = again(head, "elsewhere.example/log", &key);
    for earlier in [of_stranger, of_another] {
        let part = cases.add_since(&grown, earlier.note().as_bytes());
        assert_eq!(part, Some(Part::EarlierCheckpoint), "{}", earlier.checkpoint().origin);
    }
    let mut files = container::read(&grown).unwrap();
    let text = std::str::from_utf8(files["consistency.txt"]).unwrap();
    let text = text.replacen(&format!("old {}", head.size), &format!("old {}", head.size + 1), 1);
    files.insert("consistency.txt", text.as_bytes());
    let part = cases.add_since(&sealed(&house, &files, |_| {}), earlier.note().as_bytes());
    assert_eq!(part, Some(Part::EarlierCheckpoint), "a proof from another checkpoint");
    cases.both_agree(tempfile::tempdir().unwrap().path());
}

type Lie = (&'static str, fn(&mut Value));

/// What a receipt says of an erasure of one customer in which rows were deleted, and what cannot be.
const OF_AN_ERASURE: [Lie; 35] = [
    ("that nothing was found where rows are kept", |r| {
        for table in r["erasure"]["tables"].as_array_mut().unwrap() {
            table["kept"] = table["matched"].clone();
            for field in ["deleted", "masked", "alreadyAbsent"] {
                table[field] = json!(0);
            }
            table["ground"] = json!("invoices");
        }
        r["outcome"] = json!("nothing_found");
    }),
    ("an erasure where all was gone", |r| {
        for table in r["erasure"]["tables"].as_array_mut().unwrap() {
            table["alreadyAbsent"] = table["matched"].clone();
            for field in ["deleted", "masked", "kept"] {
                table[field] = json!(0);
            }
        }
    }),
    ("an erasure for a request for data", |r| {
        r["request"]["topic"] = json!("customers/data_request");
        r["request"]["jobType"] = json!("data_request");
    }),
    ("an outcome that its counts do not say", |r| r["outcome"] = json!("nothing_found")),
    ("rows kept that are not", |r| r["outcome"] = json!("retained")),
    ("an outcome of another kind of job", |r| r["outcome"] = json!("exported")),
    ("that nothing was done", |r| r["outcome"] = json!("not_executed")),
    ("an outcome that there is not", |r| r["outcome"] = json!("vanished")),
    ("rows that do not add up", |r| r["erasure"]["tables"][0]["matched"] = json!(1_000)),
    ("rows that are left", |r| r["erasure"]["tables"][0]["residual"] = json!(1)),
    ("rows kept on no ground", |r| {
        let table = &mut r["erasure"]["tables"][0];
        let matched = table["matched"].as_u64().unwrap();
        (table["matched"], table["kept"], table["ground"]) = (json!(matched + 1), json!(1), json!(" "));
        r["outcome"] = json!("retained");
    }),
    ("a verification after its end", |r| {
        r["erasure"]["verification"]["verifiedAt"] = json!("2040-01-01T00:00:00.000Z");
    }),
    ("a verification of another kind", |r| r["erasure"]["verification"]["method"] = json!("trust")),
    ("no verification", |r| drop(r["erasure"].as_object_mut().unwrap().remove("verification"))),
    ("a verification at no instant", |r| r["erasure"]["verification"]["verifiedAt"] = json!("yesterday")),
    ("a horizon that is not counted from its end", |r| {
        r["erasure"]["residualHorizon"][0]["until"] = json!("2040-01-01T00:00:00.000Z");
    }),
    ("a horizon beyond all time", |r| r["erasure"]["residualHorizon"][0]["days"] = json!(u32::MAX)),
    ("a horizon of a place that there is not", |r| r["erasure"]["residualHorizon"][0]["in"] = json!("moon")),
    ("no horizon", |r| drop(r["erasure"].as_object_mut().unwrap().remove("residualHorizon"))),
    ("an end before it was verified, and before it was received", |r| r["endedAt"] = json!("2020-01-01T00:00:00.000Z")),
    ("an end without milliseconds", |r| {
        let text = r["endedAt"].as_str().unwrap();
        r["endedAt"] = json!(format!("{}Z", &text[..19]));
    }),
    ("no erasure", |r| drop(r.as_object_mut().unwrap().remove("erasure"))),
    ("an export besides", |r| r["export"] = json!({ "tables": [] })),
    ("the topic of another kind of job", |r| r["request"]["topic"] = json!("shop/redact")),
    ("a topic that makes no job", |r| r["request"]["topic"] = json!("app/uninstalled")),
    ("a type that there is not", |r| r["request"]["jobType"] = json!("vanish")),
    ("a door that there is not", |r| r["request"]["source"] = json!("window")),
    ("a whole shop as its subject", |r| r["subject"]["kind"] = json!("shop")),
    ("a shop, and its customer", |r| {
        r["request"]["topic"] = json!("shop/redact");
        r["request"]["jobType"] = json!("shop_redact");
        r["subject"]["kind"] = json!("shop");
    }),
    ("a deadline before it was received", |r| r["request"]["dueAt"] = json!("2020-01-01T00:00:00.000Z")),
    ("fewer orders than it names", |r| r["subject"]["orders"]["count"] = json!(0)),
    ("more orders than it names", |r| r["subject"]["orders"]["count"] = json!(3)),
    ("an order twice", |r| {
        let order = r["subject"]["orders"]["pseudonyms"][0].clone();
        r["subject"]["orders"] = json!({ "count": 2, "pseudonyms": [order, order] });
    }),
    ("more attempts than can be", |r| r["attempts"] = json!(1_u64 << 32)),
    ("another signer", |r| r["signedBy"]["publicKey"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
];

/// Of a request for data that found rows.
const OF_AN_EXPORT: [Lie; 5] = [
    ("an export for a request to erase", |r| {
        r["request"]["topic"] = json!("customers/redact");
        r["request"]["jobType"] = json!("customer_redact");
    }),
    ("an outcome that its counts do not say", |r| r["outcome"] = json!("nothing_found")),
    ("an erasure", |r| r["outcome"] = json!("erased")),
    ("rows that were not collected", |r| {
        for table in r["export"]["tables"].as_array_mut().unwrap() {
            table["collected"] = json!(0);
        }
    }),
    ("no export", |r| drop(r.as_object_mut().unwrap().remove("export"))),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receipt_that_cannot_be_true_is_seen_by_both_verifiers_though_its_signer_has_signed_it() {
    let house = House::sqlite().await;
    let jobs = house.jobs_with_a_past().await;
    let mut cases = Cases::new(house.key());
    for (id, lies) in [(&jobs[0], &OF_AN_ERASURE[..]), (&jobs[1], &OF_AN_EXPORT[..])] {
        let base = house.bundle(id, &Wishes::default()).await;
        let (files, name) = (container::read(&base).unwrap(), format!("receipts/{id}.json"));
        let payload = Envelope::parse(files[name.as_str()]).unwrap().payload;
        cases.set_base(&base);
        let told = |tell: fn(&mut Value)| {
            let mut statement: Value = serde_json::from_slice(&payload).unwrap();
            tell(&mut statement["predicate"]);
            let receipt = house.app().signer().seal(PAYLOAD_TYPE, statement.to_string().as_bytes());
            let mut files = files.clone();
            files.insert(&name, receipt.as_bytes());
            sealed(&house, &files, |_| {})
        };
        // Signed again as it was, it is another file than its entry names, and nothing else is wrong.
        assert_eq!(cases.add(&told(|_| {})), Some(Part::Ledger));
        for (lie, tell) in lies {
            assert_eq!(cases.add(&told(*tell)), Some(Part::Receipts), "a receipt that tells {lie}");
        }
    }
    cases.both_agree(tempfile::tempdir().unwrap().path());
}
