//! What can be wrong with a keys file. Names the file and the key, never a secret.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum KeyringError {
    #[error("cannot read the keys file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no keys file {0}; for a new installation `efface keys generate --output {0}` writes one", path.display())]
    Missing { path: PathBuf },
    #[error("the keys file {} is larger than a keys file can be", path.display())]
    TooLarge { path: PathBuf },
    /// The parser's own message is left out: it may quote what it found.
    #[error("the keys file {} is not as expected: {problem} at line {line}, column {column}", path.display())]
    Malformed { path: PathBuf, problem: &'static str, line: usize, column: usize },
    #[error("the keys file {} has version {version}; this program reads version 1", path.display())]
    UnknownVersion { path: PathBuf, version: u64 },
    #[error("the keys file {} has no {kind} key", path.display())]
    NoKey { path: PathBuf, kind: &'static str },
    #[error("the keys file {}: the {kind} key {id:?} {problem}", path.display())]
    BadKey { path: PathBuf, kind: &'static str, id: String, problem: &'static str },
    #[error("the keys file {}: no {kind} key has the id {current:?} that is said to be current", path.display())]
    NoCurrent { path: PathBuf, kind: &'static str, current: String },
    #[error("{} exists already; keys are never overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write the keys file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}
