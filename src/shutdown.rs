//! Carries the wish to stop to every task.
