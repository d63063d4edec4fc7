//! Statements on the app's own tables, as the data map describes them.
//!
//! These files are the only ones that may delete or change application data, and only `erasure::execute` calls what
//! does. Every statement carries the shop by construction: it is built from a [`Reach`], and there is no [`Reach`] without
//! a shop's column. Names come as [`Ident`]s, which are parsed against a strict form and were found in the live catalog
//! before anything runs; everything else is a parameter.

mod catalog;
mod delete;
mod find;
mod ident;
mod instant_form;
mod keys;
mod lifecycle;
mod made;
mod mask;
pub mod purge;
mod reach;
mod shop;
mod shop_days;
mod strays;
mod values;
mod way;

pub use catalog::{Catalog, CatalogColumn, ForeignKey, catalog, database_clock, database_now};
pub use delete::{delete_matching, delete_shop_rows, delete_shops};
pub use find::{Probe, count_found, samples, shop_rows, shops_with_values_between, stream_matching};
pub use ident::{Ident, JsonPath};
pub use instant_form::instant_form;
pub use keys::{Count, Keys};
pub use lifecycle::{Installation, installations, mark_uninstalled};
pub use made::{Held, Made, Unit, has_undated, micros_of};
pub use mask::{Locked, Masked, MaskedColumn, REDACTED, Replacement, Replacing, lock_unmasked, replace};
pub use reach::{Column, Hop, Kind, Reach};
pub use shop::{ShopRow, ShopTable, shops};
pub use shop_days::{ShopDays, mark_retention_days, shop_days};
pub use strays::strays;
pub use values::{Installed, each_value, installed};
pub use way::{Comparison, Place, Way};

/// Which rows of a reach a statement is about.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Those that a key finds.
    Matching(&'a Way),
    /// All of a shop.
    WholeShop,
    /// Those of a shop that were made at an instant or before: the key's value, in microseconds since 1970.
    MadeUpTo,
}
