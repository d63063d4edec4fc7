//! Triggers of the app that delete in other tables while Efface does.

use entity::gdpr_job::JobStatus;

use crate::house::{ADA, House, Webhook};

on_postgres! {
    /// PostgreSQL refuses to delete, in one statement, from a table and what the first one's trigger has deleted meanwhile. The batch
    /// is begun again with a statement for each table, and stays a batch: no job is tried alone.
    async fn a_trigger_that_deletes_in_another_table_costs_neither_jobs_nor_the_batch(house: House) {
        house.settle_town().await;
        house.execute(r#"CREATE SEQUENCE "fired";
            CREATE FUNCTION "meddle"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              PERFORM nextval('fired');
              DELETE FROM "SurveyResponse" WHERE "shopId"=OLD."shopId" AND "orderId"=OLD."orderId"; RETURN OLD; END $$;
            CREATE TRIGGER "meddle" BEFORE DELETE ON "ConversionLog" FOR EACH ROW EXECUTE FUNCTION "meddle"()"#).await;
        let orders: Vec<u64> = (2001..=2008).collect();
        for order in &orders {
            house.place_order(ADA, &order.to_string()).await;
        }
        let webhooks: Vec<Webhook> = orders.iter().map(|order| Webhook::customers_redact(ADA, &[*order])).collect();
        let accepted = house.accept(&webhooks).await;
        house.work().await;
        for accepted in &accepted {
            let job = house.job(&accepted.job_id).await;
            assert_eq!((job.status, job.attempts, job.error_message), (JobStatus::Completed, 1, None));
        }
        for table in ["ConversionLog", "SurveyResponse"] {
            let left = format!(r#"SELECT count(*) AS n FROM "{table}" WHERE "orderId" BETWEEN '2001' AND '2008'"#);
            assert_eq!(house.number(&left).await, 0, "{table}");
        }
        // Each of sixteen rows once, and once before the refusal.
        assert_eq!(house.number(r#"SELECT last_value AS n FROM "fired""#).await, 32);
        // All were completed by one transaction: the batch was not halved.
        assert_eq!(house.number(r#"SELECT count(DISTINCT xmin::text) AS n FROM "GDPRJob""#).await, 1);
    }
}
