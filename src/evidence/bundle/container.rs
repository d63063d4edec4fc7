//! The zip of a bundle: written in one way, and read only when it was written so.
//!
//! Files are stored, not compressed, in the order of their names, with fixed times and nothing between them. So the same
//! files make the same bytes; a bundle cannot unpack to more than it is; and links, paths that lead out, doubled names,
//! overlapping files, lying sizes and bytes that no file owns cannot be expressed.
//!
//! Source: APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 and 4.3.16.

use std::collections::BTreeMap;

use super::names;

/// The largest bundle, in bytes: below what needs zip64.
pub const BYTES_MAX: usize = 1 << 30;
/// What is said of a larger one.
pub(super) const TOO_LARGE: &str = "it is too large";
/// Files of a bundle at most.
pub const FILES_MAX: usize = 2 * super::JOBS_MAX + 16;
/// Bytes of a name at most.
const NAME_MAX: usize = 96;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LOCAL_LEN: usize = 30;
const VERSION: u16 = 20;
/// 1 January 1980: the first day that a zip can name.
const DATE: u16 = 0x0021;

/// The files of a bundle, by name.
pub type Files<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Why files do not make a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the bundle would be larger than {BYTES_MAX} bytes; choose a shorter time")]
    TooLarge,
    #[error("the bundle would have more than {FILES_MAX} files; choose a shorter time")]
    TooMany,
}

struct Header<'a> {
    name: &'a str,
    crc: u32,
    size: u32,
    offset: u32,
}

impl Header<'_> {
    /// What the local and the central header have in common.
    fn common(&self, bytes: &mut Vec<u8>) {
        // Needed version, flags, method (stored), time.
        for number in [VERSION, 0, 0, 0, DATE] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [self.crc, self.size, self.size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(u16::try_from(self.name.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
    }

    fn local(&self, bytes: &mut Vec<u8>) {
        bytes.extend(LOCAL.to_le_bytes());
        self.common(bytes);
        bytes.extend(self.name.as_bytes());
    }

    fn central(&self, bytes: &mut Vec<u8>) {
        bytes.extend(CENTRAL.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        self.common(bytes);
        // Comment, disk, internal attributes; external attributes.
        bytes.extend([0; 10]);
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.name.as_bytes());
    }
}

/// What follows the files.
fn directory(headers: &[Header<'_>], offset: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for header in headers {
        header.central(&mut bytes);
    }
    let (size, count) = (bytes.len(), u16::try_from(headers.len()).unwrap_or_default());
    bytes.extend(END.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    for number in [size, offset] {
        bytes.extend(u32::try_from(number).unwrap_or_default().to_le_bytes());
    }
    bytes.extend([0; 2]);
    bytes
}

/// Writes files, in the order of their names.
///
/// # Errors
/// [`WriteError`] when they are too many or too large.
pub fn write(files: &Files<'_>) -> Result<Vec<u8>, WriteError> {
    if files.len() > FILES_MAX {
        return Err(WriteError::TooMany);
    }
    let total: usize = files.iter().map(|(name, data)| data.len() + 2 * name.len() + 128).sum();
    if total > BYTES_MAX {
        return Err(WriteError::TooLarge);
    }
    let (mut bytes, mut headers) = (Vec::with_capacity(total), Vec::new());
    for (name, data) in files {
        let header = Header {
            name,
            crc: crc32fast::hash(data),
            size: u32::try_from(data.len()).unwrap_or_default(),
            offset: u32::try_from(bytes.len()).unwrap_or_default(),
        };
        header.local(&mut bytes);
        bytes.extend_from_slice(data);
        headers.push(header);
    }
    let directory = directory(&headers, bytes.len());
    bytes.extend(directory);
    Ok(bytes)
}

/// Reads the files of a bundle, in place.
///
/// # Errors
/// When it is not byte for byte what `write` makes of its files, or has a file that no bundle has. Quotes nothing.
pub fn read(bytes: &[u8]) -> Result<Files<'_>, &'static str> {
    if bytes.len() > BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let (mut files, mut headers, mut at) = (Files::new(), Vec::<Header<'_>>::new(), 0);
    while number(bytes, at) == Some(LOCAL) {
        if files.len() == FILES_MAX {
            return Err("it has too many files");
        }
        let cut = "it is cut off";
        let size = number(bytes, at + 22).ok_or(cut)?;
        let name_len =
            usize::from(u16::from_le_bytes([*bytes.get(at + 26).ok_or(cut)?, *bytes.get(at + 27).ok_or(cut)?]));
        if name_len > NAME_MAX {
            return Err("it has a file that no bundle has");
        }
        let begin = at + LOCAL_LEN + name_len;
        let name = bytes.get(at + LOCAL_LEN..begin).ok_or(cut)?;
        let name = std::str::from_utf8(name).ok().filter(|name| names::is_known(name));
        let name = name.ok_or("it has a file that no bundle has")?;
        if headers.last().is_some_and(|last| last.name >= name) {
            return Err("its files are not in the order of their names, or one is there twice");
        }
        let end = begin.checked_add(usize::try_from(size).map_err(|_| cut)?).ok_or(cut)?;
        let data = bytes.get(begin..end).ok_or(cut)?;
        let header = Header { name, crc: crc32fast::hash(data), size, offset: u32::try_from(at).map_err(|_| cut)? };
        let mut expected = Vec::with_capacity(LOCAL_LEN + NAME_MAX);
        header.local(&mut expected);
        if bytes[at..begin] != expected {
            return Err("a file in it is not stored as bundles store files, or was altered");
        }
        files.insert(name, data);
        headers.push(header);
        at = end;
    }
    if bytes[at..] == directory(&headers, at) && !headers.is_empty() {
        Ok(files)
    } else {
        Err("its directory does not list its files as they are")
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        write(&Files::from([("events.ndjson", &b"{}\n"[..]), ("keys.pem", b""), ("receipts/gdpr_1.json", b"x")]))
            .unwrap()
    }

    #[test]
    fn files_come_out_as_they_went_in_and_the_bytes_are_pinned() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let bytes = sample();
        let files = read(&bytes).unwrap();
        assert_eq!(files["events.ndjson"], b"{}\n");
        assert_eq!(files.len(), 3);
        assert_eq!(write(&files).unwrap(), bytes);
    }

    #[test]
    fn no_other_bytes_are_read() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                // A flipped bit of a file's content shows in its checksum, any other in the form.
                assert!(read(&bent).is_err(), "bit {bit} of byte {at}");
            }
            assert!(read(&bytes[..at]).is_err());
            assert!(read(&[&bytes[..at], b"x", &bytes[at..]].concat()).is_err());
        }
        assert!(read(&[&bytes[..], b"x"].concat()).is_err());
        assert!(read(&[&bytes[..], &bytes].concat()).is_err());
    }

    #[test]
    fn crafted_zips_are_refused() {
        for names in [
            &["../etc/passwd"][..],
            &["/etc/passwd"],
            &["receipts/../x.json"],
            &["receipts/a/b.json"],
            &["events.ndjson\0"],
            &["Events.ndjson"],
            &["x"],
        ] {
            let bytes = write(&names.iter().map(|name| (*name, &b""[..])).collect()).unwrap();
            assert_eq!(read(&bytes).unwrap_err(), "it has a file that no bundle has", "{names:?}");
        }
        let once = write(&Files::from([("keys.pem", &b"1"[..])])).unwrap();
        let local = &once[..=LOCAL_LEN + 8];
        let twice = [local, &once].concat();
        assert_eq!(read(&twice).unwrap_err(), "its files are not in the order of their names, or one is there twice");
        let mut lying = once.clone();
        lying[22..26].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&lying).unwrap_err(), "it is cut off");
        let mut deflated = once.clone();
        deflated[8] = 8;
        assert!(read(&deflated).unwrap_err().contains("not stored as bundles store files"));
        assert!(read(b"PK\x05\x06").is_err());
        assert!(read(&directory(&[], 0)).is_err(), "an empty zip is no bundle");
    }
}
