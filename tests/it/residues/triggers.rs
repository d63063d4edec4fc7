//! Triggers that undo what an erasure does.

use entity::gdpr_job::JobStatus;

use super::{MAP, SHOP, count, furnished, work_to_the_end};
use crate::house::{House, Webhook};

/// A trigger on one table, in the words of both databases: `sqlite` is its body, `postgres` that of its function.
async fn trigger(house: &House, table: &str, event: &str, sqlite: &str, postgres: &str) {
    if house.is_sqlite() {
        house.execute(&format!("CREATE TRIGGER planted {event} ON {table} BEGIN {sqlite} END")).await;
    } else {
        house
            .execute(&format!(
                "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {postgres} END $$;
                 CREATE TRIGGER planted {event} ON {table} FOR EACH ROW EXECUTE FUNCTION planted()"
            ))
            .await;
    }
}

both_databases! {
    async fn a_mask_that_a_trigger_undoes_fails_the_job_and_names_the_table(house: House) {
        let house = furnished(house, MAP, &[]).await;
        let back = "UPDATE letters SET body = OLD.body WHERE id = OLD.id AND body <> OLD.body;";
        if house.is_sqlite() {
            trigger(&house, "letters", "AFTER UPDATE", back, "").await;
        } else {
            trigger(&house, "letters", "BEFORE UPDATE", "", "NEW.body := OLD.body; RETURN NEW;").await;
        }
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("\"letters\"") && !message.contains("\"people\""), "{message}");
        assert_eq!(count(&house, "letters WHERE body = 'Dear all'").await, 1);
    }

    async fn a_delete_that_a_trigger_swallows_never_completes_and_names_the_table(house: House) {
        let house = furnished(house, MAP, &[]).await;
        trigger(&house, "people", "BEFORE DELETE", "SELECT RAISE(IGNORE);", "RETURN NULL;").await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("people") && !message.contains("letters"), "{message}");
        assert_eq!(count(&house, "people").await, 2);
    }

    async fn rows_that_a_trigger_moves_to_another_mapped_table_are_followed(house: House) {
        let archive = MAP.replace("name = \"people\"", "name = \"archive\"").replace("deletedPeople", "deletedArchived");
        let map = format!("{archive}{}", MAP.split("[[table]]").nth(1).map(|people| format!("\n[[table]]{people}")).unwrap());
        house.execute("CREATE TABLE archive (id bigint, store_id bigint, email text)").await;
        let house = furnished(house, &map, &[]).await;
        let insert = "INSERT INTO archive VALUES (OLD.id, OLD.store_id, OLD.email);";
        trigger(&house, "people", "AFTER DELETE", insert, &format!("{insert} RETURN NULL;")).await;
        let job = house.done(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
        let result = job.result.unwrap();
        assert_eq!((&result["deletedPeople"], &result["deletedArchived"]), (&1.into(), &1.into()));
        assert_eq!(count(&house, "archive").await, 0);
    }
}
