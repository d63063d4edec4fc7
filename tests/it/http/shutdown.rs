//! How the server leaves.

use std::sync::Arc;
use std::time::Duration;

use efface::acceptance::Accepted;
use efface::http::{Accept, ServerSettings};
use efface::webhook::Delivery;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::house::{BODY, House, Request, accepting, short_limits, within};

fn webhook() -> Request<'static> {
    Request::webhook("/webhooks", Some("shop/redact"), BODY.as_bytes())
}

/// A desk that says when a delivery has arrived and answers it when told to.
fn slow_desk() -> (Accept, Arc<Notify>, Arc<Notify>) {
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    let accept = Arc::new(move |_: Delivery| -> futures_util::future::BoxFuture<'static, _> {
        let (here, wait) = (Arc::clone(&here), Arc::clone(&wait));
        Box::pin(async move {
            here.notify_one();
            wait.notified().await;
            Ok(Accepted { job_id: Some("gdpr_1".into()), duplicate: false })
        })
    });
    (accept, arrived, go_on)
}

#[tokio::test]
async fn a_shutdown_finishes_the_request_in_hand_and_takes_no_new_ones() {
    let (accept, arrived, go_on) = slow_desk();
    let house = House::with(accept, ServerSettings::default()).await;
    let mut client = house.connect().await;
    client.send(&webhook().bytes()).await;
    within(arrived.notified()).await;

    house.shutdown.cancel();
    within(async { while TcpStream::connect(house.address).await.is_ok() {} }).await;
    assert!(!house.served.is_finished());

    go_on.notify_one();
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.code(), answer.header("connection")), (200, Some("close")));
    client.closed().await;
    drop(client);
    within(house.served).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_idle_connections() {
    let ages = Duration::from_mins(5);
    let patient = ServerSettings { header_read_timeout: ages, drain_limit: ages, ..ServerSettings::default() };
    let house = House::with(accepting(), patient).await;
    let mut kept = house.connect().await;
    kept.send(&webhook().bytes()).await;
    assert_eq!(kept.answer().await.unwrap().code(), 200);

    house.shutdown.cancel();
    kept.closed().await;
    drop(kept);
    within(house.served).await.unwrap();
}

#[tokio::test]
async fn a_request_that_outlasts_the_shutdown_is_cut() {
    let (accept, arrived, _go_on) = slow_desk();
    let house = House::with(accept, short_limits()).await;
    let mut client = house.connect().await;
    client.send(&webhook().bytes()).await;
    within(arrived.notified()).await;
    house.shutdown.cancel();
    within(house.served).await.unwrap();
    assert!(client.answer().await.is_none());
}
