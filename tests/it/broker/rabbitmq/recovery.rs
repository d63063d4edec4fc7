//! Lost links cost errors at once, and nothing else.

use std::time::Duration;

use efface::broker::{BrokerSettings, BrokerState, Consuming, PublishError, Publishing};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::proxy::{Proxy, Wire};
use super::stage::{PATIENCE, next, on_stage, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_out_of_reach_publishes_fail_at_once_and_afterwards_they_work_again() {
    on_stage(async |stage| {
        let proxy = Proxy::before(&stage.settings.url).await;
        let actor = stage.enter_with(BrokerSettings { url: proxy.url.clone(), ..stage.settings.clone() }).await;
        actor.broker.publish(webhook(1)).await.unwrap();

        proxy.set(Wire::Cut);
        actor.reach(|state| state.publishing == Publishing::Connecting).await;
        assert!(!actor.broker.is_ready());
        let begun = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(actor.broker.publish(webhook(2)).await, Err(PublishError::NotConnected));
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "a thousand refusals took {:?}", begun.elapsed());

        proxy.set(Wire::Whole);
        actor.reach(BrokerState::is_ready).await;
        actor.broker.publish(webhook(3)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_link_breaks_every_caller_that_waits_is_told_long_before_its_timeout() {
    on_stage(async |stage| {
        let proxy = Proxy::before(&stage.settings.url).await;
        let settings = BrokerSettings { url: proxy.url.clone(), ..stage.settings.clone() };
        assert_eq!(settings.publish_timeout, PATIENCE);
        let actor = stage.enter_with(settings).await;
        // Sent, and never confirmed: the wire keeps what the broker should see.
        proxy.set(Wire::Frozen);
        let waiting: Vec<_> = (0..100)
            .map(|id| {
                let broker = actor.broker.clone();
                tokio::spawn(async move { broker.publish(webhook(id)).await })
            })
            .collect();
        let begun = Instant::now();
        proxy.set(Wire::Cut);
        for result in join_all(waiting).await {
            let error = result.unwrap().unwrap_err();
            assert!(matches!(error, PublishError::Lost | PublishError::NotConnected), "{error}");
        }
        assert!(begun.elapsed() < PATIENCE / 4, "it took {:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_broker_costs_a_publisher_its_timeout_and_not_more() {
    on_stage(async |stage| {
        let proxy = Proxy::before(&stage.settings.url).await;
        let publish_timeout = Duration::from_millis(300);
        let settings = BrokerSettings { url: proxy.url.clone(), publish_timeout, ..stage.settings.clone() };
        let actor = stage.enter_with(settings).await;
        proxy.set(Wire::Frozen);
        let begun = Instant::now();
        // More than all lanes take: those that found no room have no more to wait than the others.
        let results = join_all((0..12_000).map(|id| actor.broker.publish(webhook(id)))).await;
        assert!(results.iter().all(|result| *result == Err(PublishError::TimedOut(publish_timeout))));
        println!("12000 callers were told after {:?}", begun.elapsed());
        // The wire recovers by itself: what had timed out may still arrive, and new messages do.
        proxy.set(Wire::Whole);
        while actor.broker.publish(webhook("after")).await.is_err() {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_resumes_after_its_link_broke_and_acknowledges_everything_in_the_end() {
    on_stage(async |stage| {
        let proxy = Proxy::before(&stage.settings.url).await;
        let through = BrokerSettings { url: proxy.url.clone(), ..stage.settings.clone() };
        let (publisher, actor) = (stage.enter().await, stage.enter_with(through).await);
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        for round in 0..3 {
            publisher.broker.publish(webhook(round)).await.unwrap();
            while next(&mut seen).await.message_id != Some(round.to_string()) {}
            proxy.set(Wire::Cut);
            actor.reach(|state| state.consuming == Consuming::Connecting).await;
            proxy.set(Wire::Whole);
            actor.reach(BrokerState::is_ready).await;
        }
        publisher.broker.publish(webhook("last")).await.unwrap();
        while next(&mut seen).await.message_id.as_deref() != Some("last") {}
        actor.leave(consumer).await;
        assert!(stage.take_all(&stage.settings.topology.queue).await.is_empty());
    })
    .await;
}
