//! A merchant's age key, and a writer that encrypts to it.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use super::PackageError;

/// The public key of an age identity, `age1…` (X25519). <https://age-encryption.org/v1>
#[derive(Clone)]
pub struct Recipient {
    key: age::x25519::Recipient,
}

/// A text that is no age recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an age recipient, age1… with 62 characters")]
pub struct NoRecipient;

impl FromStr for Recipient {
    type Err = NoRecipient;

    fn from_str(text: &str) -> Result<Self, NoRecipient> {
        text.trim().parse().map(|key| Self { key }).map_err(|_| NoRecipient)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.key)
    }
}

/// Where the zip goes: as it is, or encrypted in chunks of 64 KiB as it is written.
pub(super) enum Outlet<W: Write> {
    Plain(W),
    Encrypted(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Outlet<W> {
    pub(super) fn new(sink: W, recipient: Option<&Recipient>) -> Result<Self, PackageError> {
        let Some(recipient) = recipient else { return Ok(Self::Plain(sink)) };
        let to: &dyn age::Recipient = &recipient.key;
        let encryptor = age::Encryptor::with_recipients(std::iter::once(to))?;
        Ok(Self::Encrypted(Box::new(encryptor.wrap_output(sink)?)))
    }

    /// Writes what is left. Without it, what was encrypted does not decrypt.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(sink) => Ok(sink),
            Self::Encrypted(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Outlet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Encrypted(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Encrypted(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_reads_back_and_other_texts_are_none() {
        let key = age::x25519::Identity::generate().to_public().to_string();
        assert_eq!(format!(" {key}\n").parse::<Recipient>().unwrap().to_string(), key);
        for other in ["", "age1", "AGE-SECRET-KEY-1", &key[..61], "jane@example.com"] {
            assert_eq!(other.parse::<Recipient>().unwrap_err(), NoRecipient);
        }
    }
}
