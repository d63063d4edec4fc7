//! The policy file: TOML read key by key, so that every problem has its line.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Policy, Problem, Problems, Rules, Scope, Warning};
use crate::redaction::mode::{Mode, Salt};
use crate::redaction::path::JsonPath;
use crate::redaction::shop;

const VERSION: &str = "1";

const SALTED: &str = "a salted hash can be undone by trying values; leave `salt` out unless another system needs it";

pub(super) fn parse(toml: &str) -> Result<Policy, Problems> {
    let (document, errors) = DeTable::parse_recoverable(toml);
    let mut reader = Reader { toml, problems: Vec::new(), warnings: Vec::new() };
    if errors.is_empty() {
        let policy = reader.policy(&document);
        if reader.problems.is_empty() {
            return Ok(Policy { warnings: reader.warnings, ..policy });
        }
    }
    // Only the message: the error's own `Display` quotes the line, which may hold a salt.
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.problem(at, "", format!("not valid TOML: {}", error.message()));
    }
    reader.problems.sort_by_key(|problem| problem.line);
    Err(Problems(reader.problems))
}

struct Reader<'a> {
    toml: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn policy(&mut self, document: &Spanned<DeTable<'_>>) -> Policy {
        let mut shops = BTreeMap::new();
        let mut version = None;
        let top = document.get_ref();
        for (key, value) in top {
            match key.get_ref().as_ref() {
                "version" => version = Some(value),
                "rule" | "event" => {}
                "shop" => shops = self.shops(value),
                _ => self.unknown(key.span().start, key.get_ref(), "version, rule, event or shop"),
            }
        }
        match version.map(Spanned::get_ref) {
            Some(DeValue::Integer(number)) if number.as_str() == VERSION => {}
            _ => self.problem(
                version.map_or(0, |value| value.span().start),
                "version",
                "expected 1, the version that this program reads",
            ),
        }
        let everywhere = self.scope("", top);
        if self.problems.is_empty() && everywhere.is_empty() && shops.values().all(Scope::is_empty) {
            self.problem(0, "", "there is no rule: nothing would be masked");
        }
        Policy { everywhere, shops, warnings: Vec::new() }
    }

    fn shops(&mut self, value: &Value<'_>) -> BTreeMap<String, Scope> {
        let mut shops = BTreeMap::new();
        let Some(table) = self.table("shop", value) else { return shops };
        for (name, value) in table {
            let place = format!("shop.{:?}", name.get_ref());
            let at = name.span().start;
            if !shop::looks_like_a_domain(&shop::normal_form(name.get_ref())) {
                self.problem(at, &place, "expected a shop's domain in quotes: [[shop.\"name.example.com\".rule]]");
            }
            let Some(table) = self.table(&place, value) else { continue };
            for (key, _) in table {
                if !matches!(key.get_ref().as_ref(), "rule" | "event") {
                    self.unknown(key.span().start, &format!("{place}.{}", key.get_ref()), "rule or event");
                }
            }
            let scope = self.scope(&format!("{place}."), table);
            if shops.insert(shop::normal_form(name.get_ref()).into_owned(), scope).is_some() {
                self.problem(at, &place, "is there twice, in two spellings");
            }
        }
        shops
    }

    /// The `rule` and `event` of a table; what else is in it is for the caller.
    fn scope(&mut self, prefix: &str, table: &DeTable<'_>) -> Scope {
        let mut scope = Scope::default();
        if let Some(rules) = table.get("rule") {
            scope.all = self.rules(&format!("{prefix}rule"), rules);
        }
        let Some(value) = table.get("event") else { return scope };
        let place = format!("{prefix}event");
        for (name, value) in self.table(&place, value).into_iter().flatten() {
            let place = format!("{place}.{:?}", name.get_ref());
            if name.get_ref().is_empty() {
                self.problem(name.span().start, &place, "an event type is not empty");
            }
            let mut rules = Vec::new();
            for (key, value) in self.table(&place, value).into_iter().flatten() {
                let inner = format!("{place}.{}", key.get_ref());
                match key.get_ref().as_ref() {
                    "rule" => rules = self.rules(&inner, value),
                    _ => self.unknown(key.span().start, &inner, "rule"),
                }
            }
            scope.events.insert(name.get_ref().to_string(), rules);
        }
        scope
    }

    fn rules(&mut self, place: &str, value: &Value<'_>) -> Rules {
        let DeValue::Array(list) = value.get_ref() else {
            self.problem(
                value.span().start,
                place,
                "expected a list of rules, each under a heading in double brackets",
            );
            return Vec::new();
        };
        list.iter().enumerate().filter_map(|(index, value)| self.rule(&format!("{place}[{index}]"), value)).collect()
    }

    fn rule(&mut self, place: &str, value: &Value<'_>) -> Option<(JsonPath, Mode)> {
        let table = self.table(place, value)?;
        let (mut path, mut mode, mut salt) = (None, None, None);
        for (key, value) in table {
            let inner = format!("{place}.{}", key.get_ref());
            let text = || value.get_ref().as_str();
            let at = value.span().start;
            match key.get_ref().as_ref() {
                "path" => path = Some(self.path(at, &inner, text())),
                "mode" => mode = Some(self.mode(at, &inner, text())),
                "salt" => salt = Some((at, inner.clone(), text().and_then(Salt::new))),
                _ => self.unknown(key.span().start, &inner, "path, mode or salt"),
            }
        }
        for (key, is_there) in [("path", path.is_some()), ("mode", mode.is_some())] {
            if !is_there {
                self.problem(value.span().start, place, format!("lacks `{key}`"));
            }
        }
        let mode = match (mode.flatten(), salt) {
            (mode, None) => mode,
            (_, Some((at, place, None))) => {
                self.problem(at, &place, "expected a text that is not empty");
                None
            }
            (Some(Mode::Hash), Some((line_at, place, Some(salt)))) => {
                let line = self.line(line_at);
                self.warnings.push(Warning { line, place, message: SALTED });
                Some(Mode::SaltedHash(salt))
            }
            (Some(_), Some((at, place, _))) => {
                self.problem(at, &place, "goes with the mode hash only");
                None
            }
            (None, Some(_)) => None,
        };
        Some((path??, mode?))
    }

    fn path(&mut self, at: usize, place: &str, text: Option<&str>) -> Option<JsonPath> {
        let Some(text) = text else {
            self.problem(at, place, "expected a path in quotes, such as \"line_items[*].email\"");
            return None;
        };
        JsonPath::parse(text).map_err(|error| self.problem(at, place, format!("not a path {error}"))).ok()
    }

    fn mode(&mut self, at: usize, place: &str, text: Option<&str>) -> Option<Mode> {
        let mode = text.and_then(Mode::parse);
        if mode.is_none() {
            self.problem(at, place, format!("expected one of {}", Mode::NAMES.join(", ")));
        }
        mode
    }

    fn table<'v, 'i>(&mut self, place: &str, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.problem(value.span().start, place, "expected a table");
        }
        table
    }

    fn unknown(&mut self, at: usize, place: &str, expected: &str) {
        self.problem(at, place, format!("unknown key; expected {expected}"));
    }

    fn problem(&mut self, at: usize, place: &str, message: impl Into<String>) {
        let line = self.line(at);
        self.problems.push(Problem { line, place: place.to_owned(), message: message.into() });
    }

    fn line(&self, at: usize) -> usize {
        self.toml.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
    }
}

impl Scope {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.events.values().all(Vec::is_empty)
    }
}
