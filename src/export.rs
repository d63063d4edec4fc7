//! Collects what is held of a subject for `customers/data_request`.
