//! An envelope that was altered in any byte is refused.

use efface::evidence::dsse::Envelope;
use efface::evidence::public_key::PublicKey;
use efface::evidence::verify::{Part, verify};

use crate::house::{ADA, House, Webhook, signer};

/// Ways to alter one byte, or two that are neighbours.
type Mutation = (&'static str, fn(&mut Vec<u8>, usize));

const MUTATIONS: [Mutation; 7] = [
    ("a low bit flipped", |bytes, at| bytes[at] ^= 1),
    ("a high bit flipped", |bytes, at| bytes[at] ^= 0x80),
    ("another byte of its kind", |bytes, at| bytes[at] = another(bytes[at])),
    ("deleted", |bytes, at| {
        bytes.remove(at);
    }),
    ("doubled", |bytes, at| bytes.insert(at, bytes[at])),
    ("swapped with the next", |bytes, at| {
        let next = (at + 1) % bytes.len();
        bytes.swap(at, next);
    }),
    ("cut off from here", |bytes, at| bytes.truncate(at)),
];

/// A byte that may stand where the given one does.
fn another(byte: u8) -> u8 {
    match byte {
        b'9' => b'0',
        b'f' | b'z' => b'a',
        b'Z' | b'=' => b'A',
        b'+' => b'/',
        b'/' => b'+',
        b'{' => b'[',
        b'"' => b'\'',
        other => other.wrapping_add(1),
    }
}

async fn envelope() -> (Vec<u8>, PublicKey) {
    let house = House::sqlite().await;
    house.settle_town().await;
    house.done(&Webhook::customers_redact(ADA, &[1001_u64, 1002])).await;
    (house.receipts().await.remove(0).envelope, house.key())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_is_guarded() {
    let (original, key) = envelope().await;
    assert!(verify(&original, std::slice::from_ref(&key)).is_ok());
    let (mut tried, mut parts) = (0, std::collections::BTreeMap::<&str, u32>::new());
    for (name, mutate) in MUTATIONS {
        for at in 0..original.len() {
            let mut altered = original.clone();
            mutate(&mut altered, at);
            if altered == original {
                continue;
            }
            tried += 1;
            for trusted in [std::slice::from_ref(&key), &[]] {
                match verify(&altered, trusted) {
                    Err(refused) => *parts.entry(refused.part.as_str()).or_default() += 1,
                    Ok(_) => panic!("{name} at {at}, and it still verifies: {}", String::from_utf8_lossy(&altered)),
                }
            }
        }
    }
    println!("{tried} altered envelopes of {} bytes, all refused: {parts:?}", original.len());
    assert!(tried >= 2_000, "{tried}");
    assert!(parts.contains_key(Part::Envelope.as_str()) && parts.contains_key(Part::Signature.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_in_place_of_the_signers_is_found() {
    let (original, key) = envelope().await;
    let other = signer().public_key().clone();
    assert_eq!(verify(&original, std::slice::from_ref(&other)).unwrap_err().part, Part::Signature);
    let text = String::from_utf8(original.clone()).unwrap();
    let named = text.replace(key.id(), other.id());
    for trusted in [&key, &other] {
        assert_eq!(verify(named.as_bytes(), std::slice::from_ref(trusted)).unwrap_err().part, Part::Signature);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_envelope_written_otherwise_is_no_false_alarm() {
    let (original, key) = envelope().await;
    let value: serde_json::Value = serde_json::from_slice(&original).unwrap();
    let (payload, sig) = (value["payload"].as_str().unwrap(), value["signatures"][0]["sig"].as_str().unwrap());
    let text = String::from_utf8(original.clone()).unwrap();
    let for_urls = |text: &str| text.replace('+', "-").replace('/', "_");
    for same in [
        serde_json::to_string_pretty(&value).unwrap(),
        format!("\n {text}\n"),
        text.replace(payload, &for_urls(payload)),
        text.replace(sig, &for_urls(sig)),
        text.replace("payloadType", "payloa\\u0064Type"),
    ] {
        let checked = verify(same.as_bytes(), std::slice::from_ref(&key)).unwrap();
        assert_eq!(checked.statement, verify(&original, std::slice::from_ref(&key)).unwrap().statement);
        assert_eq!(Envelope::parse(same.as_bytes()).unwrap(), Envelope::parse(&original).unwrap());
    }
}
