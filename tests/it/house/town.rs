//! Sample shops with sample orders in the reference app's tables.

use super::House;

pub const ADA: &str = "ada.myshopify.com";
pub const BEA: &str = "bea.myshopify.com";
pub const CYD: &str = "cyd.myshopify.com";

/// The reference app's tables, children first.
pub const TABLES: [&str; 6] =
    ["ConversionLog", "ConversionJob", "PixelEventReceipt", "SurveyResponse", "ReconciliationReport", "Shop"];

/// Stands in every survey answer and nowhere else.
pub const FEEDBACK: &str = "my neighbour Theodora recommended it";

impl House {
    /// Three shops with the same orders: numbers, global ids, both forms of one order, and ids that are easily mistaken.
    pub async fn settle_town(&self) {
        for shop in [ADA, BEA, CYD] {
            self.open_shop(shop).await;
            for order in ["1001", "1002", "gid://shopify/Order/1003", "1004", "gid://shopify/Order/1004", "10045"] {
                self.place_order(shop, order).await;
            }
            for order in ["#1001", "9007199254740992", "9007199254740993", "gid://shopify/Customer/1001"] {
                self.place_order(shop, order).await;
            }
        }
    }

    /// A shop that is installed, with two reports.
    pub async fn open_shop(&self, domain: &str) {
        self.execute(&format!(
            r#"INSERT INTO "Shop" ("id","shopDomain","email","name","installedAt","createdAt","updatedAt") VALUES
               ('id of {domain}','{domain}','owner@{domain}','The shop','2026-01-01T00:00:00.000Z',
                '2026-01-01T00:00:00.000Z','2026-01-01T00:00:00.000Z')"#
        ))
        .await;
        self.execute(&format!(
            r#"INSERT INTO "ReconciliationReport" ("id","shopId","platform","reportDate") VALUES
               ('rep 1 {domain}','id of {domain}','meta','2026-11-20'),
               ('rep 2 {domain}','id of {domain}','meta','2026-11-21')"#
        ))
        .await;
    }

    /// Six rows of one order: two conversions, one conversion job, two pixel events, one survey answer.
    pub async fn place_order(&self, domain: &str, order: &str) {
        let (id, shop) = (format!("{order} of {domain}"), format!("id of {domain}"));
        for sql in [
            format!(
                r#"INSERT INTO "ConversionLog" ("id","shopId","orderId","orderValue","platform","platformResponse") VALUES
                   ('cl 1 {id}','{shop}','{order}',19.99,'meta','{{"ok": true}}'),
                   ('cl 2 {id}','{shop}','{order}',19.99,'google',NULL)"#
            ),
            format!(
                r#"INSERT INTO "ConversionJob" ("id","shopId","orderId","capiInput","status") VALUES
                   ('cj 1 {id}','{shop}','{order}','{{"em": "0a1b"}}','completed')"#
            ),
            format!(
                r#"INSERT INTO "PixelEventReceipt" ("id","shopId","orderId","eventType","checkoutToken") VALUES
                   ('pe 1 {id}','{shop}','{order}','purchase','t'), ('pe 2 {id}','{shop}','{order}','checkout','t')"#
            ),
            format!(
                r#"INSERT INTO "SurveyResponse" ("id","shopId","orderId","rating","feedback","customAnswers") VALUES
                   ('sr 1 {id}','{shop}','{order}',5,'{FEEDBACK}','["{FEEDBACK}"]')"#
            ),
        ] {
            self.execute(&sql).await;
        }
    }

    /// The app marks a shop as uninstalled, and installed again when `again` is set.
    pub async fn uninstall(&self, domain: &str, again: bool) {
        let (active, installed) = if again { ("true", "2026-11-03") } else { ("false", "2026-01-01") };
        self.execute(&format!(
            r#"UPDATE "Shop" SET "isActive"={active},"installedAt"='{installed}T00:00:00.000Z',
               "uninstalledAt"='2026-11-02T00:00:00.000Z' WHERE "shopDomain"='{domain}'"#
        ))
        .await;
    }
}
