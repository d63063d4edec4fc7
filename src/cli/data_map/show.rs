//! `efface data-map show`: what the map says, spelt out.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::check::map_flag;
use super::{Context, Exit, output};
use crate::app::read_data_map;
use crate::erasure::data_map::{Action, By, Form, MappedShop, MappedTable, ShopReference, StoreMap};
use crate::store::target::{Column, Ident, Place, Replacement};

/// Show what each topic does, table by table
///
/// Needs no database: tables stand in the order of the file. `serve` works them children first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The map to show; `data_map.file` of the configuration when left out
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
}

pub fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config(map_flag(args.map.as_ref()))?;
    let map = read_data_map(&config)?;
    if context.json() {
        let stores: Vec<Value> = map.stores.iter().map(store).collect();
        output::json(&json!({ "digest": map.digest, "stores": stores }))?;
    } else {
        let headers = ["STORE", "TABLE", "SHOP", "MATCH", "CUSTOMERS/REDACT", "SHOP/REDACT"];
        output::table(headers, map.stores.iter().flat_map(rows))?;
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

/// A column, with its table when that is another.
fn column(table: &MappedTable, column: &Column) -> String {
    match column.at.checked_sub(1).and_then(|hop| table.reach.hops.get(hop)) {
        Some(hop) => format!("{}.{}", hop.to.as_str(), column.name.as_str()),
        None => column.name.as_str().to_owned(),
    }
}

fn holds(holds: ShopReference) -> &'static str {
    match holds {
        ShopReference::ShopId => "shop_id",
        ShopReference::ShopDomain => "shop_domain",
        ShopReference::ShopNumber => "shop_number",
    }
}

fn ways(table: &MappedTable) -> Vec<String> {
    let way = |way: &crate::erasure::data_map::SubjectWay| {
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

/// What a topic does, in words.
fn done(table: &MappedTable, whole_shop: bool) -> String {
    match table.action(whole_shop) {
        Action::Delete => "delete".to_owned(),
        Action::Mask => format!("mask {}", masks(table).join(", ")),
        Action::Keep if !whole_shop && table.ways.is_empty() => "not reached".to_owned(),
        Action::Keep => table.ground.as_ref().map_or("keep".to_owned(), |ground| format!("keep ({ground})")),
    }
}

fn masks(table: &MappedTable) -> Vec<String> {
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
