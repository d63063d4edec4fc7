//! Efface answers privacy webhooks with verified erasure.
//!
//! The modules are rooms of a house, listed here from the cellar to the street. A room may `use` only what stands
//! above it in this list; `tests/it/house_rules.rs` keeps that rule, and `ARCHITECTURE.md` walks a webhook through.

// Sockets in the wall: they import no room.
pub mod clock;
pub mod retry;
pub mod shutdown;
pub mod telemetry;

// Cellar: SQL, keys and masks.
pub mod store;
pub mod seal;
pub mod redaction;

// Work: the rules; no HTTP, no AMQP.
pub mod webhook;
pub mod audit;
pub mod hold;
pub mod erasure;
pub mod export;
pub mod evidence;
pub mod suppression;
pub mod retention;
pub mod job;
pub mod intake;

// Doors: each knows one protocol, and no SQL.
pub mod broker;
pub mod acceptance;
pub mod http;
pub mod scheduler;

// Keys and wiring.
pub mod config;
pub mod app;
pub mod cli;
