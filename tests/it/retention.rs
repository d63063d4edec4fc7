//! What is kept for how long, and that exactly the rest goes: once, on time, and never under a hold.

mod doors;
mod duties;
mod findings;
mod killed;
mod leaders;
mod model;
mod rules;
mod surface;

use chrono::{DateTime, SecondsFormat, Utc};
use efface::audit::Actor;
use efface::retention::{Sweep, Wish};
use efface::shutdown::Shutdown;

use crate::house::House;

/// An operator who has looked.
fn wish() -> Wish {
    Wish { actor: Actor::Operator("ops".to_owned()), dry_run: false, table: None, shop: None, approved: true }
}

async fn sweep(house: &House, wish: &Wish) -> Sweep {
    house.app().retention().sweep(wish, &|_| {}, &Shutdown::new()).await.unwrap()
}

fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A survey answer of a shop, given so many days ago.
async fn answer(house: &House, id: &str, shop: &str, days: i64) {
    let at = iso(house.clock.now() - chrono::TimeDelta::days(days));
    house
        .execute(&format!(
            r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId","rating","createdAt")
               VALUES ('{id}','id of {shop}','1',5,'{at}')"#
        ))
        .await;
}

async fn shop_days(house: &House, shop: &str, days: i64) {
    house.execute(&format!(r#"UPDATE "Shop" SET "dataRetentionDays"={days} WHERE "shopDomain"='{shop}'"#)).await;
}

async fn answers(house: &House) -> i64 {
    house.number(r#"SELECT count(*) AS "n" FROM "SurveyResponse""#).await
}
