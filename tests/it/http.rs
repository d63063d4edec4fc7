//! The HTTP door over real sockets: every code of the contract, and every limit.

mod api;
mod door;
mod house;
mod limits;
mod probes;
mod shutdown;
