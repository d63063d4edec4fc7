//! Mistakes of a data map: those that come to light, and those that cannot.

use entity::gdpr_job::{JobStatus, Outcome};

use super::{MAP, SHOP, count, furnished, furnished_with, work_to_the_end};
use crate::house::{House, Webhook};

both_databases! {
    async fn a_table_that_the_map_forgot_holds_its_parents_rows_and_the_job_is_never_done(house: House) {
        let visits = ["CREATE TABLE visits (id bigint, person bigint REFERENCES people (id))", "INSERT INTO visits VALUES (1, 1)"];
        let house = furnished_with(house, &visits, MAP, &[]).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        assert!(job.error_message.unwrap().contains("people"));
        assert_eq!(count(&house, "people").await, 2);
    }

    async fn a_child_that_only_some_ways_find_holds_its_parents_rows(house: House) {
        let child = "\n[[table]]\nname = \"notes\"\nshop = { column = \"store_id\", holds = \"shop_id\" }\n\
            match = { column = \"phone\", by = \"phone\" }\ncustomers_redact = \"delete\"\nshop_redact = \"delete\"\n\
            result_key = \"deletedNotes\"\n";
        let notes = [
            "CREATE TABLE notes (id bigint, store_id bigint, phone text, person bigint REFERENCES people (id))",
            "INSERT INTO notes VALUES (1, 1, 'not hers', 1)",
        ];
        let house = furnished_with(house, &notes, &format!("{MAP}{child}"), &[]).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        let job = work_to_the_end(&house, &id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let whole = house.done(&Webhook::shop_redact(SHOP)).await;
        assert_eq!(whole.status, JobStatus::Completed, "with the whole shop the note goes as well: {:?}", whole.error_message);
    }

    /// The limit: a column that holds something else never matches, before or after. `data-map check` asks about columns
    /// that look personal and are in no match; nothing can ask about what does not look so.
    async fn a_match_that_never_matches_is_seen_by_nobody(house: House) {
        let house = furnished(house, &MAP.replace("column = \"sender\"", "column = \"body\""), &[]).await;
        let job = house.done(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        assert_eq!((job.status, job.outcome), (JobStatus::Completed, Some(Outcome::Erased)));
        assert_eq!(job.result.unwrap()["maskedLetters"], 0, "the figure alone tells");
        assert_eq!(count(&house, "letters WHERE body = 'Dear all'").await, 1);
    }
}
