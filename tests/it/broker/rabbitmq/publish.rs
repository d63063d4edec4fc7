//! A publish is `Ok` only when the message is in a queue.

use std::collections::HashSet;
use std::time::Instant;

use efface::broker::{PublishError, Topology};
use efface::shutdown::Shutdown;
use futures_util::future::join_all;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{ExchangeKind, types::ShortString};
use tokio::sync::mpsc;

use super::stage::{Actor, Stage, next, on_stage, webhook};

async fn bind(stage: &Stage) {
    let Topology { exchange, queue, .. } = stage.settings.topology.clone();
    let options = QueueBindOptions::default();
    stage.channel().await.queue_bind(queue, exchange, "#".into(), options, FieldTable::default()).await.unwrap();
}

async fn unbind(stage: &Stage) {
    let Topology { exchange, queue, .. } = stage.settings.topology.clone();
    stage.channel().await.queue_unbind(queue, exchange, "#".into(), FieldTable::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_message_is_consumed_once_with_its_headers_and_exact_body() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let (sender, mut seen) = mpsc::unbounded_channel();
        let consumer = actor.consume_into(sender);
        let mut sent = webhook("b1946ac9");
        sent.body = (0..=255_u8).cycle().take(300_000).collect();
        actor.broker.publish(sent.clone()).await.unwrap();

        let received = next(&mut seen).await;
        assert_eq!(received.body, sent.body);
        assert_eq!(received.content_type.as_deref(), Some("application/json"));
        assert_eq!(received.routing_key, "customers.redact");
        assert_eq!(received.message_id.as_deref(), Some("b1946ac9"));
        assert_eq!(received.headers["x-shopify-webhook-id"], "b1946ac9");
        assert!(!received.redelivered);

        actor.leave(consumer).await;
        assert!(seen.recv().await.is_none(), "the message came twice");
        assert!(stage.take_all(&stage.settings.topology.queue).await.is_empty(), "the message was not acknowledged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unroutable_message_is_an_error_and_the_binding_is_made_again() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        actor.broker.publish(webhook(1)).await.unwrap();
        unbind(stage).await;
        assert_eq!(actor.broker.publish(webhook(2)).await, Err(PublishError::Unroutable));
        // Each try has its own answer from the broker, until the binding is back.
        while let Err(error) = actor.broker.publish(webhook(3)).await {
            assert_eq!(error, PublishError::Unroutable);
        }
        let kept = stage.take_all(&stage.settings.topology.queue).await;
        let ids: Vec<_> = kept.iter().map(|kept| kept.properties.message_id().clone().unwrap()).collect();
        assert_eq!(ids, [ShortString::from("1"), ShortString::from("3")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_that_came_back_is_taken_for_published_among_many() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        // The binding goes and comes while thousands are under way: confirms of both kinds share frames.
        let done = Shutdown::new();
        let flow = async {
            let results = join_all((0..6_000).map(|id| actor.broker.publish(webhook(id)))).await;
            done.cancel();
            results
        };
        let toggling = async {
            while !done.is_cancelled() {
                unbind(stage).await;
                bind(stage).await;
            }
        };
        let (results, ()) = tokio::join!(flow, toggling);
        let told: HashSet<_> =
            results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(id, _)| id.to_string()).collect();
        let kept = stage.take_all(&stage.settings.topology.queue).await;
        let kept: HashSet<_> =
            kept.iter().map(|kept| kept.properties.message_id().as_ref().unwrap().to_string()).collect();
        println!("6000 published, {} confirmed, {} in the queue", told.len(), kept.len());
        let missing: Vec<_> = told.difference(&kept).collect();
        assert!(missing.is_empty(), "told as published, and in no queue: {missing:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_was_deleted_costs_an_error_and_is_declared_again() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let exchange = stage.settings.topology.exchange.clone();
        stage.channel().await.exchange_delete(exchange, ExchangeDeleteOptions::default()).await.unwrap();
        assert_eq!(actor.broker.publish(webhook(1)).await, Err(PublishError::Lost));
        actor.publish_in_the_end(webhook(2)).await;
        assert_eq!(stage.take_all(&stage.settings.topology.queue).await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_amqp_cannot_carry_is_refused_and_harms_no_other() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let mut long = webhook(1);
        long.routing_key = "k".repeat(256);
        assert_eq!(actor.broker.publish(long).await, Err(PublishError::TooLong("the routing key")));
        let mut many_headers = webhook(2);
        many_headers.headers = vec![("h".into(), "x".repeat(200_000))];
        assert_eq!(actor.broker.publish(many_headers).await, Err(PublishError::TooLong("the headers together")));
        let mut just_enough = webhook(3);
        just_enough.headers = vec![("h".into(), "x".repeat(65_535))];
        actor.broker.publish(just_enough).await.unwrap();
        actor.broker.publish(webhook(4)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_publishers_of_a_thousand_messages_each_get_every_confirm() {
    on_stage(async |stage| {
        let actor = stage.enter().await;
        let Actor { broker, .. } = &actor;
        let begun = Instant::now();
        let publishers = (0..4).map(|publisher| {
            let broker = broker.clone();
            tokio::spawn(async move {
                join_all((0..1_000).map(|n| broker.publish(webhook(format!("{publisher}-{n}"))))).await
            })
        });
        for results in join_all(publishers).await {
            assert!(results.unwrap().iter().all(Result::is_ok));
        }
        let rate = 4_000.0 / begun.elapsed().as_secs_f64();
        println!("4 × 1000 publishes confirmed: {rate:.0} per second");
        assert_eq!(stage.take_all(&stage.settings.topology.queue).await.len(), 4_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_that_the_operator_declared_otherwise_is_used_as_it_is() {
    on_stage(async |stage| {
        let channel = stage.channel().await;
        let Topology { exchange, queue, .. } = stage.settings.topology.clone();
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.clone(), durable, FieldTable::default()).await.unwrap();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(exchange, ExchangeKind::Fanout, durable, FieldTable::default()).await.unwrap();
        let actor = stage.enter().await;
        actor.broker.publish(webhook(1)).await.unwrap();
        assert_eq!(stage.take_all(&queue).await.len(), 1);
    })
    .await;
}
