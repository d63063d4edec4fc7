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
use efface::seal::Keyring;

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
