//! Erases and proves it: the default store in transactions that also hold the claims, and then further stores.

use std::collections::HashSet;

use entity::gdpr_job::JobType;

use super::dwindling::Dwindling;
use super::hand::Hand;
use super::task::Task;
use super::{Boxed, Inner, claims_lost};
use crate::erasure::data_map::StoreMap;
use crate::erasure::execute::{Fate, Hands, Step};
use crate::erasure::progress::Progress;
use crate::erasure::reinstall::Back;
use crate::erasure::subject::Target;
use crate::erasure::verify::{self, Verdict};
use crate::job::legal_hold;
use crate::job::machine::Event;
use crate::job::settle::{self, Done, Finished};
use crate::store::gdpr_job::{self, Claimed, Fenced};
use crate::store::{Store, StoreError, WriteTransaction};

/// Times that residue is erased again within one attempt before the job fails with the table named.
const ERASE_ROUNDS: u32 = 3;

/// Times that a transaction which met another is begun again before the attempt counts as failed.
const CONTENTION_MAX: u32 = 10;

/// Times that it is begun again because rows had come that refer to deleted ones. Rows that the map does not know of are
/// in the way each time.
const LATE_CHILDREN_MAX: u32 = 3;

/// Times that it is begun again because a trigger was in the way of several tables' rows at once: then they go one by one.
const ENTANGLED_MAX: u32 = 1;

/// Whether a transaction that failed with this error is begun again, after `met` times.
pub(super) fn begins_again(error: &StoreError, met: &mut u32) -> bool {
    let max = match error {
        error if error.is_contention() => CONTENTION_MAX,
        error if error.is_referenced() => LATE_CHILDREN_MAX,
        error if error.is_entangled() => ENTANGLED_MAX,
        _ => 0,
    };
    let again = *met < max;
    if again {
        *met += 1;
        tracing::debug!(met = *met, "a transaction met another one and is begun again");
    }
    again
}

fn claims_of(tasks: Vec<Task>) -> Vec<Claimed> {
    tasks.into_iter().map(|task| task.claim).collect()
}

/// What one transaction of deletes came to.
#[derive(Debug, Default)]
struct Deleted {
    erased: Vec<Task>,
    large: Vec<Task>,
    reinstalled: Vec<(Task, Back)>,
}

impl Inner {
    pub(super) fn hands<'a>(
        &'a self,
        tx: &'a WriteTransaction,
        map: &'a StoreMap,
    ) -> Hands<'a, sea_orm::DatabaseTransaction> {
        let (rows_max, reinstalled) = (self.settings.batch_rows_max, self.settings.reinstalled);
        Hands { conn: tx, map, masker: &self.tools.masker, rows_max, reinstalled, one_by_one: &self.one_by_one }
    }

    /// Erases many jobs in one transaction; splits when that fails, so that a bad job stands alone.
    pub(super) fn erase_together<'a>(
        &'a self,
        mut tasks: Vec<Task>,
        hand: &'a Hand,
    ) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if self.shutdown.is_cancelled() {
                for task in &tasks {
                    self.give_back(&task.claim, hand).await?;
                }
                return Ok(());
            }
            let deleted = match self.delete_batch(&mut tasks, hand).await {
                Ok(deleted) => deleted,
                Err(error) if tasks.len() > 1 && !error.is_outage() => {
                    metrics::counter!("efface_job_batches_split_total").increment(1);
                    let second = tasks.split_off(tasks.len() / 2);
                    self.erase_together(tasks, hand).await?;
                    return self.erase_together(second, hand).await;
                }
                Err(error) => return self.cut_short(claims_of(tasks), hand, error).await,
            };
            for (task, back) in deleted.reinstalled {
                self.hold_reinstalled(&task.claim, hand, &back).await?;
            }
            for task in deleted.large {
                self.erase_large_shop(task, hand).await?;
            }
            let mut erased = deleted.erased;
            if let Err(error) = self.erase_elsewhere(&mut erased, hand).await {
                return self.cut_short(claims_of(erased), hand, error).await;
            }
            self.prove(erased, hand).await
        })
    }

    /// Verifies what was deleted and completes it. Rows that are found again are deleted again, a few times.
    async fn prove(&self, mut tasks: Vec<Task>, hand: &Hand) -> Result<(), StoreError> {
        for round in 1..=ERASE_ROUNDS {
            if tasks.is_empty() {
                return Ok(());
            }
            let verdicts = match self.verify(&tasks).await {
                Ok(verdicts) => verdicts,
                Err(error) => return self.cut_short(claims_of(tasks), hand, error).await,
            };
            let (finished, residue) = self.sort(tasks, verdicts);
            if let Err(error) = self.complete(&finished, hand).await {
                let mut claims: Vec<Claimed> = finished.into_iter().map(|job| job.claim).collect();
                claims.extend(residue.into_iter().map(|(task, _)| task.claim));
                return self.cut_short(claims, hand, error).await;
            }
            for (task, tables) in &residue {
                metrics::counter!("efface_residue_found_total").increment(1);
                tracing::warn!(job.id = %task.claim.id, round, tables = %tables,
                    "rows were found again after they were deleted");
                if round == ERASE_ROUNDS {
                    let message = format!("rows remain after they were deleted: {tables}");
                    self.fail(&task.claim, hand, false, message).await?;
                }
            }
            if round == ERASE_ROUNDS || residue.is_empty() {
                return Ok(());
            }
            tasks = residue.into_iter().map(|(task, _)| task).collect();
            tasks = match self.delete_batch(&mut tasks, hand).await {
                Ok(deleted) => deleted.erased,
                Err(error) => return self.cut_short(claims_of(tasks), hand, error).await,
            };
            if let Err(error) = self.erase_elsewhere(&mut tasks, hand).await {
                return self.cut_short(claims_of(tasks), hand, error).await;
            }
        }
        Ok(())
    }

    /// Deletes the rows of all tasks in one transaction. On an error nothing is deleted and `tasks` are as before. A
    /// transaction that met another one (a large shop, an export, the app) is begun again.
    async fn delete_batch(&self, tasks: &mut Vec<Task>, hand: &Hand) -> Result<Deleted, StoreError> {
        let mut met = 0;
        loop {
            match self.try_delete_batch(tasks, hand).await {
                Err(error) if begins_again(&error, &mut met) => {}
                settled => return settled,
            }
        }
    }

    async fn try_delete_batch(&self, tasks: &mut Vec<Task>, hand: &Hand) -> Result<Deleted, StoreError> {
        self.renew(hand).await?;
        let tx = loop {
            let tx = self.store.begin_write().await?;
            let claims: Vec<Fenced> = tasks.iter().map(|task| task.claim.fenced()).collect();
            let ours = gdpr_job::hold_claims(&*tx, &self.clock, &claims, None).await?;
            tasks.retain(|task| ours.contains(&task.claim.id));
            Self::lose(hand, claims.iter().map(|claim| claim.id.as_str()).filter(|id| !ours.contains(*id)));
            if tasks.is_empty() {
                tx.rollback().await?;
                return Ok(Deleted::default());
            }
            let claims = tasks.iter().map(|task| &task.claim);
            let covered = legal_hold::covered(&self.tools.holds, &*tx, claims).await?;
            if covered.is_empty() {
                break tx;
            }
            tx.rollback().await?;
            self.keep_back(&covered, tasks, hand).await?;
        };
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let mut progress: Vec<Progress> = tasks.iter().map(|task| task.progress.clone()).collect();
        let map = self.tools.stores.default_store().0;
        let fates = self.hands(&tx, map).batch(&targets, &mut progress).await?;
        let changed = tasks.iter().zip(&progress).filter(|(task, progress)| task.progress != **progress);
        gdpr_job::save_progress(&*tx, changed.map(|(task, p)| (task.claim.fenced(), p.to_json())).collect()).await?;
        tx.commit().await?;
        self.truncate_wal(&self.store).await;
        let mut deleted = Deleted::default();
        for ((mut task, progress), fate) in std::mem::take(tasks).into_iter().zip(progress).zip(fates) {
            task.progress = progress;
            match fate {
                Fate::Deleted => deleted.erased.push(task),
                Fate::TooLarge => deleted.large.push(task),
                Fate::Reinstalled(back) => deleted.reinstalled.push((task, back)),
            }
        }
        Ok(deleted)
    }

    /// Puts down the tasks that legal holds cover: they are `held` from here on.
    pub(super) async fn keep_back(
        &self,
        covered: &HashSet<String>,
        tasks: &mut Vec<Task>,
        hand: &Hand,
    ) -> Result<(), StoreError> {
        let claims: Vec<&Claimed> =
            tasks.iter().map(|task| &task.claim).filter(|claim| covered.contains(&claim.id)).collect();
        let kept = legal_hold::keep_back(&self.settler, &self.tools.holds, &claims).await?;
        tasks.retain(|task| !kept.held.contains(&task.claim.id) && !kept.lost.contains(&task.claim.id));
        for id in &kept.held {
            hand.put_down(id);
        }
        Self::lose(hand, kept.lost.iter().map(String::as_str));
        Ok(())
    }

    pub(super) async fn truncate_wal(&self, store: &Store) {
        if let Err(error) = store.truncate_wal().await {
            tracing::warn!(error = %error, "the write-ahead log still holds copies of deleted rows; the next batch cuts it");
        }
    }

    pub(super) async fn hold_reinstalled(&self, claim: &Claimed, hand: &Hand, back: &Back) -> Result<(), StoreError> {
        self.settle(claim, hand, Event::Forbidden { reason: back.reason() }).await
    }

    /// Looks for the rows of tasks again, in a fresh snapshot of every store.
    async fn verify(&self, tasks: &[Task]) -> Result<Vec<Verdict>, StoreError> {
        let targets: Vec<(&Target, &Progress)> = tasks.iter().map(|task| (&task.target, &task.progress)).collect();
        let stores = self.tools.stores.all().await?;
        verify::verify(&stores, &self.clock, &targets).await
    }

    /// Tells the tasks that are done from those of which rows were found.
    fn sort(&self, tasks: Vec<Task>, verdicts: Vec<Verdict>) -> (Vec<Finished>, Vec<(Task, String)>) {
        let (mut finished, mut residue) = (Vec::with_capacity(tasks.len()), Vec::new());
        for (task, verdict) in tasks.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Clean { verified, kept } => {
                    let done = Done::Erased { whole_shop: task.job_type == JobType::ShopRedact, verified, kept };
                    let Task { claim, progress, target, .. } = task;
                    let tombstone = self.tools.tombstones.of(&claim.id, &claim.payload, &target, &progress);
                    finished.push(Finished { claim, progress, done, tombstone });
                }
                Verdict::Residue(tables) => {
                    let tables: Vec<String> = tables.iter().map(|(table, n)| format!("\"{table}\" ({n})")).collect();
                    residue.push((task, tables.join(", ")));
                }
            }
        }
        (finished, residue)
    }

    async fn complete(&self, finished: &[Finished], hand: &Hand) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        let mut met = 0;
        let completed = loop {
            match self.try_complete(finished).await {
                Err(error) if begins_again(&error, &mut met) => {}
                settled => break settled?,
            }
        };
        let (done, lost): (Vec<_>, Vec<_>) =
            finished.iter().map(|job| job.claim.id.as_str()).partition(|id| completed.contains(*id));
        for id in done {
            hand.put_down(id);
        }
        Self::lose(hand, lost.into_iter());
        Ok(())
    }

    async fn try_complete(&self, finished: &[Finished]) -> Result<HashSet<String>, StoreError> {
        let tx = self.store.begin_write().await?;
        let tools = &self.tools;
        let completed = settle::complete(&*tx, &tools.stores, &tools.signer, self.clock.now(), finished).await?;
        tx.commit().await?;
        Ok(completed)
    }

    /// Erases a shop in steps of bounded transactions; each commits its deletes, its counters and a renewed lease.
    async fn erase_large_shop(&self, mut task: Task, hand: &Hand) -> Result<(), StoreError> {
        match self.shop_steps(&mut task, hand).await {
            Ok(true) => {
                let mut erased = vec![task];
                match self.erase_elsewhere(&mut erased, hand).await {
                    Ok(()) => self.prove(erased, hand).await,
                    Err(error) => self.cut_short(claims_of(erased), hand, error).await,
                }
            }
            Ok(false) => Ok(()),
            Err(error) => self.cut_short(vec![task.claim], hand, error).await,
        }
    }

    /// True once all rows are deleted; false when the claim is no longer worked here.
    async fn shop_steps(&self, task: &mut Task, hand: &Hand) -> Result<bool, StoreError> {
        let (mut met, mut rows) = (0, Dwindling::default());
        loop {
            if self.shutdown.is_cancelled() {
                self.give_back(&task.claim, hand).await?;
                return Ok(false);
            }
            match self.shop_step(task, hand, &mut rows).await {
                Ok(Some(Step::More)) => met = 0,
                Ok(Some(Step::Done)) => {
                    self.truncate_wal(&self.store).await;
                    return Ok(true);
                }
                Ok(Some(Step::Reinstalled(back))) => {
                    self.hold_reinstalled(&task.claim, hand, &back).await?;
                    return Ok(false);
                }
                Ok(None) => {
                    claims_lost(usize::from(hand.put_down(&task.claim.id)));
                    return Ok(false);
                }
                Err(error) if begins_again(&error, &mut met) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One transaction of a large shop; none when the claim is not ours any more.
    async fn shop_step(&self, task: &mut Task, hand: &Hand, rows: &mut Dwindling) -> Result<Option<Step>, StoreError> {
        self.renew(hand).await?;
        let tx = self.store.begin_write().await?;
        let claim = [task.claim.fenced()];
        if gdpr_job::hold_claims(&*tx, &self.clock, &claim, Some(self.lease_ms())).await?.is_empty() {
            tx.rollback().await?;
            return Ok(None);
        }
        let covered = legal_hold::covered(&self.tools.holds, &*tx, [&task.claim]).await?;
        if !covered.is_empty() {
            tx.rollback().await?;
            self.keep_back(&covered, &mut vec![task.clone()], hand).await?;
            return Ok(None);
        }
        let mut progress = task.progress.clone();
        let map = self.tools.stores.default_store().0;
        let hands = self.hands(&tx, map);
        let step = hands.shop_step(&task.target, &mut progress).await?;
        let counts = step == Step::More && rows.asks();
        let left = if counts { Some(hands.left_of_shop(&task.target, &progress).await?) } else { None };
        gdpr_job::save_progress(&*tx, vec![(task.claim.fenced(), progress.to_json())]).await?;
        tx.commit().await?;
        task.progress = progress;
        if step == Step::More {
            rows.step(left)?;
        }
        Ok(Some(step))
    }
}
