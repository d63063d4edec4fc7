//! Writes the zip of a package out of its sealed parts, in one go and forwards only.
//!
//! The crate `zip` can write to something that does not seek: sizes and checksums then follow each file's data (a data
//! descriptor) and stand in the directory at the end, which every reader uses. So nothing has to lie on a disk in the
//! clear, not even for a moment, and memory holds one part and the compressor's window. The price is that a table's parts
//! are opened once for each of its files, and that the length of the whole is not known before.
//!
//! Bytes are the same whenever the same package is written: files carry the instant at which it became ready, and stand
//! in the data map's order. The manifest comes last, because it names the digests of all others.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use entity::export_package::Model;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::contents::{Contents, TableContents};
use super::row::Row;
use super::{PackageError, csv, json, page};
use crate::clock::rfc3339;
use crate::seal::Pii;

/// The format of the package, named by its manifest.
pub const FORMAT_VERSION: u32 = 1;

/// A table of more bytes than this is written with 64-bit sizes: twice as much, which its CSV may come to, stays far below
/// the four gibibytes of a plain entry.
const LARGE_BYTES: u64 = 1 << 30;

/// What is known of a package without opening it.
#[derive(Clone, Debug)]
pub struct Facts {
    pub package_id: String,
    pub job_id: String,
    pub shop_domain: String,
    pub received_at: Option<DateTime<Utc>>,
    pub ready_at: DateTime<Utc>,
    pub contents: Contents,
}

impl Facts {
    /// Reads them from the package's row.
    ///
    /// # Errors
    /// [`PackageError::NotWhole`] when the row is not that of a package that was ready once.
    pub fn of(package: &Model) -> Result<Self, PackageError> {
        let contents = package.contents.clone().and_then(|contents| serde_json::from_value(contents).ok());
        let (Some(contents), Some(ready_at)) = (contents, package.ready_at) else {
            return Err(PackageError::NotWhole(package.id.clone()));
        };
        Ok(Self {
            package_id: package.id.clone(),
            job_id: package.job_id.clone(),
            shop_domain: package.shop_domain.clone(),
            received_at: package.received_at,
            ready_at,
            contents,
        })
    }

    /// The names of the tables' files, without ending. Two tables whose names differ in case only, or one that is named
    /// like a file of ours, get a number: not every disk tells case apart.
    fn names(&self) -> Vec<String> {
        let mut taken = BTreeSet::from(["manifest".to_owned(), "index".to_owned()]);
        let mut name_of = |table: &TableContents| {
            let plain: String = table
                .name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' })
                .collect();
            let mut name = plain.clone();
            let mut number = 2;
            while !taken.insert(name.to_lowercase()) {
                name = format!("{plain}-{number}");
                number += 1;
            }
            name
        };
        self.contents.tables.iter().map(&mut name_of).collect()
    }
}

/// Opens the part of that number.
pub type OpenPart<'a> = dyn FnMut(i32) -> Result<Pii<Vec<u8>>, PackageError> + 'a;

/// Writes the zip to `sink`, and gives the sink back. On an error what was written has no directory, so that no reader
/// takes it for a whole package.
///
/// # Errors
/// When a part does not open, the parts are not what the row says, or the sink refuses.
pub fn write<W: Write>(sink: W, facts: &Facts, open: &mut OpenPart<'_>) -> Result<W, PackageError> {
    let shut = Rc::new(Cell::new(false));
    let gate = Gate { sink, shut: Rc::clone(&shut) };
    let mut writer = Writer { zip: ZipWriter::new_stream(gate), facts, open };
    if let Err(error) = writer.fill() {
        // A zip writer that is dropped writes its directory.
        shut.set(true);
        return Err(error);
    }
    Ok(writer.zip.finish()?.into_inner().sink)
}

/// Lets bytes through until something goes wrong; from then on they are lost without a word.
struct Gate<W> {
    sink: W,
    shut: Rc<Cell<bool>>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shut.get() {
            return Ok(bytes.len());
        }
        let written = self.sink.write(bytes);
        if written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            self.shut.set(true);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.shut.get() { Ok(()) } else { self.sink.flush() }
    }
}

/// One file of the zip, as the manifest tells it.
#[derive(Debug, Serialize)]
struct File {
    name: String,
    bytes: u64,
    sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    name: &'a str,
    rows: u64,
    columns: &'a [String],
    files: [File; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    format: &'static str,
    format_version: u32,
    package_id: &'a str,
    job_id: &'a str,
    shop_domain: &'a str,
    data_request_id: Option<&'a str>,
    received_at: Option<String>,
    created_at: String,
    rows: u64,
    tables: Vec<Table<'a>>,
    not_exported: &'a [String],
    files: [File; 1],
}

struct Writer<'a, 'o, W: Write> {
    zip: ZipWriter<StreamWriter<Gate<W>>>,
    facts: &'a Facts,
    open: &'a mut OpenPart<'o>,
}

impl<W: Write> Writer<'_, '_, W> {
    fn fill(&mut self) -> Result<(), PackageError> {
        let facts = self.facts;
        let names = facts.names();
        let mut tables = Vec::with_capacity(names.len());
        for (table, name) in facts.contents.tables.iter().zip(&names) {
            let large = table.bytes > LARGE_BYTES;
            let json = self.file(&format!("{name}.json"), large, |out, open| {
                let mut array = json::Array::new(out);
                each_row(facts, table, u64::MAX, open, &mut |row| array.row(row))?;
                Ok(array.end()?)
            })?;
            let csv = self.file(&format!("{name}.csv"), large, |out, open| {
                csv::head(out, &table.columns)?;
                each_row(facts, table, u64::MAX, open, &mut |row| csv::row(out, row))
            })?;
            tables.push(Table { name: &table.name, rows: table.rows, columns: &table.columns, files: [json, csv] });
        }
        // A thousand rows of each table: large when their cells are.
        let shown: u64 = facts.contents.tables.iter().map(|table| table.bytes).sum();
        let index = self.file("index.html", shown > LARGE_BYTES / 8, |out, open| {
            page::head(out, facts, &names)?;
            for (table, name) in facts.contents.tables.iter().zip(&names).filter(|(table, _)| table.rows > 0) {
                page::table_head(out, table, name)?;
                each_row(facts, table, page::ROWS_SHOWN, open, &mut |row| page::row(out, row))?;
                page::table_foot(out)?;
            }
            Ok(page::foot(out)?)
        })?;
        let manifest = Manifest {
            format: "efface-data-request",
            format_version: FORMAT_VERSION,
            package_id: &facts.package_id,
            job_id: &facts.job_id,
            shop_domain: &facts.shop_domain,
            data_request_id: facts.contents.data_request_id.as_deref(),
            received_at: facts.received_at.map(rfc3339),
            created_at: rfc3339(facts.ready_at),
            rows: facts.contents.rows(),
            tables,
            not_exported: &facts.contents.not_exported,
            files: [index],
        };
        self.file("manifest.json", false, |out, _| {
            serde_json::to_writer_pretty(&mut *out, &manifest).map_err(io::Error::from)?;
            Ok(out.write_all(b"\n")?)
        })?;
        Ok(())
    }

    /// Writes one file, and takes its digest on the way.
    fn file(
        &mut self,
        name: &str,
        large: bool,
        body: impl FnOnce(&mut dyn Write, &mut OpenPart<'_>) -> Result<(), PackageError>,
    ) -> Result<File, PackageError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(written_at(self.facts.ready_at))
            .unix_permissions(0o600)
            .large_file(large);
        self.zip.start_file(name, options)?;
        let mut out = BufWriter::new(Digesting { out: &mut self.zip, digest: Sha256::new(), bytes: 0 });
        body(&mut out, &mut *self.open)?;
        let Digesting { digest, bytes, .. } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(File { name: name.to_owned(), bytes, sha256: hex::encode(digest.finalize()) })
    }
}

/// An instant as zips keep it: without a zone, in steps of two seconds, from 1980 to 2107.
fn written_at(at: DateTime<Utc>) -> zip::DateTime {
    let small = |n: u32| u8::try_from(n).unwrap_or_default();
    let year = u16::try_from(at.year()).unwrap_or_default();
    let (day, time) =
        ((small(at.month()), small(at.day())), (small(at.hour()), small(at.minute()), small(at.second())));
    zip::DateTime::from_date_and_time(year, day.0, day.1, time.0, time.1, time.2).unwrap_or_default()
}

/// Gives up to `limit` rows of a table to `take`, in their order, and sees to it that none is missing.
fn each_row(
    facts: &Facts,
    table: &TableContents,
    limit: u64,
    open: &mut OpenPart<'_>,
    take: &mut dyn FnMut(&Row<'_>) -> io::Result<()>,
) -> Result<(), PackageError> {
    let not_whole = || PackageError::NotWhole(facts.package_id.clone());
    let mut rows = 0;
    for part in table.first_part..table.first_part + table.parts {
        let plain = open(part)?;
        for line in str::from_utf8(plain.expose()).map_err(|_| not_whole())?.lines() {
            if rows == limit {
                return Ok(());
            }
            take(&Row::parse(line).ok_or_else(not_whole)?)?;
            rows += 1;
        }
    }
    if rows == table.rows.min(limit) { Ok(()) } else { Err(not_whole()) }
}

/// Counts and digests what goes through.
struct Digesting<'w, W: Write> {
    out: &'w mut W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Digesting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
