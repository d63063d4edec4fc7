//! Reads from a claim whom it concerns; what only the sealed payload has is unsealed in memory, and only when the map asks.

use std::collections::HashMap;

use entity::gdpr_job::JobType;

use super::Inner;
use crate::erasure::progress::Progress;
use crate::erasure::subject::{Scope, Target, UnreadablePayload};
use crate::seal::{Aad, ContentKeyError};
use crate::store::StoreError;
use crate::store::gdpr_job::{self, Claimed, SealedBody};
use crate::webhook::{PROVIDERS, Subject, UnverifiedWebhook, VerifiedWebhook, WebhookHeaders};

/// A claim with what is to be done for it.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub claim: Claimed,
    pub job_type: JobType,
    pub target: Target,
    pub progress: Progress,
}

impl Inner {
    /// Reads claims; those that do not read back come with their error.
    pub(super) async fn tasks(
        &self,
        claims: Vec<Claimed>,
    ) -> Result<(Vec<Task>, Vec<(Claimed, UnreadablePayload)>), StoreError> {
        let (mut tasks, mut unreadable) = (Vec::with_capacity(claims.len()), Vec::new());
        for claim in claims {
            match read(&claim) {
                Ok((job_type, target)) => {
                    let progress = Progress::from_json(claim.progress.as_ref());
                    tasks.push(Task { claim, job_type, target, progress });
                }
                Err(error) => unreadable.push((claim, error)),
            }
        }
        if self.tools.stores.needs_personal_identifiers() {
            tasks = self.with_personal(tasks, &mut unreadable).await?;
        }
        Ok((tasks, unreadable))
    }

    async fn with_personal(
        &self,
        tasks: Vec<Task>,
        unreadable: &mut Vec<(Claimed, UnreadablePayload)>,
    ) -> Result<Vec<Task>, StoreError> {
        let of_subjects = tasks.iter().filter(|task| !task.target.is_whole_shop());
        let ids: Vec<String> = of_subjects.map(|task| task.claim.id.clone()).collect();
        if ids.is_empty() {
            return Ok(tasks);
        }
        let bodies = gdpr_job::sealed_bodies(self.store.db(), ids).await?;
        let mut bodies: HashMap<String, SealedBody> = bodies.into_iter().map(|body| (body.id.clone(), body)).collect();
        let mut read = Vec::with_capacity(tasks.len());
        for mut task in tasks {
            let Scope::Subject(subject) = &mut task.target.scope else {
                read.push(task);
                continue;
            };
            match self.unseal(&task.claim, bodies.remove(&task.claim.id)).await? {
                Ok(sealed) => {
                    let exposed =
                        |personal: &Option<crate::seal::Pii<String>>| personal.as_ref().map(|p| p.expose().clone());
                    subject.add_personal(exposed(&sealed.email).as_deref(), exposed(&sealed.phone).as_deref());
                    read.push(task);
                }
                // Without these identifiers the erasure could miss rows: it must not be said to be complete.
                Err(reason) => unreadable.push((task.claim.clone(), UnreadablePayload::sealed(&task.claim.id, reason))),
            }
        }
        Ok(read)
    }

    async fn unseal(
        &self,
        claim: &Claimed,
        body: Option<SealedBody>,
    ) -> Result<Result<Subject, &'static str>, StoreError> {
        let Some(SealedBody { provider, topic, sealed: Some(sealed), .. }) = body else {
            return Ok(Err("the body is not there any more"));
        };
        let aad = Aad { table: crate::job::TABLE, row: &claim.id, column: "sealedPayload", shop: &claim.shop_domain };
        let body = match self.tools.keys.open(&aad, &sealed).await {
            Ok(body) => body,
            Err(ContentKeyError::Store(error)) => return Err(error),
            Err(ContentKeyError::Gone(_)) => return Ok(Err("the key was destroyed")),
            Err(ContentKeyError::Seal(_)) => return Ok(Err("the seal is broken")),
        };
        let Some(provider) = PROVIDERS.iter().find(|known| known.name == provider) else {
            return Ok(Err("the provider is unknown"));
        };
        let headers = WebhookHeaders { topic: Some(topic), ..WebhookHeaders::default() };
        let webhook = UnverifiedWebhook { provider, headers, path_topic: None, body };
        Ok(VerifiedWebhook::vouched_for_by_seal(webhook)
            .read()
            .map(|read| read.subject)
            .map_err(|_| "the body does not read"))
    }
}

fn read(claim: &Claimed) -> Result<(JobType, Target), UnreadablePayload> {
    let job_type: JobType = claim.job_type.parse().map_err(|_| UnreadablePayload::job_type(&claim.id))?;
    let subject = |key| Target::of_subject(&claim.id, &claim.shop_domain, &claim.payload, key);
    let target = match job_type {
        JobType::ShopRedact => Target::of_shop(&claim.shop_domain),
        JobType::CustomerRedact => subject("orders_to_redact")?,
        JobType::DataRequest => subject("orders_requested")?,
    };
    Ok((job_type, target.with_shop_number(claim.shop_id.clone())))
}
