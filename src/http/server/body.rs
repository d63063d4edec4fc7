//! Reads a request's body within a size and a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::http::error::Problem;

/// Bytes reserved before the first one has arrived, at most: a sender's promise is not worth a mebibyte.
const RESERVED_BYTES_MAX: u64 = 16 * 1024;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is larger than the limit, or says so.
    #[error("the body is too large")]
    TooLarge,
    /// It did not arrive before the deadline.
    #[error("the body came too slowly")]
    TooSlow,
    /// The peer left, or broke the transfer coding.
    #[error("the body is incomplete")]
    Broken,
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::BodyTooLarge,
            BodyFault::TooSlow => Self::BodyTooSlow,
            BodyFault::Broken => Self::BodyBroken,
        }
    }
}

/// A body that fails once it is too large or too late. Every request's body is one, so no route can forget the limits.
#[derive(Debug)]
pub struct LimitedBody<B = Incoming> {
    inner: B,
    bytes_left: u64,
    deadline: Duration,
    /// Starts when the body is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> LimitedBody<B> {
    /// Limits `inner` to `bytes_max` bytes, and to `deadline` from the first wait.
    pub fn new(inner: B, bytes_max: u64, deadline: Duration) -> Self {
        Self { inner, bytes_left: bytes_max, deadline, timer: None }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for LimitedBody<B> {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        // What is still to come is known from the length header; nothing needs to be read to refuse it.
        if self.inner.size_hint().lower() > self.bytes_left {
            return Poll::Ready(Some(Err(BodyFault::TooLarge)));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyFault::Broken))),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                Poll::Ready(Some(match self.bytes_left.checked_sub(length) {
                    Some(left) => {
                        self.bytes_left = left;
                        Ok(frame)
                    }
                    None => Err(BodyFault::TooLarge),
                }))
            }
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
                timer.as_mut().poll(cx).map(|()| Some(Err(BodyFault::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a body to its end.
///
/// # Errors
/// When a limit of the server is passed, or the peer leaves.
pub async fn read_body(mut body: Body) -> Result<Vec<u8>, Problem> {
    let expected = HttpBody::size_hint(&body).lower().min(RESERVED_BYTES_MAX);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let fault = error.into_inner().downcast::<BodyFault>();
            Problem::from(fault.map_or(BodyFault::Broken, |fault| *fault))
        })?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}
