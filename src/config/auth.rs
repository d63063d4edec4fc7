//! `[auth]`: who may call the API and open the dashboard.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::reader::Reader;
use super::secret::{MASK, Secret};

/// The bearer tokens that are known.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Unique by name and by token. Empty: the API answers 401 to everybody.
    pub tokens: Vec<Token>,
}

/// One caller.
#[derive(Clone, Debug)]
pub struct Token {
    /// Names the caller in the audit log.
    pub name: String,
    pub role: Role,
    pub token: Secret,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    Operator,
    Viewer,
    Auditor,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Viewer, Self::Auditor];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Auth {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut tokens = Vec::new();
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for prefix in reader.tables("auth.tokens") {
            let name =
                reader.text_as(&format!("{prefix}name"), "a name", |text| (!text.is_empty()).then(|| text.to_owned()));
            let role = reader.text_as(&format!("{prefix}role"), "one of admin, operator, viewer, auditor", |text| {
                Role::ALL.into_iter().find(|role| role.as_str() == text)
            });
            let token = reader.secret(&format!("{prefix}token"), "a token");
            if name.as_ref().is_some_and(|name| !names.insert(name.clone())) {
                reader.complain(&format!("{prefix}name"), "another token has this name");
            }
            if !token.expose().is_empty() && !seen.insert(token.expose().to_owned()) {
                reader.complain(&format!("{prefix}token"), "another name has this token");
            }
            if let (Some(name), Some(role)) = (name, role) {
                tokens.push(Token { name, role, token });
            }
        }
        let shown =
            tokens.iter().map(|token| json!({ "name": token.name, "role": token.role, "token": MASK })).collect();
        reader.note_tables("auth.tokens", shown);
        Self { tokens }
    }
}
