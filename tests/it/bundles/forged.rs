//! Bundles of a log that was forged whole, by somebody who holds every key: manifest, checkpoint, proofs and receipts all
//! hold, and only the lives that the entries tell are impossible. Both verifiers must see it.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::SigningKey;
use efface::evidence::bundle::build::{self, Contents};
use efface::evidence::bundle::container;
use efface::evidence::bundle::event::Event;
use efface::evidence::bundle::gather::Wishes;
use efface::evidence::bundle::manifest::{Manifest, Scope};
use efface::evidence::bundle::told::Told;
use efface::evidence::bundle::verify::Part;
use efface::evidence::checkpoint::Checkpoint;
use efface::evidence::leaf::{self, Field};
use efface::evidence::merkle::Tree;
use efface::seal::Keyring;
use serde_json::{Value, json};

use super::mutations::Cases;
use crate::house::{ADA, BEA, House, Webhook};

/// What a bundle tells, open to be told otherwise.
struct Story {
    manifest: Manifest,
    events: Vec<Event>,
    receipts: Option<BTreeMap<String, Vec<u8>>>,
}

impl Story {
    fn of(bundle: &[u8]) -> Self {
        let files = container::read(bundle).unwrap();
        let manifest = Manifest::parse(files["manifest.json"]).unwrap();
        let lines = std::str::from_utf8(files["events.ndjson"]).unwrap().lines();
        let receipts = files.iter().filter_map(|(name, data)| {
            Some((name.strip_prefix("receipts/")?.strip_suffix(".json")?.to_owned(), data.to_vec()))
        });
        let receipts = (!manifest.receipts_left_out).then(|| receipts.collect());
        Self { receipts, manifest, events: lines.map(|line| Event::parse(line).unwrap()).collect() }
    }

    /// The first entry of that act whose status is that, where one is given.
    fn at(&self, action: &str, status: Option<&str>) -> usize {
        let is_it = |event: &Event| {
            event.text("action") == Some(action)
                && (event.value("metadata.outcome").is_some()
                    || event.value("metadata.jobType").is_some()
                    || status.is_some())
                && status.is_none_or(|status| event.text("metadata.status") == Some(status))
        };
        self.events.iter().position(is_it).unwrap_or_else(|| panic!("no {action} {status:?}"))
    }

    /// Where the job is erased.
    fn end(&self) -> usize {
        self.at("delete", None)
    }

    fn set(&mut self, at: usize, field: &str, value: Value) {
        self.events[at].fields.insert(field.to_owned(), Field::Open { value, salt: [7; 16] });
    }

    fn forget(&mut self, at: usize, field: &str) {
        self.events[at].fields.remove(field);
    }

    fn insert_move(&mut self, at: usize, status: &str) {
        let mut event = self.events[self.at("create", None)].clone();
        event.fields.retain(|name, _| !name.starts_with("metadata"));
        self.events.insert(at, event);
        self.set(at, "action", json!("update"));
        self.set(at, "metadata.status", json!(status));
    }

    fn append_move(&mut self, status: &str) {
        self.insert_move(self.events.len(), status);
    }

    /// Tells the same from after the beginning on, as the bundle of a time does.
    fn begin_late(&mut self) {
        let first = self.events.remove(self.at("create", None));
        let text = |name: &str| first.text(name).map(str::to_owned);
        self.manifest.scope = Scope { job: None, shop: text("shopDomain"), from: text("createdAt"), to: None };
    }

    /// The bundle of a log that holds these entries and no others, signed with the house's keys.
    fn forged(self, house: &House) -> Vec<u8> {
        let keyring = Keyring::load(Path::new(&house.keys_file())).unwrap();
        let key = SigningKey::from_bytes(keyring.signing_seed().1);
        let mut events = self.events;
        for (index, event) in (0..).zip(&mut events) {
            event.index = index;
        }
        let tree = Tree::new(events.iter().map(|event| leaf::hash(&event.fields)));
        let head = Checkpoint {
            origin: self.manifest.checkpoint.origin.clone(),
            size: tree.size(),
            root: tree.root(),
            extensions: Vec::new(),
        };
        let events: Told = events.iter().collect();
        let with_receipt = |id: &String| self.receipts.as_ref().is_some_and(|receipts| receipts.contains_key(id));
        let mut inclusion = build::inclusion_of(&tree, events.ends());
        inclusion.retain(|id, _| with_receipt(id));
        let contents = Contents {
            scope: self.manifest.scope,
            checkpoint: head.sign(&key),
            minimum_index: 0,
            events,
            proof: Vec::new(),
            receipts: self.receipts,
            inclusion,
            keys: vec![house.key()],
            data_map: None,
            earlier: None,
        };
        build::build(contents, house.app().signer()).unwrap()
    }
}

type Lie = (&'static str, fn(&mut Story));

/// About a job that was erased at once.
const OF_ONE_LIFE: [Lie; 53] = [
    ("begins twice", |s| s.events.insert(1, s.events[s.at("create", None)].clone())),
    ("never begins", |s| drop(s.events.remove(s.at("create", None)))),
    ("ends twice", |s| s.events.push(s.events[s.end()].clone())),
    ("fails without an attempt told", |s| {
        s.insert_move(s.end(), "failed");
    }),
    ("is held, and ends", |s| s.insert_move(s.end(), "held")),
    ("is completed by an update, and ends", |s| s.insert_move(s.end(), "completed")),
    ("is retried, and counts no attempt", |s| s.insert_move(s.end(), "retrying")),
    ("comes from where it was not", |s| {
        s.insert_move(s.end(), "held");
        s.insert_move(s.end(), "queued");
        let queued = s.at("update", Some("queued"));
        s.set(queued, "metadata.from", json!("failed"));
    }),
    ("counts attempts that were not", |s| s.set(s.end(), "metadata.attempts", json!(2))),
    ("counts something else than a number", |s| s.set(s.end(), "metadata.attempts", json!("1"))),
    ("counts rows in words", |s| s.set(s.end(), "metadata.rows", json!("all"))),
    ("has a status that there is not", |s| s.insert_move(s.end(), "done")),
    ("ends as another type", |s| s.set(s.end(), "metadata.jobType", json!("shop_redact"))),
    ("begins as another type, and ends untold", |s| s.forget(s.end(), "metadata.jobType")),
    ("names another receipt", |s| s.set(s.end(), "metadata.receipt", json!("00"))),
    ("ends at another instant", |s| s.set(s.end(), "createdAt", json!("2026-11-01T00:00:00.000Z"))),
    ("ends in another shop", |s| s.set(s.end(), "shopDomain", json!("other.myshopify.com"))),
    ("ends with another outcome", |s| s.set(s.end(), "metadata.outcome", json!("retained"))),
    ("erases other rows", |s| s.set(s.end(), "metadata.rows", json!(1_000))),
    ("is received at another instant", |s| {
        s.set(s.at("create", None), "metadata.receivedAt", json!("2026-11-01T00:00:00.000Z"));
    }),
    ("is of another delivery", |s| s.set(s.at("create", None), "metadata.webhookId", json!("another"))),
    ("lacks its receipt", |s| s.receipts.as_mut().unwrap().clear()),
    ("has a receipt, and no end", |s| drop(s.events.remove(s.end()))),
    ("has a receipt, and nothing else", |s| s.events.clear()),
    ("is completed, and retried", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!(2));
        s.append_move("retrying");
        s.set(s.events.len() - 1, "metadata.attempts", json!(1));
    }),
    ("is completed, held and released", |s| {
        s.append_move("held");
        s.append_move("queued");
    }),
    ("is retried before it begins", |s| {
        s.receipts = None;
        s.insert_move(0, "retrying");
        s.set(0, "metadata.attempts", json!(1));
        s.set(s.end(), "metadata.attempts", json!(2));
    }),
    ("is completed by an update, and has no receipt", |s| {
        s.events.remove(s.end());
        s.append_move("completed");
        s.receipts.as_mut().unwrap().clear();
    }),
    ("is completed by an update, and began before", |s| {
        s.events.remove(s.end());
        s.append_move("completed");
        s.begin_late();
        s.receipts.as_mut().unwrap().clear();
    }),
    ("counts its attempts to the end of numbers, and from 0 again", |s| {
        s.receipts = None;
        s.events.remove(s.end());
        for attempts in [u64::MAX, 0] {
            s.append_move("retrying");
            s.set(s.events.len() - 1, "metadata.attempts", json!(attempts));
        }
        s.begin_late();
    }),
    ("counts its attempts to the end of numbers, and ends", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!(0));
        s.insert_move(s.end(), "retrying");
        s.set(s.at("update", Some("retrying")), "metadata.attempts", json!(u64::MAX));
        s.begin_late();
    }),
    ("comes to something that there is not", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.outcome", json!("vanished"));
    }),
    ("comes to null", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.outcome", Value::Null);
    }),
    ("is erased, and was not executed", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.outcome", json!("not_executed"));
    }),
    ("is erased by an export", |s| {
        s.receipts = None;
        s.set(s.end(), "action", json!("export"));
    }),
    ("is of a type that there is not", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.jobType", json!(["vanish"]));
        s.set(s.at("create", None), "metadata.jobType", json!(["vanish"]));
    }),
    ("began before, and is of a type that there is not", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.jobType", json!("vanish"));
        s.begin_late();
    }),
    ("began before, and counts its attempts in words", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!("1"));
        s.begin_late();
    }),
    ("began before, and has a status that there is not", |s| {
        s.receipts = None;
        s.insert_move(s.end(), "done");
        s.events.remove(s.end());
        s.begin_late();
    }),
    ("is exported, and nothing was found", |s| {
        s.receipts = None;
        s.set(s.end(), "action", json!("export"));
        s.set(s.at("export", None), "metadata.outcome", json!("nothing_found"));
    }),
    ("was exported by being deleted, whatever it was", |s| {
        s.receipts = None;
        s.forget(s.end(), "metadata.jobType");
        s.set(s.end(), "metadata.outcome", json!("exported"));
        s.begin_late();
    }),
    ("was erased by an export, whatever it was", |s| {
        s.receipts = None;
        s.forget(s.end(), "metadata.jobType");
        s.set(s.end(), "action", json!("export"));
        s.begin_late();
    }),
    ("begins twice, by no delivery", |s| {
        s.receipts = None;
        s.set(s.at("create", None), "metadata.webhookId", Value::Null);
        s.events.insert(1, s.events[s.at("create", None)].clone());
    }),
    ("never begins, and is released", |s| {
        s.receipts = None;
        s.insert_move(s.end(), "queued");
        s.events.remove(s.at("create", None));
    }),
    ("began before and is held, and has a receipt", |s| {
        s.insert_move(s.end(), "held");
        s.events.remove(s.end());
        s.begin_late();
    }),
    ("is tried once, fails, and counts nothing", |s| {
        s.receipts = None;
        s.insert_move(s.end(), "failed");
        s.insert_move(s.end(), "queued");
        s.set(s.at("update", Some("failed")), "metadata.attempts", json!(0));
    }),
    ("failed after attempts that nobody told, and counts on when it is queued again", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!(2));
        s.insert_move(s.end(), "failed");
        s.insert_move(s.end(), "queued");
        s.begin_late();
    }),
    ("is held after attempts that were not", |s| {
        s.receipts = None;
        s.insert_move(s.end(), "held");
        s.insert_move(s.end(), "queued");
        s.set(s.at("update", Some("held")), "metadata.attempts", json!(5));
    }),
    ("began before, and ends with the attempts that it was released with", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!(2));
        s.insert_move(s.end(), "held");
        s.insert_move(s.end(), "queued");
        s.set(s.at("update", Some("queued")), "metadata.attempts", json!(2));
        s.begin_late();
    }),
    ("fails, and ends", |s| {
        s.receipts = None;
        s.set(s.end(), "metadata.attempts", json!(2));
        s.insert_move(s.end(), "failed");
    }),
    ("is withdrawn, and has the receipt of an erasure", |s| {
        let end = s.end();
        s.set(end, "action", json!("update"));
        s.set(end, "metadata.status", json!("cancelled"));
        s.forget(end, "metadata.outcome");
        s.forget(end, "metadata.attempts");
    }),
    ("began before, and ends as another type than its receipt's", |s| {
        s.set(s.end(), "metadata.jobType", json!("shop_redact"));
        s.begin_late();
    }),
    ("began before, and ends after other attempts than its receipt's", |s| {
        s.set(s.end(), "metadata.attempts", json!(2));
        s.begin_late();
    }),
];

/// True stories of the same job, in which more happens than did.
const TRUE: [Lie; 2] = [
    ("fails, is queued again, and counts from 0", |s| {
        s.insert_move(s.end(), "failed");
        s.insert_move(s.end(), "queued");
        s.set(s.at("update", Some("failed")), "metadata.attempts", json!(1));
    }),
    ("is retried, given back, and held where it was queued", |s| {
        s.set(s.end(), "metadata.attempts", json!(2));
        for status in ["retrying", "held", "queued"] {
            s.insert_move(s.end(), status);
        }
        s.set(s.at("update", Some("retrying")), "metadata.attempts", json!(1));
        s.set(s.at("update", Some("held")), "metadata.from", json!("queued"));
    }),
];

/// True stories that begin in the middle.
const TOLD_LATE: [Lie; 3] = [
    ("ends as a type that was told before", |s| s.forget(s.end(), "metadata.jobType")),
    ("ends after attempts that were told before", |s| s.set(s.end(), "metadata.attempts", json!(3))),
    ("is released after attempts that were told before", |s| {
        s.set(s.end(), "metadata.attempts", json!(3));
        s.insert_move(s.end(), "queued");
        s.set(s.at("update", Some("queued")), "metadata.from", json!("held"));
    }),
];

/// About a job that was withdrawn.
const OF_A_WITHDRAWN_JOB: [Lie; 5] = [
    ("is erased instead", |s| {
        let end = s.at("update", Some("cancelled"));
        s.set(end, "action", json!("delete"));
        s.set(end, "metadata.outcome", json!("erased"));
        s.forget(end, "metadata.status");
    }),
    ("was tried before", |s| {
        s.insert_move(s.at("update", Some("cancelled")), "queued");
        s.insert_move(s.at("update", Some("cancelled")), "retrying");
        let cancelled = s.at("update", Some("cancelled"));
        s.set(cancelled, "metadata.from", json!("retrying"));
    }),
    ("goes on afterwards", |s| {
        let end = s.at("update", Some("cancelled"));
        s.events.push(s.events[end].clone());
    }),
    ("is queued afterwards", |s| {
        s.forget(s.at("update", Some("cancelled")), "metadata.from");
        s.append_move("queued");
    }),
    ("began as a job of another type than its receipt's", |s| {
        s.set(s.at("create", None), "metadata.jobType", json!("customer_redact"));
    }),
];

/// The last entry that makes a job of an erasure.
fn second_of(story: &Story) -> usize {
    let makes = |event: &Event| {
        event.text("action") == Some("create") && event.text("metadata.jobType") == Some("customer_redact")
    };
    story.events.iter().rposition(makes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impossible_life_in_a_log_that_was_forged_whole_is_seen_by_both_verifiers() {
    let house = House::sqlite().await;
    let jobs = house.jobs_with_a_past().await;
    let mut cases = Cases::new(house.key());
    for (id, lies) in [(&jobs[0], &OF_ONE_LIFE[..]), (&jobs[4], &OF_A_WITHDRAWN_JOB[..])] {
        let base = house.bundle(id, &Wishes::default()).await;
        cases.set_base(&Story::of(&base).forged(&house));
        assert_eq!(cases.last(), "OK", "a true story, told by a log of its own");
        for (lie, tell) in lies {
            let mut story = Story::of(&base);
            tell(&mut story);
            assert_eq!(cases.add(&story.forged(&house)), Some(Part::Ledger), "a job that {lie}");
        }
    }
    let base = house.bundle(&jobs[0], &Wishes::default()).await;
    for (what, tell) in TOLD_LATE {
        let mut story = Story::of(&base);
        story.receipts = None;
        tell(&mut story);
        story.begin_late();
        assert_eq!(cases.add(&story.forged(&house)), None, "a job that {what}");
    }
    for (what, tell) in TRUE {
        let mut story = Story::of(&base);
        story.receipts = None;
        tell(&mut story);
        assert_eq!(cases.add(&story.forged(&house)), None, "a job that {what}");
    }
    for id in &jobs {
        cases.set_base(&Story::of(&house.bundle(id, &Wishes::default()).await).forged(&house));
        assert_eq!(cases.last(), "OK", "a true story");
    }
    // What comes before the entries of a withdrawn job is not told, and its receipt says how often it was tried.
    let mut story = Story::of(&house.bundle(&jobs[4], &Wishes::default()).await);
    story.begin_late();
    assert_eq!(cases.add(&story.forged(&house)), None, "a job that was made before");
    // Of a job whose end is pruned the receipt alone is there, if the job is in the scope.
    let told = Story::of(&base);
    let ended = told.events[told.end()].text("createdAt").unwrap();
    let (early, late) = ("2000-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z");
    let of_job = |job: &str| Scope { job: Some(job.to_owned()), shop: None, from: None, to: None };
    let of_shop = |shop: &str, from: &str, to: &str| {
        let (from, to) = (Some(from.to_owned()), Some(to.to_owned()));
        Scope { job: None, shop: Some(shop.to_owned()), from, to }
    };
    for (scope, part) in [
        (of_shop(ADA, ended, late), None),
        (of_shop(ADA, early, late), None),
        (of_shop(ADA, early, ended), Some(Part::Receipts)),
        (of_shop(ADA, late, late), Some(Part::Receipts)),
        (of_shop(BEA, early, late), Some(Part::Receipts)),
        (of_job(&jobs[1]), Some(Part::Receipts)),
        (of_job(&jobs[0]), Some(Part::Ledger)),
    ] {
        let mut story = Story::of(&base);
        story.events.clear();
        let what = format!("a receipt alone in {scope:?}");
        story.manifest.scope = scope;
        assert_eq!(cases.add(&story.forged(&house)), part, "{what}");
    }
    // A receipt that names its delivery by a pseudonym is not held against the name that the entry tells.
    house.advance(chrono::TimeDelta::seconds(5));
    let id = house.done(&Webhook::customers_redact(ADA, &[1005_u64]).id("ada@example.com")).await.id;
    let base = house.bundle(&id, &Wishes::default()).await;
    assert_eq!(cases.add(&Story::of(&base).forged(&house)), None, "a delivery with the id of a person");
    let mut story = Story::of(&base);
    story.set(story.at("create", None), "metadata.webhookId", json!("by another key"));
    assert_eq!(cases.add(&story.forged(&house)), None, "a delivery with another pseudonym");
    // Two jobs of one delivery; receipts, which would tell, are left out.
    let wishes = Wishes { without_receipts: true, ..Wishes::default() };
    let mut story = Story::of(&house.bundle_of_shop(ADA, &wishes).await);
    cases.set_base(&Story::of(&house.bundle_of_shop(ADA, &wishes).await).forged(&house));
    assert_eq!(cases.last(), "OK");
    let begins = |event: &Event| event.text("action") == Some("create") && event.text("metadata.jobType").is_some();
    let of_type = |event: &&Event| begins(event) && event.text("metadata.jobType") == Some("customer_redact");
    // Jobs that no delivery has made; an entry about something else that has a job's id; two types of job of one delivery.
    let mut told = Story::of(&house.bundle_of_shop(ADA, &wishes).await);
    let of_jobs: Vec<usize> = (0..told.events.len()).filter(|at| begins(&told.events[*at])).collect();
    for at in &of_jobs {
        told.set(*at, "metadata.webhookId", Value::Null);
    }
    let other = told.events[of_jobs[0]].clone();
    told.events.insert(0, other);
    told.set(0, "resourceType", json!("LegalHold"));
    assert_eq!(cases.add(&told.forged(&house)), None, "jobs of no delivery");
    let mut told = Story::of(&house.bundle_of_shop(ADA, &wishes).await);
    for at in of_jobs {
        let one_each = told.events[at].text("metadata.jobType") == Some("data_request") || at == second_of(&told);
        let key = if one_each { json!("one delivery") } else { json!(at.to_string()) };
        told.set(at, "metadata.webhookId", key);
    }
    assert_eq!(cases.add(&told.forged(&house)), None, "jobs of two types of one delivery");
    let first = story.events.iter().find(of_type).unwrap().value("metadata.webhookId").unwrap().clone();
    let second = story.events.iter().rposition(|event| of_type(&event)).unwrap();
    assert_ne!(story.events[second].value("metadata.webhookId"), Some(&first));
    story.set(second, "metadata.webhookId", first);
    assert_eq!(cases.add(&story.forged(&house)), Some(Part::Ledger), "two jobs of one delivery");
    cases.both_agree(tempfile::tempdir().unwrap().path());
}
