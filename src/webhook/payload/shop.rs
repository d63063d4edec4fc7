//! The shop's domain: the tenant that everything is keyed by, so it is normalised in this one place.

use super::Unreadable;
use crate::webhook::headers::WebhookHeaders;
use crate::webhook::strict_json::{Json, Object};
use crate::webhook::topic::Topic;

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

/// The fields that name the shop, the one that counts first. The body of `app/uninstalled` is the shop object of the
/// platform's API: its permanent domain, and the one that customers see.
fn fields_of(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::CustomersDataRequest | Topic::CustomersRedact | Topic::ShopRedact => &["shop_domain"],
        Topic::AppUninstalled => &["myshopify_domain", "domain"],
    }
}

/// The shops that the body names, the one that counts first.
fn named(topic: Topic, fields: &Object<'_>) -> Result<Vec<String>, Unreadable> {
    let mut named = Vec::new();
    for name in fields_of(topic) {
        match fields.get(*name) {
            None | Some(Json::Null) => {}
            Some(Json::Text(name)) => named.push(shop_domain(name.as_str()).ok_or(Unreadable::BadShop)?),
            Some(_) => return Err(Unreadable::BadShop),
        }
    }
    Ok(named)
}

pub(super) fn of_body(topic: Topic, fields: &Object<'_>) -> Result<String, Unreadable> {
    named(topic, fields)?.into_iter().next().ok_or(Unreadable::NoShop)
}

/// The header is unsigned and may be missing; when it is there, it must name a shop that the body names.
pub(super) fn of_header_differs(headers: &WebhookHeaders, topic: Topic, fields: &Object<'_>) -> bool {
    let Some(claimed) = headers.shop_domain.as_deref() else { return false };
    let claimed = shop_domain(claimed);
    !named(topic, fields).is_ok_and(|named| named.iter().any(|name| Some(name) == claimed.as_ref()))
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
