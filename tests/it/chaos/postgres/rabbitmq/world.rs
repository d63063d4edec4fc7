//! The shops of a campaign, their rows, the webhooks about them, and which rows these doom.
//!
//! Everything follows from the number of webhooks: rows are made by SQL from the same rules as what is expected of them.

use std::fmt::Write as _;

use crate::outside::database::Db;
use crate::outside::webhook::{Webhook, customer_redact, data_request, shop_redact};

/// Orders straddle 2^53: as floating-point numbers, neighbours would be one.
const FIRST_ORDER: u64 = 9_007_199_254_740_992 - 20;

/// Webhooks about the customers of one shop.
const CUSTOMER_WEBHOOKS: usize = 40;

/// Orders of a shop that no webhook names.
const UNNAMED_ORDERS: u64 = 15;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its customers are redacted, or ask for their data.
    Customers,
    /// The same, and it leaves in the midst of it.
    Leaving,
    /// It only leaves.
    Gone,
    /// Nothing happens to it.
    Control,
}

struct Shop {
    number: usize,
    kind: Kind,
    orders: u64,
}

impl Shop {
    fn domain(&self) -> String {
        format!("shop-{}.myshopify.com", self.number)
    }

    fn leaves(&self) -> bool {
        matches!(self.kind, Kind::Leaving | Kind::Gone)
    }
}

/// What a webhook's job must have counted, where only one job can have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Rows per table of [`TABLES`], as far as a customer's request reaches.
    Deleted([u64; 4]),
    Exported([u64; 4]),
    /// Other webhooks concern the same rows: only the sum over all jobs is certain.
    Shared,
}

pub struct World {
    shops: Vec<Shop>,
    pub webhooks: Vec<(Webhook, Expected)>,
    /// Shop and order.
    doomed: Vec<(usize, u64)>,
}

/// The app's tables, and the counter of each in the jobs' results.
pub const TABLES: [(&str, &str); 6] = [
    ("ConversionLog", "deletedConversionLogs"),
    ("ConversionJob", "deletedConversionJobs"),
    ("PixelEventReceipt", "deletedPixelReceipts"),
    ("SurveyResponse", "deletedSurveyResponses"),
    ("ReconciliationReport", "deletedReconciliationReports"),
    ("Shop", "deletedShops"),
];

/// How many rows an order has in each of the first four tables.
fn rows_of(order: u64) -> [u64; 4] {
    [
        1 + u64::from(order.is_multiple_of(4)),
        1,
        u64::from(order.is_multiple_of(2)),
        2 * u64::from(order.is_multiple_of(3)),
    ]
}

fn rows_of_all(orders: &[u64]) -> [u64; 4] {
    orders.iter().map(|order| rows_of(*order)).fold([0; 4], |sum, rows| std::array::from_fn(|i| sum[i] + rows[i]))
}

impl World {
    /// A world of `count` distinct webhooks.
    pub fn of(count: usize) -> Self {
        let mut world = Self { shops: Vec::new(), webhooks: Vec::new(), doomed: Vec::new() };
        for _ in 0..20 {
            world.shop(Kind::Control, 30);
        }
        for large in 0..count / 1_000 {
            let shop = world.shop(Kind::Gone, 500 + 10 * large as u64);
            world.shop_leaves(shop);
        }
        for _ in 0..count / 40 {
            let shop = world.shop(Kind::Gone, 5);
            world.shop_leaves(shop);
        }
        for unknown in 0..count / 100 {
            let body = shop_redact(&format!("unknown-{unknown}.myshopify.com"));
            world.webhooks.push((Webhook::new("shop/redact", &format!("u{unknown}"), &body), Expected::Shared));
        }
        while world.webhooks.len() < count {
            let left = count - world.webhooks.len();
            world.customers(left.min(CUSTOMER_WEBHOOKS));
        }
        world
    }

    fn shop(&mut self, kind: Kind, orders: u64) -> usize {
        let number = self.shops.len();
        self.shops.push(Shop { number, kind, orders });
        number
    }

    fn shop_leaves(&mut self, shop: usize) {
        let body = shop_redact(&self.shops[shop].domain());
        self.webhooks.push((Webhook::new("shop/redact", &format!("{shop}-gone"), &body), Expected::Shared));
    }

    /// One shop with webhooks about its customers, two orders each.
    fn customers(&mut self, webhooks: usize) {
        let kind = if self.shops.len() % 4 == 1 && webhooks > 1 { Kind::Leaving } else { Kind::Customers };
        let shop = self.shop(kind, 2 * webhooks as u64 + UNNAMED_ORDERS);
        let overlapping = shop.is_multiple_of(3);
        let domain = self.shops[shop].domain();
        for i in 0..webhooks {
            if kind == Kind::Leaving && i == webhooks / 2 {
                self.shop_leaves(shop);
                continue;
            }
            let mut orders = vec![2 * i as u64 + 1, 2 * i as u64 + 2];
            let is_request = i % 8 == 7;
            if i % 20 == 10 {
                orders.clear();
            } else if overlapping && i > 0 {
                orders.push(2 * i as u64);
            }
            let (id, customer) = (format!("{shop}-{i}"), (shop * 1_000 + i) as u64);
            let numbers: Vec<u64> = orders.iter().map(|order| FIRST_ORDER + order).collect();
            let counted = rows_of_all(&orders);
            let (webhook, expected) = if is_request {
                let body = data_request(&domain, customer, &numbers);
                (Webhook::new("customers/data_request", &id, &body), Expected::Exported(counted))
            } else {
                self.doomed.extend(orders.iter().map(|order| (shop, *order)));
                let body = customer_redact(&domain, customer, &numbers);
                (Webhook::new("customers/redact", &id, &body), Expected::Deleted(counted))
            };
            let alone = kind == Kind::Customers && !overlapping;
            self.webhooks.push((webhook, if alone { expected } else { Expected::Shared }));
        }
    }

    /// Writes the shops' rows, and beside them, in a schema of its own, which of them are doomed.
    pub async fn seed(&self, db: &Db) {
        let mut shops = String::new();
        for shop in &self.shops {
            let separator = if shops.is_empty() { "" } else { "," };
            write!(shops, "{separator}('s{}','{}',{},{})", shop.number, shop.domain(), shop.orders, shop.leaves())
                .unwrap();
        }
        let mut doomed = String::from("('none',0)");
        for (shop, order) in &self.doomed {
            write!(doomed, ",('s{shop}',{order})").unwrap();
        }
        db.run(&format!(
            r#"CREATE SCHEMA chaos;
            CREATE TABLE chaos.shop AS SELECT * FROM (VALUES {shops}) AS v(shop, domain, orders, leaves);
            CREATE TABLE chaos.doomed AS SELECT DISTINCT * FROM (VALUES {doomed}) AS v(shop, o);
            CREATE TABLE chaos.orders AS SELECT s.shop, o,
              CASE WHEN o % 5 = 0 THEN 'gid://shopify/Order/' ELSE '' END || ({FIRST_ORDER} + o) AS "orderId",
              s.leaves OR d.o IS NOT NULL AS doomed
              FROM chaos.shop s CROSS JOIN generate_series(1, s.orders) o LEFT JOIN chaos.doomed d USING (shop, o);
            CREATE UNIQUE INDEX ON chaos.orders (shop, "orderId");
            INSERT INTO "Shop" ("id","shopDomain","email","name","isActive","installedAt","uninstalledAt")
              SELECT shop, domain, 'owner@' || domain, 'The shop ' || shop, NOT leaves, timestamp '2026-01-01',
                CASE WHEN leaves THEN timestamp '2026-11-01' END FROM chaos.shop;
            INSERT INTO "ConversionLog" ("id","shopId","orderId","platform","orderValue","platformResponse")
              SELECT format('cl-%s-%s-%s', shop, o, p), shop, "orderId", p, o, jsonb_build_object('order', o)
              FROM chaos.orders, unnest(ARRAY['meta','google']) p WHERE p = 'meta' OR o % 4 = 0;
            INSERT INTO "ConversionJob" ("id","shopId","orderId","orderValue","capiInput")
              SELECT format('cj-%s-%s', shop, o), shop, "orderId", o, jsonb_build_object('em', md5(o::text))
              FROM chaos.orders;
            INSERT INTO "PixelEventReceipt" ("id","shopId","orderId","eventId")
              SELECT format('pr-%s-%s', shop, o), shop, "orderId", format('e-%s', o) FROM chaos.orders WHERE o % 2 = 0;
            INSERT INTO "SurveyResponse" ("id","shopId","orderId","rating","feedback")
              SELECT format('sr-%s-%s-%s', shop, o, n), shop, "orderId", n, 'call me: +1555' || o
              FROM chaos.orders, generate_series(1, 2) n WHERE o % 3 = 0;
            INSERT INTO "ReconciliationReport" ("id","shopId","platform","reportDate")
              SELECT format('rr-%s-%s', shop, n), shop, 'meta', date '2026-11-01' + n
              FROM chaos.shop, generate_series(1, 5) n;
            ANALYZE;"#
        ))
        .await;
    }
}
