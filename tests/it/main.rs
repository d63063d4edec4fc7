//! The built program and its rooms, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod beside;
mod cli;
mod config;
mod demo;
mod docs;
mod http;
