//! The compliance report's figures, against what was set up.

use chrono::TimeDelta;
use efface::job::report::{ComplianceReport, read};
use entity::gdpr_job::{ActiveModel, JobStatus, JobType, Outcome};
use entity::retention_run;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, IntoActiveModel as _};

use crate::house::{ADA, House, Webhook};

async fn report(house: &House) -> ComplianceReport {
    read(house.store(), &house.clock, None, None).await.unwrap()
}

fn count(report: &ComplianceReport, of: (JobType, JobStatus, Option<Outcome>)) -> u64 {
    let found = report.jobs.iter().filter(|jobs| (jobs.job_type, jobs.status, jobs.outcome) == of);
    found.map(|jobs| jobs.count).sum()
}

/// Sets how long a completed job took.
async fn took(house: &House, id: &str, seconds: i64) {
    let completed_at = house.job(id).await.created_at + TimeDelta::seconds(seconds);
    let row = ActiveModel { id: Set(id.to_owned()), completed_at: Set(Some(completed_at)), ..Default::default() };
    row.update(house.store().db()).await.unwrap();
}

both_databases! {
    async fn an_empty_house_reports_zeros_and_claims_nothing(house: House) {
        let report = report(&house).await;
        assert_eq!((report.open, report.overdue, report.due_within_seven_days, report.completed), (0, 0, 0, 0));
        assert_eq!((report.median_seconds, report.p95_seconds, report.last_sweep_at), (None, None, None));
        assert!(report.oldest_open.is_none() && report.jobs.is_empty());
    }

    async fn jobs_are_counted_by_type_status_and_outcome(house: House) {
        house.leaves_jobs();
        house.settle_town().await;
        for webhook in [
            Webhook::customers_redact(ADA, &[1001_u64]),
            Webhook::customers_redact(ADA, &[1002_u64]),
            Webhook::customers_redact("nobody.myshopify.com", &[1_u64]),
            Webhook::data_request(ADA, &[1004_u64]),
            Webhook::shop_redact(ADA),
        ] {
            house.done(&webhook).await;
        }
        house.post(&Webhook::shop_redact(ADA)).await;
        let report = report(&house).await;
        let completed = JobStatus::Completed;
        assert_eq!(count(&report, (JobType::CustomerRedact, completed, Some(Outcome::Erased))), 2);
        assert_eq!(count(&report, (JobType::CustomerRedact, completed, Some(Outcome::NothingFound))), 1);
        assert_eq!(count(&report, (JobType::DataRequest, completed, Some(Outcome::Exported))), 1);
        assert_eq!(count(&report, (JobType::ShopRedact, completed, Some(Outcome::Erased))), 1);
        assert_eq!(count(&report, (JobType::ShopRedact, JobStatus::Queued, None)), 1);
        assert_eq!(report.jobs.iter().map(|jobs| jobs.count).sum::<u64>(), 6);
        assert_eq!((report.open, report.completed), (1, 5));
    }

    async fn a_deadline_comes_near_and_passes_as_time_goes_on(house: House) {
        house.leaves_jobs();
        let open = async |house: &House| {
            let report = report(house).await;
            (report.open, report.due_within_seven_days, report.overdue)
        };
        let first = house.post(&Webhook::shop_redact("first.myshopify.com")).await;
        assert_eq!(open(&house).await, (1, 0, 0));
        house.advance(TimeDelta::days(10));
        let second = house.post(&Webhook::shop_redact("second.myshopify.com")).await;
        house.advance(TimeDelta::hours(12 * 24 + 23));
        assert_eq!(open(&house).await, (2, 0, 0), "the first is due in seven days and an hour");
        house.advance(TimeDelta::hours(2));
        assert_eq!(open(&house).await, (2, 1, 0));
        house.advance(TimeDelta::days(7));
        assert_eq!(open(&house).await, (2, 0, 1), "overdue is not due soon");
        let oldest = report(&house).await.oldest_open.unwrap();
        assert_eq!(oldest.id, first);
        assert_eq!(oldest.due_at - oldest.created_at, TimeDelta::days(30));

        // Held and failed jobs are open as well: their deadlines run.
        for (id, status) in [(&first, JobStatus::Failed), (&second, JobStatus::Held)] {
            let row = ActiveModel { id: Set(id.clone()), status: Set(status), ..Default::default() };
            row.update(house.store().db()).await.unwrap();
        }
        house.advance(TimeDelta::days(9));
        assert_eq!(open(&house).await, (2, 1, 1));
        let row = ActiveModel { id: Set(first), status: Set(JobStatus::Cancelled), ..Default::default() };
        row.update(house.store().db()).await.unwrap();
        assert_eq!(open(&house).await, (1, 1, 0));
        assert_eq!(report(&house).await.oldest_open.unwrap().id, second);
    }

    async fn median_and_p95_are_the_nearest_ranks(house: House) {
        let webhooks: Vec<Webhook> = (1..=20_u64).map(|n| Webhook::customers_redact(ADA, &[n])).collect();
        let accepted = house.accept(&webhooks).await;
        house.work().await;
        for (n, accepted) in accepted.iter().enumerate() {
            // In no order: 7 is prime to 20.
            took(&house, &accepted.job_id, 10 * (i64::try_from(n).unwrap() * 7 % 20 + 1)).await;
        }
        let twenty = report(&house).await;
        assert_eq!((twenty.completed, twenty.median_seconds, twenty.p95_seconds), (20, Some(100.0), Some(190.0)));
        let one_more = house.done(&Webhook::customers_redact(ADA, &[21_u64])).await;
        took(&house, &one_more.id, 100_000).await;
        let twenty_one = report(&house).await;
        assert_eq!((twenty_one.completed, twenty_one.median_seconds, twenty_one.p95_seconds), (21, Some(110.0), Some(200.0)));
    }

    async fn a_period_takes_its_beginning_and_leaves_its_end(house: House) {
        house.leaves_jobs();
        let at = async |n: u64| {
            let id = house.post(&Webhook::customers_redact(ADA, &[n])).await;
            house.advance(TimeDelta::days(1));
            house.job(&id).await.created_at
        };
        let (first, second, third) = (at(1).await, at(2).await, at(3).await);
        let jobs = async |from, to| {
            let report = read(house.store(), &house.clock, from, to).await.unwrap();
            assert_eq!(report.open, 3, "deadlines are told of all open jobs, whenever they came");
            report.jobs.iter().map(|jobs| jobs.count).sum::<u64>()
        };
        assert_eq!(jobs(None, None).await, 3);
        assert_eq!(jobs(Some(first), Some(third)).await, 2);
        assert_eq!(jobs(Some(second), None).await, 2);
        assert_eq!(jobs(None, Some(first)).await, 0);
        assert_eq!(jobs(Some(second), Some(second)).await, 0);
    }

    async fn the_last_sweep_is_the_last_that_ended_well(house: House) {
        let now = house.clock.now();
        for (id, days, error) in [("a", 3, None), ("b", 2, None), ("c", 1, Some("no disk".to_owned()))] {
            let run = retention_run::Model {
                id: id.to_owned(),
                sweep_id: None,
                store: "default".to_owned(),
                rows_due: 0,
                because: None,
                longest_ms: 0,
                vacuumed: false,
                resume: None,
                trigger: "schedule".to_owned(),
                policy: "by_shop".to_owned(),
                table_name: "ConversionLog".to_owned(),
                cutoff: None,
                rows_purged: 0,
                rows_held: 0,
                batches: 0,
                strategy: None,
                dry_run: false,
                limit_reached: false,
                error,
                started_at: now - TimeDelta::days(days),
                finished_at: Some(now - TimeDelta::days(days)),
            };
            retention_run::Entity::insert(run.into_active_model()).exec_without_returning(house.store().db()).await.unwrap();
        }
        assert_eq!(report(&house).await.last_sweep_at, Some(now - TimeDelta::days(2)));
    }
}
