//! Nothing leaves the queue before it is durable, or parked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use efface::broker::{BatchUnavailable, BrokerSettings, CONTENT_TYPE_SEALED, Consuming, Disposition, REASON_HEADER};
use futures_util::future::join_all;
use lapin::options::QueueDeleteOptions;
use lapin::types::AMQPValue;
use tokio::sync::{Notify, mpsc};

use super::stage::{hand_on, next, on_stage, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_made_durable_comes_again_and_nothing_is_lost() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        join_all((0..300).map(|id| actor.broker.publish(webhook(id)))).await.into_iter().for_each(Result::unwrap);
        let (sender, mut seen) = mpsc::unbounded_channel();
        let tries = Arc::new(AtomicUsize::new(0));
        let mut state = actor.broker.state();
        let paused =
            tokio::spawn(async move { state.wait_for(|state| state.consuming == Consuming::Paused).await.is_ok() });
        let consumer = actor.broker.consume({
            let tries = tries.clone();
            move |batch| {
                // Down twice, then a panic, then well.
                let result = match tries.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Err(BatchUnavailable),
                    2 => panic!("a bug in the handler"),
                    _ => {
                        let dispositions = batch.iter().map(|_| Disposition::Done).collect();
                        hand_on(&sender, batch);
                        Ok(dispositions)
                    }
                };
                async { result }
            }
        });
        let mut ids = BTreeSet::new();
        for _ in 0..300 {
            assert!(ids.insert(next(&mut seen).await.message_id.unwrap()), "a message was handled well twice");
        }
        assert!(paused.await.unwrap(), "the state never said that the consumer paused");
        actor.reach(|state| state.is_ready() && state.consuming == Consuming::Running).await;
        actor.leave(consumer).await;
        assert!(tries.load(Ordering::SeqCst) >= 4);
        assert!(stage.take_all(&stage.settings.topology.queue).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_made_durable_until_the_shutdown_is_still_in_the_queue() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        join_all((0..20).map(|id| actor.broker.publish(webhook(id)))).await.into_iter().for_each(Result::unwrap);
        let consumer = actor.broker.consume(|_| async { Err(BatchUnavailable) });
        actor.reach(|state| state.consuming == Consuming::Paused).await;
        actor.leave(consumer).await;
        assert_eq!(stage.take_all(&stage.settings.topology.queue).await.len(), 20);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_message_lies_sealed_in_the_dead_letter_queue_with_its_reason_and_the_original_is_acknowledged() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.broker.consume(move |batch| {
            let dispositions = batch.iter().map(|message| match message.message_id.as_deref() {
                Some("bad") => Disposition::Park {
                    reason: "bad_hmac",
                    sealed: b"sealed".to_vec(),
                    headers: vec![("x-efface-shop".into(), "one.example".into())],
                },
                _ => Disposition::Done,
            });
            let dispositions = dispositions.collect();
            hand_on(&sender, batch);
            async { Ok(dispositions) }
        });
        for id in ["good", "bad", "fine"] {
            actor.broker.publish(webhook(id)).await.unwrap();
        }
        for _ in 0..3 {
            next(&mut seen).await;
        }
        actor.leave(consumer).await;

        let parked = stage.take_all(&stage.settings.topology.dead_letter_queue).await;
        assert_eq!(parked.len(), 1);
        assert_eq!(parked[0].data, b"sealed");
        assert_eq!(parked[0].routing_key.as_str(), "customers.redact");
        let properties = &parked[0].properties;
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), CONTENT_TYPE_SEALED);
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "bad");
        assert_eq!(*properties.delivery_mode(), Some(2));
        let headers = properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers[REASON_HEADER], AMQPValue::LongString("bad_hmac".into()));
        assert_eq!(headers["x-efface-shop"], AMQPValue::LongString("one.example".into()));
        assert!(stage.take_all(&stage.settings.topology.queue).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_shutdown_the_batch_in_hand_is_finished_and_the_rest_goes_back_to_the_queue() {
    on_stage(async |stage| {
        let actor = stage.enter_with(BrokerSettings { batch_max: 2, ..stage.settings.clone() }).await;
        for id in 0..10 {
            actor.broker.publish(webhook(id)).await.unwrap();
        }
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handled = Arc::new(AtomicUsize::new(0));
        let consumer = actor.broker.consume({
            let (begun, finish, handled) = (begun.clone(), finish.clone(), handled.clone());
            move |batch| {
                let (begun, finish, handled) = (begun.clone(), finish.clone(), handled.clone());
                async move {
                    begun.notify_one();
                    finish.notified().await;
                    handled.fetch_add(batch.len(), Ordering::SeqCst);
                    Ok(batch.iter().map(|_| Disposition::Done).collect())
                }
            }
        });
        begun.notified().await;
        actor.shutdown.cancel();
        finish.notify_one();
        actor.leave(consumer).await;
        let handled = handled.load(Ordering::SeqCst);
        assert!(handled == 1 || handled == 2, "{handled} messages were handled after the shutdown began");
        assert_eq!(stage.take_all(&stage.settings.topology.queue).await.len(), 10 - handled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_in_hand_at_the_shutdown_can_still_publish_and_park() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        actor.broker.publish(webhook("bad")).await.unwrap();
        let (broker, shutdown) = (actor.broker.clone(), actor.shutdown.clone());
        let consumer = actor.broker.consume(move |batch| {
            let (broker, shutdown) = (broker.clone(), shutdown.clone());
            async move {
                shutdown.cancel();
                for id in 0..50 {
                    broker.publish(webhook(id)).await.unwrap();
                }
                let park = |_| Disposition::Park { reason: "unreadable", sealed: b"sealed".to_vec(), headers: vec![] };
                Ok(batch.iter().map(park).collect())
            }
        });
        actor.shutdown.cancelled().await;
        actor.leave(consumer).await;
        assert_eq!(stage.take_all(&stage.settings.topology.dead_letter_queue).await.len(), 1);
        assert_eq!(stage.take_all(&stage.settings.topology.queue).await.len(), 50);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_deleted_is_declared_again_and_consumed() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        actor.broker.publish(webhook("before")).await.unwrap();
        assert_eq!(next(&mut seen).await.message_id.as_deref(), Some("before"));

        let queue = stage.settings.topology.queue.clone();
        stage.channel().await.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
        // Lost until the queue is there again, which either link may see to first.
        actor.publish_in_the_end(webhook("after")).await;
        assert_eq!(next(&mut seen).await.message_id.as_deref(), Some("after"));
        actor.leave(consumer).await;
    })
    .await;
}
