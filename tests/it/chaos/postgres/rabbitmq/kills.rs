//! Who is killed when: by the number of webhooks accepted so far, never by the clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;

use crate::outside::program::{Plan, Program};
use crate::outside::services::Services;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    FirstWorker,
    SecondWorker,
    Door,
    Rabbitmq,
    Postgres,
}

use Component::{Door, FirstWorker, Postgres, Rabbitmq, SecondWorker};

/// What is killed at once, from the first strike to the last.
const STRIKES: [&[Component]; 17] = [
    &[FirstWorker],
    &[Door],
    &[Rabbitmq],
    &[Postgres],
    &[SecondWorker],
    &[Postgres, FirstWorker],
    &[Rabbitmq, Door],
    &[Postgres],
    &[FirstWorker, SecondWorker],
    &[Door],
    &[Rabbitmq, Postgres],
    &[FirstWorker],
    &[Door, SecondWorker],
    &[Rabbitmq],
    &[Postgres],
    &[SecondWorker],
    &[Postgres, Rabbitmq, Door, FirstWorker],
];

/// Webhooks that the database takes while the broker hangs.
const ACCEPTED_WHILE_IT_HANGS: usize = 50;

/// The longest that the broker hangs before it dies.
const HANGS_MAX: Duration = Duration::from_secs(5);

/// Everything that can be killed.
pub struct Town {
    pub services: Services,
    plans: [Plan; 3],
    programs: [Program; 3],
    pub kills: BTreeMap<Component, usize>,
}

impl Town {
    /// Opens two workers and a door, from their plans in this order.
    pub async fn open(services: Services, mut plans: [Plan; 3]) -> Self {
        let [first, second, door] = &plans;
        let programs = [Program::start(first).await, Program::start(second).await, Program::start(door).await];
        // Senders know one address: the door comes back where it was.
        let address = programs[2].address();
        plans[2] = plans[2].clone().with("HTTP__LISTEN", address);
        services.settle_new_queues();
        Self { services, plans, programs, kills: BTreeMap::new() }
    }

    pub fn address(&self) -> SocketAddr {
        self.programs[2].address()
    }

    /// Strikes whenever another part of all `copies` is accepted.
    pub async fn suffer(&mut self, copies: usize, accepted: &mut watch::Receiver<usize>) {
        for (i, strike) in STRIKES.into_iter().enumerate() {
            let due = copies * (i + 1) / (STRIKES.len() + 1);
            accepted.wait_for(|accepted| *accepted >= due).await.expect("the senders gave up");
            if *strike == [Rabbitmq] {
                // It hangs before it dies: whatever was accepted on its word alone is lost now.
                self.services.freeze("rabbitmq");
                let due = (*accepted.borrow() + ACCEPTED_WHILE_IT_HANGS).min(copies);
                let hanging = accepted.wait_for(|accepted| *accepted >= due);
                // When only those over AMQP are left, nothing is accepted while it hangs, and it dies all the same.
                if let Ok(ended) = tokio::time::timeout(HANGS_MAX, hanging).await {
                    ended.expect("the senders gave up");
                }
            }
            self.strike(strike).await;
        }
    }

    async fn strike(&mut self, strike: &[Component]) {
        self.programs.iter_mut().for_each(Program::must_live);
        for component in strike {
            *self.kills.entry(*component).or_default() += 1;
            match component {
                Rabbitmq => drop(self.run("kill-rabbitmq")),
                Postgres => drop(self.run("kill-postgres")),
                program => self.programs[*program as usize].kill(),
            }
        }
        // The servers first: a program does not open without its database.
        for component in strike {
            match component {
                Rabbitmq => drop(self.run("start-rabbitmq")),
                Postgres => drop(self.run("start-postgres")),
                _ => {}
            }
        }
        for program in strike.iter().map(|component| *component as usize).filter(|program| *program < 3) {
            self.programs[program] = Program::start(&self.plans[program]).await;
        }
    }

    fn run(&self, command: &str) -> String {
        tokio::task::block_in_place(|| self.services.run(command, &[]))
    }

    /// Lets all programs end in good order.
    pub async fn close(&mut self) {
        for program in &mut self.programs {
            program.must_live();
            let status = program.stop().await;
            assert!(status.success(), "{status}");
        }
    }

    /// Starts all programs again.
    pub async fn reopen(&mut self) {
        for (program, plan) in self.programs.iter_mut().zip(&self.plans) {
            *program = Program::start(plan).await;
        }
    }

    /// What all programs have logged, in all their lives.
    pub fn logs(&self) -> String {
        let read = |plan: &Plan| std::fs::read_to_string(plan.folder.join(format!("{}.log", plan.name))).unwrap();
        self.plans.iter().map(read).collect()
    }
}
