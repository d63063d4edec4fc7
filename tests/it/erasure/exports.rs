//! `customers/data_request`.

use efface::seal::Aad;
use entity::gdpr_job::{JobStatus, Outcome};
use entity::{export_package, export_part};
use sea_orm::EntityTrait as _;
use serde_json::Value;

use super::{figure, keys};
use crate::house::{ADA, EMAIL, FEEDBACK, House, Webhook};

const KEYS: [&str; 5] = [
    "completedAt",
    "exportedConversionJobs",
    "exportedConversionLogs",
    "exportedPixelReceipts",
    "exportedSurveyResponses",
];

both_databases! {
    async fn the_rows_are_counted_and_kept_in_a_sealed_package_and_nothing_is_deleted(house: House) {
        house.settle_town().await;
        let before = house.contents().await;
        let job = house.done(&Webhook::data_request(ADA, &[1001_u64, 1004])).await;
        assert_eq!(house.contents().await, before);
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Exported)));
        assert_eq!(keys(&job), KEYS);
        assert_eq!(KEYS[1..].iter().map(|key| figure(&job, key)).collect::<Vec<_>>(), [3, 6, 6, 3]);

        let db = house.store().db();
        let packages = export_package::Entity::find().all(db).await.unwrap();
        assert_eq!(packages.len(), 1);
        let package = &packages[0];
        assert_eq!((package.job_id.as_str(), package.shop_domain.as_str(), package.rows_total), (job.id.as_str(), ADA, 18));
        assert_eq!(package.expires_at - package.ready_at.unwrap(), chrono::TimeDelta::days(30));

        let mut read = 0;
        for part in export_part::Entity::find().all(db).await.unwrap() {
            let aad = Aad {
                table: "ExportPart",
                row: &format!("{}/{}", package.id, part.sequence),
                column: "sealed",
                shop: ADA,
            };
            let plain = house.app().keys().open(&aad, &part.sealed).await.unwrap();
            for row in String::from_utf8(plain.expose().clone()).unwrap().lines() {
                let row: Value = serde_json::from_str(row).unwrap();
                let order = row["orderId"].as_str().unwrap();
                assert!(["1001", "1004", "gid://shopify/Order/1004"].contains(&order), "{order}");
                assert_eq!(part.table_name == "SurveyResponse", row["feedback"] == FEEDBACK);
                assert!(row.get("shopId").is_none(), "a column that the map does not export");
                read += 1;
            }
            let other = Aad { shop: "bea.myshopify.com", ..aad };
            assert!(house.app().keys().open(&other, &part.sealed).await.is_err(), "it opens only where it belongs");
        }
        assert_eq!(read, 18);
    }

    async fn nothing_of_a_package_is_readable_where_it_is_kept(house: House) {
        house.settle_town().await;
        let orders = ["1001", "1002", "1003", "1004", "10045", "#1001", "9007199254740992", "9007199254740993"];
        house.done(&Webhook::data_request(ADA, &orders)).await;
        house.assert_not_kept(FEEDBACK).await;
        house.assert_not_kept(EMAIL).await;
        // Once the app's own rows are gone, so is every readable copy.
        for shop in [ADA, crate::house::BEA, crate::house::CYD] {
            house.done(&Webhook::shop_redact(shop)).await;
        }
        assert_eq!(export_package::Entity::find().all(house.store().db()).await.unwrap().len(), 1);
        house.assert_not_on_disk(FEEDBACK);
        house.assert_not_on_disk(EMAIL);
    }
}
