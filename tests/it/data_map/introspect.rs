//! What is proposed for apps of three kinds, and that it says why, parses, fits, and gives nothing away.

use std::collections::BTreeSet;

use efface::erasure::check::{Id, Severity};
use efface::erasure::data_map::DataMap;
use efface::erasure::introspect::Proposal;
use efface::store::catalog::open_read_only;
use efface::store::target;

use super::{AppDatabase, both_apps, of, of_id, short};

/// A proposal in short: per table its shop and its ways to a customer.
fn outline(proposal: &Proposal) -> Vec<String> {
    let one = |table: &efface::erasure::introspect::TableGuess| {
        let shop = table.shop.as_ref().unwrap();
        let at = shop.at.as_ref().map_or(String::new(), |at| format!("{at}."));
        let ways = table.matches.iter().map(|found| {
            let at = found.at.as_ref().map_or(String::new(), |at| format!("{at}."));
            let json = found.json.as_ref().map_or(String::new(), |path| format!(" {path}"));
            format!("{at}{}{json}={:?}/{:?}", found.column, found.by, found.written)
        });
        let ways: Vec<String> = ways.collect();
        format!("{}: {at}{} {:?}; {}", table.name, shop.column, shop.holds, ways.join(" "))
    };
    proposal.tables.iter().map(one).collect()
}

fn names(out: &[efface::erasure::introspect::LeftOut]) -> Vec<&str> {
    out.iter().map(|out| out.table.as_str()).collect()
}

/// The proposal parses, fits the schema as `serve` sees it, and its only errors are the open decisions.
async fn assert_fits(app: &AppDatabase, proposal: &Proposal, unmapped: &[&str]) {
    let text = proposal.to_toml();
    let map = DataMap::parse(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let conn = open_read_only(&app.database.url()).await.unwrap();
    let catalog = target::catalog(&conn).await.unwrap();
    conn.close().await.unwrap();
    map.default_store().bind(&catalog).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    let errors = short(&of(&app.check(&text).await, Severity::Error));
    let mut open: BTreeSet<String> = unmapped.iter().map(|table| format!("unmapped_table {table}.*")).collect();
    for table in proposal.tables.iter().filter(|table| table.matches.is_empty()) {
        open.extend(table.decide.iter().map(|remark| format!("uncovered_column {}.{}", table.name, remark.column)));
    }
    assert_eq!(errors, open, "{text}");
}

both_apps! {
    async fn a_prisma_app_is_understood_from_its_names_and_keys(app: &AppDatabase) {
        app.fixture("prisma").await;
        let proposal = app.blind_proposal().await;
        let shop = proposal.shop.clone().unwrap();
        assert_eq!((shop.table.as_str(), shop.id.as_str(), shop.domain.as_str()), ("Shop", "id", "myshopifyDomain"));
        assert_eq!(shop.number.as_deref(), Some("shopifyId"));
        assert_eq!((shop.active.as_deref(), shop.uninstalled_at.as_deref()), (Some("isActive"), Some("uninstalledAt")));
        assert_eq!(outline(&proposal), [
            "LineItem: Order.shopId ShopId; Order.shopifyOrderId=OrderId/Plain Order.customerId=CustomerId/Plain \
             Order.email=Email/Plain Order.customerPhone=Phone/Plain",
            "Order: shopId ShopId; shopifyOrderId=OrderId/Plain customerId=CustomerId/Plain email=Email/Plain \
             customerPhone=Phone/Plain",
            "Session: shop ShopDomain; ",
            "Settings: shopId ShopId; ",
            "SurveyAnswer: shop ShopDomain; orderId=OrderId/Plain hashedEmail=Email/Sha256",
        ]);
        assert_eq!(names(&proposal.left_out), ["Plan", "_prisma_migrations"]);
        assert!(proposal.undecided.is_empty(), "{:?}", proposal.undecided);
        let settings = proposal.tables.iter().find(|table| table.name == "Settings").unwrap();
        assert_eq!(settings.decide.iter().map(|open| open.column.as_str()).collect::<Vec<_>>(), ["thankYouText"]);
        let order = &proposal.tables[1];
        assert_eq!(order.result_key, "deletedOrders");
        assert!(order.export.contains(&"note".to_owned()) && !order.export.contains(&"shopId".to_owned()));
        assert!(order.personal.iter().any(|remark| remark.column == "payload"));
        assert_fits(app, &proposal, &[]).await;
    }

    async fn a_rails_app_without_foreign_keys_is_understood_and_asked_about(app: &AppDatabase) {
        app.fixture("rails").await;
        let proposal = app.blind_proposal().await;
        assert_eq!(proposal.shop.as_ref().unwrap().domain, "shopify_domain");
        assert_eq!(outline(&proposal), [
            "order_notes: orders.shop_id ShopId; orders.shopify_order_id=OrderId/Plain orders.contact_email=Email/Plain",
            "orders: shop_id ShopId; shopify_order_id=OrderId/Plain contact_email=Email/Plain",
            "customers: shop_id ShopId; shopify_customer_id=CustomerId/Plain email=Email/Plain phone=Phone/Plain",
            "reviews: shop_id ShopId; reviewer_email=Email/Plain order_gid=OrderId/Plain",
        ]);
        assert_eq!(names(&proposal.undecided), ["newsletter_signups", "versions"]);
        assert_eq!(names(&proposal.left_out), ["ar_internal_metadata", "schema_migrations"]);
        assert!(proposal.tables[0].decide.iter().any(|open| open.column == "order_id"), "no foreign key says so");
        assert_fits(app, &proposal, &["newsletter_signups"]).await;
        let found = app.check(&proposal.to_toml()).await;
        let refused = of_id(&found, Id::RefusedDelete);
        assert_eq!(refused.len(), 1, "orders of a customer that no match of their own finds: {refused:?}");
    }

    async fn a_laravel_app_with_shops_in_users_is_understood(app: &AppDatabase) {
        app.fixture("laravel").await;
        let proposal = app.blind_proposal().await;
        let shop = proposal.shop.clone().unwrap();
        assert_eq!((shop.table.as_str(), shop.domain.as_str()), ("users", "name"));
        assert_eq!(outline(&proposal), [
            "charges: user_id ShopId; ",
            "subscribers: user_id ShopId; email=Email/Plain phone=Phone/Plain",
            "wishlist_items: wishlists.user_id ShopId; wishlists.customer_id=CustomerId/Plain",
            "wishlists: user_id ShopId; customer_id=CustomerId/Plain",
        ]);
        assert_eq!(names(&proposal.undecided), ["failed_jobs"]);
        assert_eq!(names(&proposal.left_out), ["migrations", "plans"]);
        assert_fits(app, &proposal, &[]).await;
    }

    /// What is seen of rows is their form: of a document its plain keys, of a text that it looks like an address.
    async fn rows_sharpen_the_guesses_and_no_value_gets_out(app: &AppDatabase) {
        app.fixture("prisma").await;
        app.run(r#"
            CREATE TABLE "Inbox" ("id" TEXT PRIMARY KEY, "shop" TEXT NOT NULL, "correspondent" TEXT, "orderIds" {json},
                "body" {json}, "subjectRef" TEXT);
            INSERT INTO "Inbox" VALUES ('1', 'canary.myshopify.com', 'canary@example.com', '["canary1","canary2"]',
                '{"customer":{"id":1,"email":"canary@example.com"},"canary@example.com":{"email":"x"},
                  "orders":[{"id":"canary3","note":"canary4"}],"user_data":{"em":["canary5"]}}',
                'gid://shopify/Customer/77');
        "#).await;
        let proposal = app.proposal().await;
        let inbox = outline(&proposal).into_iter().find(|line| line.starts_with("Inbox")).unwrap();
        assert_eq!(
            inbox,
            "Inbox: shop ShopDomain; correspondent=Email/Plain orderIds [*]=OrderId/Plain body customer.email=Email/Plain \
             body customer.id=CustomerId/Plain body orders[*].id=OrderId/Plain body user_data.em[*]=Email/Sha256 \
             subjectRef=CustomerId/Plain"
        );
        let told = proposal.to_toml() + &serde_json::to_string(&proposal).unwrap();
        assert!(!told.contains("canary") && !told.contains("gid://shopify/Customer/77"), "{told}");
        assert_fits(app, &proposal, &[]).await;
        let blind = app.blind_proposal().await;
        assert!(!outline(&blind).iter().any(|line| line.contains("correspondent=")), "names alone do not tell");
    }

    /// A keyed hash cannot be matched without its key: the line is there, and the map still parses.
    async fn what_cannot_be_told_is_written_down_to_be_decided(app: &AppDatabase) {
        app.run(r#"
            CREATE TABLE "stores" ("id" {serial}, "shopify_domain" TEXT NOT NULL UNIQUE);
            CREATE TABLE "signals" ("id" {serial}, "store_id" BIGINT NOT NULL REFERENCES "stores" ("id"), "email_hmac" TEXT,
                "mystery" TEXT);
            CREATE TABLE "odd name" ("email" TEXT);
        "#).await;
        let proposal = app.blind_proposal().await;
        let text = proposal.to_toml();
        assert!(text.contains("hmac_sha256"), "{text}");
        assert!(text.contains("# decide: { column = \"mystery\""), "{text}");
        assert!(text.contains("# decide: odd name: its name is not a plain one"), "{text}");
        assert_eq!(proposal.open(), 4, "{text}");
        assert!(DataMap::parse(&text).is_ok(), "{text}");
    }

    /// Also the sketch under "decide these" is a map once its comment signs are gone and the shop is named.
    async fn a_table_without_a_shop_is_sketched(app: &AppDatabase) {
        app.fixture("rails").await;
        let text = app.blind_proposal().await.to_toml();
        let begin = text.find("#     # About").or_else(|| text.find("#     [[table]]")).unwrap();
        let sketch: Vec<&str> = text[begin..].lines().map_while(|line| line.strip_prefix("#     ")).collect();
        let sketch = sketch.join("\n").replace("# missing: ", "").replace("\"…\", holds = \"…\"", "\"x\", holds = \"shop_domain\"");
        let map = DataMap::parse(&format!("version = 1\n{sketch}")).unwrap_or_else(|problems| panic!("{sketch}\n{problems}"));
        assert_eq!(map.default_store().tables[0].name.as_str(), "newsletter_signups");
    }
}

/// Prisma on SQLite writes milliseconds; its raw queries and other libraries write texts. Each column is told by its rows.
#[tokio::test]
async fn dates_on_sqlite_are_told_by_the_rows() {
    let app = AppDatabase::sqlite().await;
    app.run(
        r#"CREATE TABLE "Shop" ("id" TEXT PRIMARY KEY, "shopDomain" TEXT UNIQUE);
           CREATE TABLE "Event" ("id" TEXT PRIMARY KEY, "shopId" TEXT REFERENCES "Shop" ("id"), "madeAt" DATETIME,
               "sentAt" DATETIME, "seenAt" DATETIME, "dueAt" INTEGER, "lostAt" DATETIME);
           INSERT INTO "Event" VALUES ('1', NULL, 1792000000000, '2026-11-21T09:30:00.000Z', '2026-11-21 09:30:00', 1792000000, NULL);"#,
    )
    .await;
    let text = app.proposal().await.to_toml();
    for line in [
        "# Dates as milliseconds since 1970: madeAt",
        "# Dates as seconds since 1970: dueAt",
        "# Dates as ISO text: sentAt",
        "# Dates as text with a space between date and time: seenAt",
        "# Dates as not known: no row tells: lostAt",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    app.end().await;
}
