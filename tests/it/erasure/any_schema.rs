//! Erasure in a schema that nobody made for Efface: joins, every kind of identifier, masks, grounds, a second database.

use std::path::PathBuf;

use entity::gdpr_job::{JobStatus, Model, Outcome};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::figure;
use crate::house::{EMAIL, House, Webhook};

const SHOP: &str = "ada.myshopify.com";

const MAP: &str = r#"
version = 1

[shop]
table = "stores"
id = "id"
domain = "domain"
result_key = "deletedStores"

[[table]]
name = "orders"
shop = { column = "store_id", holds = "shop_id" }
match = [
    { column = "remote_id", by = "order_id" },
    { column = "customer_ref", by = "customer_id" },
    { column = "email", by = "email" },
    { column = "phone", by = "phone" },
]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedOrders"
export = ["id", "email"]

[[table]]
name = "order_lines"
via = [ { column = "order_id", to = "orders", key = "id" } ]
shop = { column = "store_id", holds = "shop_id", at = "orders" }
match = [
    { column = "remote_id", by = "order_id", at = "orders" },
    { column = "customer_ref", by = "customer_id", at = "orders" },
    { column = "email", by = "email", at = "orders" },
    { column = "phone", by = "phone", at = "orders" },
]
customers_redact = "delete"
shop_redact = "delete"
result_key = "deletedOrderLines"

[[table]]
name = "profiles"
shop = { column = "domain", holds = "shop_domain" }
match = [
    { column = "email_hash", by = "email", as = "sha256" },
    { column = "email_mac", by = "email", as = "hmac_sha256", key = "crm" },
    { column = "document", json = "contacts[*].email", by = "email" },
]
customers_redact = "mask"
shop_redact = "delete"
mask = [
    { column = "name", with = "redact" },
    { column = "nick", with = "remove" },
    { column = "token", with = "encrypt" },
    { column = "document", json = "contacts[*].email", with = "hash" },
]
result_key = "deletedProfiles"

[[table]]
name = "invoices"
shop = { column = "shop_number", holds = "shop_number" }
match = { column = "customer", by = "customer_id" }
customers_redact = "keep"
shop_redact = "keep"
ground = "invoices are kept for ten years"
result_key = "deletedInvoices"
"#;

fn schema(house: &House) -> Vec<String> {
    let json = if house.is_sqlite() { "text" } else { "jsonb" };
    let tables = [
        "CREATE TABLE stores (id bigint PRIMARY KEY, domain text NOT NULL UNIQUE)".to_owned(),
        "CREATE TABLE orders (id bigint PRIMARY KEY, store_id bigint NOT NULL REFERENCES stores (id), remote_id bigint, \
         customer_ref text, email text, phone text)"
            .to_owned(),
        "CREATE TABLE order_lines (id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders (id), title text)"
            .to_owned(),
        format!(
            "CREATE TABLE profiles (id bigint PRIMARY KEY, domain text, email_hash text, email_mac text, name text, \
             nick text, token text, document {json})"
        ),
        "CREATE TABLE invoices (id bigint PRIMARY KEY, shop_number bigint, customer text)".to_owned(),
        "INSERT INTO stores VALUES (1, 'ada.myshopify.com'), (2, 'bea.myshopify.com')".to_owned(),
        "INSERT INTO orders VALUES (10, 1, 4001, NULL, NULL, NULL), (11, 1, NULL, 'gid://shopify/Customer/191167', NULL, NULL), \
         (12, 1, NULL, NULL, '  Jane.Doe.4711@EXAMPLE.com', NULL), (13, 1, NULL, NULL, NULL, '0049 (555) 0147-11'), \
         (14, 1, 4001, '191167', NULL, NULL), \
         (19, 1, 4002, '191168', 'john@example.com', '+49-555-0147-12'), (20, 2, 4001, '191167', 'jane.doe.4711@example.com', NULL)"
            .to_owned(),
        "INSERT INTO order_lines SELECT id * 10, id, 'mug' FROM orders".to_owned(),
        format!(
            "INSERT INTO profiles VALUES (1, '{SHOP}', '{SHA}', NULL, 'Jane', 'jd', 't1', NULL), \
             (2, '{SHOP}', NULL, '{MAC}', 'Jane', NULL, 't2', '{{\"contacts\":[]}}'), \
             (3, '{SHOP}', NULL, NULL, '', 'jd', NULL, '{{\"contacts\":[{{\"email\":\"x@example.com\"}},{{\"email\":\"{EMAIL}\"}}],\"id\":9007199254740993}}'), \
             (4, '{SHOP}', 'ff', 'ff', 'John', 'j', 't4', '{{\"contacts\":[{{\"email\":\"john@example.com\"}}]}}'), \
             (5, 'bea.myshopify.com', '{SHA}', NULL, 'Jane', 'jd', 't5', NULL)"
        ),
        "INSERT INTO invoices VALUES (1, 954889, '191167'), (2, 954889, '5'), (3, 954890, '191167')".to_owned(),
    ];
    tables.into()
}

/// Of `jane.doe.4711@example.com`: SHA-256, and HMAC-SHA256 under `crm-secret`.
const SHA: &str = "SHA";
const MAC: &str = "MAC";

fn hashes() -> (String, String) {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::{Digest as _, Sha256};
    let mut mac = Hmac::<Sha256>::new_from_slice(b"crm-secret").unwrap();
    mac.update(EMAIL.as_bytes());
    (hex::encode(Sha256::digest(EMAIL.as_bytes())), hex::encode(mac.finalize().into_bytes()))
}

fn write_map(name: &str, map: &str) -> PathBuf {
    let file = std::env::temp_dir().join(format!("efface-map-{}-{name}.toml", efface::store::id::row()));
    std::fs::write(&file, map).unwrap();
    file
}

async fn furnished(house: House, map: &str) -> House {
    let (sha, mac) = hashes();
    for statement in schema(&house) {
        house.execute(&statement.replace("'SHA'", &format!("'{sha}'")).replace("'MAC'", &format!("'{mac}'"))).await;
    }
    let file = write_map("default", map);
    house.with(&[("data_map.file", file.to_str().unwrap()), ("data_map.match_keys.crm", "crm-secret")]).await
}

async fn count(house: &House, from: &str) -> i64 {
    house.number(&format!("SELECT count(*) AS n FROM {from}")).await
}

fn result(job: &Model) -> Value {
    job.result.clone().unwrap_or_else(|| panic!("{:?}", job.error_message))
}

both_databases! {
    async fn a_customer_is_found_by_every_identifier_and_nobody_else_is_touched(house: House) {
        let house = furnished(house, MAP).await;
        let job = house.done(&Webhook::customers_redact(SHOP, &[4001_u64])).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Retained)), "{:?}", job.error_message);
        assert_eq!(figure(&job, "deletedOrders"), 5);
        assert_eq!(figure(&job, "deletedOrderLines"), 5);
        assert_eq!(figure(&job, "maskedProfiles"), 3);
        assert_eq!(figure(&job, "keptInvoices"), 1);
        assert_eq!(result(&job)["grounds"], json!({ "keptInvoices": "invoices are kept for ten years" }));
        assert_eq!(count(&house, "orders").await, 2);
        assert_eq!(count(&house, "order_lines").await, 2);
        assert_eq!(count(&house, "invoices").await, 3);
        let masked = "profiles WHERE domain = 'ada.myshopify.com' AND name = '***REDACTED***' AND nick IS NULL AND token LIKE 'enc:%' AND length(token) > 120";
        assert_eq!(count(&house, masked).await, 2);
        assert_eq!(count(&house, "profiles WHERE name IN ('John', 'Jane')").await, 2, "John, and Jane of the other shop");
        let whole = "profiles WHERE id = 3 AND nick IS NULL AND name = '' AND token IS NULL AND CAST(document AS text) LIKE '%9007199254740993%'";
        assert_eq!(count(&house, whole).await, 1, "numbers in JSON stay exact");
        assert_eq!(count(&house, &format!("profiles WHERE CAST(document AS text) LIKE '%{EMAIL}%'")).await, 0);

        let again = house.done(&Webhook::customers_redact(SHOP, &[4001_u64])).await;
        assert_eq!(figure(&again, "deletedOrders") + figure(&again, "maskedProfiles"), 0);
    }

    async fn a_whole_shop_goes_with_its_children_and_what_is_kept_is_told(house: House) {
        let house = furnished(house, MAP).await;
        let job = house.done(&Webhook::shop_redact(SHOP)).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Retained)), "{:?}", job.error_message);
        let counts = ["deletedOrders", "deletedOrderLines", "deletedProfiles", "keptInvoices", "deletedStores"];
        assert_eq!(counts.map(|key| figure(&job, key)), [6, 6, 4, 2, 1]);
        assert_eq!(count(&house, "orders").await, 1);
        assert_eq!(count(&house, "order_lines").await, 1);
        assert_eq!(count(&house, "profiles").await, 1);
    }

    async fn a_large_shop_of_any_schema_goes_in_steps(house: House) {
        let house = furnished(house, MAP).await;
        let file = write_map("masking", &MAP.replacen("customers_redact = \"mask\"\nshop_redact = \"delete\"", "customers_redact = \"mask\"\nshop_redact = \"mask\"", 1));
        let house = house.with(&[
            ("data_map.file", file.to_str().unwrap()), ("data_map.match_keys.crm", "crm-secret"), ("jobs.batch_rows_max", "2"),
        ]).await;
        let job = house.done(&Webhook::shop_redact(SHOP)).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
        let counts = ["deletedOrders", "deletedOrderLines", "maskedProfiles", "deletedStores"];
        assert_eq!(counts.map(|key| figure(&job, key)), [6, 6, 4, 1]);
    }

    async fn a_second_database_is_erased_and_told_of(house: House) {
        let elsewhere = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", elsewhere.path().join("crm.db").display());
        let crm = efface::store::Store::connect(&url, efface::store::PoolLimits::default()).await.unwrap();
        for statement in [
            "CREATE TABLE contacts (id integer PRIMARY KEY, shop text, email text)",
            "INSERT INTO contacts VALUES (1, 'ada.myshopify.com', 'JANE.DOE.4711@example.com'), \
             (2, 'bea.myshopify.com', 'jane.doe.4711@example.com'), (3, 'ada.myshopify.com', 'john@example.com')",
        ] {
            crm.db().execute_unprepared(statement).await.unwrap();
        }
        let map = format!("{MAP}\n[stores.crm]\n\n[[table]]\nstore = \"crm\"\nname = \"contacts\"\n\
            shop = {{ column = \"shop\", holds = \"shop_domain\" }}\nmatch = {{ column = \"email\", by = \"email\" }}\n\
            customers_redact = \"delete\"\nshop_redact = \"delete\"\nresult_key = \"deletedContacts\"\n");
        let house = furnished(house, MAP).await;
        let file = write_map("two", &map.replacen("[stores.crm]\n", "", 1).replacen("[shop]", "[stores.crm]\n\n[shop]", 1));
        let house = house.with(&[
            ("data_map.file", file.to_str().unwrap()), ("data_map.match_keys.crm", "crm-secret"), ("stores.crm.url", &url),
        ]).await;
        let job = house.done(&Webhook::customers_redact(SHOP, &[4001_u64])).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
        assert_eq!(figure(&job, "deletedContacts"), 1);
        assert_eq!(figure(&job, "deletedOrders"), 5);
        assert_eq!(result(&job)["stores"], json!({ "crm": { "state": "done", "alreadyAbsent": false } }));
        let left: Vec<i64> = {
            let rows = crm.db().query_all_raw(sea_orm::Statement::from_string(crm.backend(), "SELECT id FROM contacts ORDER BY id")).await.unwrap();
            rows.iter().map(|row| row.try_get("", "id").unwrap()).collect()
        };
        assert_eq!(left, [2, 3]);
        crm.close().await;
    }
}
