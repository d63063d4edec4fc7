//! Collects a package: one task reads the rows in one snapshot and seals them part by part, the worker keeps each part in a
//! transaction of its own under the job's fence.
//!
//! At most three parts are in memory: one being filled, one waiting, one being kept. The package's row says `collecting`
//! until the transaction that completes the job makes it `ready`; a crash in between leaves it `collecting`, and the next
//! attempt discards it.
//!
//! Two databases have no snapshot in common: with several, each is read in one of its own, one after the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entity::export_package::{Model, PackageStatus};
use entity::export_part;
use entity::sealing_key::KeyPurpose;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

use super::contents::{Contents, TableContents};
use super::{place, place_row};
use crate::erasure::data_map::{DEFAULT_STORE, StoreMap};
use crate::erasure::plan::{Plan, probe};
use crate::erasure::stores::Stores;
use crate::erasure::subject::Target;
use crate::seal::{ContentKey, ContentKeyError, ContentKeys, seal};
use crate::store::gdpr_job::Claimed;
use crate::store::{Store, StoreError, export_package, id, target};

/// Bytes of rows after which a part is sealed. A longer row stands in a part of its own.
pub const PART_BYTES: usize = 256 * 1024;
/// Rows after which a part is sealed.
pub const PART_ROWS: i32 = 1_000;
/// Parts that wait between the reader and the worker.
const PARTS_WAITING: usize = 1;
/// Parts deleted in one transaction: sixteen mebibytes, unless rows are large.
pub(super) const PARTS_PER_STEP: u64 = 64;

/// Collects packages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exporter {
    stores: Stores,
    keys: ContentKeys,
    keep: TimeDelta,
    readers: Arc<Semaphore>,
}

/// A package that is being collected.
#[derive(Debug)]
pub struct Collecting {
    package_id: String,
    job_id: String,
    shop_domain: String,
    received_at: DateTime<Utc>,
    data_request_id: Option<String>,
    keep: TimeDelta,
    pieces: mpsc::Receiver<Result<Piece, StoreError>>,
    next: Option<Piece>,
}

/// What the reader hands over.
#[derive(Debug)]
enum Piece {
    /// Nothing is read yet: what an earlier attempt left goes, and the package's row is made.
    Begin,
    Part(export_part::Model),
    End {
        contents: Contents,
        counts: BTreeMap<String, u64>,
    },
}

/// What one step of keeping came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// There is more to come.
    Part,
    /// The package is ready; rows by export key.
    All(BTreeMap<String, u64>),
}

impl Exporter {
    /// Packages are kept for `keep_days` after they are ready. At most `readers` are read at the same time: each holds a
    /// connection, and needs a further one to be kept.
    pub fn new(stores: Stores, keys: ContentKeys, keep_days: u32, readers: usize) -> Self {
        let keep = TimeDelta::days(i64::from(keep_days));
        Self { stores, keys, keep, readers: Arc::new(Semaphore::new(readers)) }
    }

    /// Begins to read what is held of the target. Dropping what is returned ends the reading.
    pub fn collect(&self, claim: &Claimed, target: &Target) -> Collecting {
        let package_id = id::package();
        let (send, pieces) = mpsc::channel(PARTS_WAITING);
        let reader = Reader { exporter: self.clone(), target: target.clone(), package_id: package_id.clone(), send };
        tokio::spawn(reader.run());
        let data_request_id = match claim.payload.get("data_request_id") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        Collecting {
            package_id,
            job_id: claim.id.clone(),
            shop_domain: claim.shop_domain.clone(),
            received_at: claim.created_at,
            data_request_id,
            keep: self.keep,
            pieces,
            next: Some(Piece::Begin),
        }
    }
}

impl Collecting {
    /// The id that the package has, or will have.
    pub fn package_id(&self) -> &str {
        &self.package_id
    }

    /// Waits until there is something to keep. To be called outside a transaction: reading takes its time. Nothing is lost
    /// when the wait is cut short.
    ///
    /// # Errors
    /// When the rows could not be read or sealed.
    pub async fn ready(&mut self) -> Result<(), StoreError> {
        if self.next.is_none() {
            let ended = || StoreError::Refused("the rows were not read to their end".to_owned());
            self.next = Some(self.pieces.recv().await.ok_or_else(ended)??);
        }
        Ok(())
    }

    /// Keeps what [`Collecting::ready`] waited for, in the caller's transaction. The last step makes the package ready.
    ///
    /// # Errors
    /// When the database refuses or does not answer, or the package was taken away meanwhile. The caller rolls back and
    /// gives the attempt up.
    pub async fn keep(&mut self, conn: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Kept, StoreError> {
        match self.next.take() {
            None => {}
            Some(Piece::Begin) => {
                if export_package::discard(conn, &self.job_id, PARTS_PER_STEP).await? {
                    export_package::begin(conn, self.row(now)).await?;
                } else {
                    self.next = Some(Piece::Begin);
                }
            }
            Some(Piece::Part(part)) => export_package::add_part(conn, part).await?,
            Some(Piece::End { mut contents, counts }) => {
                contents.data_request_id = self.data_request_id.take();
                let ready = export_package::Ready {
                    counts: json!(counts),
                    contents: json!(contents),
                    rows_total: contents.rows().cast_signed(),
                    at: now,
                    expires_at: now + self.keep,
                };
                export_package::make_ready(conn, &self.package_id, ready).await?;
                return Ok(Kept::All(counts));
            }
        }
        Ok(Kept::Part)
    }

    fn row(&self, now: DateTime<Utc>) -> Model {
        Model {
            id: self.package_id.clone(),
            job_id: self.job_id.clone(),
            shop_domain: self.shop_domain.clone(),
            status: PackageStatus::Collecting,
            rows_total: 0,
            counts: json!({}),
            created_at: now,
            ready_at: None,
            expires_at: now + self.keep,
            removed_at: None,
            contents: None,
            received_at: Some(self.received_at),
            link_digest: None,
            link_expires_at: None,
            link_recipient: None,
            link_tries: 0,
            link_used_at: None,
        }
    }
}

/// The rows of one table that belong to the target, as JSON objects: the one place here that knows how the data map finds
/// them.
async fn rows_of<'c>(
    snapshot: &'c DatabaseTransaction,
    plan: &Plan<'_>,
    map: &StoreMap,
    table: usize,
) -> Result<BoxStream<'c, Result<String, StoreError>>, StoreError> {
    let (keys, table) = (plan.keys_of(table), &map.tables[table]);
    target::stream_matching(snapshot, &probe(table, &keys), &table.export).await
}

/// Reads in a task of its own, as fast as the worker keeps.
struct Reader {
    exporter: Exporter,
    target: Target,
    package_id: String,
    send: mpsc::Sender<Result<Piece, StoreError>>,
}

/// That nobody takes parts any more.
struct Gone;

/// What was read so far.
#[derive(Default)]
struct Read {
    contents: Contents,
    counts: BTreeMap<String, u64>,
}

impl Reader {
    async fn run(self) {
        let last = match self.read().await {
            Ok(Ok(end)) => Ok(end),
            Ok(Err(Gone)) => return,
            Err(error) => Err(error),
        };
        let _gone = self.send.send(last).await;
    }

    async fn read(&self) -> Result<Result<Piece, Gone>, StoreError> {
        let Exporter { stores, keys, .. } = &self.exporter;
        let key = keys.current(KeyPurpose::Export).await.map_err(|error| match error {
            ContentKeyError::Store(error) => error,
            other => StoreError::Refused(other.to_string()),
        })?;
        // Never closed.
        let _turn = self.exporter.readers.acquire().await;
        let mut read = Read::default();
        for (map, store) in stores.all().await? {
            let all = self.read_store(map, store, &key, &mut read).await;
            if all.map_err(|error| error.of_store(&map.name))?.is_err() {
                return Ok(Err(Gone));
            }
        }
        Ok(Ok(Piece::End { contents: read.contents, counts: read.counts }))
    }

    /// Reads one database in one snapshot.
    async fn read_store(
        &self,
        map: &StoreMap,
        store: &Store,
        key: &ContentKey,
        Read { contents, counts }: &mut Read,
    ) -> Result<Result<(), Gone>, StoreError> {
        let snapshot = store.begin_snapshot().await?;
        let plan = Plan::lay_out(&snapshot, map, &[(0, &self.target)], &HashMap::new(), false).await?;
        for (place, table) in map.tables.iter().enumerate() {
            let name = label(map, table.name.as_str());
            if table.export.is_empty() {
                contents.not_exported.push(name);
                continue;
            }
            let columns = table.export.iter().map(|column| column.as_str().to_owned()).collect();
            let mut read = TableContents { name, columns, rows: 0, bytes: 0, first_part: contents.parts, parts: 0 };
            let rows = rows_of(&snapshot, &plan, map, place).await?;
            if self.read_table(rows, key, &mut read).await?.is_err() {
                return Ok(Err(Gone));
            }
            contents.parts += read.parts;
            *counts.entry(table.export_key.clone()).or_default() += read.rows;
            contents.tables.push(read);
        }
        snapshot.commit().await?;
        Ok(Ok(()))
    }

    /// Seals the rows of one table, and hands the parts over.
    async fn read_table(
        &self,
        mut rows: BoxStream<'_, Result<String, StoreError>>,
        key: &ContentKey,
        read: &mut TableContents,
    ) -> Result<Result<(), Gone>, StoreError> {
        let mut page = Page::default();
        loop {
            let row = rows.next().await.transpose()?;
            if let Some(row) = &row {
                page.push(row);
            }
            let rest = row.is_none() && page.rows > 0;
            if page.is_full() || rest {
                read.rows += u64::from(page.rows.unsigned_abs());
                read.bytes += page.text.len() as u64;
                let part = self.seal(&std::mem::take(&mut page), key, &read.name, read.first_part + read.parts);
                read.parts += 1;
                if self.send.send(Ok(Piece::Part(part))).await.is_err() {
                    return Ok(Err(Gone));
                }
            }
            if row.is_none() {
                return Ok(Ok(()));
            }
        }
    }

    fn seal(&self, page: &Page, key: &ContentKey, table_name: &str, sequence: i32) -> export_part::Model {
        let row = place_row(&self.package_id, sequence);
        let sealed = seal(key, &place(&row, &self.target.shop_domain), page.text.as_bytes());
        export_part::Model {
            id: id::row(),
            package_id: self.package_id.clone(),
            sequence,
            table_name: table_name.to_owned(),
            rows: page.rows,
            sealed,
        }
    }
}

/// A table's name; with its store's in front, unless that is the default one.
fn label(map: &StoreMap, table: &str) -> String {
    if map.name == DEFAULT_STORE { table.to_owned() } else { format!("{}.{table}", map.name) }
}

/// Rows on their way into a part, one a line.
#[derive(Default)]
struct Page {
    text: Zeroizing<String>,
    rows: i32,
}

impl Page {
    fn push(&mut self, row: &str) {
        if self.rows > 0 {
            self.text.push('\n');
        }
        // Within texts, JSON writes line ends as escapes; those between its tokens mean nothing.
        for piece in row.split_inclusive(['\n', '\r']) {
            match piece.strip_suffix(['\n', '\r']) {
                None => self.text.push_str(piece),
                Some(line) => {
                    self.text.push_str(line);
                    self.text.push(' ');
                }
            }
        }
        self.rows += 1;
    }

    fn is_full(&self) -> bool {
        self.rows >= PART_ROWS || self.text.len() >= PART_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_of_its_part_however_its_json_is_laid_out() {
        let mut page = Page::default();
        page.push("{\"a\":\r\n  {\"b\": \"x\\ny\"}\n}");
        page.push("{}");
        assert_eq!(page.text.as_str(), "{\"a\":    {\"b\": \"x\\ny\"} }\n{}");
        assert_eq!(page.text.lines().count(), 2);
    }

    #[test]
    fn a_part_is_full_at_its_number_of_rows_or_bytes() {
        let mut page = Page::default();
        for _ in 1..PART_ROWS {
            page.push("{}");
        }
        assert!(!page.is_full());
        page.push("{}");
        assert!(page.is_full());
        let mut page = Page::default();
        page.push(&"x".repeat(PART_BYTES));
        assert!(page.is_full());
    }
}
