//! The latest checkpoint in a file, which no restore of the database takes back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::LogError;
use crate::evidence::checkpoint::{NOTE_BYTES_MAX, SignedCheckpoint};

/// Where the latest checkpoint is written to.
#[derive(Clone, Debug)]
pub struct CheckpointFile {
    path: PathBuf,
}

impl CheckpointFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds; none when there is no file. Not verified.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn read(&self) -> Result<Option<SignedCheckpoint>, LogError> {
        let mut note = Vec::new();
        match File::open(&self.path) {
            Ok(file) => {
                let read = file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut note);
                read.map_err(|error| self.failed(&error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        }
        let parsed = SignedCheckpoint::parse(&note);
        parsed.map(Some).map_err(|source| LogError::FileUnreadable { path: self.path.clone(), source })
    }

    /// Replaces what the file holds, and has it on the disk before it returns. The file never holds half a checkpoint, and
    /// never a smaller one than before, whoever writes to it.
    ///
    /// # Errors
    /// When the file is ahead or holds another root for that size, or cannot be written.
    pub fn write(&self, signed: &SignedCheckpoint) -> Result<(), LogError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let folder_file = File::open(&folder).map_err(|error| self.failed(&error))?;
        // The folder is what is locked: the file itself is replaced.
        folder_file.lock().map_err(|error| self.failed(&error))?;
        if let Some(before) = self.read()? {
            let (before, now) = (before.checkpoint(), signed.checkpoint());
            if before.origin == now.origin && before.size > now.size {
                let by = "the checkpoint file";
                return Err(LogError::RolledBack { size: now.size, signed: before.size, by });
            }
            if before.origin == now.origin && before.size == now.size && before.root != now.root {
                return Err(LogError::OtherRoot { size: now.size, by: "the checkpoint file" });
            }
        }
        let draft = self.draft(&folder);
        let written = write_draft(&draft, signed.note().as_bytes())
            .and_then(|()| fs::rename(&draft, &self.path))
            .and_then(|()| folder_file.sync_all());
        written.map_err(|error| self.failed(&error))
    }

    fn draft(&self, folder: &Path) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        folder.join(format!(".{name}.draft"))
    }

    fn failed(&self, error: &io::Error) -> LogError {
        LogError::File { path: self.path.clone(), kind: error.kind() }
    }
}

fn write_draft(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    draft.write_all(bytes)?;
    draft.sync_all()
}
