//! Guarantees that take more than one room, the built program or a server to keep.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and panics when it fails")]

// First: it brings the macro that compiles a suite once for each database.
#[macro_use]
mod house;

mod audit_log;
mod beside;
mod broker;
mod bundles;
mod chaos;
mod cli;
mod config;
mod conformance;
mod data_map;
mod demo;
mod docs;
mod erasure;
mod fallback;
mod holds;
mod house_rules;
mod http;
mod intake;
mod jobs;
mod lifecycle;
mod model;
mod npm;
mod outside;
mod receipts;
mod redact;
mod residues;
mod stopped_worker;
mod suppression;
