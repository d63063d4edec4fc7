//! Guarantees that take more than one room, the built program or a server to keep.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what it measured, and panics when it fails")]

// First: it brings the macro that compiles a suite once for each database.
#[macro_use]
mod house;

mod audit_log;
mod beside;
mod broker;
mod bundles;
mod carrier;
mod chaos;
mod cli;
mod concurrency;
mod config;
mod conformance;
mod data_map;
mod demo;
mod docs;
mod elsewhere;
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
mod real_apps;
mod purge;
mod receipts;
mod redact;
mod packages;
mod residues;
mod retention;
mod stopped_worker;
mod suppression;
