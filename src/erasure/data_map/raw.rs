//! The data map's TOML, as written. What it must mean is worked out by the reader.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::retention::Period;
use super::{Action, ShopReference};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMap {
    pub version: u32,
    pub shop: Option<RawShop>,
    #[serde(default)]
    pub stores: BTreeMap<String, RawStore>,
    #[serde(default)]
    pub table: Vec<RawTable>,
    #[serde(default)]
    pub left_out: Vec<RawLeftOut>,
}

/// A table that is not in the map, on purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLeftOut {
    #[serde(default = "default_store")]
    pub store: String,
    pub name: String,
    pub because: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub shop: Option<RawShop>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShop {
    pub table: String,
    pub id: String,
    pub domain: String,
    pub number: Option<String>,
    pub active: Option<String>,
    pub installed_at: Option<String>,
    pub uninstalled_at: Option<String>,
    pub retention_days: Option<String>,
    pub result_key: String,
    #[serde(default)]
    pub keep_row: bool,
    pub ground: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    #[serde(default = "default_store")]
    pub store: String,
    pub name: String,
    #[serde(default)]
    pub via: Vec<RawHop>,
    pub shop: Option<RawShopColumn>,
    #[serde(rename = "match", default)]
    pub subject: OneOrMany<RawMatch>,
    pub customers_redact: Action,
    pub shop_redact: Action,
    #[serde(default)]
    pub mask: Vec<RawMask>,
    pub ground: Option<String>,
    pub result_key: String,
    pub mask_key: Option<String>,
    pub keep_key: Option<String>,
    pub export_key: Option<String>,
    #[serde(default)]
    pub export: Vec<String>,
    pub order: Option<i64>,
    #[serde(default)]
    pub exclude: Vec<RawExclude>,
    pub dates: Option<RawDates>,
    pub made_at: Option<RawMadeAt>,
    #[serde(default)]
    pub retention: OneOrMany<RawRetention>,
}

/// The column that says when a row was made: of this table, or of one that `via` leads to.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawMadeAt {
    Own(String),
    Elsewhere(RawMadeElsewhere),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMadeElsewhere {
    pub column: String,
    pub at: Option<String>,
}

/// What decides when a row goes.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPolicy {
    ByShop,
    Fixed,
    After,
    ByClass,
    Never,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    pub name: Option<String>,
    pub policy: RawPolicy,
    pub since: Option<String>,
    pub event: Option<String>,
    pub days: Option<u32>,
    pub class: Option<String>,
    #[serde(default)]
    pub classes: BTreeMap<String, RawPeriod>,
    pub because: Option<String>,
    pub days_min: Option<u32>,
    pub days_max: Option<u32>,
}

/// A number of days, or `"never"`.
pub(super) struct RawPeriod(pub Period);

impl<'de> Deserialize<'de> for RawPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DaysOrNever;
        impl Visitor<'_> for DaysOrNever {
            type Value = RawPeriod;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of days, or \"never\"")
            }

            fn visit_i64<E: serde::de::Error>(self, days: i64) -> Result<RawPeriod, E> {
                let days = u32::try_from(days).map_err(|_| E::invalid_value(Unexpected::Signed(days), &self))?;
                Ok(RawPeriod(Period::Days(days)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawPeriod, E> {
                if text != "never" {
                    return Err(E::invalid_value(Unexpected::Str(text), &self));
                }
                Ok(RawPeriod(Period::Never))
            }
        }
        deserializer.deserialize_any(DaysOrNever)
    }
}

fn default_store() -> String {
    super::DEFAULT_STORE.to_owned()
}

/// How a column holds instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawDates {
    UnixMs,
    UnixSeconds,
    Iso,
    Native,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHop {
    pub column: String,
    pub to: String,
    pub key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShopColumn {
    pub column: String,
    pub holds: ShopReference,
    pub at: Option<String>,
}

/// One table of a kind, or a list of them.
pub(super) struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrSeveral<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table { … } or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMany<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(OneOrSeveral(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMatch {
    pub column: String,
    pub by: super::By,
    #[serde(rename = "as")]
    pub form: Option<RawForm>,
    pub key: Option<String>,
    pub json: Option<String>,
    #[serde(default)]
    pub array: bool,
    pub at: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawForm {
    Plain,
    Sha256,
    HmacSha256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMask {
    pub column: String,
    pub json: Option<String>,
    pub with: RawReplacement,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawReplacement {
    Redact,
    Hash,
    Encrypt,
    Remove,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExclude {
    pub column: String,
    pub because: String,
}
