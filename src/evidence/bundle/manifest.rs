//! What a bundle says that it holds.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::container::Files;
use super::{FORMAT, names};
use crate::evidence::canonical;

/// The manifest. It is signed, and so says that nothing of its scope was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    pub software: Software,
    pub scope: Scope,
    /// The log, as the checkpoint signs it.
    pub checkpoint: Head,
    /// Entries below it may be pruned, and then are not here.
    pub minimum_index: u64,
    /// Lines of `events.ndjson`.
    pub events: u64,
    /// Fields of them that are withheld.
    pub withheld: u64,
    /// Whether receipts were left out, because they cannot be redacted.
    pub receipts_left_out: bool,
    /// Every other file, in the order of the names.
    pub files: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Software {
    pub name: String,
    pub version: String,
}

/// Which entries a bundle holds: all of a job, or all of a shop from an instant to before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub origin: String,
    pub size: u64,
    /// In base64.
    pub root: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

impl Manifest {
    /// The file.
    pub fn to_text(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        format!("{}\n", canonical::canonical(&value))
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is not in canonical form, or not a manifest of this format.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        let text = text.strip_suffix('\n').ok_or("its line does not end")?;
        let manifest: Self = serde_json::from_value(canonical::read(text)?)
            .map_err(|_| "a field is missing, unknown or not of its kind")?;
        if manifest.format != FORMAT {
            return Err("it is of another format");
        }
        let Scope { job, shop, from, to } = &manifest.scope;
        if job.is_some() == shop.is_some() || (job.is_some() && (from.is_some() || to.is_some())) {
            return Err("its scope is neither a job nor a shop");
        }
        Ok(manifest)
    }

    /// Whether the first entries of a job may be missing.
    pub fn may_begin_late(&self) -> bool {
        self.minimum_index > 0 || self.scope.from.is_some()
    }
}

/// The entries for all files but the manifest and its signature.
pub fn files(files: &Files<'_>) -> Vec<File> {
    let others = files.iter().filter(|(name, _)| ![names::MANIFEST, names::SIGNATURE].contains(name));
    let file = |(name, data): (&&str, &&[u8])| File {
        name: (*name).to_owned(),
        bytes: data.len() as u64,
        sha256: hex::encode(Sha256::digest(data)),
    };
    others.map(file).collect()
}
