//! Carries a duty from queued to completed.
