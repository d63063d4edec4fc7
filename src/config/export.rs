//! `[export]`: packages for `customers/data_request`.

use super::reader::Reader;

/// How long packages are kept, and the links by which merchants fetch them.
#[derive(Clone, Debug)]
pub struct Export {
    pub keep_days: u32,
    pub link_hours: u32,
    /// Without a slash at the end. None: the address that the HTTP door listens on.
    pub public_url: Option<String>,
}

impl Export {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let expected = "an address such as https://efface.example.com, or nothing";
        Self {
            keep_days: reader.whole("export.keep_days", 1..=365),
            link_hours: reader.whole("export.link_hours", 1..=720),
            public_url: reader.text_as("export.public_url", expected, public_url).filter(|url| !url.is_empty()),
        }
    }
}

/// An address to which a path can be added, or nothing.
fn public_url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let (scheme, rest) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    let fits = matches!(scheme, "http" | "https") && !rest.starts_with(['/', ':']) && rest.chars().all(plain);
    (fits && !rest.is_empty()).then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::public_url;

    #[test]
    fn an_address_is_one_that_a_path_can_follow() {
        for (given, read) in [
            ("https://efface.example.com/gdpr/", "https://efface.example.com/gdpr"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("", ""),
        ] {
            assert_eq!(public_url(given).as_deref(), Some(read));
        }
        for bad in
            ["efface.example.com", "ftp://a", "https://", "https:///x", "https://a?b", "https://a#b", "https://u@a"]
        {
            assert_eq!(public_url(bad), None, "{bad}");
        }
    }
}
