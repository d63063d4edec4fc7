//! Random events, and a simulated world in which everything that can go wrong does, by seed.

use std::collections::BTreeSet;

use entity::gdpr_job::TRANSITIONS;

use super::*;

const ATTEMPTS_MAX: i32 = 8;
const QUEUED: State = State { status: JobStatus::Queued, attempts: 0, fence: 0 };

/// `SplitMix64`: the same numbers for a seed on every machine and in every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn any_event(random: &mut Random) -> Event {
    let at = DateTime::<Utc>::UNIX_EPOCH;
    let text = "why".to_owned();
    match random.below(10) {
        0 => Event::Succeeded(Outcome::Erased),
        1 => Event::AttemptFailed { curable: true, retry_at: at, message: text },
        2 => Event::AttemptFailed { curable: false, retry_at: at, message: text },
        3 => Event::Forbidden { reason: text },
        4 => Event::GivenBack,
        5 => Event::LeaseExpired { retry_at: at },
        6 => Event::Released { at },
        7 => Event::Requeued { at },
        8 => Event::Cancelled { reason: text },
        _ => Event::Claimed,
    }
}

#[test]
fn no_sequence_of_events_leaves_the_life_of_a_job() {
    let mut random = Random(1);
    let mut seen = BTreeSet::new();
    let (mut steps, mut refusals) = (0, 0);
    while steps < 200_000 {
        let mut state = if random.chance(80) { QUEUED } else { State { status: JobStatus::Held, ..QUEUED } };
        for _ in 0..40 {
            let event = any_event(&mut random);
            let Ok(step) = step(state, event.clone(), ATTEMPTS_MAX) else {
                refusals += 1;
                continue;
            };
            steps += 1;
            let (from, to) = (state.status, step.state.status);
            assert!(TRANSITIONS.iter().any(|t| t.from == from && t.to == to), "{from} → {to} by {event:?}");
            seen.insert((from.as_str(), to.as_str()));
            assert!(!from.is_final(), "{from} is final, and {event:?} moved it");
            assert_eq!((step.change.from, step.change.to), (from, to), "the change says what the step does");
            assert_eq!(step.state.attempts, state.attempts + step.change.attempts);
            assert!((0..=ATTEMPTS_MAX).contains(&step.state.attempts), "{:?}", step.state);
            let claimed = to == JobStatus::Processing;
            assert_eq!(
                step.state.fence,
                state.fence + i64::from(claimed),
                "a claim raises the fence, and only a claim"
            );
            assert_eq!(step.change.ends, to.is_final(), "{event:?}");
            assert_eq!(step.change.outcome.is_some(), to.is_final(), "{event:?}");
            assert_eq!(step.change.hold_reason.is_some(), to == JobStatus::Held);
            assert_eq!(step.change.scheduled_at.is_some(), waits_for_a_time(&event, to), "{event:?} → {to}");
            state = step.state;
        }
    }
    assert!(refusals > 10_000, "refusals are part of the test");
    let allowed: BTreeSet<_> = TRANSITIONS.iter().map(|t| (t.from.as_str(), t.to.as_str())).collect();
    assert_eq!(seen, allowed, "every allowed move was made");
}

fn waits_for_a_time(event: &Event, to: JobStatus) -> bool {
    to == JobStatus::Retrying || matches!(event, Event::Released { .. } | Event::Requeued { .. })
}

#[test]
fn a_final_job_refuses_every_event() {
    let mut random = Random(2);
    for status in [JobStatus::Completed, JobStatus::Cancelled] {
        for _ in 0..1_000 {
            let state = State { status, attempts: 3, fence: 3 };
            let event = any_event(&mut random);
            let refused = step(state, event.clone(), ATTEMPTS_MAX);
            assert!(refused.is_err_and(|refused| refused.from == status), "{event:?}");
        }
    }
}

#[test]
fn the_last_attempt_fails_the_job_and_the_one_before_does_not() {
    let failed = |attempts| {
        let state = State { status: JobStatus::Processing, attempts, fence: 9 };
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let by_worker = Event::AttemptFailed { curable: true, retry_at: at, message: String::new() };
        let by_lease = Event::LeaseExpired { retry_at: at };
        [by_worker, by_lease].map(|event| step(state, event, ATTEMPTS_MAX).unwrap().state.status)
    };
    assert_eq!(failed(ATTEMPTS_MAX - 1), [JobStatus::Retrying; 2]);
    assert_eq!(failed(ATTEMPTS_MAX), [JobStatus::Failed; 2]);
}

#[test]
fn neither_a_shutdown_nor_a_hold_counts_as_an_attempt() {
    let claimed = step(QUEUED, Event::Claimed, ATTEMPTS_MAX).unwrap().state;
    assert_eq!(claimed.attempts, 1);
    for event in [Event::GivenBack, Event::Forbidden { reason: "legal_hold".into() }] {
        assert_eq!(step(claimed, event, ATTEMPTS_MAX).unwrap().state.attempts, 0);
    }
}

/// A row, and what nobody in the world may know: who really holds it.
struct Job {
    row: State,
    holder: Option<usize>,
    lease_until: u64,
    due: u64,
    /// Fences under which it was completed.
    completed_under: Vec<i64>,
}

/// What a worker believes that it holds.
#[derive(Clone, Copy)]
struct Claim {
    job: usize,
    fence: i64,
    attempts: i32,
}

/// A message from a worker to the database: on its way it may be delayed, reordered and duplicated.
#[derive(Clone)]
struct Message {
    worker: usize,
    claim: Claim,
    event: Event,
}

struct World {
    random: Random,
    now: u64,
    jobs: Vec<Job>,
    claims: Vec<Vec<Claim>>,
    on_the_way: Vec<Message>,
    writes_of_stale_workers: u64,
}

impl World {
    const LEASE: u64 = 20;

    fn new(seed: u64, jobs: usize, workers: usize) -> Self {
        let job = |_| Job { row: QUEUED, holder: None, lease_until: 0, due: 0, completed_under: Vec::new() };
        Self {
            random: Random(seed),
            now: 0,
            jobs: (0..jobs).map(job).collect(),
            claims: vec![Vec::new(); workers],
            on_the_way: Vec::new(),
            writes_of_stale_workers: 0,
        }
    }

    /// The database's compare-and-set, as `store::gdpr_job::change_status` does it: status and fence must fit.
    fn write(&mut self, by: Option<usize>, job: usize, fence: Option<i64>, event: Event, believed: State) -> bool {
        let Ok(step) = step(believed, event, ATTEMPTS_MAX) else { return false };
        let job = &mut self.jobs[job];
        if job.row.status != step.change.from || fence.is_some_and(|fence| fence != job.row.fence) {
            return false;
        }
        if by.is_some() && step.change.from == JobStatus::Processing {
            self.writes_of_stale_workers += u64::from(job.holder != by);
        }
        job.row.status = step.change.to;
        job.row.attempts += step.change.attempts;
        job.row.fence = step.state.fence;
        job.holder = if step.change.to == JobStatus::Processing { by } else { None };
        if step.change.to == JobStatus::Retrying {
            job.due = self.now + 3;
        }
        if step.change.to == JobStatus::Completed {
            job.completed_under.push(job.row.fence);
        }
        true
    }

    fn claim(&mut self, worker: usize, limit: usize) {
        for job in 0..self.jobs.len() {
            if self.claims[worker].len() >= limit || self.jobs[job].due > self.now {
                continue;
            }
            let row = self.jobs[job].row;
            if self.write(Some(worker), job, None, Event::Claimed, row) {
                let row = self.jobs[job].row;
                self.jobs[job].lease_until = self.now + Self::LEASE;
                self.claims[worker].push(Claim { job, fence: row.fence, attempts: row.attempts });
            }
        }
    }

    fn rescue(&mut self) {
        for job in 0..self.jobs.len() {
            let row = self.jobs[job].row;
            if row.status == JobStatus::Processing && self.jobs[job].lease_until < self.now {
                let event = Event::LeaseExpired { retry_at: DateTime::<Utc>::UNIX_EPOCH };
                self.write(None, job, Some(row.fence), event, row);
            }
        }
    }

    fn send(&mut self, worker: usize, claim: Claim, event: &Event) {
        let copies = if self.random.chance(10) { 2 } else { 1 };
        for _ in 0..copies {
            self.on_the_way.push(Message { worker, claim, event: event.clone() });
        }
    }

    fn deliver(&mut self, message: Message) {
        let Message { worker, claim, event } = message;
        // A worker judges by what it was told at the claim, as `Settler::claimed` does; only the fence protects.
        let believed = State { status: JobStatus::Processing, attempts: claim.attempts, fence: claim.fence };
        self.write(Some(worker), claim.job, Some(claim.fence), event, believed);
    }

    /// What a worker makes of one of its claims.
    fn verdict(&mut self) -> Event {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        match self.random.below(20) {
            0..4 => Event::AttemptFailed { curable: true, retry_at: at, message: String::new() },
            4 => Event::AttemptFailed { curable: false, retry_at: at, message: String::new() },
            5 => Event::Forbidden { reason: "legal_hold".into() },
            6 => Event::GivenBack,
            _ => Event::Succeeded(Outcome::Erased),
        }
    }

    /// One moment of a bad day.
    fn bad_moment(&mut self) {
        let worker = self.random.below(self.claims.len());
        match self.random.below(12) {
            0 => self.claims[worker].clear(),
            1 => self.now += Self::LEASE / 2 + self.random.next() % Self::LEASE,
            2 => self.rescue(),
            3 => self.operator(),
            4..7 => self.claim(worker, 3),
            7..10 => {
                if let Some(claim) = self.claims[worker].pop() {
                    let event = self.verdict();
                    self.send(worker, claim, &event);
                }
            }
            _ => {
                // Any message may be the next to arrive, and some never do.
                if !self.on_the_way.is_empty() {
                    let next = self.random.below(self.on_the_way.len());
                    let message = self.on_the_way.swap_remove(next);
                    if !self.random.chance(5) {
                        self.deliver(message);
                    }
                }
            }
        }
        self.now += 1;
    }

    fn operator(&mut self) {
        let job = self.random.below(self.jobs.len());
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let event = match self.random.below(8) {
            0..3 => Event::Requeued { at },
            3..6 => Event::Released { at },
            6 => Event::Forbidden { reason: "legal_hold".into() },
            _ => Event::Cancelled { reason: "a test shop".into() },
        };
        let row = self.jobs[job].row;
        if row.status != JobStatus::Processing {
            self.write(None, job, None, event, row);
        }
    }

    /// The storm is over: workers live, messages arrive, operators look after what waits for them.
    fn good_moment(&mut self) {
        while let Some(message) = self.on_the_way.pop() {
            self.deliver(message);
        }
        self.rescue();
        let at = DateTime::<Utc>::UNIX_EPOCH;
        for job in 0..self.jobs.len() {
            let row = self.jobs[job].row;
            match row.status {
                JobStatus::Failed => self.write(None, job, None, Event::Requeued { at }, row),
                JobStatus::Held => self.write(None, job, None, Event::Released { at }, row),
                _ => true,
            };
        }
        for worker in 0..self.claims.len() {
            self.claim(worker, usize::MAX);
            while let Some(claim) = self.claims[worker].pop() {
                self.deliver(Message { worker, claim, event: Event::Succeeded(Outcome::Erased) });
            }
        }
        self.now += 5;
    }
}

#[test]
fn in_a_world_that_fails_at_every_turn_no_stale_worker_writes_and_every_job_ends_once() {
    let (mut completed, mut cancelled, mut fences) = (0, 0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed, 12, 4);
        for _ in 0..1_500 {
            let before: Vec<State> = world.jobs.iter().map(|job| job.row).collect();
            world.bad_moment();
            for (job, before) in world.jobs.iter().zip(before) {
                assert!(job.row.fence >= before.fence, "seed {seed}: a fence fell");
                assert!(job.row.attempts >= 0, "seed {seed}: {} attempts", job.row.attempts);
                assert!(!before.status.is_final() || job.row == before, "seed {seed}: a final job changed");
            }
        }
        for _ in 0..20 {
            world.good_moment();
        }
        assert_eq!(world.writes_of_stale_workers, 0, "seed {seed}: a worker wrote that had lost its claim");
        for job in &world.jobs {
            assert!(job.row.status.is_final(), "seed {seed}: a job is left {}", job.row.status);
            let once = usize::from(job.row.status == JobStatus::Completed);
            assert_eq!(job.completed_under.len(), once, "seed {seed}: completed under {:?}", job.completed_under);
            completed += once;
            cancelled += 1 - once;
            fences += job.row.fence;
        }
    }
    assert!(completed > 3_000 && cancelled > 100, "{completed} completed, {cancelled} cancelled");
    assert!(fences > 8_000, "jobs were claimed again and again: {fences}");
}
