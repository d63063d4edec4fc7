//! Under which kind, and in which form, an identifier is remembered once it is gone from everywhere else.
//!
//! The same two words serve both ways: what a job knows of its subject, and what stands in a column. Where a column holds
//! a hash, the hash itself is the form: nobody can tell from it what it was made of.

use std::collections::BTreeSet;

use super::data_map::{By, Form, StoreMap, SubjectWay};
use super::subject::{Spelling, Subject, plain_id};
use crate::webhook::normal_form;

/// The kind of a plain identifier: also what the SQL function and the command line call it.
pub fn plain_kind(by: By) -> &'static str {
    match by {
        By::OrderId => "order",
        By::CustomerId => "customer",
        By::Email => "email",
        By::Phone => "phone",
    }
}

/// The kind of what a way's column holds.
pub fn kind(by: By, form: &Form) -> String {
    match form {
        Form::Plain => plain_kind(by).to_owned(),
        Form::Sha256 => format!("{}:sha256", plain_kind(by)),
        Form::Hmac(key) => format!("{}:hmac:{key}", plain_kind(by)),
    }
}

/// The identifier in its one form; none when nothing is left of it.
pub fn normal(by: By, text: &str) -> Option<String> {
    match by {
        By::Email => normal_form::email(text),
        By::Phone => normal_form::phone(text),
        By::OrderId | By::CustomerId => (!text.is_empty()).then(|| plain_id(by, text)),
    }
}

/// A column's value in the form in which it is compared.
pub fn of_column(way: &SubjectWay, value: &str) -> Option<String> {
    if way.form == Form::Plain { normal(way.by, value) } else { (!value.is_empty()).then(|| value.to_owned()) }
}

/// How a subject spells what a column of this form holds; none for plain columns.
pub fn hashed(form: &Form) -> Option<Spelling> {
    match form {
        Form::Plain => None,
        Form::Sha256 => Some(Spelling::Sha256),
        Form::Hmac(key) => Some(Spelling::Hmac(key.clone())),
    }
}

/// Kind and form of everything by which a subject may be found again: each identifier once, and each hash that a column of
/// the maps would hold of it.
pub fn of_subject<'a>(maps: impl Iterator<Item = &'a StoreMap>, subject: &Subject) -> BTreeSet<(String, String)> {
    let plain = subject.identifiers().map(|(by, value)| (plain_kind(by).to_owned(), value.to_owned()));
    let mut traces: BTreeSet<(String, String)> = plain.collect();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for map in maps {
        for way in map.tables.iter().flat_map(|table| &table.ways) {
            let Some(spelling) = hashed(&way.form) else { continue };
            let kind = kind(way.by, &way.form);
            if seen.insert(kind.clone()) {
                let key = if let Spelling::Hmac(name) = &spelling { map.match_key(name) } else { &[] };
                let values = subject.values(way.by, &spelling, key);
                traces.extend(values.into_iter().map(|value| (kind.clone(), value)));
            }
        }
    }
    traces
}
