//! The API and the command line.

use serde_json::json;

use super::{answer, answers, wish};
use crate::house::{ADA, House};

both_databases! {
    async fn an_operator_chooses_for_a_shop(house: House) {
        house.open_shop(ADA).await;
        let retention = house.app().retention();
        let choice = retention.choice(ADA).await.unwrap();
        assert_eq!(serde_json::to_value(&choice).unwrap(), json!({"shopDomain": ADA, "dataRetentionDays": 90, "allowed": true}));
        let actor = || efface::audit::Actor::Operator("ops".to_owned());
        assert!(retention.choose(actor(), ADA, 45).await.unwrap().is_none());
        assert!(retention.choose(actor(), "nobody.myshopify.com", 30).await.is_err());
        for days in [30, 60, 90, 180, 365, 0] {
            retention.choose(actor(), ADA, days).await.unwrap().unwrap();
            assert_eq!(retention.choice(ADA).await.unwrap().data_retention_days, Some(days));
        }
        let audited = r#"SELECT count(*) AS "n" FROM "AuditLog" WHERE "resourceType"='Shop' AND "action"='update'"#;
        assert_eq!(house.number(audited).await, 6);
    }

    async fn what_is_in_force_is_shown(house: House) {
        house.open_shop(ADA).await;
        answer(&house, "1", ADA, 91).await;
        answer(&house, "2", ADA, 89).await;
        let shown = house.app().retention().effective(None, None).await.unwrap();
        let rule = shown.rules.iter().find(|rule| rule.policy == "survey_response").unwrap();
        assert_eq!((rule.rows_due, rule.rows_held), (Some(1), Some(0)));
        assert_eq!(rule.shops_by_period, [("90 days".to_owned(), 1)].into());
        assert!(rule.oldest.is_some());
        assert_eq!(shown.rules.iter().filter(|rule| rule.kind == "own").count(), 4);
        assert!(shown.next_run_at.is_some() && shown.schedule_in_words.unwrap().contains("03:30"));
        assert!(house.app().retention().effective(None, Some("nobody")).await.is_err());
    }

    async fn one_shop_and_one_table_can_be_asked_for(house: House) {
        for shop in [ADA, crate::house::BEA] {
            house.open_shop(shop).await;
            answer(&house, shop, shop, 4_000).await;
        }
        let asked = efface::retention::Wish { shop: Some(ADA.to_owned()), table: Some("SurveyResponse".to_owned()), ..wish() };
        let swept = super::sweep(&house, &asked).await;
        assert_eq!((swept.rows(), swept.runs.len(), answers(&house).await), (1, 1, 1));
        let retention = house.app().retention();
        let stop = efface::shutdown::Shutdown::new();
        for wrong in [
            efface::retention::Wish { shop: Some("nobody".to_owned()), ..wish() },
            efface::retention::Wish { table: Some("Shop".to_owned()), ..wish() },
        ] {
            assert!(retention.sweep(&wrong, &|_| {}, &stop).await.is_err());
        }
    }
}
