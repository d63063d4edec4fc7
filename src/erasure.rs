//! Deletes, and proves that it did: plan, execute, verify.
