//! The broker itself is killed, blocked, and told to close connections. Needs `EFFACE_TEST_SERVICES`, the folder of a
//! broker that `scripts/services` started, and nobody else on it.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use efface::broker::{Broker, BrokerSettings, BrokerState, Consuming, PublishError, Publishing};
use efface::shutdown::Shutdown;
use futures_util::FutureExt as _;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use super::stage::{next, on_stage, webhook};

async fn services(command: &str, arguments: &[&str]) {
    let folder = std::env::var("EFFACE_TEST_SERVICES")
        .expect("EFFACE_TEST_SERVICES is not set: run ./scripts/test, which starts services that tests may kill");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services");
    let output = Command::new(script).args([command, &folder]).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "scripts/services {command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes the broker remember a queue that it has only just declared.
///
/// RabbitMQ 3.10 writes the name of a new quorum queue to disk half a second later. Killed before that, it starts the
/// queue again as an empty one without a leader, whatever it had confirmed: no client can help it, and a queue lives
/// through that half second once.
async fn settle_new_queues() {
    services("rabbitmqctl", &["eval", "ok = dets:sync(ra_directory_reverse)."]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_every_confirmed_message_outlives_a_broker_killed_while_it_was_published() {
    on_stage(async |stage| {
        // An honest second, as in production: callers come back however long the broker is away.
        let actor = stage
            .enter_with(BrokerSettings { publish_timeout: Duration::from_secs(1), ..stage.settings.clone() })
            .await;
        settle_new_queues().await;
        let (stop, count) = (Shutdown::new(), watch::Sender::new(0));
        let publishers: Vec<_> = (0..32)
            .map(|publisher| tokio::spawn(publish_until(stop.clone(), actor.broker.clone(), publisher, count.clone())))
            .collect();
        for round in 1..=3 {
            // Thousands are confirmed and dozens are under way when it falls: the kill waits for no one.
            count.subscribe().wait_for(|count| *count >= round * 3_000).await.unwrap();
            services("kill-rabbitmq", &[]).await;
            actor.reach(|state| state.publishing == Publishing::Connecting).await;
            services("start-rabbitmq", &[]).await;
            actor.reach(BrokerState::is_ready).await;
        }
        stop.cancel();
        let (mut confirmed, mut refused) = (HashSet::new(), 0);
        for publisher in publishers {
            let (ids, errors) = publisher.await.unwrap();
            confirmed.extend(ids);
            refused += errors;
        }

        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        actor.publish_in_the_end(webhook("last")).await;
        let mut arrived = HashSet::new();
        while !arrived.contains("last") {
            arrived.insert(next(&mut seen).await.message_id.unwrap());
        }
        actor.leave(consumer).await;
        while let Ok(message) = seen.try_recv() {
            arrived.insert(message.message_id.unwrap());
        }
        let lost: Vec<_> = confirmed.difference(&arrived).collect();
        println!("{} confirmed, {refused} refused, {} consumed, {} lost", confirmed.len(), arrived.len(), lost.len());
        assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
        assert!(refused > 0, "no publish was under way when the broker fell");
    })
    .await;
}

/// One sender: publishes one webhook after the other, and tells which were confirmed, and how many were not.
async fn publish_until(
    stop: Shutdown,
    broker: Broker,
    publisher: u32,
    count: watch::Sender<usize>,
) -> (Vec<String>, u32) {
    let (mut confirmed, mut refused) = (Vec::new(), 0);
    let mut state = broker.state();
    for n in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let id = format!("{publisher}-{n}");
        match broker.publish(webhook(&id)).await {
            Ok(()) => {
                confirmed.push(id);
                count.send_modify(|count| *count += 1);
            }
            Err(error) => {
                refused += 1;
                if error == PublishError::NotConnected {
                    let _ = state.wait_for(|state| state.is_ready()).await;
                }
            }
        }
    }
    (confirmed, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_a_consumer_resumes_after_the_broker_was_killed() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        settle_new_queues().await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        actor.broker.publish(webhook("before")).await.unwrap();
        while next(&mut seen).await.message_id.as_deref() != Some("before") {}
        services("kill-rabbitmq", &[]).await;
        actor.reach(|state| state.consuming == Consuming::Connecting).await;
        actor.reach(|state| state.publishing == Publishing::Connecting).await;
        assert_eq!(actor.broker.publish(webhook("meanwhile")).await, Err(PublishError::NotConnected));
        services("start-rabbitmq", &[]).await;
        actor.reach(BrokerState::is_ready).await;
        actor.broker.publish(webhook("after")).await.unwrap();
        while next(&mut seen).await.message_id.as_deref() != Some("after") {}
        actor.leave(consumer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_connections_that_the_broker_closes_come_back() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        actor.reach(|state| state.consuming == Consuming::Running).await;
        services("rabbitmqctl", &["close_all_connections", "maintenance"]).await;
        actor.publish_in_the_end(webhook("after")).await;
        while next(&mut seen).await.message_id.as_deref() != Some("after") {}
        actor.leave(consumer).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_a_broker_short_of_memory_is_not_ready_takes_nothing_and_recovers() {
    on_stage(async |stage| {
        let publish_timeout = Duration::from_secs(1);
        let actor = stage.enter_with(BrokerSettings { publish_timeout, ..stage.settings.clone() }).await;
        services("rabbitmqctl", &["set_vm_memory_high_watermark", "0.000001"]).await;
        let refused = AssertUnwindSafe(async {
            // The broker says so at the first publish that it does not take.
            let first = actor.broker.publish(webhook("first")).await.unwrap_err();
            assert!(matches!(first, PublishError::TimedOut(_) | PublishError::Blocked), "{first}");
            actor.reach(|state| state.publishing == Publishing::Blocked).await;
            assert!(!actor.broker.is_ready());
            assert_eq!(actor.broker.publish(webhook("second")).await, Err(PublishError::Blocked));
        });
        let refused = refused.catch_unwind().await;
        services("rabbitmqctl", &["set_vm_memory_high_watermark", "0.4"]).await;
        refused.unwrap_or_else(|panic| resume_unwind(panic));
        actor.reach(BrokerState::is_ready).await;
        actor.broker.publish(webhook("third")).await.unwrap();
    })
    .await;
}
