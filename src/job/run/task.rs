//! A claim with what is to be done for it.

use std::collections::HashMap;

use entity::gdpr_job::JobType;

use super::Inner;
use crate::erasure::progress::Progress;
use crate::erasure::subject::{Target, UnreadablePayload};
use crate::job::unseal;
use crate::store::StoreError;
use crate::store::gdpr_job::{self, Claimed, SealedBody};

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
        tasks = self.with_personal(tasks, &mut unreadable).await?;
        Ok((tasks, unreadable))
    }

    /// Adds what only sealed bodies have, to those that need it.
    async fn with_personal(
        &self,
        tasks: Vec<Task>,
        unreadable: &mut Vec<(Claimed, UnreadablePayload)>,
    ) -> Result<Vec<Task>, StoreError> {
        let asked = self.tools.stores.needs_personal_identifiers() || self.tools.tombstones.wants_personal();
        let is_asked =
            |task: &Task| !task.target.is_whole_shop() && (asked || unseal::is_partly_sealed(&task.claim.payload));
        let ids: Vec<String> = tasks.iter().filter(|task| is_asked(task)).map(|task| task.claim.id.clone()).collect();
        if ids.is_empty() {
            return Ok(tasks);
        }
        let bodies = gdpr_job::sealed_bodies(self.store.db(), ids).await?;
        let mut bodies: HashMap<String, SealedBody> = bodies.into_iter().map(|body| (body.id.clone(), body)).collect();
        let mut read = Vec::with_capacity(tasks.len());
        for mut task in tasks {
            if !is_asked(&task) {
                read.push(task);
                continue;
            }
            let body = bodies.remove(&task.claim.id);
            let (keys, claim) = (&self.tools.planner.keys, &task.claim);
            match unseal::add_personal(keys, &mut task.target, &claim.id, &claim.payload, body).await? {
                Ok(()) => read.push(task),
                Err(error) => unreadable.push((task.claim, error)),
            }
        }
        Ok(read)
    }
}

fn read(claim: &Claimed) -> Result<(JobType, Target), UnreadablePayload> {
    let job_type: JobType = claim.job_type.parse().map_err(|_| UnreadablePayload::job_type(&claim.id))?;
    let target = unseal::target(&claim.id, job_type, &claim.shop_domain, claim.shop_id.clone(), &claim.payload)?;
    Ok((job_type, target))
}
