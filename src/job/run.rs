//! The story of a batch: claim, delete, verify, settle.
//!
//! Many small jobs share each transaction. When a batch fails it is split, until the one job that cannot be done
//! stands alone and only it is tried again. Large shops and exports go one by one. Whatever happens, a claim ends in
//! one of three ways: settled, given back, or left to run out and be rescued.

mod dwindling;
mod elsewhere;
mod erase;
mod hand;
mod task;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entity::gdpr_job::JobType;

use hand::Hand;
use task::Task;

use super::approval::{AWAITING, ApprovalPolicy, Planner};
use super::machine::Event;
use super::settle::{self, Done, Finished, Settler};
use super::wake::Wake;
use crate::clock::Clock;
use crate::erasure::mask::Masker;
use crate::erasure::progress::Progress;
use crate::erasure::reinstall::Policy;
use crate::erasure::stores::Stores;
use crate::evidence::receipt::Signer;
use crate::export::{Exporter, Kept};
use crate::hold::Holds;
use crate::retry::{Pauses, RetryPolicy, jitter};
use crate::shutdown::Shutdown;
use crate::store::gdpr_job::{self, Claimed, Claims};
use crate::store::{Store, StoreError};
use crate::suppression::Tombstones;

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
    /// Which jobs wait for a person.
    pub approval: ApprovalPolicy,
}

/// Works jobs until told to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    tools: Tools,
    clock: Clock,
    settler: Settler,
    settings: WorkerSettings,
    owner: String,
    wake: Wake,
    shutdown: Shutdown,
    /// Claims whose work a database outage cut short: given back as soon as the database answers.
    owed: Mutex<Vec<Claimed>>,
    /// Whether the app has triggers that keep several tables from being deleted from by one statement.
    one_by_one: AtomicBool,
}

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct Tools {
    pub stores: Stores,
    pub masker: Masker,
    pub exporter: Exporter,
    pub signer: Signer,
    pub holds: Holds,
    /// Makes plans, and opens the sealed payloads for the identifiers that only they have.
    pub planner: Planner,
    pub tombstones: Tombstones,
}

/// What one look at the queue came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickSummary {
    pub claimed: usize,
}

impl Worker {
    /// A worker over the default store of `tools`; `owner` names this process in the rows it holds, for people only.
    pub fn new(
        tools: Tools,
        clock: Clock,
        settings: WorkerSettings,
        owner: String,
        wake: Wake,
        shutdown: Shutdown,
    ) -> Self {
        let store = tools.stores.default_store().1.clone();
        let settler = Settler { store: store.clone(), clock: clock.clone(), retry: settings.retry };
        let (owed, one_by_one) = Default::default();
        let inner = Inner { store, tools, clock, settler, settings, owner, wake, shutdown, owed, one_by_one };
        Self { inner: Arc::new(inner) }
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
        let Claims { good: claims, unreadable } =
            gdpr_job::claim(&inner.store, &inner.clock, &inner.owner, lease_ms, limit).await?;
        let claimed = claims.len() + unreadable.len();
        if claimed > 0 {
            metrics::histogram!("efface_claim_batch_jobs")
                .record(f64::from(u32::try_from(claimed).unwrap_or(u32::MAX)));
            let hand = Hand::of(&claims, made);
            let worked = inner.work(claims, unreadable, &hand).await;
            // Nothing, unless the database went away.
            inner.owe(hand.empty().into_iter());
            worked?;
        }
        Ok(TickSummary { claimed })
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Inner {
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

    async fn work(
        &self,
        claims: Vec<Claimed>,
        unreadable: Vec<(Claimed, StoreError)>,
        hand: &Hand,
    ) -> Result<(), StoreError> {
        let (mut small, mut exports) = (Vec::new(), Vec::new());
        for (claim, error) in unreadable {
            self.fail(&claim, hand, false, error.to_string()).await?;
        }
        let (tasks, unreadable) = self.tasks(claims).await?;
        for (claim, error) in unreadable {
            self.fail(&claim, hand, false, error.to_string()).await?;
        }
        for task in tasks {
            if task.job_type == JobType::DataRequest { exports.push(task) } else { small.push(task) }
        }
        let small = self.approved(small, hand).await?;
        if !small.is_empty() {
            self.erase_together(small, hand).await?;
        }
        for task in exports {
            if self.shutdown.is_cancelled() {
                self.give_back(&task.claim, hand).await?;
                continue;
            }
            if let Err(error) = self.export(&task, hand).await {
                self.cut_short(vec![task.claim], hand, error).await?;
            }
        }
        Ok(())
    }

    /// Sends those to wait whose plan a person has to approve, and returns the others. What was begun under an approval
    /// goes on.
    async fn approved(&self, tasks: Vec<Task>, hand: &Hand) -> Result<Vec<Task>, StoreError> {
        let policy = self.settings.approval;
        let mut approved = Vec::with_capacity(tasks.len());
        for task in tasks {
            if !policy.may_hold(task.job_type) || task.progress.has_begun() {
                approved.push(task);
                continue;
            }
            let plan = match self.tools.planner.plan(&task.target, &task.progress).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.cut_short(vec![task.claim], hand, error).await?;
                    continue;
                }
            };
            if !policy.holds(task.job_type, plan.rows()) || task.claim.approved_plan.as_ref() == Some(&plan.hash) {
                approved.push(task);
            } else if gdpr_job::note_plan(self.store.db(), &task.claim.fenced(), &plan.hash).await? {
                self.settle(&task.claim, hand, Event::Forbidden { reason: AWAITING.to_owned() }).await?;
            } else {
                Self::lose(hand, std::iter::once(task.claim.id.as_str()));
            }
        }
        Ok(approved)
    }

    async fn fail(&self, claim: &Claimed, hand: &Hand, curable: bool, message: String) -> Result<(), StoreError> {
        let retry_at = self.settler.retry_at(claim.attempts);
        metrics::counter!("efface_job_attempts_failed_total", "curable" => if curable { "true" } else { "false" })
            .increment(1);
        tracing::warn!(job.id = %claim.id, job.attempts = claim.attempts, error = %message, "an attempt at a job failed");
        self.settle(claim, hand, Event::AttemptFailed { curable, retry_at, message }).await
    }

    /// Ends an attempt that failed after nothing, or something already durable, was done: the next one goes on from
    /// the row. In an outage the claims stay in hand, to be given back when it is over.
    async fn cut_short(&self, claims: Vec<Claimed>, hand: &Hand, error: StoreError) -> Result<(), StoreError> {
        if error.is_outage() {
            return Err(error);
        }
        for claim in claims {
            self.fail(&claim, hand, true, error.to_string()).await?;
        }
        Ok(())
    }

    /// Collects a `customers/data_request` part by part, each in a transaction under the fence, and completes it together
    /// with its package.
    async fn export(&self, task: &Task, hand: &Hand) -> Result<(), StoreError> {
        let mut collecting = self.tools.exporter.collect(&task.claim, &task.target);
        let claim = [task.claim.fenced()];
        loop {
            if self.shutdown.is_cancelled() {
                return self.give_back(&task.claim, hand).await;
            }
            self.renew(hand).await?;
            // What takes long to read must not cost the lease.
            let Ok(ready) = tokio::time::timeout(self.settings.lease / 3, collecting.ready()).await else { continue };
            ready?;
            let tx = self.store.begin_write().await?;
            if gdpr_job::hold_claims(&*tx, &self.clock, &claim, Some(self.lease_ms())).await?.is_empty() {
                tx.rollback().await?;
                Self::lose(hand, std::iter::once(task.claim.id.as_str()));
                return Ok(());
            }
            let now = self.clock.now();
            let Kept::All(counts) = collecting.keep(&*tx, now).await? else {
                tx.commit().await?;
                continue;
            };
            let progress = Progress { counts, held_by: task.progress.held_by.clone(), ..Progress::default() };
            let finished = Finished { claim: task.claim.clone(), progress, done: Done::Exported, tombstone: None };
            settle::complete(&*tx, &self.tools.stores, &self.tools.signer, now, &[finished]).await?;
            tx.commit().await?;
            hand.put_down(&task.claim.id);
            return Ok(());
        }
    }
}

fn claims_lost(lost: usize) {
    if lost > 0 {
        metrics::counter!("efface_claims_lost_total").increment(lost as u64);
        tracing::warn!(lost, "claims had run out and were taken by another worker; their work here was dropped");
    }
}
