//! Schemas of real apps that nobody here wrote: introspect, review, check, tell, erase, look again.
//!
//! Tables, columns, types and keys are those of public apps (each fixture names its source); statements and rows are our
//! own. What must go is written down here by hand, row by row: no map and no search of Efface's decides it.

mod app;
mod proposals;
mod stacks;

use std::collections::BTreeMap;

use entity::gdpr_job::{JobStatus, Model, Outcome};

use crate::house::Webhook;
use app::{App, Contents, Place, contents};

const ADA: &str = "ada.myshopify.com";

/// A real app, and what the webhook's customer has in shop ada.
struct Known {
    name: &'static str,
    /// Rows of hers, by table.
    hers: &'static [(&'static str, &'static [&'static str])],
    /// Rows that are deleted through another table's foreign key, and so not counted in a result of their own.
    uncounted: &'static [(&'static str, u64)],
    /// Rows that stay, and lose the way to her.
    loosened: &'static [(&'static str, &'static str)],
}

const RETURNS: Known = Known {
    name: "returns",
    hers: &[
        ("ExchangeLineItem", &["item of ex-listed"]),
        ("ExchangeRequest", &["ex-listed"]),
        ("NotificationLog", &["nl-free", "nl-return", "nl-text"]),
        ("ReturnLineItem", &["item of rr-address", "item of rr-listed"]),
        ("ReturnRequest", &["rr-address", "rr-listed"]),
        ("ShippingLabel", &["label of ex-listed", "label of rr-address", "label of rr-listed"]),
        ("StoreCredit", &["sc-hers"]),
        ("StoreCreditTransaction", &["entry of sc-hers"]),
    ],
    uncounted: &[("ShippingLabel", 1)],
    loosened: &[],
};

const LOYALTY: Known = Known {
    name: "loyalty",
    hers: &[
        ("customers", &["a1000000-0000-4000-8000-000000000001"]),
        ("ledger", &["a1000000-0000-4000-8000-000000000002", "a1000000-0000-4000-8000-000000000003"]),
        ("redemptions", &["a1000000-0000-4000-8000-000000000004"]),
    ],
    uncounted: &[],
    loosened: &[],
};

const POINTS: Known = Known {
    name: "points",
    hers: &[
        ("CustomerPointsBalance", &["cb-hers"]),
        ("OrderPointsSnapshot", &["os-later", "os-listed"]),
        ("PointsLedger", &["pl-gid", "pl-hers"]),
        ("PrivacyEvent", &["pe-hers"]),
        ("Redemption", &["rd-hers"]),
        ("WebhookEvent", &["we-order"]),
    ],
    uncounted: &[],
    loosened: &[],
};

const INSIGHTS: Known = Known {
    name: "insights",
    hers: &[("Customer", &["cu-hers"]), ("Order", &["or-listed"])],
    uncounted: &[],
    loosened: &[("Order", "or-later")],
};

impl Known {
    fn is_hers(&self, place: &Place) -> bool {
        self.hers.iter().any(|(table, ids)| *table == place.0 && ids.contains(&place.1.as_str()))
    }

    /// How many of her rows a job counts, by table.
    fn counted(&self) -> BTreeMap<&'static str, u64> {
        let uncounted = |table: &str| self.uncounted.iter().find(|(of, _)| *of == table).map_or(0, |(_, rows)| *rows);
        self.hers.iter().map(|(table, ids)| (*table, ids.len() as u64 - uncounted(table))).collect()
    }
}

/// Whether a row is of the other shop, or of no shop at all.
fn is_not_adas(place: &Place) -> bool {
    place.1.contains("bea")
        || place.1.starts_with("b1")
        || place.1.starts_with("b2")
        || place.1.starts_with("b0")
        || place.0 == "JobLock"
}

fn figures(job: &Model) -> BTreeMap<String, u64> {
    let result = job.result.as_ref().unwrap_or_else(|| panic!("{:?}", job.error_message)).as_object().unwrap();
    result.iter().filter_map(|(key, value)| Some((key.clone(), value.as_u64()?))).collect()
}

/// Rows that are gone, and rows that are there with other contents.
fn difference(before: &Contents, after: &Contents) -> (Vec<Place>, Vec<Place>) {
    assert!(after.keys().all(|place| before.contains_key(place)), "a row has come");
    let gone = before.keys().filter(|place| !after.contains_key(*place)).cloned().collect();
    let changed = after.iter().filter(|(place, row)| before[*place] != **row).map(|(place, _)| place.clone()).collect();
    (gone, changed)
}

fn places(rows: &[(&str, &[&str])]) -> Vec<Place> {
    let of = |(table, ids): &(&str, &[&str])| -> Vec<Place> {
        ids.iter().map(|id| ((*table).to_owned(), (*id).to_owned())).collect()
    };
    rows.iter().flat_map(of).collect()
}

/// Erases under the reviewed map, and holds every row of the app against what is known.
async fn reviewed(known: &Known, app: App) {
    let tables = app.tables().await;
    let map = App::reviewed(known.name);
    let house = app.house(&map).await;
    let before = contents(&house, &tables).await;

    let told = house.done(&Webhook::data_request(ADA, &[4001_u64])).await;
    assert_eq!(
        (told.status, told.outcome),
        (JobStatus::Completed, Some(Outcome::Exported)),
        "{:?}",
        told.error_message
    );
    assert_eq!(contents(&house, &tables).await, before, "telling changes nothing");
    let exported = figures(&told);
    for (table, rows) in known.counted() {
        assert_eq!(exported[&map.key(table).replacen("deleted", "exported", 1)], rows, "{table}: {exported:?}");
    }

    let job = house.done(&Webhook::customers_redact(ADA, &[4001_u64])).await;
    assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", job.error_message);
    let after = contents(&house, &tables).await;
    let (gone, changed) = difference(&before, &after);
    assert_eq!(gone, places(known.hers));
    let loosened: Vec<Place> = known.loosened.iter().map(|(table, id)| ((*table).into(), (*id).into())).collect();
    assert_eq!(changed, loosened);
    let counted = figures(&job);
    assert_eq!(counted["residual"], 0);
    for (table, rows) in known.counted() {
        assert_eq!(counted[map.key(table)], rows, "{table}: {counted:?}");
    }
    let again = house.done(&Webhook::customers_redact(ADA, &[4001_u64])).await;
    assert_eq!((again.status, again.outcome), (JobStatus::Completed, Some(Outcome::NothingFound)));

    let shop = house.done(&Webhook::shop_redact(ADA)).await;
    assert_eq!((shop.status, shop.outcome), (JobStatus::Completed, Some(Outcome::Erased)), "{:?}", shop.error_message);
    assert_eq!(figures(&shop)["residual"], 0);
    let mut left = before;
    left.retain(|place, _| is_not_adas(place));
    assert_eq!(contents(&house, &tables).await, left, "the other shop is as it was, and nothing of this one is left");
}

/// Erases under the map as it was proposed: it may find too little, and never what is somebody else's.
async fn proposed(known: &Known, app: App) {
    let tables = app.tables().await;
    let map = app.proposed().await;
    let house = app.house(&map).await;
    let before = contents(&house, &tables).await;
    let job = house.done(&Webhook::customers_redact(ADA, &[4001_u64])).await;
    assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
    let (gone, _) = difference(&before, &contents(&house, &tables).await);
    let wrong: Vec<&Place> = gone.iter().filter(|place| !known.is_hers(place)).collect();
    assert!(wrong.is_empty() && !gone.is_empty(), "{gone:?}");
    house.done(&Webhook::shop_redact(ADA)).await;
    let (gone, changed) = difference(&before, &contents(&house, &tables).await);
    assert!(!gone.iter().chain(&changed).any(is_not_adas), "{gone:?} {changed:?}");
    let missed: Vec<&Place> = before.keys().filter(|place| !gone.contains(place) && !is_not_adas(place)).collect();
    assert!(missed.is_empty(), "rows of the shop that the proposal leaves: {missed:?}");
}

macro_rules! real_apps {
    ($($name:ident: $known:ident on $($database:ident)+;)+) => {
        $(mod $name {
            $(mod $database {
                use super::super::*;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn what_is_proposed_fits_and_deletes_nothing_that_is_somebody_elses() {
                    proposed(&$known, App::$database($known.name).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn the_reviewed_map_passes_the_check_until_a_column_comes() {
                    App::$database($known.name).await.check($known.name).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn under_the_reviewed_map_all_of_hers_goes_and_nothing_else_changes() {
                    reviewed(&$known, App::$database($known.name).await).await;
                }
            })+
        })+
    };
}

real_apps! {
    returns: RETURNS on sqlite postgres;
    loyalty: LOYALTY on sqlite postgres;
    points: POINTS on sqlite;
    insights: INSIGHTS on sqlite postgres;
}
