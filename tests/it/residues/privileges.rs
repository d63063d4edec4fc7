//! An account that may not do what an erasure needs.

use efface::job::command::Command;
use entity::gdpr_job::JobStatus;

use super::{MAP, SHOP, count, furnished, map_file};
use crate::house::{House, Webhook};

/// A role that may do everything, and the address at which a connection has it instead of the owner's. Roles are the server's,
/// and so this one is named after the database.
async fn limited_role(house: &House) -> (String, String) {
    let database = house.number("SELECT oid::bigint AS n FROM pg_database WHERE datname = current_database()").await;
    let role = format!("efface_limited_{database}");
    house
        .execute(&format!(
            "CREATE ROLE {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT ALL ON SCHEMA public TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"
        ))
        .await;
    let url = format!("{}&options=-c%20role%3D{role}", house.url());
    (role, url)
}

async fn drop_role(house: &House, role: &str) {
    house.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

on_postgres! {
    async fn a_revoked_privilege_never_completes_names_the_table_and_heals(house: House) {
        let house = furnished(house, MAP, &[]).await;
        let map = map_file(MAP);
        let (role, url) = limited_role(&house).await;
        house.execute(&format!("REVOKE DELETE ON people FROM {role}")).await;
        let settings = [("database.url", url.as_str()), ("data_map.file", map.path().to_str().unwrap()), ("jobs.attempts_max", "2")];
        let limited = house.another(&settings).await;

        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        for _ in 0..4 {
            let _ = limited.worker().tick().await;
            house.let_retries_come_due();
        }
        let job = house.job(&id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        let message = job.error_message.unwrap();
        assert!(message.contains("people") && message.contains("42501"), "{message}");
        assert_eq!(count(&house, "people").await, 2, "nothing is half done");

        house.execute(&format!("GRANT DELETE ON people TO {role}")).await;
        house.command(&id, Command::Retry).await.unwrap();
        limited.worker().tick().await.unwrap();
        let job = house.job(&id).await;
        assert_eq!(job.status, JobStatus::Completed, "{:?}", job.error_message);
        assert_eq!(count(&house, "people").await, 1);
        limited.store().close().await;
        drop_role(&house, &role).await;
    }

    async fn a_table_that_may_not_be_read_never_counts_as_searched(house: House) {
        let house = furnished(house, MAP, &[]).await;
        // Kept, and so looked at by the verifier alone.
        let kept = MAP.replace("customers_redact = \"mask\"", "customers_redact = \"keep\"\nground = \"they are letters\"");
        let map = map_file(&kept.replace("shop_redact = \"delete\"\nmask", "shop_redact = \"mask\"\nmask"));
        let (role, url) = limited_role(&house).await;
        house.execute(&format!("REVOKE SELECT ON letters FROM {role}")).await;
        let settings = [("database.url", url.as_str()), ("data_map.file", map.path().to_str().unwrap()), ("jobs.attempts_max", "2")];
        let limited = house.another(&settings).await;
        let id = house.post(&Webhook::customers_redact(SHOP, &[1_u64])).await;
        for _ in 0..4 {
            let _ = limited.worker().tick().await;
            house.let_retries_come_due();
        }
        let job = house.job(&id).await;
        assert_eq!((job.status, job.completed_at), (JobStatus::Failed, None));
        assert!(job.error_message.unwrap().contains("42501"));
        limited.store().close().await;
        drop_role(&house, &role).await;
    }
}
