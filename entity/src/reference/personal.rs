//! Columns of the reference app that hold personal data: stored as they are, never printed.

use std::fmt;

use sea_orm::entity::prelude::*;

/// Text that says something of a person.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct PersonalText(pub String);

impl fmt::Debug for PersonalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalText([personal data])")
    }
}

/// JSON that says something of a person.
#[derive(Clone, PartialEq, DeriveValueType)]
pub struct PersonalJson(pub Json);

impl fmt::Debug for PersonalJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalJson([personal data])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_columns_cannot_be_printed() {
        let text = format!("{:?}", PersonalText("ada@example.com".to_owned()));
        let json = format!("{:?}", PersonalJson(serde_json::json!({ "email": "ada@example.com" })));
        assert!(!text.contains("ada"), "{text}");
        assert!(!json.contains("ada"), "{json}");
    }
}
