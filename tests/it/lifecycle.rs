//! A shop uninstalls the app, comes back, and is to be erased.

mod before;
mod reinstalled;
mod uninstalled;

use serde_json::json;

use crate::house::{House, Webhook};

/// `app/uninstalled` as the platform sends it, as far as it matters.
fn uninstalled(shop: &str) -> Webhook {
    let body = json!({
        "id": 954_889, "name": "The shop", "email": format!("owner@{shop}"), "domain": "www.example.com",
        "myshopify_domain": shop, "shop_owner": "Jane Owner", "plan_name": "basic", "created_at": null,
    });
    Webhook::new("app/uninstalled", body.to_string())
}

impl House {
    /// Takes in what asks for no job, and says whether it was known.
    async fn tell(&self, webhook: &Webhook) -> bool {
        let accepted = self.app().intake().accept(vec![self.arrival(webhook)]).await.unwrap().remove(0);
        assert_eq!(accepted.job_id, None);
        accepted.duplicate
    }

    async fn shop(&self, domain: &str) -> (bool, Option<String>) {
        use sea_orm::{ConnectionTrait as _, Statement};
        let sql = format!(
            r#"SELECT "isActive" AS "active", CAST("uninstalledAt" AS text) AS "at" FROM "Shop" WHERE "shopDomain"='{domain}'"#
        );
        let row = self.store().db().query_one_raw(Statement::from_string(self.store().backend(), sql)).await;
        let row = row.unwrap().unwrap();
        (row.try_get("", "active").unwrap(), row.try_get("", "at").unwrap())
    }
}
