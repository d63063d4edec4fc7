//! `efface verify`: whether a file proves what it says. Needs no database, no configuration and no network.
//!
//! What kind of file it is shows in its first bytes; each kind has its own reader.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::{Context, Exit, UsageError, output};
use crate::evidence::bundle::{self, container};
use crate::evidence::checkpoint::NOTE_BYTES_MAX;
use crate::evidence::public_key::PublicKey;
use crate::evidence::verify::{Checked, Part, RECEIPT_BYTES_MAX, Refused, verify};

pub(super) mod told;

const EXAMPLES: &str = "\
Examples:
  efface verify evidence.zip --key efface.pub
  efface verify evidence.zip --key efface.pub --since checkpoint.txt
  efface verify receipt.json --key efface.pub
  efface verify receipt.json              with the key it encloses: says so

Get a bundle with `efface export`, a receipt with `efface jobs receipt`, the key
with `efface keys show`.
Exit codes: 0 verified, 1 cannot be read, 2 wrong usage, 3 not verified";

/// How bundles begin.
const ZIP: &[u8] = b"PK";
/// Bytes of a file by which its kind is told.
const HEAD_BYTES: usize = 4_096;
/// A file of keys that is larger than this is none.
const KEY_BYTES_MAX: usize = 65_536;

/// Check an evidence bundle or a signed receipt offline
///
/// Trusts only keys that are given with --key. Without one it checks against the key that the file itself encloses, and
/// says so: then it shows that the file is whole, not who made it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A bundle, as `efface export` writes it, or a receipt, as `efface jobs receipt` does
    file: PathBuf,
    /// Public keys to trust, in PEM, got from somewhere else than the receipt
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Demand a proof that the log has grown from this earlier checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    context.refuse_configuration("a file is verified without a database")?;
    context.log_without_config();
    let trusted = args.key.as_deref().map_or(Ok(Vec::new()), trusted)?;
    let earlier = args.since.as_deref().map(|path| read(path, NOTE_BYTES_MAX)).transpose()?;
    if is_bundle(&args.file)? {
        return match bundle(&args.file, &trusted, earlier.as_deref())? {
            Ok(checked) => bundle_passed(context, &checked),
            Err(refused) => bundle_failed(context, &refused),
        };
    }
    if earlier.is_some() {
        return Err(UsageError("--since goes with a bundle: a receipt tells nothing of the log".to_owned()).into());
    }
    let file = read(&args.file, RECEIPT_BYTES_MAX)?;
    match verify(&file, &trusted) {
        Err(refused) if refused.part == Part::Envelope && !begins_as_json(&file) => {
            let reason = "it begins neither as a receipt, which is JSON, nor as a bundle, which is a zip".to_owned();
            failed(context, &Refused { reason, ..refused })
        }
        Ok(checked) => passed(context, &checked, args.key.as_deref()),
        Err(refused) => failed(context, &refused),
    }
}

/// Whether a file is to be read as a bundle: a zip, or what has the name of one and is no JSON either.
fn is_bundle(path: &Path) -> anyhow::Result<bool> {
    let head = read(path, HEAD_BYTES)?;
    let has_its_name = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("zip"));
    Ok(head.starts_with(ZIP) || (has_its_name && !begins_as_json(&head)))
}

/// Whether an object may begin here. An envelope may be written with spaces and newlines before it.
fn begins_as_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

/// Checks a bundle. A file that is too large for one is not read first.
fn bundle(
    path: &Path,
    trusted: &[PublicKey],
    earlier: Option<&[u8]>,
) -> anyhow::Result<Result<bundle::verify::Checked, bundle::verify::Refused>> {
    let file = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if file.len() > container::BYTES_MAX as u64 {
        return Ok(Err(bundle::verify::too_large()));
    }
    Ok(bundle::verify::verify(&read(path, container::BYTES_MAX)?, trusted, earlier))
}

/// The keys of a file. One that cannot be used is wrong usage, not a receipt that does not verify.
fn trusted(path: &Path) -> anyhow::Result<Vec<PublicKey>> {
    let wrong = |why: String| UsageError(format!("--key {}: {why}", path.display()));
    let bytes = read(path, KEY_BYTES_MAX).map_err(|error| wrong(format!("{error:#}")))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not text".to_owned()))?;
    Ok(PublicKey::read_all(&text).map_err(|error| wrong(error.to_string()))?)
}

/// A file up to a limit, and one byte more when it is larger, so that the reader sees that it is.
fn read(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(bytes)
}

fn bundle_passed(context: &Context, checked: &bundle::verify::Checked) -> anyhow::Result<Exit> {
    if !checked.is_trusted {
        output::talk("! NO KEY FROM OUTSIDE was given: the bundle was checked with the keys that it encloses.");
        output::talk(
            "! Anybody can make such a bundle. Get the key of who should have signed it, and give --key FILE.",
        );
    }
    if context.json() {
        output::json(&json!({
            "verified": true, "keyId": checked.key.id(), "keyFromOutside": checked.is_trusted,
            "events": checked.manifest.events, "withheld": checked.manifest.withheld, "receipts": checked.receipts,
            "scope": checked.manifest.scope, "checkpoint": checked.manifest.checkpoint,
        }))?;
    } else {
        output::raw(&told::bundle_passed(checked))?;
    }
    Ok(Exit::Done)
}

fn bundle_failed(context: &Context, refused: &bundle::verify::Refused) -> anyhow::Result<Exit> {
    if context.json() {
        output::json(&json!({ "verified": false, "part": refused.part.as_str(), "reason": refused.reason }))?;
    } else {
        output::raw(&told::bundle_failed(refused))?;
    }
    Ok(Exit::Unverified)
}

fn passed(context: &Context, checked: &Checked, key: Option<&Path>) -> anyhow::Result<Exit> {
    if !checked.is_trusted {
        output::talk(
            "! NO KEY FROM OUTSIDE was given: the signature was checked with the key that the receipt encloses.",
        );
        output::talk(
            "! Anybody can make such a receipt. Get the key of who should have signed it, and give --key FILE.",
        );
    }
    if context.json() {
        let trusted = checked.is_trusted;
        output::json(&json!({
            "verified": true, "keyId": checked.key.id(), "keyFromOutside": trusted, "statement": checked.statement,
        }))?;
        return Ok(Exit::Done);
    }
    output::raw(&told::passed(checked, key))?;
    Ok(Exit::Done)
}

fn failed(context: &Context, refused: &Refused) -> anyhow::Result<Exit> {
    if context.json() {
        output::json(&json!({ "verified": false, "part": refused.part.as_str(), "reason": refused.reason }))?;
    } else {
        output::raw(&told::failed(refused))?;
    }
    Ok(Exit::Unverified)
}
