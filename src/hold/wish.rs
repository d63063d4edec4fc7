//! What somebody asks to be held, as it comes through a door, and what is wrong with it.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use entity::legal_hold::HoldScope;
use serde::{Deserialize, Deserializer};

use super::Identifier;
use crate::clock::is_usual;
use crate::seal::Pii;
use crate::webhook::{ExternalId, shop_domain};

/// Characters of a reason, at most.
const REASON_CHARS_MAX: usize = 500;
/// Identifiers of one hold, at most.
const IDENTIFIERS_MAX: usize = 1_000;

/// A hold that somebody wants. The fields that are there tell its scope: a subject, else a table, else a shop.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// May be left out; when it is there, the other fields must agree.
    #[serde(default)]
    pub scope: Option<HoldScope>,
    /// The shop; only a hold on a table may do without, and then holds the table of all shops.
    #[serde(default, alias = "shop")]
    pub shop_domain: Option<String>,
    /// A table of the data map.
    #[serde(default, alias = "table")]
    pub table_name: Option<String>,
    /// A person.
    #[serde(default)]
    pub subject: Option<SubjectWish>,
    /// The legal ground. Holds no personal data.
    #[serde(default)]
    pub reason: String,
    /// When somebody must look at it again: an instant, or a date, which means its first moment in UTC.
    #[serde(default, deserialize_with = "date_or_instant")]
    pub review_at: Option<DateTime<Utc>>,
}

/// A person, by whatever is known of them. Hashed at once and kept nowhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubjectWish {
    /// The platform's number of the customer.
    #[serde(default)]
    pub customer_id: Option<ExternalId>,
    #[serde(default)]
    pub email: Option<Pii<String>>,
    #[serde(default)]
    pub phone: Option<Pii<String>>,
    /// Orders of the person.
    #[serde(default, alias = "orders")]
    pub order_ids: Vec<ExternalId>,
}

/// Why a wish makes no hold. Names fields, never what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum BadWish {
    NoReason,
    LongReason,
    PersonalReason,
    ControlInReason,
    Nothing,
    BadShop,
    SubjectWithoutShop,
    NoSubject,
    BadEmail,
    BadPhone,
    ManyIdentifiers,
    SubjectAndTable,
    UnknownTable,
    OtherScope,
    ReviewPassed,
}

impl BadWish {
    /// The reason as a sentence.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoReason => "a hold needs a reason",
            Self::LongReason => "the reason is longer than 500 characters",
            Self::PersonalReason => {
                "the reason holds an e-mail address or a phone number: name the case, not the person"
            }
            Self::ControlInReason => "the reason holds a control character",
            Self::Nothing => "a hold needs a shop, or a table",
            Self::BadShop => "the shop is not a host name",
            Self::SubjectWithoutShop => "a hold on a person needs the shop",
            Self::NoSubject => "the subject has neither customer id, e-mail, phone nor order",
            Self::BadEmail => "the e-mail address is empty",
            Self::BadPhone => "the phone number has no digit",
            Self::ManyIdentifiers => "the subject has more than 1000 identifiers",
            Self::SubjectAndTable => "a hold is on a person or on a table, not on both",
            Self::UnknownTable => "the data map has no such table, or no erasure touches it",
            Self::OtherScope => "the scope is not the one that the other fields make",
            Self::ReviewPassed => "the review date has passed",
        }
    }
}

/// What a hold covers.
pub(super) enum Coverage {
    Shop(String),
    Subject(String, Vec<Identifier>),
    Table(String, Option<String>),
}

impl Coverage {
    pub(super) fn scope(&self) -> HoldScope {
        match self {
            Self::Shop(_) => HoldScope::Shop,
            Self::Subject(..) => HoldScope::Subject,
            Self::Table(..) => HoldScope::Table,
        }
    }
}

impl Wish {
    /// Reads the wish; `tables` are those that an erasure may touch.
    pub(super) fn read(
        &self,
        now: DateTime<Utc>,
        mut tables: impl Iterator<Item = String>,
    ) -> Result<Coverage, BadWish> {
        check_reason(&self.reason)?;
        if self.review_at.is_some_and(|at| at <= now) {
            return Err(BadWish::ReviewPassed);
        }
        let shop =
            self.shop_domain.as_deref().map(|shop| shop_domain(shop.trim()).ok_or(BadWish::BadShop)).transpose()?;
        let coverage = match (&self.subject, &self.table_name, shop) {
            (Some(_), Some(_), _) => return Err(BadWish::SubjectAndTable),
            (Some(_), None, None) => return Err(BadWish::SubjectWithoutShop),
            (Some(subject), None, Some(shop)) => Coverage::Subject(shop, subject.identifiers()?),
            (None, Some(table), shop) => {
                let known = tables.any(|known| known == *table);
                Coverage::Table(known.then(|| table.clone()).ok_or(BadWish::UnknownTable)?, shop)
            }
            (None, None, Some(shop)) => Coverage::Shop(shop),
            (None, None, None) => return Err(BadWish::Nothing),
        };
        if self.scope.is_some_and(|scope| scope != coverage.scope()) {
            return Err(BadWish::OtherScope);
        }
        Ok(coverage)
    }
}

impl SubjectWish {
    fn identifiers(&self) -> Result<Vec<Identifier>, BadWish> {
        let email = self.email.as_ref().map(|email| Identifier::email(email.expose()).ok_or(BadWish::BadEmail));
        let phone = self.phone.as_ref().map(|phone| Identifier::phone(phone.expose()).ok_or(BadWish::BadPhone));
        let contacts = email.into_iter().chain(phone).collect::<Result<Vec<_>, _>>()?;
        let ids = self.customer_id.iter().map(Identifier::customer_id);
        let identifiers: Vec<_> = ids.chain(contacts).chain(self.order_ids.iter().map(Identifier::order_id)).collect();
        match identifiers.len() {
            0 => Err(BadWish::NoSubject),
            n if n > IDENTIFIERS_MAX => Err(BadWish::ManyIdentifiers),
            _ => Ok(identifiers),
        }
    }
}

/// Whether a text may stand as a person's reason, of a hold or of a job's withdrawal: rows and audit log keep it.
///
/// # Errors
/// [`BadWish::NoReason`] when it is empty, [`BadWish::LongReason`], [`BadWish::ControlInReason`], [`BadWish::PersonalReason`].
pub fn check_reason(reason: &str) -> Result<(), BadWish> {
    if reason.trim().is_empty() {
        Err(BadWish::NoReason)
    } else if reason.contains(char::is_control) {
        Err(BadWish::ControlInReason)
    } else if reason.chars().count() > REASON_CHARS_MAX {
        Err(BadWish::LongReason)
    } else if names_somebody(reason) {
        Err(BadWish::PersonalReason)
    } else {
        Ok(())
    }
}

/// Whether a text holds what looks like an e-mail address or an international phone number. File references and dates
/// do not.
fn names_somebody(text: &str) -> bool {
    let is_email = |word: &str| {
        word.split_once('@').is_some_and(|(user, host)| {
            user.ends_with(|c: char| c.is_alphanumeric())
                && host.split_once('.').is_some_and(|(_, rest)| !rest.is_empty())
        })
    };
    let is_phone = |rest: &str| {
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || " -/().".contains(*c));
        number.filter(char::is_ascii_digit).count() >= 7
    };
    text.split_whitespace().any(is_email) || text.split('+').skip(1).any(is_phone)
}

fn date_or_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let instant = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
    let read = instant.or_else(|_| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc()));
    read.ok()
        .filter(|at| is_usual(*at))
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("neither a date nor an instant"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(wish: &Value) -> Result<HoldScope, BadWish> {
        let wish: Wish = serde_json::from_value(wish.clone()).unwrap();
        let tables = ["Order", "Shop"].map(str::to_owned);
        wish.read(DateTime::UNIX_EPOCH, tables.into_iter()).map(|coverage| coverage.scope())
    }

    #[test]
    fn the_fields_that_are_there_tell_the_scope() {
        let shop = "A.myshopify.com";
        for (wish, scope) in [
            (json!({ "shop": shop, "reason": "r" }), HoldScope::Shop),
            (json!({ "shopDomain": shop, "scope": "shop", "reason": "r" }), HoldScope::Shop),
            (json!({ "shop": shop, "subject": { "email": "a@b.de" }, "reason": "r" }), HoldScope::Subject),
            (json!({ "shop": shop, "subject": { "orders": [1, "#2"] }, "reason": "r" }), HoldScope::Subject),
            (json!({ "shop": shop, "table": "Order", "reason": "r", "reviewAt": "2027-01-31" }), HoldScope::Table),
            (json!({ "tableName": "Shop", "reason": "r", "reviewAt": "2027-01-31T08:00:00Z" }), HoldScope::Table),
        ] {
            assert_eq!(read(&wish), Ok(scope), "{wish}");
        }
    }

    #[test]
    fn a_wish_that_makes_no_hold_says_why() {
        let with = |extra: Value| {
            let mut wish = json!({ "shop": "a.myshopify.com", "reason": "case 4711" });
            wish.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            read(&wish)
        };
        assert_eq!(with(json!({})), Ok(HoldScope::Shop));
        for (extra, why) in [
            (json!({ "reason": " " }), BadWish::NoReason),
            (json!({ "reason": "x".repeat(501) }), BadWish::LongReason),
            (json!({ "reason": "case\u{0}4711" }), BadWish::ControlInReason),
            (json!({ "shop": null }), BadWish::Nothing),
            (json!({ "shop": "not a shop" }), BadWish::BadShop),
            (json!({ "shop": null, "subject": { "email": "a@b.de" } }), BadWish::SubjectWithoutShop),
            (json!({ "subject": {} }), BadWish::NoSubject),
            (json!({ "subject": { "email": " " } }), BadWish::BadEmail),
            (json!({ "subject": { "phone": "+" } }), BadWish::BadPhone),
            (json!({ "subject": { "orders": vec![1; 1001] } }), BadWish::ManyIdentifiers),
            (json!({ "subject": { "email": "a@b.de" }, "table": "Order" }), BadWish::SubjectAndTable),
            (json!({ "table": "Orders" }), BadWish::UnknownTable),
            (json!({ "scope": "table" }), BadWish::OtherScope),
            (json!({ "reviewAt": "1970-01-01" }), BadWish::ReviewPassed),
        ] {
            assert_eq!(with(extra.clone()), Err(why), "{extra}");
        }
    }

    #[test]
    fn a_reason_that_names_somebody_is_refused_and_a_file_reference_is_not() {
        for personal in ["complaint of jane@example.com", "call +49 555 0147-11", "(+49)5550147 11", "<j.d@x.org>"] {
            assert!(names_somebody(personal), "{personal}");
        }
        for fine in ["Az. 12 O 345/26", "ticket 4711, 2026-11-21", "GDPR Art. 17(3)(e)", "see wiki @legal", "1 + 1 = 2"]
        {
            assert!(!names_somebody(fine), "{fine}");
        }
    }
}
