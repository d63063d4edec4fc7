//! Answers HTTP.
