//! The keys file as it lies on disk: JSON, mode 0400.
//!
//! ```json
//! {"version": 1,
//!  "current": {"kek": "kek-1", "sign": "sign-1", "digest": "digest-1"},
//!  "keys": {"kek": [{"id": "kek-1", "key": "<base64, 32 bytes>"}], "sign": […], "digest": […]}}
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{Key, Keyring, KeyringError, Keys, is_key_id};

const VERSION: u64 = 1;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Read first, so that a newer file is told from a broken one.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    current: Kinds<String>,
    keys: Kinds<Vec<Entry>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kinds<T> {
    kek: T,
    sign: T,
    digest: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    id: String,
    #[serde(serialize_with = "expose")]
    key: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// This file is the one place where keys are written down.
fn expose<S: Serializer>(key: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key)
}

pub(super) fn load(path: &Path) -> Result<Keyring, KeyringError> {
    let text = read(path)?;
    let versioned: Versioned = parse(path, &text)?;
    if versioned.version != VERSION {
        return Err(KeyringError::UnknownVersion { path: path.to_owned(), version: versioned.version });
    }
    let Document { current, keys, .. } = parse(path, &text)?;
    Ok(Keyring {
        kek: keys_of(path, "kek", current.kek, keys.kek)?,
        sign: keys_of(path, "sign", current.sign, keys.sign)?,
        digest: keys_of(path, "digest", current.digest, keys.digest)?,
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyringError::Missing { path: path.to_owned() },
        _ => KeyringError::Read { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            keys.file = %path.display(),
            keys.mode = %format_args!("{:04o}", metadata.permissions().mode() & 0o7777),
            "the keys file may be read by others than its owner; chmod it to 0400"
        );
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(KeyringError::TooLarge { path: path.to_owned() });
    }
    let capacity = usize::try_from(metadata.len()).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn parse<'de, T: Deserialize<'de>>(path: &Path, text: &'de [u8]) -> Result<T, KeyringError> {
    serde_json::from_slice(text).map_err(|error| KeyringError::Malformed {
        path: path.to_owned(),
        problem: match error.classify() {
            serde_json::error::Category::Data => "a missing, doubled, unknown or ill-typed field",
            _ => "not JSON",
        },
        line: error.line(),
        column: error.column(),
    })
}

fn keys_of(path: &Path, kind: &'static str, current: String, entries: Vec<Entry>) -> Result<Keys, KeyringError> {
    let mut all: Vec<Key> = Vec::with_capacity(entries.len());
    for Entry { id, key, created_at } in entries {
        let secret = if !is_key_id(id.as_bytes()) {
            Err("must have an id of 1 to 255 printable ASCII characters")
        } else if all.iter().any(|earlier| earlier.id == id) {
            Err("is there twice")
        } else {
            decode(&key)
        };
        match secret {
            Ok(secret) => all.push(Key { id, secret, created_at }),
            Err(problem) => return Err(KeyringError::BadKey { path: path.to_owned(), kind, id, problem }),
        }
    }
    if all.is_empty() {
        return Err(KeyringError::NoKey { path: path.to_owned(), kind });
    }
    match all.iter().position(|key| key.id == current) {
        Some(current) => Ok(Keys { current, all }),
        None => Err(KeyringError::NoCurrent { path: path.to_owned(), kind, current }),
    }
}

fn decode(key: &str) -> Result<Zeroizing<[u8; 32]>, &'static str> {
    let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| "is not base64")?);
    let secret: [u8; 32] = bytes.as_slice().try_into().map_err(|_| "is not 32 bytes long")?;
    Ok(Zeroizing::new(secret))
}

pub(super) fn write_new(keyring: &Keyring, path: &Path) -> Result<(), KeyringError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyringError::Exists { path: path.to_owned() },
        _ => KeyringError::Write { path: path.to_owned(), source },
    };
    let (folder, draft) = draft_beside(path).map_err(failed)?;
    let written = write_draft(&encode(keyring), &draft)
        // A hard link, unlike a rename, fails when the name is taken.
        .and_then(|()| fs::hard_link(&draft, path));
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    written.and(removed).and_then(|()| File::open(&folder)?.sync_all()).map_err(failed)
}

fn draft_beside(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let draft = folder.join(format!(".{}.{:016x}.draft", name.to_string_lossy(), rand::random::<u64>()));
    Ok((folder, draft))
}

fn write_draft(text: &[u8], draft: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(draft)?;
    file.write_all(text)?;
    file.sync_all()
}

fn encode(keyring: &Keyring) -> Zeroizing<Vec<u8>> {
    let entries = |keys: &Keys| {
        let entry = |key: &Key| Entry {
            id: key.id.clone(),
            key: Zeroizing::new(STANDARD.encode(key.secret.as_slice())),
            created_at: key.created_at.clone(),
        };
        keys.all.iter().map(entry).collect::<Vec<_>>()
    };
    let document = Document {
        version: VERSION,
        current: Kinds {
            kek: keyring.kek.current().id.clone(),
            sign: keyring.sign.current().id.clone(),
            digest: keyring.digest.current().id.clone(),
        },
        keys: Kinds { kek: entries(&keyring.kek), sign: entries(&keyring.sign), digest: entries(&keyring.digest) },
    };
    // Large enough that the buffer never moves and leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 16));
    serde_json::to_writer_pretty(&mut *text, &document).expect("a keys document is plain JSON");
    text.push(b'\n');
    text
}
