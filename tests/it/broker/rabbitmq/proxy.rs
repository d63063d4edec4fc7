//! A wire to the broker that can be cut, and frozen.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Whole,
    /// Bytes are taken and kept.
    Frozen,
    /// Connections are closed, and so is every new one.
    Cut,
}

pub struct Proxy {
    pub url: String,
    wire: watch::Sender<Wire>,
}

impl Proxy {
    pub async fn before(url: &str) -> Self {
        let (before, behind) = url.rsplit_once('@').unwrap();
        let (target, path) = behind.split_once('/').unwrap_or((behind, "%2f"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{path}", listener.local_addr().unwrap());
        let wire = watch::Sender::new(Wire::Whole);
        tokio::spawn(accept(listener, target.to_owned(), wire.subscribe()));
        Self { url, wire }
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn accept(listener: TcpListener, target: String, wire: watch::Receiver<Wire>) {
    while let Ok((client, _)) = listener.accept().await {
        if *wire.borrow() == Wire::Cut {
            continue;
        }
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(carry(from_client, to_server, wire.clone()));
        tokio::spawn(carry(from_server, to_client, wire.clone()));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: watch::Receiver<Wire>) {
    let mut cut = wire.clone();
    let carrying = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(bytes) = from.read(&mut buffer).await {
            let thawed = wire.wait_for(|wire| *wire == Wire::Whole).await.is_ok();
            if bytes == 0 || !thawed || to.write_all(&buffer[..bytes]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = carrying => {}
        _ = cut.wait_for(|wire| *wire == Wire::Cut) => {}
    }
}
