//! Spaces out attempts: the only place that knows the `backoff` crate.
