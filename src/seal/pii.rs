//! A type for personal data: it cannot be printed or serialised by accident, and is wiped when dropped.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Holds personal data: e-mail, phone, names, raw bodies.
///
/// It has no `Display` and no `Serialize`, its `Debug` names no value, and its memory is overwritten on drop. What is
/// inside comes out only through [`Pii::expose`], so that every use can be found by searching for that word.
#[derive(Clone)]
pub struct Pii<T: Zeroize>(T);

impl<T: Zeroize> Pii<T> {
    pub fn new(personal: T) -> Self {
        Self(personal)
    }

    /// The personal data itself. The caller sees to it that it reaches no log, error or unsealed column.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pii([personal data])")
    }
}

impl<T: Zeroize> Drop for Pii<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Pii<T> {}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Pii<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn personal_data_is_not_printed() {
        let email = Pii::new("john@example.com".to_owned());
        assert_eq!(format!("{email:?} {email:#?}"), "Pii([personal data]) Pii([personal data])");
        assert_eq!(email.expose(), "john@example.com");
    }

    #[test]
    fn personal_data_is_wiped_on_drop() {
        struct Probe<'a>(&'a Cell<u32>);
        impl Zeroize for Probe<'_> {
            fn zeroize(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let wiped = Cell::new(0);
        drop(Pii::new(Probe(&wiped)));
        assert_eq!(wiped.get(), 1);
    }

    #[test]
    fn personal_data_is_read_from_json() {
        let email: Pii<String> = serde_json::from_str(r#""john@example.com""#).unwrap();
        assert_eq!(email.expose(), "john@example.com");
    }
}
