//! What a data map makes of each type of job, whoever it is about: the plan without keys and counts.
//!
//! It follows from the map's file alone, so that an auditor can make it again from the file. Its hash stands in every receipt
//! of a job that was carried out.

use entity::gdpr_job::JobType;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::data_map::{Action, By, DataMap, Form, MappedTable, ShopReference, StoreMap, SubjectWay};
use crate::store::target::{Column, Ident, Place, Replacement};

/// The plan of one type of job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingPlan {
    plan: Value,
    /// SHA-256 of the plan's canonical JSON (RFC 8785), in lower-case hexadecimal.
    pub hash: String,
}

impl StandingPlan {
    /// The plan of such jobs under this map.
    pub fn of(map: &DataMap, job_type: JobType) -> Self {
        let tables: Vec<Value> = map.stores.iter().flat_map(|store| tables(store, job_type)).collect();
        let plan = json!({ "dataMap": map.digest, "jobType": job_type, "tables": tables });
        // Names of ours in the order of their letters, and texts: that is the canonical form.
        let hash = hex::encode(Sha256::digest(plan.to_string()));
        Self { plan, hash }
    }

    /// The plan with its hash, as `efface data-map show` tells it.
    pub fn to_json(&self) -> Value {
        json!({ "plan": self.plan, "hash": self.hash })
    }
}

fn tables(store: &StoreMap, job_type: JobType) -> Vec<Value> {
    let whole_shop = job_type == JobType::ShopRedact;
    let reached = store.tables.iter().filter_map(|table| {
        let (action, columns) = match (job_type, table.action(whole_shop)) {
            (JobType::DataRequest, _) if table.export.is_empty() => return None,
            (JobType::DataRequest, _) => ("export", table.export.iter().map(|c| c.as_str().to_owned()).collect()),
            (_, Action::Delete) => ("delete", Vec::new()),
            (_, Action::Mask) => ("mask", masks(table)),
            (_, Action::Keep) if table.keeps_on_ground(whole_shop) => ("keep", Vec::new()),
            (_, Action::Keep) => return None,
        };
        let shop = format!("{}: {}", column(table, &table.reach.shop), holds(table.holds));
        let ways = if whole_shop { Vec::new() } else { ways(table) };
        let ground = table.ground.as_ref().filter(|_| action == "keep");
        Some(told(&store.name, &table.name, (action, ground), json!({ "shop": shop, "by": ways, "columns": columns })))
    });
    let shop = store.shop.as_ref().filter(|_| whole_shop).map(|shop| {
        let action = if shop.kept_because.is_some() { "keep" } else { "delete" };
        let found = json!({ "shop": format!("{}: domain", shop.table.domain.as_str()), "by": [], "columns": [] });
        told(&store.name, &shop.table.table, (action, shop.kept_because.as_ref()), found)
    });
    reached.chain(shop).collect()
}

fn told(store: &str, table: &Ident, (action, ground): (&str, Option<&String>), mut found: Value) -> Value {
    found["store"] = store.into();
    found["table"] = table.as_str().into();
    found["action"] = action.into();
    if let Some(ground) = ground {
        found["ground"] = ground.as_str().into();
    }
    found
}

/// A column, with its table when that is another.
pub fn column(table: &MappedTable, column: &Column) -> String {
    match column.at.checked_sub(1).and_then(|hop| table.reach.hops.get(hop)) {
        Some(hop) => format!("{}.{}", hop.to.as_str(), column.name.as_str()),
        None => column.name.as_str().to_owned(),
    }
}

/// What a shop column holds, in the map's word.
pub fn holds(holds: ShopReference) -> &'static str {
    match holds {
        ShopReference::ShopId => "shop_id",
        ShopReference::ShopDomain => "shop_domain",
        ShopReference::ShopNumber => "shop_number",
    }
}

/// The ways to a subject, in words.
pub fn ways(table: &MappedTable) -> Vec<String> {
    let way = |way: &SubjectWay| {
        let place = match &way.way.place {
            Place::Whole => String::new(),
            Place::Json(path) => format!(" at {path}"),
            Place::Element => "[]".to_owned(),
        };
        let by = match way.by {
            By::OrderId => "order_id",
            By::CustomerId => "customer_id",
            By::Email => "email",
            By::Phone => "phone",
        };
        let form = match &way.form {
            Form::Plain => String::new(),
            Form::Sha256 => " as sha256".to_owned(),
            Form::Hmac(key) => format!(" as hmac_sha256 with {key}"),
        };
        format!("{}{place} by {by}{form}", column(table, &way.way.column))
    };
    table.ways.iter().map(way).collect()
}

/// What is masked and how, in words.
pub fn masks(table: &MappedTable) -> Vec<String> {
    let word = |replacement: Replacement| match replacement {
        Replacement::Redact => "redact",
        Replacement::Hash => "hash",
        Replacement::Encrypt => "encrypt",
        Replacement::Remove => "remove",
    };
    let parts = table.masks.iter().flat_map(|mask| {
        mask.parts.iter().map(|(path, replacement)| {
            let path = path.as_ref().map_or(String::new(), |path| format!(" at {path}"));
            format!("{}{path} ({})", mask.column.as_str(), word(*replacement))
        })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erasure::data_map::REFERENCE;

    #[test]
    fn a_plan_follows_from_the_map_and_the_type_and_nothing_else() {
        let map = DataMap::reference();
        let of = |map: &DataMap| -> Vec<String> {
            JobType::ALL.iter().map(|job_type| StandingPlan::of(map, *job_type).hash).collect()
        };
        let hashes = of(&map);
        assert_eq!(hashes, of(&DataMap::reference()));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
        let other = DataMap::parse(&REFERENCE.replacen(
            "customers_redact = \"delete\"",
            "customers_redact = \"keep\"\nground = \"g\"",
            1,
        ));
        assert_ne!(StandingPlan::of(&other.unwrap(), JobType::CustomerRedact).hash, hashes[1]);
    }

    #[test]
    fn a_plan_tells_what_is_done_to_which_columns() {
        let plan = StandingPlan::of(&DataMap::reference(), JobType::CustomerRedact).to_json();
        let tables = plan["plan"]["tables"].as_array().unwrap();
        assert_eq!(tables[0]["action"], "delete");
        assert!(tables.iter().all(|table| !table["by"].as_array().unwrap().is_empty()), "{plan}");
        let hash = hex::encode(Sha256::digest(plan["plan"].to_string()));
        assert_eq!(plan["hash"], hash);
    }
}
