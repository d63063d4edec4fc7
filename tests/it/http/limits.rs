//! What nobody may do to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use efface::acceptance::Accepted;
use efface::http::ServerSettings;
use efface::webhook::Delivery;
use tokio::io::AsyncWriteExt as _;

use super::house::{BODY, House, Request, accepting, short_limits, within};

const MEBIBYTE: usize = 1024 * 1024;

fn webhook() -> Request<'static> {
    Request::webhook("/webhooks", Some("shop/redact"), BODY.as_bytes())
}

/// A genuine webhook of exactly `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    let mut body = BODY.as_bytes().to_vec();
    body.resize(size, b' ');
    body
}

fn chunked(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = format!("{}Transfer-Encoding: chunked\r\n\r\n", request.head()).into_bytes();
    for chunk in request.body.chunks(64 * 1024) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_413() {
    let house = House::open().await;
    for (size, code) in [(MEBIBYTE, 200), (MEBIBYTE + 1, 413), (3 * MEBIBYTE, 413)] {
        let body = padded(size);
        let request = Request::webhook("/webhooks", Some("shop/redact"), &body);
        for (form, bytes) in [("sized", request.bytes()), ("chunked", chunked(&request))] {
            let mut client = house.connect().await;
            client.send(&bytes).await;
            assert_eq!(client.answer().await.unwrap().code(), code, "{size} bytes, {form}");
        }
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let house = House::open().await;
    let mut client = house.connect().await;
    client.send(format!("{}Content-Length: {}\r\n\r\n", webhook().head(), MEBIBYTE + 1).as_bytes()).await;
    client.answer().await.unwrap().problem(413);
    client.closed().await;
}

#[tokio::test]
async fn a_peer_that_is_refused_while_it_sends_can_still_read_why() {
    let house = House::open().await;
    let body = padded(2 * MEBIBYTE);
    let request = Request::webhook("/webhooks", Some("shop/redact"), &body).bytes();
    // A small buffer, so that most of the body is still to be sent when the answer comes.
    let mut client = house.connect_with_buffer(4096).await;
    client.send(&request).await;
    client.answer().await.unwrap().problem(413);
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_408() {
    let house = House::with(accepting(), short_limits()).await;
    let mut client = house.connect().await;
    client.send(format!("{}Content-Length: 60\r\n\r\n{{", webhook().head()).as_bytes()).await;
    let answer = client.answer().await.unwrap();
    answer.problem(408);
    assert_eq!(answer.header("connection"), Some("close"));
    client.closed().await;
}

#[tokio::test]
async fn a_body_fed_byte_by_byte_gains_no_time() {
    let house = House::with(accepting(), short_limits()).await;
    let client = house.connect().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let head = format!("{}Content-Length: 1000000\r\n\r\n", webhook().head());
    writer.write_all(head.as_bytes()).await.unwrap();
    let feed = tokio::spawn(async move {
        let mut drip = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            drip.tick().await;
            if writer.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut start = [0; 12];
    within(tokio::io::AsyncReadExt::read_exact(&mut reader, &mut start)).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
    drop(reader);
    within(feed).await.unwrap();
}

#[tokio::test]
async fn a_head_that_never_ends_closes_the_connection() {
    let house = House::with(accepting(), short_limits()).await;
    for start in ["", "POST /webh", "POST /webhooks HTTP/1.1\r\nHost: a\r\nX-A: "] {
        let mut client = house.connect().await;
        client.send(start.as_bytes()).await;
        client.closed().await;
    }
    assert_eq!(house.ask(&webhook()).await.code(), 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let house = House::open().await;
    let answer = house.ask(&webhook().and("X-Large", &"x".repeat(17 * 1024))).await;
    assert_eq!(answer.code(), 431);
    let many = (0..200).fold(webhook(), |request, n| request.and(&format!("X-{n}"), "x"));
    assert_eq!(house.ask(&many).await.code(), 431);
}

#[tokio::test]
async fn a_peer_that_asks_and_never_reads_is_cut() {
    let house = House::with(accepting(), short_limits()).await;
    let mut client = house.connect().await;
    let question = Request { method: "GET", path: "/metrics", headers: Vec::new(), body: b"" }.bytes().repeat(100);
    within(async { while client.stream.write_all(&question).await.is_ok() {} }).await;
    assert_eq!(house.ask(&webhook()).await.code(), 200);
}

#[tokio::test]
async fn nonsense_is_refused_and_the_next_one_is_served() {
    let house = House::open().await;
    for nonsense in
        ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "GET\r\n\r\n", "POST /webhooks HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
    {
        let mut client = house.connect().await;
        client.send(nonsense.as_bytes()).await;
        assert_eq!(client.answer().await.map(|answer| answer.code()), Some(400), "{nonsense:?}");
        client.closed().await;
    }
    // Two lengths that differ are how requests are smuggled.
    let mut client = house.connect().await;
    client.send(format!("{}Content-Length: 5\r\nContent-Length: 6\r\n\r\n", webhook().head()).as_bytes()).await;
    assert_eq!(client.answer().await.unwrap().code(), 400);
    assert_eq!(house.ask(&webhook()).await.code(), 200);
}

#[tokio::test]
async fn over_the_connection_limit_webhooks_wait_and_are_never_refused() {
    // The desk keeps each delivery until every other one that could be there has been let in and counted.
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&inside), Arc::clone(&most));
    let accept = Arc::new(move |_: Delivery| -> futures_util::future::BoxFuture<'static, _> {
        let (counted, peak) = (Arc::clone(&counted), Arc::clone(&peak));
        Box::pin(async move {
            peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            counted.fetch_sub(1, Ordering::SeqCst);
            Ok(Accepted { job_id: None, duplicate: false })
        })
    });
    let settings = ServerSettings { connections_max: 2, ..ServerSettings::default() };
    let house = House::with(accept, settings).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = house.connect().await;
        client.send(&webhook().and("Connection", "close").bytes()).await;
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.answer().await.unwrap().code(), 200);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn idle_connections_give_their_place_to_those_who_wait() {
    let settings = ServerSettings { connections_max: 1, ..short_limits() };
    let house = House::with(accepting(), settings).await;
    let mut idle = house.connect().await;
    idle.send(&webhook().bytes()).await;
    assert_eq!(idle.answer().await.unwrap().code(), 200);
    assert_eq!(house.ask(&webhook()).await.code(), 200);
    idle.closed().await;
}
