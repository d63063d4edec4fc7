use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const GOLDEN_KEYS: &str = include_str!("../../../tests/vectors/keys-v1.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Golden {
    wrapped: GoldenWrapped,
    digest: GoldenDigest,
    signing_seed: GoldenSeed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoldenWrapped {
    kek_id: String,
    aad: String,
    key: String,
    bytes: String,
}

#[derive(Deserialize)]
struct GoldenDigest {
    purpose: String,
    parts: Vec<String>,
    digest: String,
}

#[derive(Deserialize)]
struct GoldenSeed {
    id: String,
    seed: String,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/vectors/seal-v1.json")).unwrap()
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("efface.keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    (folder, path)
}

fn load(text: &str) -> Result<Keyring, KeyringError> {
    let (_folder, path) = written(text);
    Keyring::load(&path)
}

/// The error for a golden keys file that was changed in one place.
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_str(GOLDEN_KEYS).unwrap();
    change(&mut document);
    let error = load(&document.to_string()).unwrap_err().to_string();
    assert!(error.contains("efface.keys"), "{error}");
    error
}

#[test]
fn written_keys_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("efface.keys");
    let keyring = Keyring::generate();
    keyring.write_new(&path).unwrap();
    let loaded = Keyring::load(&path).unwrap();
    assert_eq!(loaded.signing_seed(), keyring.signing_seed());
    assert_eq!(loaded.digest("p", &[b"x"]), keyring.digest("p", &[b"x"]));
    let wrapped = keyring.wrap(b"aad", &[7; 32]);
    assert_eq!(*loaded.unwrap(b"aad", &wrapped).unwrap(), [7; 32]);
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["efface.keys"], "no draft is left behind");
}

#[test]
fn only_the_owner_may_read_a_written_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("efface.keys");
    Keyring::generate().write_new(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o400);
}

#[test]
fn keys_are_never_overwritten() {
    let (folder, path) = written("precious");
    let error = Keyring::generate().write_new(&path).unwrap_err();
    assert!(matches!(error, KeyringError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere/efface.keys");
    let error = Keyring::generate().write_new(&path).unwrap_err();
    assert!(matches!(&error, KeyringError::Write { path: named, .. } if *named == path), "{error}");
    let error = Keyring::load(&path).unwrap_err();
    assert!(matches!(&error, KeyringError::Missing { path: named } if *named == path), "{error}");
}

#[test]
fn fresh_keyrings_share_no_key() {
    let (one, other) = (Keyring::generate(), Keyring::generate());
    assert_ne!(one.signing_seed(), other.signing_seed());
    assert_ne!(one.digest("p", &[]), other.digest("p", &[]));
    assert!(matches!(other.unwrap(b"", &one.wrap(b"", &[7; 32])), Err(SealError::NotAuthentic)));
}

#[test]
fn a_keys_file_of_version_1_still_loads() {
    let keyring = load(GOLDEN_KEYS).unwrap();
    let Golden { digest, signing_seed, .. } = golden();
    let (id, seed) = keyring.signing_seed();
    assert_eq!((id, hex::encode(seed)), (signing_seed.id.as_str(), signing_seed.seed));
    let parts: Vec<&[u8]> = digest.parts.iter().map(String::as_bytes).collect();
    assert_eq!(hex::encode(keyring.digest(&digest.purpose, &parts)), digest.digest);
}

#[test]
fn a_key_wrapped_before_a_rotation_still_unwraps() {
    let keyring = load(GOLDEN_KEYS).unwrap();
    let GoldenWrapped { kek_id, aad, key, bytes } = golden().wrapped;
    let fresh = keyring.wrap(aad.as_bytes(), &[7; 32]);
    assert_eq!((fresh.kek_id.as_str(), kek_id.as_str()), ("kek-2", "kek-1"), "the old one is no longer current");
    let wrapped = WrappedKey { kek_id, bytes: hex::decode(bytes).unwrap() };
    assert_eq!(hex::encode(*keyring.unwrap(aad.as_bytes(), &wrapped).unwrap()), key);
}

#[test]
fn a_wrapped_key_opens_only_with_its_own_data_and_key() {
    let keyring = load(GOLDEN_KEYS).unwrap();
    let wrapped = keyring.wrap(b"here", &[7; 32]);
    assert!(matches!(keyring.unwrap(b"there", &wrapped), Err(SealError::NotAuthentic)));
    let renamed = WrappedKey { kek_id: "kek-1".to_owned(), ..wrapped.clone() };
    assert!(matches!(keyring.unwrap(b"here", &renamed), Err(SealError::NotAuthentic)));
    let unknown = WrappedKey { kek_id: "kek-3".to_owned(), ..wrapped.clone() };
    assert!(matches!(keyring.unwrap(b"here", &unknown), Err(SealError::UnknownKey(id)) if id == "kek-3"));
    let short = WrappedKey { bytes: wrapped.bytes[1..].to_vec(), ..wrapped.clone() };
    assert!(matches!(keyring.unwrap(b"here", &short), Err(SealError::Truncated)));
    for at in 0..wrapped.bytes.len() {
        let mut altered = wrapped.clone();
        altered.bytes[at] ^= 1;
        assert!(matches!(keyring.unwrap(b"here", &altered), Err(SealError::NotAuthentic)), "byte {at}");
    }
}

#[test]
fn digests_differ_by_purpose_and_by_where_the_parts_begin() {
    let keyring = Keyring::generate();
    let digests = [
        keyring.digest("a", &[b"xy", b"z"]),
        keyring.digest("a", &[b"x", b"yz"]),
        keyring.digest("a", &[b"xyz"]),
        keyring.digest("a", &[b"xyz", b""]),
        keyring.digest("b", &[b"xyz"]),
    ];
    for (i, one) in digests.iter().enumerate() {
        assert!(digests[i + 1..].iter().all(|other| one != other), "{i}");
    }
    assert_eq!(digests[2], keyring.digest("a", &[b"xyz"]));
}

#[test]
fn a_newer_version_is_told_from_a_broken_file() {
    let error = refusal(|document| *document = json!({"version": 2, "anything": "else"}));
    assert!(error.ends_with("has version 2; this program reads version 1"), "{error}");
}

#[test]
fn a_bad_key_is_named_with_its_file_and_never_quoted() {
    let short = STANDARD.encode([1; 31]);
    let cases = [
        (short.as_str(), "is not 32 bytes long"),
        ("c2VjcmV0IQ=", "is not base64"),
        ("not base64 at all", "is not base64"),
    ];
    for (key, problem) in cases {
        let error = refusal(|document| document["keys"]["sign"][0]["key"] = key.into());
        assert!(error.ends_with(&format!("the sign key \"sign-1\" {problem}")), "{error}");
        assert!(!error.contains(key), "{error}");
    }
    let error = refusal(|document| document["keys"]["kek"][1]["id"] = "kek-1".into());
    assert!(error.ends_with("the kek key \"kek-1\" is there twice"), "{error}");
    let error = refusal(|document| document["keys"]["digest"][0]["id"] = "".into());
    assert!(error.contains("the digest key \"\" must have an id"), "{error}");
}

#[test]
fn a_missing_key_is_named() {
    let error = refusal(|document| document["keys"]["digest"] = json!([]));
    assert!(error.ends_with("has no digest key"), "{error}");
    let error = refusal(|document| document["current"]["kek"] = "kek-9".into());
    assert!(error.ends_with("no kek key has the id \"kek-9\" that is said to be current"), "{error}");
}

#[test]
fn a_malformed_file_is_told_by_line_and_column_and_not_quoted() {
    for text in ["", "{", "{\"version\": 1, \"keys\": \"c2VjcmV0\"}", "[\"c2VjcmV0\"]", "{\"version\":\"c2VjcmV0\"}"] {
        let error = load(text).unwrap_err();
        assert!(matches!(error, KeyringError::Malformed { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("c2VjcmV0"), "{error:?}");
    }
    let error = refusal(|document| document["keys"]["sign"][0]["extra"] = true.into());
    assert!(error.contains("unknown"), "{error}");
}

#[test]
fn a_file_too_large_is_not_read() {
    let error = load(&" ".repeat((1 << 20) + 1)).unwrap_err();
    assert!(matches!(error, KeyringError::TooLarge { .. }), "{error}");
}

#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", load(GOLDEN_KEYS).unwrap());
    assert_eq!(printed, r#"Keyring { kek: ["kek-1", "kek-2"], sign: ["sign-1"], digest: ["digest-1"] }"#);
}
