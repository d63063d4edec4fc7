//! The shop that keys and rules belong to, in its one spelling.

use std::borrow::Cow;

/// The domain in lower case and without a trailing dot, as intake stores it.
pub(super) fn normal_form(shop: &str) -> Cow<'_, str> {
    let shop = shop.strip_suffix('.').unwrap_or(shop);
    if shop.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(shop.to_ascii_lowercase())
    } else {
        Cow::Borrowed(shop)
    }
}

/// Whether a name can be a shop's domain at all: host name characters with a dot between them.
pub(super) fn looks_like_a_domain(shop: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    shop.contains('.') && shop.split('.').all(|label| !label.is_empty() && label.bytes().all(plain))
}
