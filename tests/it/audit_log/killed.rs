//! Real processes that append, place, sign and prune, killed with SIGKILL wherever they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use efface::audit;
use efface::clock::Clock;
use efface::evidence::log::{Log, LogSettings};
use efface::evidence::merkle::Hash;
use efface::seal::Keyring;
use efface::store::{PoolLimits, Store};

use crate::house::House;

/// Set for the process that is to be killed: the database, the keys, the checkpoint file.
const VICTIM: [&str; 3] = ["EFFACE_TEST_VICTIM_URL", "EFFACE_TEST_VICTIM_KEYS", "EFFACE_TEST_VICTIM_FILE"];

/// Not a test but the process of one: without its variables it ends at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victim() {
    let [Ok(url), Ok(keys), Ok(file)] = VICTIM.map(std::env::var) else { return };
    let store = Store::connect(&url, PoolLimits::default()).await.unwrap();
    let settings = LogSettings { sign_every: Duration::ZERO, file: Some(file.into()) };
    let clock = Clock::system();
    clock.advance(chrono::TimeDelta::days(-1_000));
    let log = Log::new(store.clone(), clock.clone(), &Keyring::load(Path::new(&keys)).unwrap(), settings);
    loop {
        audit::record(&store, &clock, vec![super::entry("of the victim")]).await.unwrap();
        log.tend().await.unwrap();
        log.prune(clock.now()).await.unwrap();
    }
}

impl House {
    /// Takes from the tiles the hashes of places whose bodies were gone before anybody looked.
    async fn fill_leaves(&self, leaves: &mut BTreeMap<u64, Hash>) {
        for index in 0..self.log().head().await.unwrap().size {
            if let std::collections::btree_map::Entry::Vacant(place) = leaves.entry(index) {
                place.insert(self.leaf_of(index).await);
            }
        }
    }
}

fn spawn(house: &House) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "audit_log::killed::victim", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
    let told = [house.url(), house.keys_file(), house.checkpoint_file().display().to_string()];
    command.envs(VICTIM.into_iter().zip(told)).spawn().unwrap()
}

both_databases! {
    async fn processes_that_are_killed_while_they_append_place_sign_and_prune_leave_a_log_that_verifies(house: House) {
        const ROUNDS: usize = 12;
        house.long_ago();
        let (mut leaves, mut appended) = (BTreeMap::new(), 0);
        for round in 0..ROUNDS {
            let from = house.log().head().await.unwrap();
            let mut victims: Vec<Child> = (0..=round % 2).map(|_| spawn(&house)).collect();
            house.append(3).await;
            appended += 3;
            // It is at work; from here on it is killed after ever more of it.
            house.until(&format!(r#"SELECT "minimumIndex">{} AS "is" FROM "AuditTree""#, from.minimum_index)).await;
            for n in 0..round * 3 {
                house.append(1 + n % 7).await;
                appended += 1 + n as u64 % 7;
            }
            for victim in &mut victims {
                assert!(victim.try_wait().unwrap().is_none(), "the process ended by itself");
                victim.kill().unwrap();
                victim.wait().unwrap();
            }
            house.settle().await;
            house.fill_leaves(&mut leaves).await;
            house.verify_log(&mut leaves).await;
        }
        house.tend().await.unwrap();
        house.log().prune(house.clock.now()).await.unwrap();
        house.tend().await.unwrap();
        house.fill_leaves(&mut leaves).await;
        let tree = house.verify_log(&mut leaves).await;
        assert!(tree.size() > appended, "{} places for {appended} entries and their prunings", tree.size());
        assert_eq!(house.unplaced().await, 0);
        println!("{ROUNDS} rounds of kills: {} places, {} checkpoints", tree.size(), house.checkpoints().await.len());
    }
}
