//! A case's data map as the TOML that a developer would write.

use std::fmt::Write as _;

use super::oracle::shops_key;
use super::schema::{Action, By, Case, EACH, Form, Holds, Path, Shops, Table, Way, With};
use super::sql::table_name;

pub fn toml(case: &Case, run: u32) -> String {
    let mut toml = "version = 1\n".to_owned();
    for (place, store) in case.stores.iter().enumerate() {
        let section = if place == 0 { "shop".to_owned() } else { format!("stores.{}.shop", store.name) };
        if place > 0 {
            let _ = writeln!(toml, "\n[stores.{}]", store.name);
        }
        if let Some(shops) = &store.shops {
            shop_table(&mut toml, case, place, &section, shops, run);
        }
    }
    for place in case.file_order.iter().filter(|place| !case.tables[**place].gone) {
        mapped(&mut toml, case, *place, run);
    }
    toml
}

fn shop_table(toml: &mut String, case: &Case, store: usize, section: &str, shops: &Shops, run: u32) {
    let table = &case.tables[shops.table];
    let name = |column: usize| &table.columns[column].name;
    let _ = writeln!(toml, "\n[{section}]\ntable = \"{}\"", table_name(case, shops.table, run));
    let _ = writeln!(toml, "id = \"{}\"\ndomain = \"{}\"", name(shops.id), name(shops.domain));
    if let Some(number) = shops.number {
        let _ = writeln!(toml, "number = \"{}\"", name(number));
    }
    if let Some([active, installed, uninstalled]) = shops.life {
        let (active, installed, uninstalled) = (name(active), name(installed), name(uninstalled));
        let _ =
            writeln!(toml, "active = \"{active}\"\ninstalled_at = \"{installed}\"\nuninstalled_at = \"{uninstalled}\"");
    }
    let _ = writeln!(toml, "result_key = \"{}\"", shops_key(store));
    if shops.keep_row {
        let _ = writeln!(toml, "keep_row = true\nground = \"Art. 17(3)(b): the model keeps it\"");
    }
}

fn mapped(toml: &mut String, case: &Case, place: usize, run: u32) {
    let table = &case.tables[place];
    let map = table.map.as_ref().unwrap();
    let _ = writeln!(toml, "\n[[table]]\nname = \"{}\"", table_name(case, place, run));
    if table.store > 0 {
        let _ = writeln!(toml, "store = \"{}\"", case.stores[table.store].name);
    }
    let mut from = table;
    let mut hops = Vec::new();
    for hop in &map.via {
        let to = &case.tables[hop.to];
        hops.push(format!(
            "{{ column = \"{}\", to = \"{}\", key = \"{}\" }}",
            from.columns[hop.column].name,
            table_name(case, hop.to, run),
            to.columns[hop.key].name,
        ));
        from = to;
    }
    if !hops.is_empty() {
        let _ = writeln!(toml, "via = [ {} ]", hops.join(", "));
    }
    let holds = match map.shop.holds {
        Holds::Id => "shop_id",
        Holds::Domain => "shop_domain",
        Holds::Number => "shop_number",
    };
    let shop = named(case, place, map.shop.column, map.shop.at, run);
    let _ = writeln!(toml, "shop = {{ {shop}, holds = \"{holds}\" }}");
    let ways: Vec<String> = map.ways.iter().map(|way| format!("  {},\n", written(case, place, way, run))).collect();
    match ways.as_slice() {
        [] => {}
        // Both ways to write a single one.
        [_] if place.is_multiple_of(2) => {
            let _ = writeln!(toml, "match = {}", written(case, place, &map.ways[0], run));
        }
        _ => {
            let _ = writeln!(toml, "match = [\n{}]", ways.concat());
        }
    }
    let action = |action| match action {
        Action::Delete => "delete",
        Action::Mask => "mask",
        Action::Keep => "keep",
    };
    let _ = writeln!(toml, "customers_redact = \"{}\"\nshop_redact = \"{}\"", action(map.customers), action(map.whole));
    masks(toml, table);
    if !map.ways.is_empty() && [map.customers, map.whole].contains(&Action::Keep) {
        let _ = writeln!(toml, "ground = \"Art. 17(3)(b): the model keeps it\"");
    }
    let _ = writeln!(toml, "result_key = \"deleted{}\"", map.key);
    if !map.export.is_empty() {
        let names: Vec<String> =
            map.export.iter().map(|column| format!("\"{}\"", table.columns[*column].name)).collect();
        let _ = writeln!(toml, "export = [{}]", names.join(", "));
    }
    if let Some(order) = map.order {
        let _ = writeln!(toml, "order = {order}");
    }
    if !map.excluded.is_empty() {
        let excluded = map.excluded.iter().map(|column| {
            format!("{{ column = \"{}\", because = \"the model says so\" }}", table.columns[*column].name)
        });
        let _ = writeln!(toml, "exclude = [ {} ]", excluded.collect::<Vec<_>>().join(", "));
    }
}

/// A column, and the table that it is in when that is another one.
fn named(case: &Case, place: usize, column: usize, at: usize, run: u32) -> String {
    let table = case.table_at(place, at);
    let column = format!("column = \"{}\"", case.tables[table].columns[column].name);
    if at == 0 { column } else { format!("{column}, at = \"{}\"", table_name(case, table, run)) }
}

fn written(case: &Case, place: usize, way: &Way, run: u32) -> String {
    let by = match way.by {
        By::Order => "order_id",
        By::Customer => "customer_id",
        By::Email => "email",
        By::Phone => "phone",
    };
    let mut text = format!("{{ {}, by = \"{by}\"", named(case, place, way.column, way.at, run));
    text.push_str(match way.form {
        Form::Plain => "",
        Form::Sha256 => ", as = \"sha256\"",
        Form::HmacSha256 => ", as = \"hmac_sha256\", key = \"crm\"",
    });
    if let Some(path) = way.path {
        let _ = write!(text, ", json = \"{}\"", dotted(path));
    }
    let column = &case.tables[case.table_at(place, way.at)].columns[way.column];
    if matches!(column.kind, super::schema::Kind::Ints | super::schema::Kind::Texts) {
        text.push_str(", array = true");
    }
    text.push_str(" }");
    text
}

fn masks(toml: &mut String, table: &Table) {
    let map = table.map.as_ref().unwrap();
    if map.masks.is_empty() {
        return;
    }
    toml.push_str("mask = [\n");
    for mask in &map.masks {
        let with = match mask.with {
            With::Redact => "redact",
            With::Hash => "hash",
            With::Encrypt => "encrypt",
            With::Remove => "remove",
        };
        let path = mask.path.map_or(String::new(), |path| format!(", json = \"{}\"", dotted(path)));
        let _ = writeln!(toml, "  {{ column = \"{}\"{path}, with = \"{with}\" }},", table.columns[mask.column].name);
    }
    toml.push_str("]\n");
}

/// `orders[*].id`.
pub fn dotted(path: Path) -> String {
    let mut text = String::new();
    for step in path {
        if *step != EACH && !text.is_empty() {
            text.push('.');
        }
        text.push_str(step);
    }
    text
}
