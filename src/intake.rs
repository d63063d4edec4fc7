//! Turns verified webhooks into jobs, once.
