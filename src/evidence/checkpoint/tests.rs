use super::*;

/// From the documentation of `golang.org/x/mod/sumdb/note`: a note, and the key that signed it.
const PEOPLE: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const QUOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const QUOTE_SIGNATURE: &str =
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn public() -> PublicKey {
    PublicKey::new(key().verifying_key())
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "efface.example/log".to_owned(), size: 20_852_163, root: [3; 32], extensions: Vec::new() }
}

#[test]
fn keys_and_signatures_are_those_of_the_go_implementation() {
    let mut parts = PEOPLE.splitn(3, '+');
    let (name, id) = (parts.next().unwrap(), parts.next().unwrap());
    let bytes = STANDARD.decode(parts.next().unwrap()).unwrap();
    let key = PublicKey::from_bytes(bytes[1..].try_into().unwrap()).unwrap();
    assert_eq!(hex::encode(key_id(name, &key)), id);
    assert_eq!(verifier_key(name, &key), PEOPLE);
    let signature = signature(&format!("{SIGNATURE_PREFIX}{name} {QUOTE_SIGNATURE}")).unwrap();
    assert_eq!(hex::encode(signature.key_id), id);
    assert!(key.has_signed(QUOTE.as_bytes(), &signature.bytes));
}

#[test]
fn the_checkpoint_of_the_specification_is_read() {
    // The sample of C2SP `tlog-checkpoint`: a real checkpoint of a public log.
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    let signed = SignedCheckpoint::parse(note.as_bytes()).unwrap();
    assert_eq!(signed.checkpoint().size, 20_852_163);
    assert_eq!(signed.checkpoint().text(), note.split("\n\n").next().unwrap().to_owned() + "\n");
    assert_eq!(signed.signer(&[public()]), None, "the key is not ours");
}

#[test]
fn what_is_signed_reads_back_and_verifies_and_nothing_else_does() {
    let signed = checkpoint().sign(&key());
    let read = SignedCheckpoint::parse(signed.note().as_bytes()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.signer(&[public()]), Some(&public()));
    assert_eq!(read.signer(&[]), None);
    let stranger = PublicKey::new(SigningKey::from_bytes(&[8; 32]).verifying_key());
    assert_eq!(read.signer(std::slice::from_ref(&stranger)), None);
    assert_eq!(read.signer(&[stranger, public()]), Some(&public()));
    let note = signed.note().as_bytes();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bent = note.to_vec();
            bent[at] ^= 1 << bit;
            let verdict = SignedCheckpoint::parse(&bent).ok().and_then(|bent| bent.signer(&[public()]).cloned());
            assert_eq!(verdict, None, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn signatures_of_others_are_passed_over_but_a_false_one_of_ours_is_not() {
    let ours = checkpoint().sign(&key());
    let (_, line) = ours.note().split_once("\n\n").unwrap();
    let other = Checkpoint { origin: "witness".to_owned(), ..checkpoint() }.sign(&SigningKey::from_bytes(&[8; 32]));
    let (_, witness) = other.note().split_once("\n\n").unwrap();
    let both = format!("{}\n{witness}{line}", checkpoint().text());
    assert!(SignedCheckpoint::parse(both.as_bytes()).unwrap().signer(&[public()]).is_some());
    let of_another = Checkpoint { size: 1, ..checkpoint() }.sign(&key());
    let (_, false_line) = of_another.note().split_once("\n\n").unwrap();
    let mixed = format!("{}\n{line}{false_line}", checkpoint().text());
    assert_eq!(SignedCheckpoint::parse(mixed.as_bytes()).unwrap().signer(&[public()]), None);
}

#[test]
fn texts_that_could_be_read_in_two_ways_are_refused() {
    let (text, line) = (checkpoint().text(), "\n\u{2014} a AAAAAAAA\n");
    let parse = |note: String| SignedCheckpoint::parse(note.as_bytes()).unwrap_err();
    assert!(SignedCheckpoint::parse(format!("{text}{line}").as_bytes()).is_ok());
    for size in ["020", "-1", "+1", "", " 1", "18446744073709551616", "1e3", "\u{662}"] {
        assert_eq!(
            parse(format!("o\n{size}\n{}\n{line}", STANDARD.encode([3; 32]))),
            CheckpointError::BadText,
            "{size}"
        );
    }
    for root in [STANDARD.encode([3; 31]), STANDARD.encode([3; 33]), "=".repeat(44), String::new()] {
        assert_eq!(parse(format!("o\n1\n{root}\n{line}")), CheckpointError::BadText);
    }
    for origin in ["", "a b", "a+b", "a\u{a0}b"] {
        assert_eq!(parse(format!("{origin}\n1\n{}\n{line}", STANDARD.encode([3; 32]))), CheckpointError::BadText);
    }
    assert_eq!(parse(text.clone()), CheckpointError::Unsigned);
    assert_eq!(parse(format!("{text}\n")), CheckpointError::BadSignatureLine);
    assert_eq!(parse(format!("{text}\r{line}")), CheckpointError::NotText);
    assert_eq!(parse(format!("{text}\n- a AAAAAAAA\n")), CheckpointError::BadSignatureLine);
    assert_eq!(parse(format!("{text}\n\u{2014} a AAAA\n")), CheckpointError::BadSignatureLine);
    assert_eq!(
        parse(format!("{text}{}", "\n\u{2014} a AAAAAAAA".repeat(101)) + "\n"),
        CheckpointError::TooManySignatures
    );
    assert_eq!(parse("x".repeat(NOTE_BYTES_MAX + 1)), CheckpointError::TooLarge);
}
