//! The tombstones as lines of text, to be kept outside: a restored database has lost the newest of its own.
//!
//! Each line is a JSON object that ends in an HMAC over the rest of it. A line that was changed, cut off, or written by
//! another installation is refused by its number. Lines may stand twice, and in any order.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::suppression::{Model, Purpose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::{Suppression, SuppressionError};
use crate::audit::{self, Actor, Entry};
use crate::clock::rfc3339;
use crate::seal::Keyring;
use crate::store::suppression;

/// Tombstones that are read from the database at once.
const PAGE: u64 = 5_000;

/// How far back the tombstones that others may have committed late are looked for.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);

/// The longest line that is read: a subject of some ten thousand orders.
const LINE_MAX: u64 = 1 << 20;

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    v: u8,
    job: String,
    erased_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    shop: String,
    shop_id: Option<String>,
    purpose: Purpose,
    key_id: String,
    digests: String,
    shop_keys: Option<Value>,
    mac: String,
}

/// Why a ledger is not used. Nothing of it is imported then.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger cannot be read or written")]
    Io(#[from] io::Error),
    #[error("line {0} of the ledger is cut off or is no line of a ledger")]
    Unreadable(usize),
    #[error("line {0} of the ledger was made with the digest key \"{1}\", which is not in the keys file")]
    UnknownKey(usize, String),
    #[error("line {0} of the ledger is not as it was written")]
    Tampered(usize),
    #[error(transparent)]
    Suppression(#[from] SuppressionError),
}

impl Line {
    fn mac(&self, keyring: &Keyring) -> Option<String> {
        let key = keyring.digest_subkey(&self.key_id, "suppression ledger", b"v1")?;
        let (at, until) = (rfc3339(self.erased_at), rfc3339(self.expires_at));
        let keys = self.shop_keys.as_ref().map(Value::to_string);
        let parts: [&[u8]; 9] = [
            self.job.as_bytes(),
            at.as_bytes(),
            until.as_bytes(),
            self.shop.as_bytes(),
            self.shop_id.as_deref().unwrap_or_default().as_bytes(),
            self.purpose.as_str().as_bytes(),
            self.key_id.as_bytes(),
            self.digests.as_bytes(),
            keys.as_deref().unwrap_or_default().as_bytes(),
        ];
        Some(hex::encode(crate::seal::keyring::mac(&key, &parts)))
    }
}

/// A tombstone as a line, with its newline.
///
/// # Errors
/// When its digest key is not in the keys file.
pub fn line(keyring: &Keyring, row: &Model) -> Result<String, SuppressionError> {
    let mut line = Line {
        v: 1,
        job: row.job_id.clone(),
        erased_at: row.created_at,
        expires_at: row.expires_at,
        shop: row.shop_domain.clone(),
        shop_id: row.shop_id.clone(),
        purpose: row.purpose,
        key_id: row.key_id.clone(),
        digests: hex::encode(&row.digests),
        shop_keys: row.shop_keys.clone(),
        mac: String::new(),
    };
    line.mac = line.mac(keyring).ok_or_else(|| SuppressionError::UnknownKey(row.key_id.clone()))?;
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    Ok(text)
}

/// Reads a whole ledger; each tombstone once.
///
/// # Errors
/// The first line that is not as it was written.
pub fn read(keyring: &Keyring, ledger: impl io::Read) -> Result<Vec<Model>, LedgerError> {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    let mut ledger = BufReader::new(ledger);
    let mut text = String::new();
    for number in 1.. {
        text.clear();
        let read = (&mut ledger).take(LINE_MAX).read_line(&mut text);
        if read.map_err(|error| not_text(error, number))? == 0 {
            break;
        }
        let whole = text.strip_suffix('\n').ok_or(LedgerError::Unreadable(number))?;
        let line: Line = serde_json::from_str(whole).map_err(|_| LedgerError::Unreadable(number))?;
        let mac = line.mac(keyring).ok_or_else(|| LedgerError::UnknownKey(number, line.key_id.clone()))?;
        if line.v != 1 || !bool::from(mac.as_bytes().ct_eq(line.mac.as_bytes())) {
            return Err(LedgerError::Tampered(number));
        }
        let digests = hex::decode(&line.digests).map_err(|_| LedgerError::Unreadable(number))?;
        if seen.insert(line.job.clone()) {
            rows.push(Model {
                created_at: line.erased_at,
                job_id: line.job,
                shop_domain: line.shop,
                shop_id: line.shop_id,
                purpose: line.purpose,
                key_id: line.key_id,
                digests,
                shop_keys: line.shop_keys,
                expires_at: line.expires_at,
                sweeps_done: 0,
                next_sweep_at: None,
            });
        }
    }
    Ok(rows)
}

fn not_text(error: io::Error, line: usize) -> LedgerError {
    if error.kind() == io::ErrorKind::InvalidData { LedgerError::Unreadable(line) } else { error.into() }
}

impl Suppression {
    /// Writes the tombstones of erasures since then, the oldest first; returns how many.
    ///
    /// # Errors
    /// When the database does not answer, or `to` cannot be written.
    pub async fn export(
        &self,
        since: DateTime<Utc>,
        mut to: impl FnMut(&str) -> io::Result<()>,
    ) -> Result<u64, LedgerError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let page = suppression::page(self.store.db(), since, after.as_ref(), PAGE).await;
            let page = page.map_err(SuppressionError::from)?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some((last.created_at, last.job_id.clone()));
            for row in &page {
                to(&line(&self.keyring, row)?)?;
                count += 1;
            }
        }
    }

    /// Adds tombstones that the database has lost, those that have expired left out, with an audit entry of their number;
    /// returns how many were missing. Their re-sweeps go on where they would stand.
    ///
    /// # Errors
    /// When the database refuses or does not answer: then none is imported.
    pub async fn import(&self, rows: &[Model], actor: Actor) -> Result<u64, SuppressionError> {
        let now = self.clock.now();
        let rows = rows
            .iter()
            .filter(|row| row.expires_at > now)
            .map(|row| Model { next_sweep_at: self.settings.next_sweep(row.created_at, now), ..row.clone() });
        let rows: Vec<Model> = rows.collect();
        let tombstones = super::Tombstones::new(Arc::clone(&self.keyring), self.stores.clone(), self.settings.clone());
        let tx = self.store.begin_write().await?;
        let mut imported = 0;
        for rows in rows.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            imported += suppression::insert(&*tx, rows).await?;
            tombstones.fill(&*tx, rows).await?;
        }
        if imported > 0 {
            let entry = Entry {
                actor,
                action: Action::Create,
                resource_type: super::TABLE,
                resource_id: "*".to_owned(),
                shop_domain: None,
                metadata: json!({ "because": "imported from a ledger", "tombstones": imported }),
            };
            audit::append(&*tx, now, vec![entry]).await?;
        }
        tx.commit().await?;
        Ok(imported)
    }
}

/// A file that every new tombstone is appended to.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    /// Tombstones written lately, so that looking back writes none twice.
    lately: Vec<(DateTime<Utc>, String)>,
    /// From where on the database is read; none before the file was looked at.
    from: Option<DateTime<Utc>>,
}

impl LedgerFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, lately: Vec::new(), from: None }
    }

    /// Appends what is not there yet, and has it on the disk before it returns; returns how many lines. At first the file
    /// itself is read, so that nothing that was erased while nobody wrote it is left out.
    ///
    /// # Errors
    /// When database or file do not do their part: what was not written is written next time.
    pub async fn append(&mut self, room: &Suppression) -> Result<u64, LedgerError> {
        let from = match self.from {
            Some(from) => from,
            None => self.look(room)?,
        };
        let known: HashSet<&str> = self.lately.iter().map(|(_, job)| job.as_str()).collect();
        let (mut after, mut text, mut written) = (None, String::new(), Vec::new());
        loop {
            let page = suppression::page(room.store.db(), from, after.as_ref(), PAGE).await;
            let page = page.map_err(SuppressionError::from)?;
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.job_id.clone()));
            for row in page.iter().filter(|row| !known.contains(row.job_id.as_str())) {
                text.push_str(&line(&room.keyring, row)?);
                written.push((row.created_at, row.job_id.clone()));
            }
        }
        if !text.is_empty() {
            write(&self.path, &text)?;
        }
        let count = written.len() as u64;
        self.lately.extend(written);
        let newest = self.lately.iter().map(|(at, _)| *at).max().unwrap_or(DateTime::UNIX_EPOCH);
        let from = newest - OVERLAP;
        self.lately.retain(|(at, _)| *at >= from);
        self.from = Some(from);
        Ok(count)
    }

    /// What the file has already. A last line that a crash cut off is taken out: it is written again.
    fn look(&mut self, room: &Suppression) -> Result<DateTime<Utc>, LedgerError> {
        match OpenOptions::new().read(true).write(true).open(&self.path) {
            Ok(mut file) => {
                file.lock()?;
                cut_to_last_line(&mut file)?;
                let rows = read(&room.keyring, file)?;
                self.lately = rows.into_iter().map(|row| (row.created_at, row.job_id)).collect();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        // All of it, the first time: also what others erased while this file was not written.
        Ok(DateTime::UNIX_EPOCH)
    }
}

fn cut_to_last_line(file: &mut File) -> io::Result<()> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let whole = end;
    let mut byte = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut byte)?;
        if byte == [b'\n'] {
            break;
        }
        end -= 1;
    }
    if end < whole {
        tracing::warn!(bytes = whole - end, "the last line of the suppression ledger was cut off; it is written again");
        file.set_len(end)?;
        file.sync_all()?;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.lock()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if new && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
