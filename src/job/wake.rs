//! Wakes workers when there is something to do, across tasks and, on PostgreSQL, across processes.
//!
//! A wake-up says "look again" and carries nothing, so that losing one costs time and never a job: a timer looks as
//! well. Within a process no wake-up is lost: a worker notes the count before it looks, and sleeps only while the
//! count stands.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait as _, DbBackend};
use tokio::sync::watch;

use crate::shutdown::Shutdown;
use crate::store::Store;

const CHANNEL: &str = "efface_jobs";
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The bell that intake rings and workers listen to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wake {
    local: watch::Sender<u64>,
    announce: watch::Sender<u64>,
}

impl Default for Wake {
    fn default() -> Self {
        Self { local: watch::channel(0).0, announce: watch::channel(0).0 }
    }
}

impl Wake {
    /// Tells all workers, here and in other processes, that jobs may be due.
    pub fn ring(&self) {
        self.ring_here();
        self.announce.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn ring_here(&self) {
        self.local.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// A listener that hears every ring from now on.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.local.subscribe()
    }

    /// Passes rings on to other processes. Many rings while one announcement is under way become one announcement:
    /// a notification makes PostgreSQL's commits queue, so it is sent on its own, after the commit and not often.
    pub async fn announce(self, store: Store, shutdown: Shutdown) {
        if store.backend() != DbBackend::Postgres {
            return;
        }
        let mut rings = self.announce.subscribe();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                rung = rings.changed() => if rung.is_err() { return },
            }
            if store.db().execute_unprepared(&format!("NOTIFY {CHANNEL}")).await.is_err() {
                tracing::debug!("other processes could not be notified; their timers will find the jobs");
            }
        }
    }

    /// Passes a ring on at once: for a process that ends right after. Missing it costs the workers a look at the clock.
    pub async fn announce_once(&self, store: &Store) {
        if store.backend() == DbBackend::Postgres {
            let _ = store.db().execute_unprepared(&format!("NOTIFY {CHANNEL}")).await;
        }
    }

    /// Hears the rings of other processes, for as long as the process lives.
    pub async fn hear_others(self, store: Store, shutdown: Shutdown) {
        if store.backend() != DbBackend::Postgres {
            return;
        }
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.listen_once(&store) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LISTEN_AGAIN_AFTER) => {}
            }
        }
    }

    async fn listen_once(&self, store: &Store) {
        let listener = PgListener::connect_with(store.db().get_postgres_connection_pool()).await;
        let Ok(mut listener) = listener else { return };
        if listener.listen(CHANNEL).await.is_err() {
            return;
        }
        // Whatever was announced while nobody listened is found by looking once.
        self.ring_here();
        while listener.try_recv().await.is_ok_and(|heard| heard.is_some()) {
            self.ring_here();
        }
    }
}
