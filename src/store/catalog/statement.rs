//! The text of an index that is missing, and whether an index that is there says the same.

use super::{Dialect, IndexKey, Table, TableKind, quoted};
use crate::store::target::Comparison;

/// Longest name of an index.
const NAME_MAX: usize = 63;

impl Comparison {
    /// A column's value as statements compare it, to be indexed.
    pub fn indexed(self, dialect: Dialect, column: &str) -> String {
        let backend = match dialect {
            Dialect::Postgres => sea_orm::DbBackend::Postgres,
            Dialect::Sqlite => sea_orm::DbBackend::Sqlite,
        };
        self.of(backend, &quoted(column))
    }
}

/// The statement that makes an index; on PostgreSQL one that keeps nobody from writing meanwhile.
pub fn index_statement(dialect: Dialect, table: &Table, keys: &[IndexKey]) -> String {
    let concurrently = dialect == Dialect::Postgres && table.kind != TableKind::Partitioned;
    let words: Vec<String> = keys
        .iter()
        .map(|key| match key {
            IndexKey::Column(column) => column.clone(),
            IndexKey::Expression(text) => {
                let within = text.split('"').nth(1).unwrap_or_default();
                format!("{within}_normal")
            }
        })
        .collect();
    let mut name = format!("efface_{}_{}", table.name, words.join("_"));
    name.truncate(name.floor_char_boundary(NAME_MAX - "_idx".len()));
    let parts: Vec<String> = keys
        .iter()
        .map(|key| match key {
            IndexKey::Column(column) => quoted(column),
            IndexKey::Expression(text) => format!("({text})"),
        })
        .collect();
    format!(
        "CREATE INDEX {}{} ON {} ({});",
        if concurrently { "CONCURRENTLY " } else { "" },
        quoted(&format!("{name}_idx")),
        quoted(&table.name),
        parts.join(", ")
    )
}

/// Whether two keys say the same, however the database writes an expression back.
pub fn is_same_expression(a: &IndexKey, b: &IndexKey) -> bool {
    match (a, b) {
        (IndexKey::Column(a), IndexKey::Column(b)) => a == b,
        (IndexKey::Expression(a), IndexKey::Expression(b)) => bare(a) == bare(b),
        _ => false,
    }
}

/// An expression without what PostgreSQL adds when it writes it back: brackets, blanks, quotes, and casts to text.
/// Blanks and brackets within quotes stay: they are what `replace` takes out of a phone number.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut literal = false;
    for c in text.chars() {
        if c == '\'' {
            literal = !literal;
        }
        if literal || !(c.is_whitespace() || matches!(c, '(' | ')' | '"')) {
            bare.push(if literal { c } else { c.to_ascii_lowercase() });
        }
    }
    bare.replace("::text", "").replace("::charactervarying", "").replace("::varchar", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_recognised_in_the_databases_own_writing() {
        for (ours, theirs) in [
            (r#"lower(btrim("email") COLLATE "C")"#, r#"lower((btrim((email)::text) COLLATE "C"))"#),
            (
                r#"regexp_replace("phone", '[^0-9]', '', 'g')"#,
                "regexp_replace((phone)::text, '[^0-9]'::text, ''::text, 'g'::text)",
            ),
            (r#"lower(trim("email"))"#, "LOWER( trim(email) )"),
        ] {
            let key = |text: &str| IndexKey::Expression(text.to_owned());
            assert!(is_same_expression(&key(ours), &key(theirs)), "{}\n{}", bare(ours), bare(theirs));
            assert!(!is_same_expression(&key(ours), &key("lower(email)")));
        }
    }
}
