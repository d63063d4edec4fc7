//! `efface data-map show`: what the map says, spelt out.

use std::path::PathBuf;

use entity::gdpr_job::JobType;
use serde_json::{Map, Value, json};

use super::check::map_flag;
use super::{Context, Exit, output};
use crate::app::read_data_map;
use crate::erasure::data_map::{Action, MappedShop, MappedTable, StoreMap};
use crate::erasure::standing_plan::{StandingPlan, column, holds, masks, ways};
use crate::store::target::Ident;

/// Show what each topic does, table by table
///
/// Needs no database: tables stand in the order of the file. `serve` works them children first. With --json also the plan
/// of each type of job, of which receipts tell the hash.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The map to show; `data_map.file` of the configuration when left out
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(map_flag(args.map.as_ref()))?;
    let map = read_data_map(&config)?;
    let plans = JobType::ALL.iter().map(|job_type| (*job_type, StandingPlan::of(&map, *job_type)));
    if context.json() {
        let stores: Vec<Value> = map.stores.iter().map(store).collect();
        let plan = |(job_type, plan): (JobType, StandingPlan)| (job_type.to_string(), plan.to_json());
        let plans: Map<String, Value> = plans.map(plan).collect();
        output::json(&json!({ "digest": map.digest, "stores": stores, "plans": plans }))?;
    } else {
        let headers = ["STORE", "TABLE", "SHOP", "MATCH", "CUSTOMERS/REDACT", "SHOP/REDACT"];
        output::table(headers, map.stores.iter().flat_map(rows))?;
        for (job_type, plan) in plans {
            output::talk(&format!("plan of {job_type} {}", plan.hash));
        }
    }
    Ok(Exit::Done)
}

fn rows(part: &StoreMap) -> Vec<[String; 6]> {
    let mut rows: Vec<[String; 6]> = part
        .tables
        .iter()
        .map(|table| {
            let ways: Vec<String> = ways(table);
            [
                part.name.clone(),
                table.name.as_str().to_owned(),
                format!("{}: {}", column(table, &table.reach.shop), holds(table.holds)),
                if ways.is_empty() { "-".to_owned() } else { ways.join("; ") },
                done(table, false),
                done(table, true),
            ]
        })
        .collect();
    if let Some(shop) = &part.shop {
        let table = shop.table.table.as_str().to_owned();
        let domain = format!("{}: domain", shop.table.domain.as_str());
        rows.push([part.name.clone(), table, domain, "-".to_owned(), "not reached".to_owned(), shop_row(shop)]);
    }
    rows
}

fn shop_row(shop: &MappedShop) -> String {
    shop.kept_because.as_ref().map_or("delete".to_owned(), |ground| format!("keep ({ground})"))
}

fn store(part: &StoreMap) -> Value {
    let tables: Vec<Value> = part
        .tables
        .iter()
        .map(|table| {
            json!({
                "name": table.name.as_str(),
                "via": table.reach.hops.iter().map(|hop| hop.to.as_str()).collect::<Vec<_>>(),
                "shop": { "column": column(table, &table.reach.shop), "holds": holds(table.holds) },
                "match": ways(table),
                "customersRedact": done(table, false),
                "shopRedact": done(table, true),
                "mask": masks(table),
                "ground": table.ground,
                "resultKey": table.result_key,
                "exportKey": table.export_key,
                "export": table.export.iter().map(Ident::as_str).collect::<Vec<_>>(),
                "exclude": table.exclude.iter()
                    .map(|excluded| json!({ "column": excluded.column.as_str(), "because": excluded.because }))
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    let left_out: Vec<Value> =
        part.left_out.iter().map(|left| json!({ "name": left.name, "because": left.because })).collect();
    let shop = part.shop.as_ref().map(|shop| {
        json!({
            "table": shop.table.table.as_str(),
            "id": shop.table.id.as_str(),
            "domain": shop.table.domain.as_str(),
            "shopRedact": shop_row(shop),
            "resultKey": shop.result_key,
        })
    });
    json!({ "name": part.name, "shop": shop, "tables": tables, "leftOut": left_out })
}

/// What a topic does, in words.
fn done(table: &MappedTable, whole_shop: bool) -> String {
    match table.action(whole_shop) {
        Action::Delete => "delete".to_owned(),
        Action::Mask => format!("mask {}", masks(table).join(", ")),
        Action::Keep if !whole_shop && table.ways.is_empty() => "not reached".to_owned(),
        Action::Keep => table.ground.as_ref().map_or("keep".to_owned(), |ground| format!("keep ({ground})")),
    }
}
