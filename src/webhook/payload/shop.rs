//! The shop's domain: the tenant that everything is keyed by, so it is normalised in this one place.

use super::Unreadable;
use crate::webhook::headers::WebhookHeaders;
use crate::webhook::strict_json::{Json, Object};

const DOMAIN_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// The domain in lower case and without a trailing dot, if it is a host name with at least one dot (RFC 1123).
pub fn shop_domain(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label_fits = |label: &str| {
        (1..=LABEL_LEN_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = name.len() <= DOMAIN_LEN_MAX && name.contains('.') && name.split('.').all(label_fits);
    fits.then(|| name.to_ascii_lowercase())
}

pub(super) fn of_body(fields: &Object<'_>) -> Result<String, Unreadable> {
    match fields.get("shop_domain") {
        None | Some(Json::Null) => Err(Unreadable::NoShop),
        Some(Json::Text(name)) => shop_domain(name.as_str()).ok_or(Unreadable::BadShop),
        Some(_) => Err(Unreadable::BadShop),
    }
}

/// The header is unsigned and may be missing; when it is there, it must name the same shop.
pub(super) fn of_header_differs(headers: &WebhookHeaders, shop: &str) -> bool {
    headers.shop_domain.as_deref().is_some_and(|claimed| shop_domain(claimed).as_deref() != Some(shop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shop_has_one_spelling() {
        for name in ["snowdevil.myshopify.com", "SnowDevil.MyShopify.COM", "snowdevil.myshopify.com."] {
            assert_eq!(shop_domain(name).as_deref(), Some("snowdevil.myshopify.com"));
        }
    }

    #[test]
    fn what_is_no_host_name_is_no_shop() {
        let long_label = format!("{}.com", "a".repeat(64));
        let too_long = format!("{}com", "a.".repeat(126));
        for name in [
            "",
            ".",
            "..",
            "localhost",
            "a..b",
            ".a.b",
            "a.b..",
            "-a.b",
            "a-.b",
            "a b.c",
            "a.b/c",
            "a.b:80",
            "ä.de",
            "a.b\0",
            "a_b.c",
            " a.b",
            &long_label,
            &too_long,
        ] {
            assert_eq!(shop_domain(name), None, "{name:?}");
        }
        assert!(shop_domain(&format!("{}m", "a.".repeat(126))).is_some());
    }
}
