//! The life of a job: claims, leases, fences, retries, commands, and what is told about it.

mod approval;
mod claims;
mod commands;
mod concurrency;
mod listing;
mod report;
mod retries;
mod shutdown;
mod wake;
