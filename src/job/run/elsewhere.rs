//! Erases in stores other than the default one. Their transactions are not the job's: each store's step is recorded before
//! with what it is about to take, and after; a crash between the two is told by the record, and the work is done again.
//!
//! Around each transaction elsewhere, one of the default store holds the claims and has asked for legal holds: a hold that is
//! placed meanwhile waits until the step has ended.

use std::collections::BTreeMap;

use super::Inner;
use super::dwindling::Dwindling;
use super::erase::begins_again;
use super::hand::Hand;
use super::task::Task;
use crate::erasure::data_map::StoreMap;
use crate::erasure::execute::{Fate, Step};
use crate::erasure::found::found;
use crate::erasure::progress::Progress;
use crate::erasure::subject::Target;
use crate::job::legal_hold;
use crate::store::gdpr_job::{self, Fenced};
use crate::store::{Store, StoreError, WriteTransaction};

/// A store that is not the default one.
#[derive(Clone, Copy)]
struct Place<'a> {
    map: &'a StoreMap,
    store: &'a Store,
}

impl Inner {
    /// Erases in every further store. Tasks that are not worked any more, because they are held or were lost, are taken out.
    pub(super) async fn erase_elsewhere(&self, tasks: &mut Vec<Task>, hand: &Hand) -> Result<(), StoreError> {
        let names: Vec<String> = self.tools.stores.others().map(str::to_owned).collect();
        for name in names {
            let (map, store) = self.tools.stores.other(&name).await?;
            let place = Place { map, store };
            self.start_elsewhere(tasks, hand, place).await?;
            let mut met = 0;
            let fates = loop {
                match self.batch_elsewhere(tasks, hand, place).await {
                    Err(error) if begins_again(&error, &mut met) => {}
                    settled => break settled?,
                }
            };
            self.truncate_wal(store).await;
            let mut settling = std::mem::take(tasks).into_iter().zip(fates);
            for (task, fate) in settling.by_ref() {
                let settled = match fate {
                    Fate::Deleted => {
                        tasks.push(task);
                        Ok(())
                    }
                    Fate::TooLarge => {
                        let mut one = vec![task];
                        let settled = self.large_shop_elsewhere(&mut one, hand, place).await;
                        tasks.append(&mut one);
                        settled
                    }
                    Fate::Reinstalled(back) => self.hold_reinstalled(&task.claim, hand, &back).await,
                };
                if let Err(error) = settled {
                    // Whoever ends these attempts must see them all.
                    tasks.extend(settling.map(|(task, _)| task));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// A transaction of the default store that holds the claims of `tasks`, none of which a legal hold covers; none when no
    /// task is left.
    async fn guarded(&self, tasks: &mut Vec<Task>, hand: &Hand) -> Result<Option<WriteTransaction>, StoreError> {
        loop {
            if tasks.is_empty() {
                return Ok(None);
            }
            self.renew(hand).await?;
            let tx = self.store.begin_write().await?;
            let claims: Vec<Fenced> = tasks.iter().map(|task| task.claim.fenced()).collect();
            let ours = gdpr_job::hold_claims(&*tx, &self.clock, &claims, None).await?;
            tasks.retain(|task| ours.contains(&task.claim.id));
            Self::lose(hand, claims.iter().map(|claim| claim.id.as_str()).filter(|id| !ours.contains(*id)));
            let covered = legal_hold::covered(&self.tools.holds, &*tx, tasks.iter().map(|task| &task.claim)).await?;
            if covered.is_empty() {
                return Ok(Some(tx));
            }
            tx.rollback().await?;
            self.keep_back(&covered, tasks, hand).await?;
        }
    }

    /// Records what is about to be erased in a store.
    async fn start_elsewhere(&self, tasks: &mut Vec<Task>, hand: &Hand, place: Place<'_>) -> Result<(), StoreError> {
        let name = place.map.name.as_str();
        let targets: Vec<(&Target, &Progress)> = tasks.iter().map(|task| (&task.target, &task.progress)).collect();
        let found = found(place.map, place.store, &targets).await.map_err(|error| error.of_store(name))?;
        for (task, found) in tasks.iter_mut().zip(found) {
            task.progress.start(name, found);
        }
        let Some(tx) = self.guarded(tasks, hand).await? else { return Ok(()) };
        save(&tx, tasks).await?;
        tx.commit().await
    }

    /// One transaction of a store, for all tasks. On an error nothing is deleted, and the tasks' progress is as before.
    async fn batch_elsewhere(
        &self,
        tasks: &mut Vec<Task>,
        hand: &Hand,
        Place { map, store }: Place<'_>,
    ) -> Result<Vec<Fate>, StoreError> {
        let Some(guard) = self.guarded(tasks, hand).await? else { return Ok(Vec::new()) };
        let elsewhere = |error: StoreError| error.of_store(&map.name);
        let targets: Vec<Target> = tasks.iter().map(|task| task.target.clone()).collect();
        let mut progress: Vec<Progress> = tasks.iter().map(|task| task.progress.clone()).collect();
        let tx = store.begin_write().await.map_err(elsewhere)?;
        let fates = self.hands(&tx, map).batch(&targets, &mut progress).await.map_err(elsewhere)?;
        tx.commit().await.map_err(elsewhere)?;
        for ((task, progress), fate) in tasks.iter_mut().zip(progress).zip(&fates) {
            task.progress = progress;
            if *fate == Fate::Deleted {
                task.progress.deleted(&map.name);
            }
        }
        save(&guard, tasks).await?;
        guard.commit().await?;
        Ok(fates)
    }

    /// Erases a large shop step by step; takes its task out when it is not worked here any more.
    async fn large_shop_elsewhere(&self, one: &mut Vec<Task>, hand: &Hand, place: Place<'_>) -> Result<(), StoreError> {
        let (mut met, mut rows) = (0, Dwindling::default());
        loop {
            match self.shop_step_elsewhere(one, hand, place, &mut rows).await {
                Ok(None | Some(Step::Done)) => return Ok(()),
                Ok(Some(Step::More)) => met = 0,
                Ok(Some(Step::Reinstalled(back))) => {
                    for task in one.drain(..) {
                        self.hold_reinstalled(&task.claim, hand, &back).await?;
                    }
                    return Ok(());
                }
                Err(error) if begins_again(&error, &mut met) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn shop_step_elsewhere(
        &self,
        tasks: &mut Vec<Task>,
        hand: &Hand,
        Place { map, store }: Place<'_>,
        rows: &mut Dwindling,
    ) -> Result<Option<Step>, StoreError> {
        let Some(guard) = self.guarded(tasks, hand).await? else { return Ok(None) };
        let Some(task) = tasks.first_mut() else { return Ok(None) };
        let elsewhere = |error: StoreError| error.of_store(&map.name);
        let mut progress = task.progress.clone();
        let tx = store.begin_write().await.map_err(elsewhere)?;
        let hands = self.hands(&tx, map);
        let step = hands.shop_step(&task.target, &mut progress).await.map_err(elsewhere)?;
        let left = if step == Step::More && rows.asks() {
            Some(hands.left_of_shop(&task.target, &progress).await.map_err(elsewhere)?)
        } else {
            None
        };
        tx.commit().await.map_err(elsewhere)?;
        let before: BTreeMap<String, u64> = std::mem::replace(&mut task.progress, progress).counts;
        task.progress.took(&map.name, &before);
        if step == Step::Done {
            task.progress.deleted(&map.name);
        }
        save(&guard, tasks).await?;
        guard.commit().await?;
        if step == Step::More {
            rows.step(left).map_err(elsewhere)?;
        }
        Ok(Some(step))
    }
}

/// Stores the progress of tasks whose claims the transaction holds.
async fn save(tx: &WriteTransaction, tasks: &[Task]) -> Result<(), StoreError> {
    let progress = tasks.iter().map(|task| (task.claim.fenced(), task.progress.to_json())).collect();
    gdpr_job::save_progress(&**tx, progress).await
}
