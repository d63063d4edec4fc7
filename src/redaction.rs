//! Masks personal data in JSON: one engine for evidence bundles, exports, the API, single columns and `efface redact`.
//!
//! A [`Policy`] says what is masked where and how; for one event type of one shop it becomes [`Compiled`] rules, which the
//! [`Engine`] applies to documents. The engine masks single values as well, and opens again what it encrypted.
//! `docs/redaction.md` holds the file format and the promises. No IO here: text in, values out.

pub mod compiled;
pub mod engine;
pub mod json;
pub mod mode;
pub mod path;
pub mod policy;
mod shop;

pub use compiled::Compiled;
pub use engine::{Applied, Engine, Hand, Left, UnsealError, Unsealed};
pub use mode::{Mode, Salt, is_masked};
pub use path::{JsonPath, PathError, Segment};
pub use policy::{Policy, Problem, Problems, Warning};
