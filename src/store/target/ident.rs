//! Names and paths that may stand in a statement's text, because they were parsed.

use std::fmt;

/// A table or column name: a letter or underscore, then letters, digits, underscores; 63 characters at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ident(String);

impl Ident {
    /// Parses a name; `None` when it does not have the form.
    pub fn parse(name: &str) -> Option<Self> {
        (starts_like_a_name(name) && name.len() <= 63).then(|| Self(name.to_owned()))
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn starts_like_a_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for Ident {
    /// Writes the name quoted, as SQL wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A path into a JSON column: `customer.email`, `orders[*].id`, `[*]`. `[*]` walks every element of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JsonPath {
    /// Field names between the walks; each list but the last ends in a walk.
    parts: Vec<Vec<String>>,
}

impl JsonPath {
    /// Parses a path; `None` when it does not have the form. Field names are letters, digits, `_` and `-`.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = vec![Vec::new()];
        for (place, piece) in path.split('.').enumerate() {
            let (name, walks) = match piece.find('[') {
                Some(at) => piece.split_at(at),
                None => (piece, ""),
            };
            let named = !name.is_empty()
                && name.len() <= 128
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if named {
                parts.last_mut()?.push(name.to_owned());
            } else if !(name.is_empty() && place == 0 && !walks.is_empty()) {
                return None;
            }
            let mut walks = walks;
            while let Some(rest) = walks.strip_prefix("[*]") {
                parts.push(Vec::new());
                walks = rest;
            }
            if !walks.is_empty() {
                return None;
            }
        }
        Some(Self { parts })
    }

    /// As SQLite writes it, without walks: `$."customer"."email"`.
    fn dollar(names: &[String]) -> String {
        names.iter().fold("$".to_owned(), |path, name| format!("{path}.\"{name}\""))
    }

    /// For SQLite: the paths of the arrays to walk, and the path of the value in the last one's elements.
    pub fn walks(&self) -> (Vec<String>, String) {
        let mut paths: Vec<String> = self.parts.iter().map(|names| Self::dollar(names)).collect();
        let value = paths.pop().unwrap_or_else(|| "$".to_owned());
        (paths, value)
    }

    /// The path's steps: a field's name, or `None` for every element of an array.
    pub fn steps(&self) -> Vec<Option<&str>> {
        let mut steps = Vec::new();
        for (place, names) in self.parts.iter().enumerate() {
            if place > 0 {
                steps.push(None);
            }
            steps.extend(names.iter().map(|name| Some(name.as_str())));
        }
        steps
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for step in self.steps() {
            match step {
                Some(name) if path.is_empty() => path.push_str(name),
                Some(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                None => path.push_str("[*]"),
            }
        }
        f.write_str(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_part_of_a_statement() {
        for name in ["Shop", "_x9", "order"] {
            assert_eq!(Ident::parse(name).unwrap().to_string(), format!("\"{name}\""));
        }
        for name in ["", "9a", "a b", "a\"b", "ä", "a;b", &"a".repeat(64)] {
            assert!(Ident::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn json_paths_read_and_print_alike() {
        for path in ["customer.email", "orders[*].id", "[*]", "[*].a-b", "a[*][*].c", "a.b[*]"] {
            assert_eq!(JsonPath::parse(path).unwrap().to_string(), path);
        }
        for path in ["", ".", "a..b", "a[0]", "a'b", "a[*", "a.[*]", "a\"b", "$.a"] {
            assert!(JsonPath::parse(path).is_none(), "{path}");
        }
        let path = JsonPath::parse("orders[*].line.id").unwrap();
        assert_eq!(path.walks(), (vec![r#"$."orders""#.to_owned()], r#"$."line"."id""#.to_owned()));
    }
}
