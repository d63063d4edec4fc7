//! Reads a map's TOML into its types, and tells everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::raw::{
    RawDates, RawForm, RawLeftOut, RawMadeAt, RawMap, RawMask, RawMatch, RawReplacement, RawShop, RawTable,
};
use super::retention;
use super::{
    Action, By, DEFAULT_STORE, Excluded, Form, LeftOut, MappedShop, MappedTable, OWN_TABLES, Problems, ShopReference,
    StoreMap, SubjectWay,
};
use crate::store::target::{
    Column, Comparison, Held, Hop, Ident, JsonPath, Kind, Made, MaskedColumn, Place, Reach, Replacement, ShopTable,
    Unit, Way,
};

/// Reads all stores of a map, the default one first, and tells what is wrong with them; what cannot be understood is left out.
///
/// # Errors
/// When the text is no map at all.
pub(super) fn read(toml: &str) -> Result<(Vec<StoreMap>, Vec<String>), Problems> {
    let raw: RawMap = toml::from_str(toml).map_err(|e| Problems(vec![e.to_string().trim().to_owned()]))?;
    let mut reader = Reader::default();
    if raw.version != 1 {
        reader.problem(format!("version: {} is not known; this build reads version 1", raw.version));
    }
    let mut stores = vec![reader.store(DEFAULT_STORE, raw.shop.as_ref())];
    for (name, store) in &raw.stores {
        if name == DEFAULT_STORE {
            reader.problem("stores.default: the default store's shop table is [shop]".to_owned());
            continue;
        }
        stores.push(reader.store(name, store.shop.as_ref()));
    }
    for table in raw.table {
        let place = stores.iter().position(|store| store.name == table.store);
        if place.is_none() {
            reader.problem(format!(
                "table \"{}\": its store \"{}\" is not declared; add [stores.{}]",
                table.name, table.store, table.store
            ));
        }
        if let (Some(table), Some(place)) = (reader.table(table), place) {
            stores[place].tables.push(table);
        }
    }
    for left in raw.left_out {
        reader.left_out(left, &mut stores);
    }
    for store in &stores {
        let declared = match store.name.as_str() {
            DEFAULT_STORE => raw.shop.is_some(),
            name => raw.stores.get(name).is_some_and(|store| store.shop.is_some()),
        };
        reader.across(store, declared);
    }
    reader.result_keys(&stores);
    let undivided = stores.iter().find_map(StoreMap::first_undivided);
    for store in &mut stores {
        store.undivided.clone_from(&undivided);
    }
    let tables = stores.iter().flat_map(|store| {
        let days = store.shop.as_ref().is_some_and(|shop| shop.retention_days.is_some());
        store.tables.iter().map(move |table| (table, days))
    });
    retention::across(tables, &mut reader.problems);
    Ok((stores, reader.problems))
}

#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn ident(&mut self, place: &str, name: &str) -> Option<Ident> {
        let ident = Ident::parse(name);
        if ident.is_none() {
            self.problem(format!(
                "{place}: {name:?} is not a plain name (letters, digits and underscores, at most 63)"
            ));
        }
        ident
    }

    fn table_name(&mut self, place: &str, name: &str) -> Option<Ident> {
        if OWN_TABLES.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            self.problem(format!("{place}: \"{name}\" is one of Efface's own tables; a data map may not touch it"));
            return None;
        }
        self.ident(place, name)
    }

    fn store(&mut self, name: &str, shop: Option<&RawShop>) -> StoreMap {
        if Ident::parse(name).is_none() {
            self.problem(format!("stores.{name}: is not a plain name"));
        }
        let place = if name == DEFAULT_STORE { "shop".to_owned() } else { format!("stores.{name}.shop") };
        let shop = shop.and_then(|shop| self.shop(&place, shop));
        StoreMap {
            name: name.to_owned(),
            shop,
            tables: Vec::new(),
            left_out: Vec::new(),
            undivided: None,
            keys: Arc::default(),
        }
    }

    fn shop(&mut self, place: &str, raw: &RawShop) -> Option<MappedShop> {
        let table = self.table_name(&format!("{place}.table"), &raw.table);
        let id = self.ident(&format!("{place}.id"), &raw.id);
        let domain = self.ident(&format!("{place}.domain"), &raw.domain);
        let mut optional = |key: &str, name: Option<&str>| name.and_then(|n| self.ident(&format!("{place}.{key}"), n));
        let number = optional("number", raw.number.as_deref());
        let active = optional("active", raw.active.as_deref());
        let installed_at = optional("installed_at", raw.installed_at.as_deref());
        let uninstalled_at = optional("uninstalled_at", raw.uninstalled_at.as_deref());
        let retention_days = optional("retention_days", raw.retention_days.as_deref());
        self.result_key(&format!("{place}.result_key"), &raw.result_key);
        let ground = raw.ground.as_deref().map(str::trim).filter(|ground| !ground.is_empty()).map(str::to_owned);
        if raw.keep_row && ground.is_none() {
            self.problem(format!("{place}.keep_row: lacks `ground`: why the shop's row may stay"));
        }
        Some(MappedShop {
            table: ShopTable { table: table?, id: id?, domain: domain?, number, active, installed_at, uninstalled_at },
            id_kind: Kind::default(),
            retention_days,
            result_key: raw.result_key.clone(),
            kept_because: ground.filter(|_| raw.keep_row),
        })
    }

    fn table(&mut self, mut raw: RawTable) -> Option<MappedTable> {
        let place = format!("table \"{}\"", raw.name);
        let name = self.table_name(&place, &raw.name);
        self.result_key(&format!("{place}.result_key"), &raw.result_key);
        let hops: Vec<Option<Hop>> = raw
            .via
            .iter()
            .map(|hop| {
                let place = format!("{place}.via");
                let (column, to) = (self.ident(&place, &hop.column), self.table_name(&place, &hop.to));
                Some(Hop { column: column?, to: to?, key: self.ident(&place, &hop.key)? })
            })
            .collect();
        let at = |at: Option<&str>| match at {
            None => Some(0),
            Some(table) => raw.via.iter().position(|hop| hop.to == table).map(|place| place + 1),
        };
        if raw.shop.is_none() {
            self.problem(format!("{place}: lacks `shop`: the column that says which shop a row belongs to"));
        }
        let shop = raw.shop.as_ref().and_then(|shop| {
            let place = format!("{place}.shop");
            let found = at(shop.at.as_deref());
            if found.is_none() {
                self.problem(format!("{place}.at: is none of the tables of `via`"));
            }
            Some(Column { at: found?, name: self.ident(&place, &shop.column)?, kind: Kind::default() })
        });
        let made = raw.made_at.as_ref().and_then(|made| {
            let (column, holder) = match made {
                RawMadeAt::Own(column) => (column, None),
                RawMadeAt::Elsewhere(made) => (&made.column, made.at.as_deref()),
            };
            let found = at(holder);
            if found.is_none() {
                self.problem(format!("{place}.made_at.at: is none of the tables of `via`"));
            }
            let name = self.ident(&format!("{place}.made_at"), column)?;
            let unit = match raw.dates {
                Some(RawDates::UnixMs) => Some(Unit::Milliseconds),
                Some(RawDates::UnixSeconds) => Some(Unit::Seconds),
                Some(RawDates::Iso | RawDates::Native) | None => None,
            };
            Some(Made { column: Column { at: found?, name, kind: Kind::default() }, held: Held::default(), unit })
        });
        let matches = std::mem::take(&mut raw.subject.0);
        let (asked, mut ways) = (matches.len(), Vec::new());
        for subject in matches {
            let found = at(subject.at.as_deref());
            if found.is_none() {
                self.problem(format!("{place}.match.at: is none of the tables of `via`"));
            }
            ways.extend(self.way(&format!("{place}.match"), &subject, found.unwrap_or_default()));
        }
        let masks = self.masks(&format!("{place}.mask"), &raw.mask);
        let ground = raw.ground.as_deref().map(str::trim).filter(|ground| !ground.is_empty()).map(str::to_owned);
        self.topics(&place, &raw, asked, ground.is_some());
        let place_export = format!("{place}.export");
        let export: Vec<_> = raw.export.iter().filter_map(|column| self.ident(&place_export, column)).collect();
        let mut exclude = Vec::new();
        for excluded in &raw.exclude {
            if excluded.because.trim().is_empty() {
                self.problem(format!("{place}.exclude: \"{}\" lacks a reason in `because`", excluded.column));
            }
            let column = self.ident(&format!("{place}.exclude"), &excluded.column);
            exclude.extend(column.map(|column| Excluded { column, because: excluded.because.clone() }));
        }
        let counter = |given: Option<String>, word: &str| {
            let rest = raw.result_key.strip_prefix("deleted").unwrap_or(&raw.result_key);
            given.unwrap_or_else(|| format!("{word}{rest}"))
        };
        let hops = hops.into_iter().collect::<Option<Vec<_>>>();
        let retention = retention::read(&raw, &mut self.problems);
        Some(MappedTable {
            reach: Reach { table: name.clone()?, hops: hops?, shop: shop?, made },
            name: name?,
            holds: raw.shop?.holds,
            ways,
            customers_redact: raw.customers_redact,
            shop_redact: raw.shop_redact,
            masks,
            ground,
            mask_key: counter(raw.mask_key, "masked"),
            keep_key: counter(raw.keep_key, "kept"),
            export_key: counter(raw.export_key, "exported"),
            result_key: raw.result_key,
            export,
            exclude,
            order: raw.order,
            dates: raw.dates,
            retention,
            key: Vec::new(),
        })
    }

    fn topics(&mut self, place: &str, raw: &RawTable, matches: usize, ground: bool) {
        let found = matches > 0;
        if !found && raw.customers_redact != Action::Keep {
            let does = if raw.customers_redact == Action::Delete { "deletes" } else { "masks" };
            self.problem(format!("{place}: {does} for customers/redact, but has no `match` to find a customer by"));
        }
        if !found && !raw.export.is_empty() {
            self.problem(format!("{place}: exports, but has no `match` to find a customer by"));
        }
        if found && raw.customers_redact == Action::Keep && !ground && raw.export.is_empty() {
            self.problem(format!("{place}: keeps a customer's rows, but gives no `ground` for it"));
        }
        let masks = [raw.customers_redact, raw.shop_redact].contains(&Action::Mask);
        if masks && raw.mask.is_empty() {
            self.problem(format!("{place}: masks, but `mask` names no column"));
        }
        if !masks && !raw.mask.is_empty() {
            self.problem(format!("{place}: names columns to mask, but no topic masks"));
        }
    }

    fn way(&mut self, place: &str, raw: &RawMatch, at: usize) -> Option<SubjectWay> {
        let name = self.ident(place, &raw.column);
        let path = raw.json.as_deref().map(|path| {
            let parsed = JsonPath::parse(path);
            if parsed.is_none() {
                self.problem(format!("{place}.json: {path:?} is not a path like customer.email or orders[*].id"));
            }
            parsed
        });
        if raw.array && raw.json.is_some() {
            self.problem(format!("{place}: \"{}\" is either an array or JSON", raw.column));
        }
        let stands = match (path, raw.array) {
            (Some(path), _) => Place::Json(path?),
            (None, true) => Place::Element,
            (None, false) => Place::Whole,
        };
        let form = match (raw.form.unwrap_or(RawForm::Plain), &raw.key) {
            (RawForm::Plain, None) => Form::Plain,
            (RawForm::Sha256, None) => Form::Sha256,
            (RawForm::HmacSha256, Some(key)) if Ident::parse(key).is_some() => Form::Hmac(key.clone()),
            (RawForm::HmacSha256, _) => {
                self.problem(format!("{place}: hmac_sha256 needs the name of its key in `key`"));
                return None;
            }
            (_, Some(_)) => {
                self.problem(format!("{place}: `key` goes with as = \"hmac_sha256\" only"));
                return None;
            }
        };
        let comparison = match (&form, raw.by) {
            (Form::Plain, By::Email) => Comparison::Email,
            (Form::Plain, By::Phone) => Comparison::Phone,
            _ => Comparison::Exact,
        };
        let column = Column { at, name: name?, kind: Kind::default() };
        Some(SubjectWay { by: raw.by, form, way: Way { column, place: stands, comparison } })
    }

    fn masks(&mut self, place: &str, raw: &[RawMask]) -> Vec<MaskedColumn> {
        let mut masks: Vec<MaskedColumn> = Vec::new();
        for mask in raw {
            let Some(column) = self.ident(place, &mask.column) else { continue };
            let path = match mask.json.as_deref().map(|path| (path, JsonPath::parse(path))) {
                Some((path, None)) => {
                    self.problem(format!("{place}.json: {path:?} is not a path like customer.email or orders[*].id"));
                    continue;
                }
                Some((_, parsed)) => parsed,
                None => None,
            };
            let replacement = match mask.with {
                RawReplacement::Redact => Replacement::Redact,
                RawReplacement::Hash => Replacement::Hash,
                RawReplacement::Encrypt => Replacement::Encrypt,
                RawReplacement::Remove => Replacement::Remove,
            };
            let known = masks.iter_mut().find(|known| known.column == column);
            match known {
                None => masks.push(MaskedColumn { column, kind: Kind::default(), parts: vec![(path, replacement)] }),
                Some(known) => {
                    let whole = path.is_none() || known.parts.iter().any(|(path, _)| path.is_none());
                    if whole || known.parts.iter().any(|(other, _)| *other == path) {
                        self.problem(format!("{place}: \"{}\" is masked twice", mask.column));
                    }
                    known.parts.push((path, replacement));
                }
            }
        }
        masks
    }

    /// A table that is left out belongs to a store, has a reason, and is not in the map.
    fn left_out(&mut self, left: RawLeftOut, stores: &mut [StoreMap]) {
        let place = format!("left_out \"{}\"", left.name);
        if left.because.trim().is_empty() {
            self.problem(format!("{place}: lacks a reason in `because`"));
        }
        let Some(store) = stores.iter_mut().find(|store| store.name == left.store) else {
            return self.problem(format!("{place}: its store \"{0}\" is not declared; add [stores.{0}]", left.store));
        };
        if store.tables.iter().any(|table| table.name.as_str() == left.name) {
            self.problem(format!("{place}: has a [[table]] as well"));
        }
        store.left_out.push(LeftOut { name: left.name, because: left.because });
    }

    /// What has to fit between the tables of one store, whose shop table is `declared`, rightly or not.
    fn across(&mut self, store: &StoreMap, declared: bool) {
        let mut names = BTreeSet::new();
        for table in &store.tables {
            let name = table.name.as_str();
            let is_shop = store.shop.as_ref().is_some_and(|shop| shop.table.table == table.name);
            if !names.insert(name) || is_shop {
                self.problem(format!("table \"{name}\": is listed twice"));
            }
            if table.holds == ShopReference::ShopId && !declared {
                let place =
                    if store.name == DEFAULT_STORE { "[shop]".into() } else { format!("[stores.{}.shop]", store.name) };
                self.problem(format!("table \"{name}\": holds a shop_id, but there is no {place} to look it up in"));
            }
        }
    }

    fn result_keys(&mut self, stores: &[StoreMap]) {
        let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
        let shops = stores.iter().filter_map(|store| store.shop.as_ref());
        for shop in shops {
            let name = shop.table.table.as_str();
            if let Some(other) = keys.insert(&shop.result_key, name) {
                self.problem(format!("table \"{name}\": result_key {} is also that of \"{other}\"", shop.result_key));
            }
        }
        for table in stores.iter().flat_map(|store| &store.tables) {
            let name = table.name.as_str();
            let counters =
                [("result_key", &table.result_key), ("mask_key", &table.mask_key), ("keep_key", &table.keep_key)];
            for (what, key) in counters {
                if let Some(other) = keys.insert(key, name) {
                    self.problem(format!("table \"{name}\": {what} {key} is also that of \"{other}\""));
                }
            }
        }
    }

    fn result_key(&mut self, place: &str, key: &str) {
        if key.is_empty() || matches!(key, "residual" | "completedAt" | "grounds" | "stores" | "madeUpTo") {
            self.problem(format!("{place}: {key:?} cannot be a result key"));
        }
    }
}
