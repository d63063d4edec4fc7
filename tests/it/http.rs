//! The HTTP door over real sockets: every code of the contract, and every limit.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test, as its tests do")]

mod api;
mod door;
pub mod house;
mod limits;
mod probes;
mod shutdown;
