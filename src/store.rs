//! Speaks SQL.
