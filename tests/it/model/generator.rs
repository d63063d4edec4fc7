//! From a seed to a case: stores, tables with their keys and references, the map over them, jobs.
//!
//! A case is one that *can* be done: what a foreign key holds on to is deleted with what it points to. Draws that come
//! out otherwise are thrown away and drawn again.

use super::oracle::{can_mask, is_sound};
use super::random::Random;
use super::rows::{self, About};
use super::schema::{
    Action, By, Case, Column, Dialect, Foreign, Form, Holds, Hop, Job, Kind, Mapped, Mask, Row, ShopWay, Shops,
    StoreSpec, Table, Topic, Value, Way, With,
};
use super::words::{
    COLUMN_NAMES, MASK_PATHS, ORDER_NAMES, ORDERS, PEOPLE, SHOPS, TABLE_NAMES, email_text, id, paths, phone_text,
};

/// What masks do, and how often.
const REPLACEMENTS: [With; 5] = [With::Redact, With::Redact, With::Hash, With::Encrypt, With::Remove];

/// The case of a seed: always the same one.
pub fn case(seed: u64, dialect: Dialect) -> Case {
    let drawn = (0_u64..).map(|draw| Builder::new(seed, draw, dialect).case());
    drawn.into_iter().find(is_sound).unwrap()
}

struct Builder {
    random: Random,
    dialect: Dialect,
    case: Case,
    table_names: Vec<&'static str>,
    /// Per table and row: the row that it refers to, and its shop.
    links: Vec<Vec<(Option<usize>, Option<usize>)>>,
}

/// What a column is there for.
#[derive(Clone)]
enum Purpose {
    Key,
    Link,
    Shop(Holds),
    Way(By, Form),
    Document,
    Ballast,
}

/// A table in the making.
struct Draft {
    place: usize,
    dialect: Dialect,
    names: Vec<&'static str>,
    columns: Vec<Column>,
    purposes: Vec<Purpose>,
}

impl Draft {
    fn column(&mut self, random: &mut Random, kind: Kind, not_null: bool, purpose: Purpose) -> usize {
        let declared = declared(random, self.dialect, kind, matches!(purpose, Purpose::Way(..)));
        let name = self.names.pop().unwrap().to_owned();
        self.columns.push(Column { name, kind, declared, not_null, gone: false });
        self.purposes.push(purpose);
        self.columns.len() - 1
    }
}

fn declared(random: &mut Random, dialect: Dialect, kind: Kind, small: bool) -> &'static str {
    match (dialect, kind) {
        (Dialect::Sqlite, Kind::Int) => random.pick(&["INTEGER", "BIGINT"]),
        (Dialect::Sqlite, Kind::Text) => random.pick(&["TEXT", "VARCHAR(255)", "text"]),
        (Dialect::Sqlite, Kind::Json) => random.pick(&["TEXT", "JSON", "JSONB"]),
        (Dialect::Sqlite, Kind::Bytes) => "BLOB",
        (Dialect::Sqlite, Kind::Bool) => "BOOLEAN",
        (Dialect::Sqlite, _) => "TEXT",
        (Dialect::Postgres, Kind::Int) if small => random.pick(&["bigint", "bigint", "integer"]),
        (Dialect::Postgres, Kind::Int) => "bigint",
        (Dialect::Postgres, Kind::Text) => random.pick(&["text", "varchar(255)", "text"]),
        (Dialect::Postgres, Kind::Json) => random.pick(&["jsonb", "json"]),
        (Dialect::Postgres, Kind::Ints) => "bigint[]",
        (Dialect::Postgres, Kind::Texts) => random.pick(&["text[]", "varchar(255)[]"]),
        (Dialect::Postgres, Kind::Bytes) => "bytea",
        (Dialect::Postgres, Kind::Bool) => "boolean",
        (Dialect::Postgres, Kind::Moment) => "timestamptz",
    }
}

impl Builder {
    fn new(seed: u64, draw: u64, dialect: Dialect) -> Self {
        let case = Case {
            seed,
            stores: Vec::new(),
            tables: Vec::new(),
            file_order: Vec::new(),
            jobs: Vec::new(),
            together: false,
            small_steps: false,
        };
        let random = Random::new(seed.rotate_left(32) ^ draw);
        Self { random, dialect, case, table_names: TABLE_NAMES.to_vec(), links: Vec::new() }
    }

    fn case(mut self) -> Case {
        self.random.shuffle(&mut self.table_names);
        self.case.together = self.random.percent(25);
        self.case.small_steps = self.random.percent(30);
        let stores = self.random.pick(&[1, 1, 1, 2, 2, 3]);
        for place in 0..stores {
            self.store(place);
        }
        let mut order: Vec<usize> = self.case.mapped().map(|(place, ..)| place).collect();
        self.random.shuffle(&mut order);
        self.case.file_order = order;
        if self.random.percent(20) {
            self.number_tables();
        }
        self.jobs();
        self.case
    }

    /// Children get lower numbers than their parents.
    fn number_tables(&mut self) {
        let depths: Vec<i64> = (0..self.case.tables.len()).map(|place| self.depth(place)).collect();
        for (table, depth) in self.case.tables.iter_mut().zip(depths) {
            if let Some(map) = &mut table.map {
                map.order = Some(100 - 10 * depth);
            }
        }
    }

    fn depth(&self, place: usize) -> i64 {
        let table = &self.case.tables[place];
        let hops = table.map.iter().filter_map(|map| map.via.first()).map(|hop| hop.to);
        let parents = table.foreign.iter().map(|foreign| foreign.to).chain(hops);
        parents.map(|parent| self.depth(parent) + 1).max().unwrap_or(0)
    }

    fn store(&mut self, place: usize) {
        let name = ["default", "second", "third"][place];
        // The third store of a suite on PostgreSQL is a SQLite file.
        let dialect = if place == 2 { Dialect::Sqlite } else { self.dialect };
        self.case.stores.push(StoreSpec { name, dialect, shops: None });
        if place == 0 || self.random.percent(60) {
            self.shop_table(place);
        }
        let tables = if place == 0 { 1 + self.random.below(4) } else { 1 + self.random.below(2) };
        for _ in 0..tables {
            self.mapped_table(place);
        }
        if self.random.percent(30) {
            self.bystander(place);
        }
    }

    fn draft(&mut self, store: usize) -> Draft {
        let mut names = COLUMN_NAMES.to_vec();
        self.random.shuffle(&mut names);
        let dialect = self.case.stores[store].dialect;
        Draft { place: self.case.tables.len(), dialect, names, columns: Vec::new(), purposes: Vec::new() }
    }

    fn push(&mut self, store: usize, draft: Draft, key: Vec<usize>, rows: Vec<Row>) {
        let name = self.table_names.pop().unwrap().to_owned();
        self.case.tables.push(Table {
            store,
            name,
            columns: draft.columns,
            key,
            unique: None,
            foreign: Vec::new(),
            partitioned: false,
            rows,
            map: None,
            gone: false,
        });
        self.links.push(Vec::new());
    }

    fn shop_table(&mut self, store: usize) {
        let mut draft = self.draft(store);
        let random = &mut self.random;
        let id_kind = random.pick(&[Kind::Int, Kind::Text]);
        let id = draft.column(random, id_kind, true, Purpose::Key);
        let domain = draft.column(random, Kind::Text, true, Purpose::Shop(Holds::Domain));
        let number_kind = random.pick(&[Kind::Int, Kind::Text]);
        let number = random.percent(50).then(|| draft.column(random, number_kind, false, Purpose::Shop(Holds::Number)));
        let life = random.percent(40).then(|| {
            let active = draft.column(random, Kind::Bool, false, Purpose::Ballast);
            [
                active,
                draft.column(random, Kind::Moment, false, Purpose::Ballast),
                draft.column(random, Kind::Moment, false, Purpose::Ballast),
            ]
        });
        let note = draft.column(random, Kind::Text, false, Purpose::Ballast);
        let mut rows = Vec::new();
        for shop in 0..SHOPS.len() - 1 {
            if random.percent(12) {
                continue;
            }
            let mut cells = vec![Value::Null; draft.columns.len()];
            cells[id] = rows::of_shop(Holds::Id, id_kind, shop);
            cells[domain] = rows::of_shop(Holds::Domain, Kind::Text, shop);
            if let Some(number) = number {
                cells[number] = rows::of_shop(Holds::Number, number_kind, shop);
            }
            if let Some([active, installed, uninstalled]) = life {
                let gone = random.percent(60);
                cells[active] = Value::Bool(!gone);
                cells[installed] = Value::Text("2026-01-01 00:00:00+00".to_owned());
                cells[uninstalled] = if gone { Value::Text("2026-11-02 00:00:00+00".to_owned()) } else { Value::Null };
            }
            cells[note] = rows::ballast(random, Kind::Text);
            rows.push(Row { no: i64::try_from(rows.len()).unwrap() + 1, cells });
        }
        let keep_row = random.percent(10);
        let shops = Shops { table: draft.place, id, domain, number, life, keep_row };
        self.push(store, draft, vec![id], rows);
        self.case.stores[store].shops = Some(shops);
    }

    /// A table that no map names, with everybody's data in it.
    fn bystander(&mut self, store: usize) {
        let mut draft = self.draft(store);
        let random = &mut self.random;
        let kinds = [Kind::Text, Kind::Int, Kind::Json, Kind::Bytes, Kind::Text];
        for kind in kinds {
            draft.column(random, kind, false, Purpose::Ballast);
        }
        let row = |random: &mut Random, no| Row {
            no,
            cells: kinds.iter().map(|kind| rows::ballast(random, *kind)).collect(),
        };
        let rows = (1..4).map(|no| row(random, no)).collect();
        self.push(store, draft, Vec::new(), rows);
    }

    fn mapped_table(&mut self, store: usize) {
        let mut draft = self.draft(store);
        let parents: Vec<usize> = self
            .case
            .mapped()
            .filter(|(_, table, map)| table.store == store && table.unique.is_some() && map.via.len() < 2)
            .map(|(place, ..)| place)
            .collect();
        let parent = (!parents.is_empty() && self.random.percent(60)).then(|| self.random.pick(&parents));
        let enforced = parent.is_some() && self.random.percent(50);
        let nullable = self.random.percent(50);
        let link = parent.map(|parent| {
            let unique = self.case.tables[parent].unique.unwrap();
            let like = self.case.tables[parent].columns[unique].clone();
            let column = draft.column(&mut self.random, like.kind, !nullable, Purpose::Link);
            draft.columns[column].declared = like.declared;
            Hop { column, to: parent, key: unique }
        });
        let shop = self.shop_way(store, &mut draft, parent, enforced);
        let ways = self.ways(&mut draft, parent, enforced);
        let via = link.iter().cloned().chain(parent.into_iter().flat_map(|parent| self.map(parent).via.clone()));
        let hops = ways.iter().map(|way| way.at).chain([shop.at]).max().unwrap();
        let via: Vec<Hop> = via.take(hops).collect();
        let (mut customers, mut whole) = self.actions(&ways);
        if let (Some(parent), true) = (parent, enforced) {
            let parent = self.map(parent);
            if parent.customers == Action::Delete && !ways.is_empty() {
                customers = Action::Delete;
            }
            if parent.whole == Action::Delete {
                whole = Action::Delete;
            }
        }
        let masks = if [customers, whole].contains(&Action::Mask) { self.masks(&mut draft, &ways) } else { Vec::new() };
        let random = &mut self.random;
        let (key, unique) = keys(random, &mut draft, &shop, &ways, &masks);
        let mut excluded = Vec::new();
        for _ in 0..random.below(3) {
            let kind = random.pick(&[Kind::Text, Kind::Int, Kind::Bytes, Kind::Json]);
            let column = draft.column(random, kind, false, Purpose::Ballast);
            if random.percent(30) {
                excluded.push(column);
            }
        }
        let all = 0..draft.columns.len();
        let export = if ways.is_empty() { Vec::new() } else { all.filter(|_| random.percent(40)).collect() };
        let mut foreign = Vec::new();
        if let (Some(hop), true) = (&link, enforced) {
            let on_delete = random.pick(&["NO ACTION", "NO ACTION", "CASCADE", "RESTRICT"]);
            foreign.push(Foreign { column: hop.column, to: hop.to, key: hop.key, on_delete });
        }
        if let Some(shops) = &self.case.stores[store].shops
            && shop.at == 0
            && shop.holds == Holds::Id
            && (whole == Action::Delete || shops.keep_row)
            && random.percent(50)
        {
            foreign.push(Foreign { column: shop.column, to: shops.table, key: shops.id, on_delete: "NO ACTION" });
        }
        let partitioned = draft.dialect == Dialect::Postgres
            && !key.is_empty()
            && unique.is_none_or(|u| key == [u])
            && random.percent(15);
        let purposes = draft.purposes.clone();
        let place = draft.place;
        self.push(store, draft, key, Vec::new());
        let result_key = format!("Rows{place}");
        let map = Mapped { via, shop, ways, customers, whole, masks, order: None, export, excluded, key: result_key };
        let table = &mut self.case.tables[place];
        (table.unique, table.foreign, table.partitioned, table.map) = (unique, foreign, partitioned, Some(map));
        self.rows(place, &purposes, link.as_ref());
    }

    fn map(&self, place: usize) -> &Mapped {
        self.case.tables[place].map.as_ref().unwrap()
    }

    fn shop_way(&mut self, store: usize, draft: &mut Draft, parent: Option<usize>, enforced: bool) -> ShopWay {
        let of_parent = parent.map(|parent| self.map(parent).shop.clone());
        if let Some(shop) = &of_parent
            && self.random.percent(60)
        {
            return ShopWay { at: shop.at + 1, ..shop.clone() };
        }
        let shops = self.case.stores[store].shops.as_ref();
        let holds = match (&of_parent, shops) {
            (Some(shop), _) if enforced => shop.holds,
            (_, Some(_)) => self.random.pick(&[Holds::Id, Holds::Id, Holds::Id, Holds::Domain, Holds::Number]),
            (_, None) => self.random.pick(&[Holds::Domain, Holds::Number]),
        };
        let kind = match (holds, shops) {
            (Holds::Id, Some(shops)) => self.case.tables[shops.table].columns[shops.id].kind,
            (Holds::Domain, _) => Kind::Text,
            _ => self.random.pick(&[Kind::Int, Kind::Text]),
        };
        let not_null = self.random.percent(60);
        let column = draft.column(&mut self.random, kind, not_null, Purpose::Shop(holds));
        if holds == Holds::Id && draft.dialect == Dialect::Postgres && kind == Kind::Text {
            draft.columns[column].declared = "text";
        }
        ShopWay { column, holds, at: 0 }
    }

    fn ways(&mut self, draft: &mut Draft, parent: Option<usize>, enforced: bool) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        if let Some(parent) = parent {
            let map = self.map(parent).clone();
            let all = enforced && map.customers == Action::Delete;
            for way in map.ways {
                if all || self.random.percent(50) {
                    ways.push(Way { at: way.at + 1, ..way });
                }
            }
        }
        let random = &mut self.random;
        let mut document = None;
        for _ in 0..random.pick(&[0, 1, 1, 1, 2, 3]) {
            let by = random.pick(&[By::Order, By::Order, By::Customer, By::Email, By::Phone]);
            let arrays = draft.dialect == Dialect::Postgres;
            let kind = match by {
                By::Order | By::Customer if arrays => {
                    random.pick(&[Kind::Int, Kind::Text, Kind::Text, Kind::Json, Kind::Ints, Kind::Texts])
                }
                By::Order | By::Customer => random.pick(&[Kind::Int, Kind::Text, Kind::Text, Kind::Json]),
                _ if arrays => random.pick(&[Kind::Text, Kind::Text, Kind::Json, Kind::Texts]),
                _ => random.pick(&[Kind::Text, Kind::Text, Kind::Json]),
            };
            let contact = matches!(by, By::Email | By::Phone);
            let form = if contact && kind == Kind::Text && random.percent(35) {
                random.pick(&[Form::Sha256, Form::HmacSha256])
            } else {
                Form::Plain
            };
            let way = if kind == Kind::Json {
                let column =
                    *document.get_or_insert_with(|| draft.column(random, Kind::Json, false, Purpose::Document));
                Way { column, at: 0, by, form, path: Some(random.pick(paths(by))) }
            } else {
                let column = draft.column(random, kind, false, Purpose::Way(by, form));
                Way { column, at: 0, by, form, path: None }
            };
            if !ways.iter().any(|other| other.at == 0 && (other.column, other.path) == (way.column, way.path)) {
                ways.push(way);
            }
        }
        random.shuffle(&mut ways);
        ways
    }

    fn actions(&mut self, ways: &[Way]) -> (Action, Action) {
        let customers = if ways.is_empty() {
            Action::Keep
        } else {
            self.random.pick(&[
                Action::Delete,
                Action::Delete,
                Action::Delete,
                Action::Mask,
                Action::Mask,
                Action::Keep,
            ])
        };
        (
            customers,
            self.random.pick(&[
                Action::Delete,
                Action::Delete,
                Action::Delete,
                Action::Delete,
                Action::Mask,
                Action::Keep,
            ]),
        )
    }

    /// Masks of columns that ways look at, of documents, and of columns of their own.
    fn masks(&mut self, draft: &mut Draft, ways: &[Way]) -> Vec<Mask> {
        let random = &mut self.random;
        let with = |random: &mut Random| random.pick(&REPLACEMENTS);
        let mut masks = Vec::new();
        let mut columns: Vec<usize> = ways.iter().filter(|way| way.at == 0).map(|way| way.column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns.retain(|_| random.percent(50));
        if columns.is_empty() || random.percent(50) {
            columns.push(draft.column(random, Kind::Text, false, Purpose::Ballast));
        }
        for column in columns {
            let Column { kind, not_null, .. } = draft.columns[column];
            if kind == Kind::Json {
                let mut paths = MASK_PATHS.to_vec();
                random.shuffle(&mut paths);
                for path in &paths[..=random.below(2)] {
                    masks.push(Mask { column, path: Some(path), with: with(random) });
                }
            } else {
                let with = with(random);
                let with = if can_mask(kind, not_null, with) { with } else { With::Remove };
                masks.push(Mask { column, path: None, with });
            }
        }
        masks
    }

    fn rows(&mut self, place: usize, purposes: &[Purpose], link: Option<&Hop>) {
        let table = self.case.tables[place].clone();
        let map = table.map.as_ref().unwrap();
        let shops_in_table: Option<Vec<usize>> =
            table.foreign.iter().find(|f| f.column == map.shop.column && map.shop.at == 0).map(|foreign| {
                let shops = self.case.stores[table.store].shops.as_ref().unwrap();
                let domains = self.case.tables[foreign.to].rows.iter().map(|row| row.cells[shops.domain].clone());
                domains
                    .map(|domain| SHOPS.iter().position(|s| domain == Value::Text(s.domain.to_owned())).unwrap())
                    .collect()
            });
        let enforced = link.is_some_and(|hop| table.foreign.iter().any(|foreign| foreign.column == hop.column));
        for no in 1..=i64::try_from(self.random.below(18)).unwrap() {
            let about = About::somebody(&mut self.random);
            let parent = link.and_then(|hop| self.link(&table, hop, enforced));
            if link.is_some_and(|hop| enforced && parent.is_none() && table.columns[hop.column].not_null) {
                continue;
            }
            let shop_of_parent = parent.and_then(|row| self.links[link.unwrap().to][row].1);
            let shop = if map.shop.at > 0 {
                shop_of_parent
            } else {
                self.shop_of_row(parent.is_some(), shop_of_parent, enforced, shops_in_table.as_deref())
            };
            let mut cells = Vec::new();
            for (column, purpose) in table.columns.iter().zip(purposes) {
                let random = &mut self.random;
                let value = match purpose {
                    Purpose::Key => key_value(column.kind, no),
                    Purpose::Link => match (parent, link) {
                        (Some(row), Some(hop)) => self.case.tables[hop.to].rows[row].cells[hop.key].clone(),
                        _ if enforced || !column.not_null => Value::Null,
                        _ => key_value(column.kind, 999),
                    },
                    Purpose::Shop(holds) => match shop {
                        Some(shop) => rows::of_shop(*holds, column.kind, shop),
                        None if !column.not_null => Value::Null,
                        None => rows::of_no_shop(random, column.kind),
                    },
                    Purpose::Way(by, form) if column.not_null || random.percent(90) => {
                        rows::of_way(random, column.kind, column.declared, *by, *form, about)
                    }
                    Purpose::Document if random.percent(90) => Value::Json(rows::document(random, about)),
                    Purpose::Way(..) | Purpose::Document => Value::Null,
                    Purpose::Ballast if random.percent(15) => Value::Null,
                    Purpose::Ballast => rows::ballast(random, column.kind),
                };
                cells.push(value);
            }
            let rows = &mut self.case.tables[place].rows;
            let same_key = |row: &Row| !table.key.is_empty() && table.key.iter().all(|c| row.cells[*c] == cells[*c]);
            let null_where_none_may_be =
                cells.iter().zip(&table.columns).any(|(cell, column)| column.not_null && *cell == Value::Null);
            if !rows.iter().any(same_key) && !null_where_none_may_be {
                rows.push(Row { no, cells });
                self.links[place].push((parent, shop));
            }
        }
    }

    /// The row that a new row refers to.
    fn link(&mut self, table: &Table, hop: &Hop, enforced: bool) -> Option<usize> {
        let rows = self.case.tables[hop.to].rows.len();
        let free = !enforced || !table.columns[hop.column].not_null;
        if rows == 0 || (free && self.random.percent(15)) { None } else { Some(self.random.below(rows)) }
    }

    fn shop_of_row(
        &mut self,
        linked: bool,
        of_parent: Option<usize>,
        enforced: bool,
        in_table: Option<&[usize]>,
    ) -> Option<usize> {
        if linked && (enforced || self.case.together || self.random.percent(85)) {
            return of_parent.filter(|shop| in_table.is_none_or(|shops| shops.contains(shop)));
        }
        if self.random.percent(8) {
            return None;
        }
        match in_table {
            Some([]) => None,
            Some(shops) => Some(self.random.pick(shops)),
            None => Some(if self.random.percent(55) { 0 } else { self.random.below(SHOPS.len()) }),
        }
    }

    fn jobs(&mut self) {
        let by_number = self.case.mapped().any(|(_, _, map)| map.shop.holds == Holds::Number);
        let random = &mut self.random;
        let mut shops: Vec<usize> = if self.case.together {
            let mut all: Vec<usize> = (0..SHOPS.len()).collect();
            random.shuffle(&mut all);
            all
        } else {
            (0..=random.below(4)).map(|_| if random.percent(60) { 0 } else { random.below(SHOPS.len()) }).collect()
        };
        shops.truncate(1 + random.below(4));
        for shop in shops {
            let topic = random.pick(&[
                Topic::CustomersRedact,
                Topic::CustomersRedact,
                Topic::CustomersRedact,
                Topic::ShopRedact,
                Topic::DataRequest,
            ]);
            // Only a webhook with the number finds a shop by it when no table of shops knows it.
            let numbered = by_number || random.percent(70);
            let mut job = Job { topic, shop, numbered, customer: None, email: None, phone: None, orders: Vec::new() };
            if topic != Topic::ShopRedact {
                job.subject(random);
            }
            self.case.jobs.push(job);
        }
    }
}

impl Job {
    fn subject(&mut self, random: &mut Random) {
        let about = About::somebody(random);
        let person = |random: &mut Random| {
            let merged = random.percent(10);
            &PEOPLE[if merged { random.below(PEOPLE.len()) } else { about.person }]
        };
        while self.customer.is_none() && self.email.is_none() && self.phone.is_none() && self.orders.is_empty() {
            if random.percent(65) {
                let number = person(random).id;
                self.customer = Some(id(random, number, "Customer"));
            }
            // What a webhook gives has no control characters, and is not blank.
            if random.percent(65) {
                let email = person(random).email;
                self.email =
                    Some(email_text(random, email)).filter(|text| !text.contains('\t') && !text.trim().is_empty());
            }
            if random.percent(65) {
                let phone = person(random).phone;
                self.phone = Some(phone_text(random, phone)).filter(|text| !text.is_empty());
            }
            for _ in 0..random.below(5) {
                let number = random.pick(&ORDERS);
                let order = if random.percent(12) {
                    super::schema::Id::Text(random.pick(&ORDER_NAMES).to_owned())
                } else {
                    id(random, number, "Order")
                };
                if !self.orders.contains(&order) {
                    self.orders.push(order);
                }
            }
        }
    }
}

/// The primary key, and a column that others may refer to.
fn keys(
    random: &mut Random,
    draft: &mut Draft,
    shop: &ShopWay,
    ways: &[Way],
    masks: &[Mask],
) -> (Vec<usize>, Option<usize>) {
    let order = ways.iter().filter(|way| way.at == 0 && way.by == By::Order).find(|way| {
        let plain = matches!(draft.columns[way.column].kind, Kind::Int | Kind::Text);
        plain && !masks.iter().any(|mask| mask.column == way.column)
    });
    match (random.below(10), order) {
        (0 | 1, Some(order)) if shop.at == 0 => {
            draft.columns[shop.column].not_null = true;
            draft.columns[order.column].not_null = true;
            let unique = random.percent(60).then(|| draft.column(random, Kind::Text, true, Purpose::Key));
            (vec![shop.column, order.column], unique)
        }
        (0..=2, _) => {
            let first = draft.column(random, Kind::Int, true, Purpose::Key);
            let second = draft.column(random, Kind::Text, true, Purpose::Key);
            (vec![second, first], random.percent(40).then_some(first))
        }
        (3, _) => (Vec::new(), None),
        (4..=6, _) => {
            let id = draft.column(random, Kind::Int, true, Purpose::Key);
            (vec![id], Some(id))
        }
        _ => {
            let id = draft.column(random, Kind::Text, true, Purpose::Key);
            (vec![id], Some(id))
        }
    }
}

/// Keys of different tables are alike.
fn key_value(kind: Kind, no: i64) -> Value {
    match kind {
        Kind::Int => Value::Int(no * 7),
        _ => Value::Text(format!("{no}{}", if no % 2 == 0 { "" } else { "'é" })),
    }
}
