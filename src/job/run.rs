//! The story of a batch: claim, delete, verify, settle.
//!
//! Many small jobs share each transaction. When a batch fails it is split, until the one job that cannot be done
//! stands alone and only it is tried again. Large shops and exports go one by one. Whatever happens, a claim ends in
//! one of three ways: settled, given back, or left to run out and be rescued.

mod hand;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entity::gdpr_job::JobType;

use hand::Hand;

use super::legal_hold;
use super::machine::Event;
use super::settle::{self, Done, Finished, Settler};
use super::wake::Wake;
use crate::clock::Clock;
use crate::erasure::data_map::DataMap;
use crate::erasure::execute::{self, Fate, Progress, Rules, Step};
use crate::erasure::reinstall::{self, Policy};
use crate::erasure::subject::{Target, UnreadablePayload};
use crate::erasure::verify::{self, Verdict};
use crate::export::Exporter;
use crate::hold::Holds;
use crate::retry::{Pauses, RetryPolicy, jitter};
use crate::shutdown::Shutdown;
use crate::store::gdpr_job::{self, Claimed, Fenced};
use crate::store::{Store, StoreError};

/// Times that residue is erased again within one attempt before the job fails with the table named.
const ERASE_ROUNDS: u32 = 3;

/// Limits of a worker.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// Batches worked at the same time.
    pub workers: usize,
    /// Jobs claimed at once.
    pub batch_jobs_max: u64,
    /// Application rows of one shop that one transaction may take.
    pub batch_rows_max: u64,
    /// What becomes of a `shop/redact` whose shop was installed again.
    pub reinstalled: Policy,
    /// How long a claim is ours without renewal.
    pub lease: Duration,
    /// How long a worker sleeps at most before it looks again.
    pub poll: Duration,
    pub retry: RetryPolicy,
}

/// Works jobs until told to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    map: Arc<DataMap>,
    clock: Clock,
    exporter: Exporter,
    holds: Holds,
    settler: Settler,
    settings: WorkerSettings,
    owner: String,
    wake: Wake,
    shutdown: Shutdown,
    /// Claims whose work a database outage cut short: given back as soon as the database answers.
    owed: Mutex<Vec<Claimed>>,
}

/// A claim with what is to be done for it.
#[derive(Clone, Debug)]
struct Task {
    claim: Claimed,
    job_type: JobType,
    target: Target,
    progress: Progress,
}

/// What one look at the queue came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickSummary {
    pub claimed: usize,
}

impl Worker {
    /// A worker over `store`; `owner` names this process in the rows it holds, for people only.
    #[expect(clippy::too_many_arguments, reason = "called once, by app.rs, which wires rooms together")]
    pub fn new(
        store: Store,
        map: Arc<DataMap>,
        clock: Clock,
        exporter: Exporter,
        holds: Holds,
        settings: WorkerSettings,
        owner: String,
        wake: Wake,
        shutdown: Shutdown,
    ) -> Self {
        let settler = Settler { store: store.clone(), clock: clock.clone(), retry: settings.retry };
        let owed = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                store,
                map,
                clock,
                exporter,
                holds,
                settler,
                settings,
                owner,
                wake,
                shutdown,
                owed,
            }),
        }
    }

    /// Works until shutdown: as many batches at once as the settings say.
    pub async fn run(&self) {
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..self.inner.settings.workers.max(1) {
            workers.spawn(self.clone().keep_working());
        }
        while workers.join_next().await.is_some() {}
        self.inner.pay_back().await.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "claims could not be given back; their leases will run out");
        });
    }

    async fn keep_working(self) {
        let inner = &self.inner;
        let mut rings = inner.wake.listen();
        let mut pauses = Pauses::new(Duration::from_millis(100), Duration::from_secs(10));
        while !inner.shutdown.is_cancelled() {
            // Noted before looking: a ring during the look makes the next sleep return at once.
            rings.borrow_and_update();
            let sleep = match self.tick().await {
                Ok(TickSummary { claimed: 0 }) => {
                    pauses.reset();
                    inner.until_next_due().await
                }
                Ok(_) => {
                    pauses.reset();
                    continue;
                }
                Err(error) => {
                    let pause = pauses.pause(jitter());
                    tracing::warn!(error = %error, pause_ms = pause.as_millis(), "the queue cannot be worked right now");
                    tokio::select! {
                        () = inner.shutdown.cancelled() => return,
                        () = tokio::time::sleep(pause) => continue,
                    }
                }
            };
            tokio::select! {
                () = inner.shutdown.cancelled() => return,
                _ = rings.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Looks at the queue once and works what it claims. Start-up, wake-up and timer all come here.
    ///
    /// # Errors
    /// When the database does not answer; claims in hand are given back with the next look.
    pub async fn tick(&self) -> Result<TickSummary, StoreError> {
        let inner = &self.inner;
        inner.pay_back().await?;
        let lease_ms = inner.lease_ms();
        let limit = inner.settings.batch_jobs_max;
        let made = Instant::now();
        let claims = gdpr_job::claim(&inner.store, &inner.clock, &inner.owner, lease_ms, limit).await?;
        let claimed = claims.len();
        if claimed > 0 {
            metrics::histogram!("efface_claim_batch_jobs")
                .record(f64::from(u32::try_from(claimed).unwrap_or(u32::MAX)));
            let hand = Hand::of(&claims, made);
            let worked = inner.work(claims, &hand).await;
            // Nothing, unless the database went away.
            inner.owe(hand.empty().into_iter());
            worked?;
        }
        Ok(TickSummary { claimed })
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Inner {
    fn rules(&self) -> Rules {
        Rules { rows_max: self.settings.batch_rows_max, reinstalled: self.settings.reinstalled }
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.settings.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// How long to sleep: until the next job is due, and no longer than the timer allows.
    async fn until_next_due(&self) -> Duration {
        let next = gdpr_job::next_due(&self.store).await.ok().flatten();
        let wait = next.map_or(self.settings.poll, |due| (due - self.clock.now()).to_std().unwrap_or(Duration::ZERO));
        // Never a busy loop, even when a due job is locked by somebody else.
        wait.clamp(Duration::from_millis(20), self.settings.poll)
    }

    /// Gives back what an outage left half-way.
    async fn pay_back(&self) -> Result<(), StoreError> {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut owed = owed.into_iter();
        let mut lost = 0;
        while let Some(claim) = owed.next() {
            match self.settler.claimed(&claim, "worker", Event::GivenBack).await {
                Ok(ours) => lost += usize::from(!ours),
                Err(error) => {
                    self.owe(std::iter::once(claim).chain(owed));
                    claims_lost(lost);
                    return Err(error);
                }
            }
        }
        claims_lost(lost);
        Ok(())
    }

    fn owe(&self, claims: impl Iterator<Item = Claimed>) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).extend(claims);
    }

    /// Applies an event to one claim in hand, which ends it.
    async fn settle(&self, claim: &Claimed, hand: &Hand, event: Event) -> Result<(), StoreError> {
        let ours = self.settler.claimed(claim, "worker", event).await?;
        let was_in_hand = hand.put_down(&claim.id);
        claims_lost(usize::from(was_in_hand && !ours));
        Ok(())
    }

    async fn give_back(&self, claim: &Claimed, hand: &Hand) -> Result<(), StoreError> {
        self.settle(claim, hand, Event::GivenBack).await
    }

    /// Puts down those claims that turned out not to be ours any more: another worker has them.
    fn lose<'a>(hand: &Hand, claims: impl Iterator<Item = &'a str>) {
        claims_lost(claims.filter(|id| hand.put_down(id)).count());
    }

    /// Draws out the leases of everything in hand once a third of their time is gone: what waits behind a long piece of
    /// work must not run out meanwhile.
    async fn renew(&self, hand: &Hand) -> Result<(), StoreError> {
        let claims = hand.older_than(self.settings.lease / 3);
        if claims.is_empty() {
            return Ok(());
        }
        let at = Instant::now();
        let tx = self.store.begin_write().await?;
        let ours = gdpr_job::hold_claims(&*tx, &self.clock, &claims, Some(self.lease_ms())).await?;
        tx.commit().await?;
        hand.renewed(at);
        Self::lose(hand, claims.iter().map(|claim| claim.id.as_str()).filter(|id| !ours.contains(*id)));
        Ok(())
    }

    async fn work(&self, claims: Vec<Claimed>, hand: &Hand) -> Result<(), StoreError> {
        let (mut small, mut exports) = (Vec::new(), Vec::new());
        for claim in claims {
            match task(claim) {
                Ok(task) if task.job_type == JobType::DataRequest => exports.push(task),
                Ok(task) => small.push(task),
                Err(unreadable) => {
                    let (claim, error) = *unreadable;
                    self.fail(&claim, hand, false, error.to_string()).await?;
                }
            }
        }
        if !small.is_empty() {
            self.erase_together(small, hand).await?;
        }
        for task in exports {
            if self.shutdown.is_cancelled() {
                self.give_back(&task.claim, hand).await?;
                continue;
            }
            if let Err(error) = self.export(&task, hand).await {
                self.cut_short(vec![task], hand, error).await?;
            }
        }
        Ok(())
    }

    async fn fail(&self, claim: &Claimed, hand: &Hand, curable: bool, message: String) -> Result<(), StoreError> {
        let retry_at = self.settler.retry_at(claim.attempts);
        metrics::counter!("efface_job_attempts_failed_total", "curable" => if curable { "true" } else { "false" })
            .increment(1);
        tracing::warn!(job.id = %claim.id, job.attempts = claim.attempts, error = %message, "an attempt at a job failed");
        self.settle(claim, hand, Event::AttemptFailed { curable, retry_at, message }).await
    }

    /// Erases many jobs in one transaction; splits when that fails, so that a bad job stands alone.
    fn erase_together<'a>(&'a self, mut tasks: Vec<Task>, hand: &'a Hand) -> Boxed<'a, Result<(), StoreError>> {
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
                Err(error) => return self.cut_short(tasks, hand, error).await,
            };
            for task in deleted.reinstalled {
                self.hold_reinstalled(&task.claim, hand).await?;
            }
            for task in deleted.large {
                self.erase_large_shop(task, hand).await?;
            }
            self.prove(deleted.erased, hand).await
        })
    }

    /// Ends an attempt that failed after nothing, or something already durable, was done: the next one goes on from
    /// the row. In an outage the claims stay in hand, to be given back when it is over.
    async fn cut_short(&self, tasks: Vec<Task>, hand: &Hand, error: StoreError) -> Result<(), StoreError> {
        if error.is_outage() {
            return Err(error);
        }
        for task in tasks {
            self.fail(&task.claim, hand, true, error.to_string()).await?;
        }
        Ok(())
    }

    /// Verifies what was deleted and completes it. Rows that are found again are deleted again, a few times.
    async fn prove(&self, mut tasks: Vec<Task>, hand: &Hand) -> Result<(), StoreError> {
        for round in 1..=ERASE_ROUNDS {
            if tasks.is_empty() {
                return Ok(());
            }
            let (finished, residue) = match self.verify(&tasks).await {
                Ok(verdict) => verdict,
                Err(error) => return self.cut_short(tasks, hand, error).await,
            };
            if let Err(error) = self.complete(finished, hand).await {
                return self.cut_short(tasks, hand, error).await;
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
                Err(error) => return self.cut_short(tasks, hand, error).await,
            };
        }
        Ok(())
    }

    /// Deletes the rows of all tasks in one transaction. On an error nothing is deleted and `tasks` are as before.
    async fn delete_batch(&self, tasks: &mut Vec<Task>, hand: &Hand) -> Result<Deleted, StoreError> {
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
            let covered = legal_hold::covered(&self.holds, &*tx, tasks.iter().map(|task| &task.claim)).await?;
            if covered.is_empty() {
                break tx;
            }
            tx.rollback().await?;
            self.keep_back(&covered, tasks, hand).await?;
        };
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let mut progress: Vec<Progress> = tasks.iter().map(|task| task.progress.clone()).collect();
        let fates = execute::batch(&*tx, &self.map, &targets, &mut progress, self.rules()).await?;
        let changed = tasks.iter().zip(&progress).filter(|(task, progress)| task.progress != **progress);
        gdpr_job::save_progress(&*tx, changed.map(|(task, p)| (task.claim.fenced(), p.to_json())).collect()).await?;
        tx.commit().await?;
        self.truncate_wal().await;
        let mut deleted = Deleted::default();
        for ((mut task, progress), fate) in std::mem::take(tasks).into_iter().zip(progress).zip(fates) {
            task.progress = progress;
            match fate {
                Fate::Deleted => deleted.erased.push(task),
                Fate::TooLarge => deleted.large.push(task),
                Fate::Reinstalled => deleted.reinstalled.push(task),
            }
        }
        Ok(deleted)
    }

    /// Puts down the tasks that legal holds cover: they are `held` from here on.
    async fn keep_back(&self, covered: &HashSet<String>, tasks: &mut Vec<Task>, hand: &Hand) -> Result<(), StoreError> {
        let claims: Vec<&Claimed> =
            tasks.iter().map(|task| &task.claim).filter(|claim| covered.contains(&claim.id)).collect();
        let kept = legal_hold::keep_back(&self.settler, &self.holds, &claims).await?;
        tasks.retain(|task| !kept.held.contains(&task.claim.id) && !kept.lost.contains(&task.claim.id));
        for id in &kept.held {
            hand.put_down(id);
        }
        Self::lose(hand, kept.lost.iter().map(String::as_str));
        Ok(())
    }

    async fn truncate_wal(&self) {
        if let Err(error) = self.store.truncate_wal().await {
            tracing::warn!(error = %error, "the write-ahead log still holds copies of deleted rows; the next batch cuts it");
        }
    }

    async fn hold_reinstalled(&self, claim: &Claimed, hand: &Hand) -> Result<(), StoreError> {
        self.settle(claim, hand, Event::Forbidden { reason: reinstall::REASON.to_owned() }).await
    }

    /// Looks for the rows of tasks again, in a fresh snapshot.
    async fn verify(&self, tasks: &[Task]) -> Result<(Vec<Finished>, Vec<(Task, String)>), StoreError> {
        let targets: Vec<_> = tasks.iter().map(|t| (t.target.clone(), t.progress.shop.clone())).collect();
        let verdicts = verify::verify(&self.store, &self.clock, &self.map, &targets).await?;
        let (mut finished, mut residue) = (Vec::new(), Vec::new());
        for (task, verdict) in tasks.iter().zip(verdicts) {
            match verdict {
                Verdict::Clean(verified) => {
                    let done = Done::Erased { whole_shop: task.job_type == JobType::ShopRedact, verified };
                    finished.push(Finished { claim: task.claim.clone(), progress: task.progress.clone(), done });
                }
                Verdict::Residue(tables) => {
                    let tables: Vec<String> = tables.iter().map(|(table, n)| format!("\"{table}\" ({n})")).collect();
                    residue.push((task.clone(), tables.join(", ")));
                }
            }
        }
        Ok((finished, residue))
    }

    async fn complete(&self, finished: Vec<Finished>, hand: &Hand) -> Result<(), StoreError> {
        if finished.is_empty() {
            return Ok(());
        }
        let tx = self.store.begin_write().await?;
        let completed = settle::complete(&*tx, &self.map, self.clock.now(), &finished).await?;
        tx.commit().await?;
        let (done, lost): (Vec<_>, Vec<_>) =
            finished.iter().map(|job| job.claim.id.as_str()).partition(|id| completed.contains(*id));
        for id in done {
            hand.put_down(id);
        }
        Self::lose(hand, lost.into_iter());
        Ok(())
    }

    /// Erases a shop in steps of bounded transactions; each commits its deletes, its counters and a renewed lease.
    async fn erase_large_shop(&self, mut task: Task, hand: &Hand) -> Result<(), StoreError> {
        match self.shop_steps(&mut task, hand).await {
            Ok(true) => self.prove(vec![task], hand).await,
            Ok(false) => Ok(()),
            Err(error) => self.cut_short(vec![task], hand, error).await,
        }
    }

    /// True once all rows are deleted; false when the claim is no longer worked here.
    async fn shop_steps(&self, task: &mut Task, hand: &Hand) -> Result<bool, StoreError> {
        loop {
            if self.shutdown.is_cancelled() {
                self.give_back(&task.claim, hand).await?;
                return Ok(false);
            }
            self.renew(hand).await?;
            let tx = self.store.begin_write().await?;
            let claim = [task.claim.fenced()];
            if gdpr_job::hold_claims(&*tx, &self.clock, &claim, Some(self.lease_ms())).await?.is_empty() {
                tx.rollback().await?;
                Self::lose(hand, std::iter::once(task.claim.id.as_str()));
                return Ok(false);
            }
            let covered = legal_hold::covered(&self.holds, &*tx, [&task.claim]).await?;
            if !covered.is_empty() {
                tx.rollback().await?;
                let mut tasks = vec![task.clone()];
                self.keep_back(&covered, &mut tasks, hand).await?;
                if tasks.is_empty() {
                    return Ok(false);
                }
                continue;
            }
            let mut progress = task.progress.clone();
            let rules = self.rules();
            let step = execute::shop_step(&*tx, &self.map, &task.target, &mut progress, rules).await?;
            gdpr_job::save_progress(&*tx, vec![(task.claim.fenced(), progress.to_json())]).await?;
            tx.commit().await?;
            task.progress = progress;
            match step {
                Step::More => {}
                Step::Done => {
                    self.truncate_wal().await;
                    return Ok(true);
                }
                Step::Reinstalled => {
                    self.hold_reinstalled(&task.claim, hand).await?;
                    return Ok(false);
                }
            }
        }
    }

    /// Collects a `customers/data_request`, and completes it together with its package.
    async fn export(&self, task: &Task, hand: &Hand) -> Result<(), StoreError> {
        self.renew(hand).await?;
        let collected = self.exporter.collect(&task.target).await?;
        let tx = self.store.begin_write().await?;
        if gdpr_job::hold_claims(&*tx, &self.clock, &[task.claim.fenced()], None).await?.is_empty() {
            tx.rollback().await?;
            Self::lose(hand, std::iter::once(task.claim.id.as_str()));
            return Ok(());
        }
        let now = self.clock.now();
        let progress = Progress { deleted: collected.counts.clone(), ..Progress::default() };
        self.exporter.keep(&*tx, &task.claim.id, &task.claim.shop_domain, collected, now).await?;
        let finished = Finished { claim: task.claim.clone(), progress, done: Done::Exported };
        settle::complete(&*tx, &self.map, now, &[finished]).await?;
        tx.commit().await?;
        hand.put_down(&task.claim.id);
        Ok(())
    }
}

/// What one transaction of deletes came to.
#[derive(Debug, Default)]
struct Deleted {
    erased: Vec<Task>,
    large: Vec<Task>,
    reinstalled: Vec<Task>,
}

fn claims_lost(lost: usize) {
    if lost > 0 {
        metrics::counter!("efface_claims_lost_total").increment(lost as u64);
        tracing::warn!(lost, "claims had run out and were taken by another worker; their work here was dropped");
    }
}

fn task(claim: Claimed) -> Result<Task, Box<(Claimed, UnreadablePayload)>> {
    let read = |claim: &Claimed| {
        let job_type: JobType = claim.job_type.parse().map_err(|_| UnreadablePayload::job_type(&claim.id))?;
        let orders = |key| Target::of_orders(&claim.id, &claim.shop_domain, &claim.payload, key);
        let target = match job_type {
            JobType::ShopRedact => Target::of_shop(&claim.shop_domain),
            JobType::CustomerRedact => orders("orders_to_redact")?,
            JobType::DataRequest => orders("orders_requested")?,
        };
        Ok((job_type, target))
    };
    match read(&claim) {
        Ok((job_type, target)) => {
            let progress = Progress::from_json(claim.progress.as_ref());
            Ok(Task { claim, job_type, target, progress })
        }
        Err(error) => Err(Box::new((claim, error))),
    }
}
