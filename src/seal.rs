//! Keeps personal data sealed at rest and out of sight in memory.
