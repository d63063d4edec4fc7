//! The answer to an opened link, piece by piece.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use bytes::{Bytes, BytesMut};
use entity::export_package::Model;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use super::Packages;
use crate::export::archive::Facts;
use crate::export::{PackageError, Recipient};

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the network.
const PIECES_WAITING: usize = 4;

/// A zip on its way to the merchant. Whoever takes the pieces to their end has used the link up; dropping it earlier
/// breaks the download off.
pub struct Download {
    /// A name for the file.
    pub file_name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// The pieces. An error ends them: what came before is not a whole file then, and no reader takes it for one.
    pub pieces: BoxStream<'static, Result<Bytes, PackageError>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("file_name", &self.file_name).finish_non_exhaustive()
    }
}

/// What the pieces are made of while they are taken.
struct Taking {
    packages: Packages,
    package: Model,
    digest: Vec<u8>,
    pieces: mpsc::Receiver<Bytes>,
    build: JoinHandle<Result<(), PackageError>>,
    /// Handed over when the next piece is there: the last one waits until the link is used up.
    held: Option<Bytes>,
    bytes: u64,
}

impl Download {
    pub(super) fn begin(
        packages: Packages,
        package: Model,
        digest: Vec<u8>,
        facts: Facts,
        recipient: Option<Recipient>,
        turn: OwnedSemaphorePermit,
    ) -> Self {
        let file_name = format!("data-request-{}.zip{}", package.id, if recipient.is_some() { ".age" } else { "" });
        let media_type = if recipient.is_some() { "application/octet-stream" } else { "application/zip" };
        let (send, pieces) = mpsc::channel(PIECES_WAITING);
        let builder = packages.clone();
        let id = package.id.clone();
        let build = tokio::spawn(async move {
            let built = builder.build(facts, recipient, Pieces { send, filling: BytesMut::new() }).await;
            drop(turn);
            if let Err(error) = &built {
                metrics::counter!("efface_export_downloads_total", "end" => "broken_off").increment(1);
                tracing::info!(package.id = %id, error = %error, "a download broke off");
            }
            built.map(|_| ())
        });
        let taking = Taking { packages, package, digest, pieces, build, held: None, bytes: 0 };
        let pieces = stream::unfold(Some(taking), |taking| async {
            let (piece, taking) = taking?.next().await;
            Some((piece, taking))
        });
        Self { file_name, media_type, pieces: pieces.boxed() }
    }
}

impl Taking {
    /// The next piece, and what is left when it was not the last.
    async fn next(mut self) -> (Result<Bytes, PackageError>, Option<Self>) {
        loop {
            let Some(piece) = self.pieces.recv().await else { break };
            self.bytes += piece.len() as u64;
            if let Some(held) = self.held.replace(piece) {
                return (Ok(held), Some(self));
            }
        }
        (self.last().await, None)
    }

    /// The last piece, once the link is used up.
    async fn last(self) -> Result<Bytes, PackageError> {
        self.build.await.map_err(io::Error::other)??;
        if !self.packages.use_up(&self.package, &self.digest, self.bytes).await? {
            metrics::counter!("efface_export_downloads_total", "end" => "came_too_late").increment(1);
            return Err(PackageError::LinkGone("was used while this answer was under way"));
        }
        metrics::counter!("efface_export_downloads_total", "end" => "handed_over").increment(1);
        Ok(self.held.unwrap_or_default())
    }
}

/// Makes pieces of what is written, and waits until the network takes them.
struct Pieces {
    send: mpsc::Sender<Bytes>,
    filling: BytesMut,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let piece = self.filling.split().freeze();
        self.send.blocking_send(piece).map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == PIECE_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    /// Sends what is there; the writers in front call it only at their end.
    fn flush(&mut self) -> io::Result<()> {
        if self.filling.is_empty() { Ok(()) } else { self.send() }
    }
}
