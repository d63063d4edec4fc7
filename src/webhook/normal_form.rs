//! The one form in which e-mail addresses and phone numbers are compared, hashed and held, wherever they come from.
//!
//! `store/target` writes the same rules as SQL for the app's own columns; a test holds the two against each other.
//!
//! - E-mail: spaces around it are cut off and ASCII letters become small. Nothing else: dots, `+tags` and the case of other
//!   letters are left, because not every mail server ignores them.
//! - Phone: its digits, without `+`, spaces and punctuation, and without the `00` of an international call. A number
//!   without its country code stays so: no country is guessed, and it does not equal the same number with one.

/// An e-mail address in normal form; `None` when nothing is left of it.
pub fn email(text: &str) -> Option<String> {
    let normal = text.trim_matches(' ').to_ascii_lowercase();
    (!normal.is_empty()).then_some(normal)
}

/// A phone number in normal form; `None` when it has no digit.
pub fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let normal = digits.strip_prefix("00").unwrap_or(&digits);
    (!normal.is_empty()).then(|| normal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_trimmed_and_its_ascii_letters_become_small() {
        assert_eq!(email("  John.Doe+News@Example.COM ").as_deref(), Some("john.doe+news@example.com"));
        assert_eq!(email("ÄRGER@example.com").as_deref(), Some("Ärger@example.com"));
        assert_eq!(email("  "), None);
    }

    #[test]
    fn a_phone_number_is_its_digits_without_the_prefix_of_an_international_call() {
        for written in ["+49 (30) 123-456", "0049 30 123456", "49.30.123456"] {
            assert_eq!(phone(written).as_deref(), Some("4930123456"));
        }
        assert_eq!(phone("555-625-1199").as_deref(), Some("5556251199"));
        assert_eq!(phone("+"), None);
    }
}
