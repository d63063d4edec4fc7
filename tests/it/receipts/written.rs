//! When receipts are written: together with the end of their job, once, or not at all.

use std::collections::{BTreeSet, HashSet};

use chrono::TimeDelta;
use efface::erasure::data_map::{DataMap, REFERENCE};
use efface::erasure::progress::{Progress, StoreStep};
use efface::erasure::standing_plan::StandingPlan;
use efface::erasure::subject::Target;
use efface::erasure::verify::{self, Verdict};
use efface::evidence::bundle::gather::Wishes;
use efface::evidence::canonical::canonical;
use efface::evidence::statement::{Hold, PREDICATE_TYPE, STATEMENT_TYPE, SubjectKind};
use efface::job::command::{Command, CommandError};
use efface::job::settle::{self, Done, Finished};
use efface::store::gdpr_job::Claimed;
use entity::gdpr_job::{JobStatus, JobType, Model, Outcome};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::mismatched;
use crate::house::{ADA, BEA, CYD, House, Webhook};

impl House {
    /// From now on, no receipt can be stored.
    async fn refuse_receipts(&self) {
        let table = "DeletionReceipt";
        if self.is_sqlite() {
            let body = "BEGIN SELECT RAISE(ABORT, 'no'); END";
            self.execute(&format!(r#"CREATE TRIGGER "no_receipts" BEFORE INSERT ON "{table}" {body}"#)).await;
        } else {
            self.execute(&format!(
                r#"CREATE FUNCTION no_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
                   BEGIN RAISE EXCEPTION 'no'; END $$;
                   CREATE TRIGGER "no_receipts" BEFORE INSERT ON "{table}" FOR EACH ROW EXECUTE FUNCTION no_receipts()"#
            ))
            .await;
        }
    }

    /// Does what a worker does last, in a transaction that the caller ends. Names what was completed.
    async fn complete_export(&self, claim: &Claimed, commit: bool) -> HashSet<String> {
        let finished =
            Finished { claim: claim.clone(), progress: Progress::default(), done: Done::Exported, tombstone: None };
        let tx = self.store().begin_write().await.unwrap();
        let tools = self.app().tools();
        let completed =
            settle::complete(&*tx, &tools.stores, &tools.signer, self.clock.now(), &[finished]).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        completed
    }
}

/// The reference map, changed: survey answers are masked for a customer; reports and the shop's own row stay.
fn map_that_masks_and_keeps() -> String {
    let (before, surveys) = REFERENCE.split_once("name = \"SurveyResponse\"").unwrap();
    let surveys = surveys.replacen(
        "customers_redact = \"delete\"",
        "customers_redact = \"mask\"\nmask = [{ column = \"feedback\", with = \"remove\" }]",
        1,
    );
    let (surveys, reports) = surveys.split_once("name = \"ReconciliationReport\"").unwrap();
    let reports = reports.replacen("shop_redact = \"delete\"", "shop_redact = \"keep\"\nground = \"ten years\"", 1);
    let map = format!("{before}name = \"SurveyResponse\"{surveys}name = \"ReconciliationReport\"{reports}");
    map.replacen("\"deletedShops\"", "\"deletedShops\"\nkeep_row = true\nground = \"our contract\"", 1)
}

fn is_final(job: &Model) -> bool {
    job.status.is_final()
}

both_databases! {
    async fn every_job_that_ended_has_exactly_one_receipt_that_verifies(house: House) {
        house.one_receipt_of_each_ending().await;
        let (jobs, receipts) = (house.jobs().await, house.receipts().await);
        assert!(jobs.iter().all(is_final));
        let of_jobs: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        let of_receipts: BTreeSet<&str> = receipts.iter().map(|receipt| receipt.job_id.as_str()).collect();
        assert_eq!((of_receipts, receipts.len()), (of_jobs, jobs.len()));
        let outcomes: BTreeSet<Outcome> = receipts.iter().map(|receipt| receipt.outcome).collect();
        assert_eq!(outcomes.len(), 4, "erased, nothing found, exported, not executed: {outcomes:?}");
        for receipt in &receipts {
            let job = jobs.iter().find(|job| job.id == receipt.job_id).unwrap();
            let statement = house.opened(receipt);
            assert_eq!((statement.kind.as_str(), statement.predicate_type.as_str()), (STATEMENT_TYPE, PREDICATE_TYPE));
            let told = &statement.predicate;
            assert_eq!(Some(told.outcome), job.outcome);
            assert_eq!(Some(told.ended_at), job.completed_at);
            assert_eq!(told.erasure.as_ref().map(|e| e.verification.verified_at), job.verified_at);
            assert_eq!(told.attempts, u32::try_from(job.attempts).unwrap());
            let request = &told.request;
            assert_eq!((&request.job_id, request.job_type, &request.topic), (&job.id, job.job_type, &job.topic));
            assert_eq!((&request.provider, request.source), (&job.provider, job.source));
            assert_eq!((&request.shop_domain, &request.shop_id), (&job.shop_domain, &job.shop_id));
            assert_eq!((request.received_at, request.due_at), (job.created_at, job.due_at));
            assert_eq!((receipt.job_type, receipt.outcome, &receipt.shop_domain), (job.job_type, told.outcome, &job.shop_domain));
            assert_eq!(receipt.key_id, house.key().id());
            assert_eq!(Some(receipt.created_at), job.completed_at);
            assert_eq!(receipt.expires_at - receipt.created_at, TimeDelta::days(3650));
        }
    }

    async fn a_receipt_counts_what_the_jobs_result_counts(house: House) {
        house.settle_town().await;
        house.uninstall(BEA, false).await;
        let orders = [1001_u64, 1004, 1001];
        let job = house.done(&Webhook::customers_redact(ADA, &orders)).await;
        let receipt = house.receipt(&job.id).await.predicate;
        let rows: Vec<_> = receipt.erasure.unwrap().tables.iter().map(|t| (t.table.clone(), t.matched, t.deleted)).collect();
        let row = |table: &str, n| (table.to_owned(), n, n);
        assert_eq!(rows, [row("ConversionLog", 6), row("ConversionJob", 3), row("PixelEventReceipt", 6), row("SurveyResponse", 3)]);
        assert_eq!(receipt.subject.kind, SubjectKind::Customer);
        assert_eq!(receipt.subject.orders.unwrap().count, 2, "an order that is listed twice is one");

        let job = house.done(&Webhook::shop_redact(BEA)).await;
        let receipt = house.receipt(&job.id).await.predicate;
        let tables = receipt.erasure.unwrap().tables;
        assert_eq!(tables.iter().map(|t| t.deleted).sum::<u64>(), 10 * 6 + 2 + 1);
        assert_eq!((tables.last().unwrap().table.as_str(), tables.last().unwrap().deleted), ("Shop", 1));
        assert_eq!((receipt.subject.kind, receipt.subject.orders), (SubjectKind::Shop, None));

        let job = house.done(&Webhook::data_request(ADA, &[1002_u64])).await;
        let receipt = house.receipt(&job.id).await.predicate;
        assert_eq!(receipt.export.unwrap().tables.iter().map(|t| t.collected).sum::<u64>(), 6);
        assert_eq!(receipt.erasure, None);
    }

    async fn a_receipt_tells_masked_and_kept_rows_with_their_grounds_and_the_map(house: House) {
        let folder = tempfile::tempdir().unwrap();
        let (file, map) = (folder.path().join("map.toml"), map_that_masks_and_keeps());
        std::fs::write(&file, &map).unwrap();
        let house = house.with(&[("data_map.file", file.to_str().unwrap())]).await;
        house.settle_town().await;
        house.execute(&format!(r#"DELETE FROM "ReconciliationReport" WHERE "shopId"='id of {CYD}'"#)).await;

        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let receipt = house.receipt(&job.id).await.predicate;
        assert_eq!((receipt.outcome, receipt.policy.data_map), (Outcome::Erased, Some(hex::encode(Sha256::digest(&map)))));
        let plan = StandingPlan::of(&DataMap::parse(&map).unwrap(), JobType::CustomerRedact);
        assert_eq!((receipt.policy.plan, receipt.policy.approved_plan), (Some(plan.hash.clone()), None));
        let told = plan.to_json()["plan"].clone();
        assert_eq!(plan.hash, hex::encode(Sha256::digest(canonical(&told))), "anybody can make it from the canonical JSON");
        let masked = told["tables"].as_array().unwrap().iter().find(|table| table["table"] == "SurveyResponse").unwrap();
        assert_eq!((&masked["action"], &masked["columns"]), (&json!("mask"), &json!(["feedback (remove)"])));
        let tables = receipt.erasure.unwrap().tables;
        let surveys = tables.iter().find(|table| table.table == "SurveyResponse").unwrap();
        assert_eq!((surveys.matched, surveys.deleted, surveys.masked), (1, 0, 1));
        // The entry of its end counts both.
        house.both_verify(&[house.bundle(&job.id, &Wishes::default()).await]);

        for (shop, reports) in [(BEA, 2), (CYD, 0)] {
            let job = house.done(&Webhook::shop_redact(shop)).await;
            assert_eq!(job.outcome, Some(Outcome::Retained), "{:?}", job.error_message);
            let kept: Vec<_> = house.receipt(&job.id).await.predicate.erasure.unwrap().tables.into_iter()
                .filter(|table| table.ground.is_some()).map(|table| (table.table, table.kept, table.ground.unwrap())).collect();
            let told = |table: &str, kept, ground: &str| (table.to_owned(), kept, ground.to_owned());
            assert_eq!(kept, [told("ReconciliationReport", reports, "ten years"), told("Shop", 1, "our contract")]);
        }
        let job = house.done(&Webhook::shop_redact("nobody.myshopify.com")).await;
        assert_eq!(house.receipt(&job.id).await.predicate.outcome, Outcome::NothingFound);
    }

    async fn counts_that_were_lost_with_an_attempt_are_said_to_be_lost(house: House) {
        let id = house.post(&Webhook::shop_redact(ADA)).await;
        let claim = house.claim("worker", 1).await.remove(0);
        let tools = house.app().tools();
        let mut progress = Progress::default();
        progress.stores.insert("crm".to_owned(), StoreStep::DeletedRest);
        progress.stores.insert("mail".to_owned(), StoreStep::Deleted);
        let target = Target::of_shop(ADA);
        let all = tools.stores.all().await.unwrap();
        let verdict = verify::verify(&all, &house.clock, &[(&target, &progress)]).await.unwrap().remove(0);
        let Verdict::Clean { verified, kept } = verdict else { panic!("{verdict:?}") };
        let finished = Finished { claim, progress, done: Done::Erased { whole_shop: true, verified, kept }, tombstone: None };
        let tx = house.store().begin_write().await.unwrap();
        settle::complete(&*tx, &tools.stores, &tools.signer, house.clock.now(), &[finished]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(house.receipt(&id).await.predicate.erasure.unwrap().uncounted_stores, ["crm"]);
    }

    async fn the_residual_horizon_says_whose_word_it_is(house: House) {
        let house = house.with(&[("evidence.horizon.backups_days", "90"), ("evidence.horizon.replicas_days", "0")]).await;
        let job = house.done(&Webhook::shop_redact(ADA)).await;
        let horizon = house.receipt(&job.id).await.predicate.erasure.unwrap().residual_horizon;
        let told = serde_json::to_value(horizon).unwrap();
        let until = |days| efface::clock::rfc3339(job.completed_at.unwrap() + TimeDelta::days(days));
        assert_eq!(told, serde_json::json!([
            { "in": "deadRows", "days": 30, "until": until(30), "statedBy": "default" },
            { "in": "writeAheadLog", "days": 7, "until": until(7), "statedBy": "default" },
            { "in": "replicas", "days": 0, "until": until(0), "statedBy": "operator" },
            { "in": "backups", "days": 90, "until": until(90), "statedBy": "operator" },
            { "in": "broker", "days": 7, "until": until(7), "statedBy": "default" },
        ]));
    }

    async fn a_batch_writes_the_receipts_of_all_its_jobs(house: House) {
        house.open_shop(ADA).await;
        let webhooks: Vec<Webhook> = (0..300_u64).map(|order| Webhook::customers_redact(ADA, &[order])).collect();
        house.accept(&webhooks).await;
        assert_eq!(house.tick().await, 192);
        assert_eq!(house.receipts().await.len(), 192);
        house.work().await;
        let receipts = house.receipts().await;
        let of: HashSet<String> = receipts.iter().map(|receipt| house.opened(receipt).predicate.request.job_id).collect();
        assert_eq!((receipts.len(), of.len()), (300, 300));
    }

    async fn a_receipt_tells_every_hold_that_its_job_went_through(house: House) {
        house.settle_town().await;
        let hold = |reason: &str, id: Option<&str>| Hold { reason: reason.to_owned(), id: id.map(str::to_owned) };
        let (shop, person) = (json!({ "shop": ADA }), json!({ "shop": ADA, "subject": { "orderIds": [1001] } }));
        let (first, cancelled) = (house.hold(shop.clone()).await.id, Webhook::customers_redact(ADA, &[1002_u64]));
        let erased = house.post(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        let cancelled = house.post(&cancelled).await;
        house.work().await;
        // It takes over where the first one ends.
        let second = house.hold(person).await.id;
        house.command(&cancelled, house.cancel("not ours")).await.unwrap();
        assert_eq!(house.receipt(&cancelled).await.predicate.holds, [hold("legal_hold", Some(&first))]);
        house.release_hold(&first).await.unwrap();
        house.work().await;
        house.release_hold(&second).await.unwrap();
        house.work().await;
        let both = [hold("legal_hold", Some(&first)), hold("legal_hold", Some(&second))];
        assert_eq!(house.receipt(&erased).await.predicate.holds, both);

        // A shop that is back, under a legal hold first; then what intake held.
        house.uninstall(ADA, true).await;
        let third = house.hold(shop).await.id;
        let back = house.post(&Webhook::shop_redact(ADA)).await;
        house.work().await;
        house.release_hold(&third).await.unwrap();
        house.work().await;
        assert_eq!(house.job(&back).await.hold_reason.as_deref(), Some("shop_reinstalled"));
        house.uninstall(ADA, false).await;
        house.command(&back, Command::Release { plan: None }).await.unwrap();
        let odd = house.post(&Webhook::new("shop/redact", mismatched())).await;
        house.command(&odd, Command::Release { plan: None }).await.unwrap();
        house.work().await;
        let told = house.receipt(&back).await.predicate;
        assert_eq!(told.holds, [hold("legal_hold", Some(&third)), hold("shop_reinstalled", None)]);
        assert!(told.erasure.unwrap().tables.iter().any(|table| table.deleted > 0), "no count was lost with the holds");
        if house.job(&odd).await.status.is_final() {
            assert_eq!(house.receipt(&odd).await.predicate.holds, [hold("payload_mismatch", None)]);
        }
        let free = house.done(&Webhook::customers_redact(BEA, &[1001_u64])).await;
        assert_eq!(house.receipt(&free.id).await.predicate.holds, []);
    }

    async fn a_receipt_tells_the_approval_that_its_job_waited_for(house: House) {
        let house = house.with(&[("jobs.approval", "all")]).await;
        house.settle_town().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        house.command(&job.id, Command::Release { plan: job.plan_hash.clone() }).await.unwrap();
        house.work().await;
        let told = house.receipt(&job.id).await.predicate;
        assert_eq!(told.holds, [Hold { reason: "awaiting_approval".to_owned(), id: None }]);
        assert_eq!(told.policy.approved_plan, job.plan_hash);
        assert!(told.policy.plan.is_some() && told.policy.plan != job.plan_hash);
    }

    async fn a_job_that_has_not_ended_has_no_receipt(house: House) {
        house.leaves_jobs();
        house.settle_town().await;
        let held = house.post(&Webhook::new("shop/redact", mismatched())).await;
        house.bring_surveys_back().await;
        let failed = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!(failed.status, JobStatus::Failed);
        house.refuse_delete("ConversionLog", r#"OLD."orderId" = '1002'"#).await;
        let retrying = house.done(&Webhook::customers_redact(ADA, &[1002_u64])).await;
        assert_eq!(retrying.status, JobStatus::Retrying);
        house.post(&Webhook::shop_redact(ADA)).await;
        assert!(house.receipts().await.is_empty());

        house.heal("revenant", "SurveyResponse").await;
        house.command(&failed.id, Command::Retry).await.unwrap();
        house.command(&held, house.cancel("not ours")).await.unwrap();
        house.work().await;
        assert_eq!(house.receipt(&failed.id).await.predicate.outcome, Outcome::Erased);
        let receipt = house.receipt(&held).await.predicate;
        assert_eq!((receipt.outcome, receipt.attempts), (Outcome::NotExecuted, 0));
        assert_eq!(receipt.holds[0].reason, "payload_mismatch");
    }

    async fn a_job_whose_receipt_cannot_be_stored_does_not_end(house: House) {
        house.settle_town().await;
        house.refuse_receipts().await;
        let job = house.done(&Webhook::customers_redact(ADA, &[1001_u64])).await;
        assert_eq!((job.status, job.outcome, job.completed_at), (JobStatus::Retrying, None, None));
        assert!(job.sealed_payload.is_some(), "the request is still there");
        let held = house.post(&Webhook::new("shop/redact", mismatched())).await;
        let before = house.job(&held).await;
        let refused = house.command(&held, house.cancel("not ours")).await.unwrap_err();
        assert!(matches!(refused, CommandError::Store(_)), "{refused}");
        assert_eq!(house.job(&held).await, before);
        let ends = r#"SELECT count(*) AS n FROM "AuditLog" WHERE "action"='delete' OR "actorType"='operator'"#;
        assert_eq!((house.number(ends).await, house.receipts().await.len()), (0, 0));

        house.heal("no_receipts", "DeletionReceipt").await;
        house.let_retries_come_due();
        house.work().await;
        house.command(&held, house.cancel("not ours")).await.unwrap();
        let receipt = house.receipt(&job.id).await.predicate;
        assert_eq!((receipt.outcome, receipt.attempts), (Outcome::Erased, 2));
        assert_eq!(receipt.erasure.unwrap().tables[0].deleted, 2, "what the first attempt deleted is counted");
        house.receipt(&held).await;
    }

    async fn a_transaction_that_is_rolled_back_leaves_no_receipt(house: House) {
        let id = house.post(&Webhook::data_request(ADA, &[1001_u64])).await;
        let claim = house.claim("first", 1).await.remove(0);
        assert_eq!(house.complete_export(&claim, false).await.len(), 1);
        assert!(house.receipts().await.is_empty());
        assert_eq!(house.job(&id).await.status, JobStatus::Processing);
        house.let_leases_expire();
        house.rescue().await;
        house.let_retries_come_due();
        house.work().await;
        assert_eq!(house.receipt(&id).await.predicate.request.job_type, JobType::DataRequest);
    }

    async fn a_worker_whose_claim_was_lost_leaves_no_receipt(house: House) {
        let id = house.post(&Webhook::data_request(ADA, &[1001_u64])).await;
        let stale = house.claim("first", 1).await.remove(0);
        house.let_leases_expire();
        house.rescue().await;
        assert!(house.complete_export(&stale, true).await.is_empty());
        assert!(house.receipts().await.is_empty());
        house.let_retries_come_due();
        house.work().await;
        assert!(house.complete_export(&stale, true).await.is_empty());
        house.receipt(&id).await;
    }
}
