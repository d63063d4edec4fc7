//! How long a table's rows are kept: the rules that a map gives, and what may stand in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::MappedTable;
use super::raw::{RawPolicy, RawRetention, RawTable};
use crate::store::target::Ident;

/// The days that a shop may choose.
pub const SHOP_DAYS: [u32; 5] = [30, 60, 90, 180, 365];

/// A century: longer than that is a typing error.
pub const DAYS_MAX: u32 = 36_500;

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    Days(u32),
    /// It is kept for ever. Written `"never"`, and never as a number.
    Never,
}

impl Period {
    /// Reads a shop's own choice as its row has it: one of [`SHOP_DAYS`], or 0, which stands for never. Anything else is none.
    pub fn of_shop(days: i64) -> Option<Self> {
        match u32::try_from(days) {
            Ok(0) => Some(Self::Never),
            Ok(days) if SHOP_DAYS.contains(&days) => Some(Self::Days(days)),
            _ => None,
        }
    }

    /// This period, not below a floor and not above a ceiling.
    #[must_use]
    pub fn within(self, min: Option<u32>, max: Option<u32>) -> Self {
        match (self, max) {
            (Self::Never, None) => Self::Never,
            (Self::Never, Some(max)) => Self::Days(max),
            (Self::Days(days), max) => Self::Days(days.max(min.unwrap_or(0)).min(max.unwrap_or(u32::MAX))),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days} days"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// What decides when a row goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The shop decides: its row says for how many days. Counted from `since`.
    ByShop { since: Ident },
    /// So many days from `since` on, for everybody.
    Fixed { since: Ident, days: u32 },
    /// So many days after something has happened; a row to which it has not happened stays.
    After { event: Ident, days: u32 },
    /// A column's value decides; a value that is not listed keeps its row. Counted from `since`.
    ByClass { since: Ident, class: Ident, periods: BTreeMap<String, Period> },
    /// The rows stay for ever, for a reason.
    Never { because: String },
}

impl Policy {
    /// The kind, as files and screens write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ByShop { .. } => "by_shop",
            Self::Fixed { .. } => "fixed",
            Self::After { .. } => "after",
            Self::ByClass { .. } => "by_class",
            Self::Never { .. } => "never",
        }
    }

    /// The column from which the time counts.
    pub const fn counts_from(&self) -> Option<&Ident> {
        match self {
            Self::ByShop { since } | Self::Fixed { since, .. } | Self::ByClass { since, .. } => Some(since),
            Self::After { event, .. } => Some(event),
            Self::Never { .. } => None,
        }
    }
}

/// One rule of a table. A row goes as soon as one of its table's rules says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in the configuration and in run rows.
    pub name: String,
    pub policy: Policy,
    /// Legally required: no shop, class or override goes below.
    pub days_min: Option<u32>,
    /// Legally allowed: nothing is kept longer, not even for ever.
    pub days_max: Option<u32>,
}

impl Rule {
    /// A period as this rule's floor and ceiling let it be.
    pub fn bounded(&self, period: Period) -> Period {
        period.within(self.days_min, self.days_max)
    }

    /// Says what the rule does, for people.
    pub fn sentence(&self) -> String {
        let told = match &self.policy {
            Policy::ByShop { since } => format!("as its shop chose, from {}", since.as_str()),
            Policy::Fixed { since, days } => format!("{days} days from {}", since.as_str()),
            Policy::After { event, days } => format!("{days} days after {}", event.as_str()),
            Policy::ByClass { since, class, periods } => {
                let listed: Vec<String> = periods.iter().map(|(class, period)| format!("{class} {period}")).collect();
                format!("by {}: {}; from {}", class.as_str(), listed.join(", "), since.as_str())
            }
            Policy::Never { because } => format!("never: {because}"),
        };
        let bound = |word: &str, days: Option<u32>| days.map_or(String::new(), |days| format!(", {word} {days} days"));
        format!("{told}{}{}", bound("at least", self.days_min), bound("at most", self.days_max))
    }

    /// Puts a configured period in the place of the map's.
    pub(super) fn replace(&mut self, class: Option<&str>, period: Period) -> Result<(), String> {
        if self.bounded(period) != period {
            return Err(format!("{period} is outside the rule's days_min and days_max"));
        }
        match (&mut self.policy, class, period) {
            (Policy::Fixed { days, .. } | Policy::After { days, .. }, None, Period::Days(new)) => *days = new,
            (policy @ (Policy::Fixed { .. } | Policy::After { .. }), None, Period::Never) => {
                *policy = Policy::Never { because: "the configuration says so".to_owned() };
            }
            (Policy::ByClass { periods, .. }, Some(class), period) => {
                // The environment knows no small letters.
                let listed = periods.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(class));
                match listed {
                    Some((_, listed)) => *listed = period,
                    None => return Err(format!("the map lists no class {class}")),
                }
            }
            (Policy::ByClass { .. }, None, _) => return Err("needs the name of a class".to_owned()),
            (Policy::ByShop { .. }, _, _) => return Err("each shop's own row decides; set it there".to_owned()),
            (Policy::Never { .. }, _, _) => {
                return Err("the map keeps these rows for a reason; change it there".to_owned());
            }
            (_, Some(class), _) => return Err(format!("is not by class, and has no {class}")),
        }
        Ok(())
    }
}

/// Reads a table's rules; problems are sentences with the table's place.
pub(super) fn read(raw: &RawTable, problems: &mut Vec<String>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for raw_rule in &raw.retention.0 {
        let place = format!("table \"{}\".retention", raw.name);
        let before = problems.len();
        let rule = rule(raw, raw_rule, &place, problems);
        if let (Some(rule), true) = (rule, problems.len() == before) {
            rules.push(rule);
        }
    }
    rules
}

fn rule(table: &RawTable, raw: &RawRetention, place: &str, problems: &mut Vec<String>) -> Option<Rule> {
    let mut ident = |key: &str, name: Option<&String>| match name.map(|name| Ident::parse(name)) {
        Some(Some(ident)) => Some(ident),
        Some(None) => {
            problems.push(format!("{place}.{key}: is not a plain name"));
            None
        }
        None => {
            problems.push(format!("{place}: lacks `{key}`"));
            None
        }
    };
    let policy = match raw.policy {
        RawPolicy::ByShop => Policy::ByShop { since: ident("since", raw.since.as_ref())? },
        RawPolicy::Fixed => Policy::Fixed { since: ident("since", raw.since.as_ref())?, days: raw.days.unwrap_or(0) },
        RawPolicy::After => Policy::After { event: ident("event", raw.event.as_ref())?, days: raw.days.unwrap_or(0) },
        RawPolicy::ByClass => Policy::ByClass {
            since: ident("since", raw.since.as_ref())?,
            class: ident("class", raw.class.as_ref())?,
            periods: raw.classes.iter().map(|(class, period)| (class.clone(), period.0)).collect(),
        },
        RawPolicy::Never => Policy::Never { because: raw.because.clone().unwrap_or_default().trim().to_owned() },
    };
    let name = raw.name.clone().unwrap_or_else(|| snake_case(&table.name));
    if !is_policy_name(&name) {
        problems.push(format!("{place}.name: {name:?} is made of something else than small letters, digits and _"));
    }
    let rule = Rule { name, policy, days_min: raw.days_min, days_max: raw.days_max };
    problems.extend(wrong(raw, &rule).into_iter().map(|problem| format!("{place}: {problem}")));
    Some(rule)
}

/// What of a rule does not fit together.
fn wrong(raw: &RawRetention, rule: &Rule) -> Vec<String> {
    let mut wrong = Vec::new();
    let kind = rule.policy.kind();
    let takes: &[&str] = match &rule.policy {
        Policy::ByShop { .. } => &["since"],
        Policy::Fixed { .. } => &["since", "days"],
        Policy::After { .. } => &["event", "days"],
        Policy::ByClass { .. } => &["since", "class", "classes"],
        Policy::Never { .. } => &["because"],
    };
    let given = [
        ("since", raw.since.is_some()),
        ("event", raw.event.is_some()),
        ("days", raw.days.is_some()),
        ("class", raw.class.is_some()),
        ("classes", !raw.classes.is_empty()),
        ("because", raw.because.is_some()),
    ];
    for (key, is_given) in given {
        if is_given && !takes.contains(&key) {
            wrong.push(format!("`{key}` does not go with policy = \"{kind}\""));
        } else if !is_given && takes.contains(&key) && !matches!(key, "since" | "event" | "class") {
            wrong.push(format!("policy = \"{kind}\" lacks `{key}`"));
        }
    }
    let (min, max) = (rule.days_min, rule.days_max);
    if min.is_some_and(|min| max.is_some_and(|max| min > max)) {
        wrong.push("days_min is above days_max".to_owned());
    }
    let periods: Vec<Period> = match &rule.policy {
        Policy::Fixed { days, .. } | Policy::After { days, .. } if raw.days.is_some() => vec![Period::Days(*days)],
        Policy::ByClass { periods, .. } => periods.values().copied().collect(),
        Policy::Never { because } if because.is_empty() => {
            wrong.push("`because` says nothing".to_owned());
            Vec::new()
        }
        Policy::Never { .. } if max.is_some() => vec![Period::Never],
        _ => Vec::new(),
    };
    for period in periods {
        if matches!(period, Period::Days(days) if days == 0 || days > DAYS_MAX) {
            wrong.push(format!("a period is 1 to {DAYS_MAX} days, or \"never\""));
        } else if rule.bounded(period) != period {
            wrong.push(format!("{period} is outside its own days_min and days_max"));
        }
    }
    if [min, max].into_iter().flatten().any(|days| days == 0 || days > DAYS_MAX) {
        wrong.push(format!("days_min and days_max are 1 to {DAYS_MAX}"));
    }
    wrong
}

/// What has to fit between the rules of all tables.
pub(super) fn across<'a>(tables: impl Iterator<Item = (&'a MappedTable, bool)>, problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for (table, shops_have_days) in tables {
        let place = format!("table \"{}\".retention", table.name.as_str());
        for rule in &table.retention {
            if OWN_POLICIES.contains(&rule.name.as_str()) {
                problems.push(format!("{place}: {} is the name of a rule of Efface's own; give it another", rule.name));
            }
            if !names.insert(rule.name.as_str()) {
                problems.push(format!("{place}: another rule is named {} as well; give it a `name`", rule.name));
            }
            if !matches!(rule.policy, Policy::ByShop { .. }) {
                continue;
            }
            if !shops_have_days {
                problems.push(format!("{place}: by_shop, but the store's shop table has no `retention_days`"));
            }
            if table.reach.shop.at != 0 {
                problems.push(format!("{place}: by_shop needs the shop's column in the table itself"));
            }
        }
        let never = table.retention.iter().any(|rule| matches!(rule.policy, Policy::Never { .. }));
        if never && table.retention.len() > 1 {
            problems.push(format!("{place}: never, and another rule that purges"));
        }
    }
}

/// Rules of Efface's own tables, which are in no map.
pub const OWN_POLICIES: [&str; 4] = ["webhook_log", "jobs", "receipts", "audit_log"];

fn is_policy_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// `ConversionLog` is `conversion_log`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    let mut small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && small {
            snake.push('_');
        }
        small = c.is_ascii_lowercase() || c.is_ascii_digit();
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests;
