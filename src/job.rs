//! Carries a duty from queued to completed.
//!
//! [`machine`] says which moves exist, [`run`] is the story of a batch, [`settle`] ends it, [`rescue`] takes claims
//! back from workers that are gone, and [`command`] is what an operator may ask for. [`approval`] says which jobs
//! wait for a person, and shows their plans.

pub mod approval;
pub mod command;
pub mod deadline;
mod held;
pub mod legal_hold;
pub mod machine;
pub mod query;
mod receipts;
pub mod report;
pub mod rescue;
pub mod run;
pub mod settle;
pub mod unseal;
pub mod wake;

/// The table's name, as the audit log writes it.
pub const TABLE: &str = "GDPRJob";
