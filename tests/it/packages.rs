//! What a `customers/data_request` collects: rows in are rows out, links are good once, and nothing stays.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test, as its tests do")]

mod by_http;
mod collecting;
mod commands;
mod contents;
mod large;
mod links;
mod removal;
mod rotated;
mod stage;
