//! Makes ids of rows: a prefix and a UUID v7, so that they sort by the time they were made. Never used as secrets.

use uuid::Uuid;

/// A new id of a `"GDPRJob"`.
pub fn job() -> String {
    with_prefix("gdpr_")
}

/// A new id of an `"ExportPackage"`.
pub fn package() -> String {
    with_prefix("pkg_")
}

/// A new id of a row that has no prefix.
pub fn row() -> String {
    Uuid::now_v7().to_string()
}

fn with_prefix(prefix: &str) -> String {
    let mut id = String::with_capacity(prefix.len() + 32);
    id.push_str(prefix);
    id.push_str(Uuid::now_v7().simple().encode_lower(&mut Uuid::encode_buffer()));
    id
}
