//! The built program and its rooms, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[macro_use]
mod house;

mod cli;
mod config;
mod erasure;
mod http;
mod house_rules;
mod intake;
mod jobs;
