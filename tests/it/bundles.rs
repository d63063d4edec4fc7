//! An evidence bundle verifies elsewhere, in Rust and in Python, and no altered one does.

mod clocks;
mod forged;
mod insider;
mod missing;
mod mutations;
mod program;
mod pypi;
mod written;

use efface::evidence::bundle::gather::Wishes;
use efface::evidence::bundle::verify::{Checked, Refused, verify};

use crate::house::{ADA, BEA, House, Webhook};

impl House {
    /// The bundle of a job.
    pub async fn bundle(&self, id: &str, wishes: &Wishes<'_>) -> Vec<u8> {
        self.app().bundles().of_job(id, wishes).await.unwrap()
    }

    /// The bundle of a shop.
    pub async fn bundle_of_shop(&self, shop: &str, wishes: &Wishes<'_>) -> Vec<u8> {
        self.app().bundles().of_shop(shop, None, None, wishes).await.unwrap()
    }

    /// Checks a bundle with the house's key.
    pub fn check(&self, bundle: &[u8]) -> Result<Checked, Refused> {
        verify(bundle, &[self.key()], None)
    }

    /// Both verifiers must find these bundles valid.
    pub fn both_verify(&self, bundles: &[Vec<u8>]) {
        let mut cases = mutations::Cases::new(self.key());
        for bundle in bundles {
            cases.set_base(bundle);
            assert_eq!(cases.last(), "OK");
        }
        cases.both_agree(tempfile::tempdir().unwrap().path());
    }

    /// Jobs that have lived through everything: failures, holds, a release, a cancellation, a second try.
    pub async fn jobs_with_a_past(&self) -> Vec<String> {
        self.settle_town().await;
        self.uninstall(BEA, false).await;
        let mut jobs = Vec::new();
        let mut failing = None;
        for webhook in [
            Webhook::customers_redact(ADA, &[1001_u64, 1003]),
            Webhook::data_request(ADA, &[1002_u64]),
            Webhook::customers_redact(ADA, &[4711_u64]),
        ] {
            jobs.push(self.done(&webhook).await.id);
        }
        self.refuse_delete("SurveyResponse", "1=1").await;
        let id = self.post(&Webhook::shop_redact(BEA)).await;
        for _ in 0..40 {
            self.tick().await;
            self.let_retries_come_due();
            if self.job(&id).await.status == entity::gdpr_job::JobStatus::Failed {
                failing = Some(id.clone());
                break;
            }
        }
        self.heal("refusal", "SurveyResponse").await;
        let failed = failing.expect("the job fails");
        self.command(&failed, efface::job::command::Command::Retry).await.unwrap();
        self.work().await;
        jobs.push(failed);
        let held = self.post(&Webhook::new("shop/redact", super::receipts::mismatched())).await;
        self.command(&held, self.cancel("sent by mistake")).await.unwrap();
        jobs.push(held);
        jobs
    }
}
