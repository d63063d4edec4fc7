//! Appends to the audit log in the caller's transaction.
