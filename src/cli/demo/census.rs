//! Every row of the sample shops as it stands in the database, read directly.

use std::collections::BTreeMap;

use entity::reference::{
    conversion_job, conversion_log, pixel_event_receipt, reconciliation_report, shop, survey_response,
};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter as _};
use serde_json::Value;

use super::shops::{self, Sample};

/// The reference app's tables, in the order of all counts.
pub const TABLES: [&str; 6] =
    ["ConversionLog", "ConversionJob", "PixelEventReceipt", "SurveyResponse", "ReconciliationReport", "Shop"];

/// All columns of all rows, by shop and table.
#[derive(Debug)]
pub struct Census(BTreeMap<&'static str, [Vec<Value>; 6]>);

impl Census {
    /// Reads every row of every sample shop.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take(db: &DatabaseConnection) -> Result<Self, DbErr> {
        let mut census = BTreeMap::new();
        for Sample { id, .. } in shops::ALL {
            let of = *id;
            let rows = [
                rows::<conversion_log::Entity>(db, conversion_log::Column::ShopId, of).await?,
                rows::<conversion_job::Entity>(db, conversion_job::Column::ShopId, of).await?,
                rows::<pixel_event_receipt::Entity>(db, pixel_event_receipt::Column::ShopId, of).await?,
                rows::<survey_response::Entity>(db, survey_response::Column::ShopId, of).await?,
                rows::<reconciliation_report::Entity>(db, reconciliation_report::Column::ShopId, of).await?,
                rows::<shop::Entity>(db, shop::Column::Id, of).await?,
            ];
            census.insert(of, rows);
        }
        Ok(Self(census))
    }

    /// Rows per table of one shop.
    pub fn counts(&self, sample: &Sample) -> [usize; 6] {
        self.0.get(sample.id).map_or([0; 6], |tables| std::array::from_fn(|table| tables[table].len()))
    }

    /// Whether a shop's rows are, column for column, those of `before` less the customer's.
    pub fn is_without_the_customer(&self, before: &Self, sample: &Sample) -> bool {
        let spared = |row: &&Value| !row["orderId"].as_str().is_some_and(shops::is_the_customers);
        match (self.0.get(sample.id), before.0.get(sample.id)) {
            (Some(now), Some(then)) => {
                now.iter().zip(then).all(|(now, then)| now.iter().eq(then.iter().filter(spared)))
            }
            _ => false,
        }
    }

    /// Whether a shop's rows are, column for column, those of `before`.
    pub fn is_unchanged(&self, before: &Self, sample: &Sample) -> bool {
        self.0.get(sample.id) == before.0.get(sample.id)
    }

    /// All rows together.
    pub fn total(&self) -> usize {
        shops::ALL.iter().map(|sample| self.counts(sample).iter().sum::<usize>()).sum()
    }
}

async fn rows<E: EntityTrait>(db: &DatabaseConnection, shop: E::Column, id: &str) -> Result<Vec<Value>, DbErr> {
    let mut rows = E::find().filter(shop.eq(id)).into_json().all(db).await?;
    rows.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    Ok(rows)
}
