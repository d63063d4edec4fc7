//! The built program and its rooms, from outside.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and panics when it fails")]

mod chaos;
mod cli;
mod config;
mod fallback;
mod http;
mod npm;
mod outside;
mod stopped_worker;
