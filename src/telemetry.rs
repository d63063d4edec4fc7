//! Logs as sentences with fields, and never personal data.
