//! Guesses which key a misspelt one was meant to be.

use std::collections::BTreeSet;

/// The known key that a variable with too few underscores was meant for: `database.url` for `EFFACE_DATABASE_URL`, which
/// would otherwise be ignored in silence.
pub(super) fn meant_by_variable<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let meant = name.strip_prefix("EFFACE_").filter(|rest| !rest.starts_with('_'))?.to_ascii_lowercase();
    known.iter().find(|key| key.replace('.', "_") == meant.replace("__", "_")).map(String::as_str)
}

/// The known key nearest to an unknown one, when it is near enough to be meant.
pub(super) fn nearest<'a>(unknown: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let last = last_part(unknown);
    let slips = (last.len() / 3).max(1);
    let same_word = known.iter().filter(|key| last_part(key) == last);
    let near = known.iter().filter(|key| strsim::osa_distance(key, unknown) <= slips);
    near.chain(same_word).min_by_key(|key| strsim::osa_distance(key, unknown)).map(String::as_str)
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_and_a_forgotten_section_are_recognised() {
        let known = ["http.listen", "http.body_bytes_max", "jobs.workers", "broker.url", "broker.url_file"];
        let known = known.map(str::to_owned).into();
        assert_eq!(nearest("http.listn", &known), Some("http.listen"));
        assert_eq!(nearest("workers", &known), Some("jobs.workers"));
        assert_eq!(nearest("broker.uri", &known), Some("broker.url"));
        assert_eq!(nearest("something.else", &known), None);
        assert_eq!(meant_by_variable("EFFACE_BROKER_URL", &known), Some("broker.url"));
        assert_eq!(meant_by_variable("EFFACE_BROKER__URL", &known), Some("broker.url"));
        assert_eq!(meant_by_variable("EFFACE__BROKER__URL", &known), None);
    }
}
