//! Checkpoints: the signed head of the audit log.
//!
//! Sources: C2SP `tlog-checkpoint` (the text: origin, size, root) and C2SP `signed-note` (the signatures). The name of
//! the key is the log's origin.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::merkle::Hash;
use super::public_key::PublicKey;

/// The largest checkpoint that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 65_536;
/// Signatures that a checkpoint may carry.
const SIGNATURES_MAX: usize = 100;
/// What stands before the public key when its id is made.
const ED25519: u8 = 0x01;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// What a log says of itself: its name, how many entries it has, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    /// Further lines, which we write none of and pass over.
    pub extensions: Vec<String>,
}

/// A checkpoint with its signatures. Nothing of it is verified by having read it: ask [`SignedCheckpoint::signer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
    text_len: usize,
    signatures: Vec<NoteSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

/// Why a text is no checkpoint. Quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("it is larger than {NOTE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not text, or holds control characters")]
    NotText,
    #[error("no signatures follow its text")]
    Unsigned,
    #[error("a line of its signatures is not of their form")]
    BadSignatureLine,
    #[error("it carries more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    #[error("its text is not origin, size and root, each on a line")]
    BadText,
}

/// Whether a text can be the name of a log and of its key.
pub fn is_origin(origin: &str) -> bool {
    !origin.is_empty() && !origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// The id of a key under a name: the first four bytes of a digest over both.
pub fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let digest = Sha256::new_with_prefix(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// A key as verifiers of signed notes take it: `NAME+ID+KEY`.
pub fn verifier_key(name: &str, key: &PublicKey) -> String {
    let bytes = [&[ED25519], &key.as_bytes()[..]].concat();
    format!("{name}+{}+{}", hex::encode(key_id(name, key)), STANDARD.encode(bytes))
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root));
        for line in &self.extensions {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Reads the text of a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::BadText`] when a reader could take it otherwise.
    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let bad = CheckpointError::BadText;
        let mut lines = text.strip_suffix('\n').ok_or(bad)?.split('\n');
        let origin = lines.next().filter(|line| is_origin(line)).ok_or(bad)?.to_owned();
        let size = lines.next().and_then(decimal).ok_or(bad)?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).ok_or(bad)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(bad);
        }
        Ok(Self { origin, size, root: root.try_into().map_err(|_| bad)?, extensions })
    }

    /// Signs it. The name of the key is the origin.
    pub fn sign(self, key: &SigningKey) -> SignedCheckpoint {
        let public = PublicKey::new(key.verifying_key());
        let text = self.text();
        let signature = NoteSignature {
            name: self.origin.clone(),
            key_id: key_id(&self.origin, &public),
            bytes: key.sign(text.as_bytes()).to_bytes().to_vec(),
        };
        let signed = [&signature.key_id[..], &signature.bytes].concat();
        let note = format!("{text}\n{SIGNATURE_PREFIX}{} {}\n", signature.name, STANDARD.encode(signed));
        SignedCheckpoint { checkpoint: self, text_len: text.len(), note, signatures: vec![signature] }
    }
}

impl SignedCheckpoint {
    /// Reads a signed note whose text is a checkpoint. Its signatures are not checked.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(CheckpointError::TooLarge);
        }
        let note = std::str::from_utf8(note).map_err(|_| CheckpointError::NotText)?;
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(CheckpointError::NotText);
        }
        let split = note.rfind("\n\n").ok_or(CheckpointError::Unsigned)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(CheckpointError::BadSignatureLine)?;
        let signatures: Vec<NoteSignature> = lines.split('\n').map(signature).collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(CheckpointError::TooManySignatures);
        }
        Ok(Self { checkpoint: Checkpoint::parse(text)?, note: note.to_owned(), text_len: text.len(), signatures })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The whole note, as it was signed or read.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The first of the keys that signed it under its origin. None when one of them seems to have signed and has not, or
    /// when none has. Signatures of other keys are passed over.
    pub fn signer<'k>(&self, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        let text = &self.note.as_bytes()[..self.text_len];
        let mut signer = None;
        for key in keys {
            let id = key_id(&self.checkpoint.origin, key);
            let of_key =
                |signature: &&NoteSignature| signature.name == self.checkpoint.origin && signature.key_id == id;
            for signature in self.signatures.iter().filter(of_key) {
                if !key.has_signed(text, &signature.bytes) {
                    return None;
                }
                signer = signer.or(Some(key));
            }
        }
        signer
    }
}

fn signature(line: &str) -> Result<NoteSignature, CheckpointError> {
    let bad = CheckpointError::BadSignatureLine;
    let (name, bytes) = line.strip_prefix(SIGNATURE_PREFIX).and_then(|rest| rest.split_once(' ')).ok_or(bad)?;
    let bytes = STANDARD.decode(bytes).map_err(|_| bad)?;
    let (key_id, bytes) = bytes.split_first_chunk::<4>().ok_or(bad)?;
    if !is_origin(name) || bytes.is_empty() {
        return Err(bad);
    }
    Ok(NoteSignature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
}

/// A number in the one way to write it.
fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
