//! Guarantees that take more than one room, the built program or a server to keep.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and panics when it fails")]

#[macro_use]
mod house;

mod beside;
mod broker;
mod cli;
mod config;
mod demo;
mod docs;
mod erasure;
mod http;
mod house_rules;
mod intake;
mod jobs;
