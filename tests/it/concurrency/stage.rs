//! A small app with every kind of row that jobs can meet on: parents, children, letters to mask, and contacts in a
//! second database.

use std::collections::{BTreeMap, BTreeSet};

use efface::store::{PoolLimits, Store};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;

use crate::house::{House, Setting, Webhook};
use crate::model::random::Random;

pub const MAP: &str = r#"
version = 1

[stores.crm]

[shop]
table = "stores"
id = "id"
domain = "domain"
installed_at = "installed_at"
result_key = "deletedStores"

[[table]]
name = "orders"
shop = { column = "store_id", holds = "shop_id" }
match = [ { column = "remote_id", by = "order_id" }, { column = "customer", by = "customer_id" } ]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedOrders"
export = ["id", "remote_id"]

[[table]]
name = "lines"
via = [ { column = "order_id", to = "orders", key = "id" } ]
shop = { column = "store_id", holds = "shop_id", at = "orders" }
match = [
    { column = "remote_id", by = "order_id", at = "orders" },
    { column = "customer", by = "customer_id", at = "orders" },
]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedLines"

[[table]]
name = "letters"
shop = { column = "domain", holds = "shop_domain" }
match = [ { column = "remote_id", by = "order_id" }, { column = "customer", by = "customer_id" } ]
customers_redact = "mask"
shop_redact = "mask"
mask = [ { column = "body", with = "redact" } ]
result_key = "deletedLetters"
export = ["id", "body"]

[[table]]
store = "crm"
name = "contacts"
shop = { column = "domain", holds = "shop_domain" }
match = { column = "customer", by = "customer_id" }
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedContacts"
"#;

/// Orders of each shop, and customers among them.
pub const ORDERS: usize = 12;
pub const CUSTOMERS: usize = 6;

/// A row of the small app: its table and id.
pub type Id = (&'static str, i64);

/// What a row is keyed by.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub shop: usize,
    pub order: i64,
    pub customer: i64,
}

pub fn domain(shop: usize) -> String {
    format!("c{shop}.example.com")
}

/// The small app's databases, and what stands in them.
pub struct Stage {
    pub crm: Store,
    /// Whose each row is, of all rows that ever were.
    pub rows: BTreeMap<Id, Keyed>,
    next: i64,
    settings: Vec<(&'static str, String)>,
}

impl Stage {
    /// Makes the tables, with a second database at `crm_url`, and opens so many shops.
    pub async fn set(house: &House, crm_url: &str, shops: usize) -> Self {
        for sql in [
            "CREATE TABLE stores (id bigint PRIMARY KEY, domain text NOT NULL UNIQUE, installed_at text)",
            "CREATE TABLE orders (id bigint PRIMARY KEY, store_id bigint NOT NULL REFERENCES stores (id), remote_id bigint, \
             customer bigint, seen bigint NOT NULL DEFAULT 0)",
            "CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders (id), seen bigint NOT NULL DEFAULT 0)",
            "CREATE TABLE letters (id bigint PRIMARY KEY, domain text, remote_id bigint, customer bigint, body text, \
             seen bigint NOT NULL DEFAULT 0)",
            "CREATE INDEX orders_by_remote ON orders (store_id, remote_id)",
            "CREATE INDEX orders_by_customer ON orders (store_id, customer)",
            "CREATE INDEX lines_by_order ON lines (order_id)",
            "CREATE INDEX letters_by_remote ON letters (domain, remote_id)",
            "CREATE INDEX letters_by_customer ON letters (domain, customer)",
        ] {
            house.execute(sql).await;
        }
        let crm = Store::connect(crm_url, PoolLimits::default()).await.unwrap();
        let contacts = "CREATE TABLE contacts (id bigint PRIMARY KEY, domain text, customer bigint, seen bigint NOT NULL DEFAULT 0)";
        crm.db().execute_unprepared(contacts).await.unwrap();
        let map = std::env::temp_dir().join(format!("efface-map-{}.toml", efface::store::id::row()));
        std::fs::write(&map, MAP).unwrap();
        let settings = vec![("data_map.file", map.display().to_string()), ("stores.crm.url", crm_url.to_owned())];
        let mut stage = Self { crm, rows: BTreeMap::new(), next: 1_000, settings };
        for shop in 0..shops {
            let sql = format!("INSERT INTO stores VALUES ({shop}, '{}', '2026-01-01T00:00:00.000Z')", domain(shop));
            house.execute(&sql).await;
            for order in 0..ORDERS {
                stage.place_order(house, shop, order, order % CUSTOMERS).await;
            }
        }
        stage
    }

    /// The settings of every process, with further ones.
    pub fn settings<'a>(&'a self, more: &[Setting<'a>]) -> Vec<Setting<'a>> {
        let own = self.settings.iter().map(|(key, value)| (*key, value.as_str()));
        own.chain(more.iter().copied()).collect()
    }

    pub fn id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// An order with two lines and a letter, and a contact of its customer.
    pub async fn place_order(&mut self, house: &House, shop: usize, order: usize, customer: usize) {
        let keyed = Keyed { shop, order: number(order), customer: number(customer) };
        let of = domain(shop);
        let row = self.id();
        house.execute(&format!("INSERT INTO orders VALUES ({row}, {shop}, {order}, {customer}, 0)")).await;
        self.rows.insert(("orders", row), keyed.clone());
        for _ in 0..2 {
            let line = self.id();
            house.execute(&format!("INSERT INTO lines VALUES ({line}, {row}, 0)")).await;
            self.rows.insert(("lines", line), keyed.clone());
        }
        let letter = self.id();
        house
            .execute(&format!("INSERT INTO letters VALUES ({letter}, '{of}', {order}, {customer}, 'Dear you', 0)"))
            .await;
        self.rows.insert(("letters", letter), keyed.clone());
        let contact = self.id();
        let sql = format!("INSERT INTO contacts VALUES ({contact}, '{of}', {customer}, 0)");
        self.crm.db().execute_unprepared(&sql).await.unwrap();
        // A contact knows no order.
        self.rows.insert(("contacts", contact), Keyed { order: -1, ..keyed });
    }

    /// Every row with its contents, but for what the app alone counts up.
    pub async fn contents(&self, house: &House) -> BTreeMap<Id, String> {
        let mut contents = BTreeMap::new();
        let tables = [
            (house.store(), "stores", "domain || coalesce(installed_at, '')"),
            (house.store(), "orders", "store_id || '/' || remote_id || '/' || customer"),
            (house.store(), "lines", "'' || order_id"),
            (house.store(), "letters", "domain || remote_id || '/' || customer || body"),
            (&self.crm, "contacts", "domain || customer"),
        ];
        for (store, table, row) in tables {
            let sql = Statement::from_string(store.backend(), format!(r#"SELECT id, {row} AS "row" FROM {table}"#));
            for row in store.db().query_all_raw(sql).await.unwrap() {
                contents.insert((table, row.try_get("", "id").unwrap()), row.try_get("", "row").unwrap());
            }
        }
        contents
    }
}

/// Who is asked to be erased: the oracle's side of the jobs.
#[derive(Debug, Default)]
pub struct Asked {
    pub shops: BTreeSet<usize>,
    pub orders: BTreeSet<(usize, i64)>,
    pub customers: BTreeSet<(usize, i64)>,
}

impl Asked {
    pub fn finds(&self, row: &Keyed) -> bool {
        self.shops.contains(&row.shop)
            || self.orders.contains(&(row.shop, row.order))
            || self.customers.contains(&(row.shop, row.customer))
    }

    /// A webhook about some orders and a customer, in no order.
    pub fn customer(&mut self, dice: &mut Random, shop: usize) -> Webhook {
        let mut orders: Vec<usize> = (0..ORDERS).filter(|_| dice.percent(30)).collect();
        dice.shuffle(&mut orders);
        let customer = dice.below(CUSTOMERS * 2);
        self.orders.extend(orders.iter().map(|order| (shop, number(*order))));
        self.customers.insert((shop, number(customer)));
        Webhook::new("customers/redact", body(shop, customer, "orders_to_redact", &orders))
    }
}

pub fn body(shop: usize, customer: usize, list: &str, orders: &[usize]) -> String {
    json!({ "shop_id": 954_889, "shop_domain": domain(shop), "customer": { "id": customer }, list: orders }).to_string()
}

fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap()
}
