//! Proofs that an entry is in the log, as C2SP `tlog-proof` files.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::evidence::merkle::{Hash, PROOF_LEN_MAX};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Writes a proof that the entry at `index` is in the tree of a checkpoint.
pub fn write(index: u64, proof: &[Hash], note: &str) -> String {
    let mut text = format!("{HEADER}\nindex {index}\n");
    for hash in proof {
        let _ = writeln!(text, "{}", STANDARD.encode(hash));
    }
    text.push('\n');
    text.push_str(note);
    text
}

/// Reads what `write` writes: index, hashes and the checkpoint's note. None for anything else, also for proofs with
/// extra data, which we write none of.
pub fn read(text: &str) -> Option<(u64, Vec<Hash>, &str)> {
    let (head, note) = text.split_once("\n\n")?;
    let mut lines = head.split('\n');
    if lines.next()? != HEADER {
        return None;
    }
    let index = lines.next()?.strip_prefix("index ")?;
    let is_plain = index.bytes().all(|byte| byte.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
    let index = index.parse().ok().filter(|_| is_plain)?;
    let hashes: Vec<Hash> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect::<Option<_>>()?;
    (hashes.len() <= PROOF_LEN_MAX + 1).then_some((index, hashes, note))
}
