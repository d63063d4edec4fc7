//! The demo's house: a folder that goes away, and the real server in it.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinHandle;

use super::shops;
use crate::app::{App, Roles};
use crate::clock::Clock;
use crate::config::{Config, LoadOptions, Override, Secret};
use crate::evidence::public_key::PublicKey;
use crate::shutdown::Shutdown;
use crate::store::Store;

/// A new folder under the system's temporary one, for this user only; removed on drop.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// When it cannot be made.
    pub fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("efface-demo-{}", random(4)));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), error = %error, "the demo's folder could not be removed");
        }
    }
}

/// The running server, and what it takes to talk to it.
#[derive(Debug)]
pub struct House {
    pub address: SocketAddr,
    pub database: PathBuf,
    pub store: Store,
    pub secret: Secret,
    pub token: Secret,
    /// What `efface keys show` prints: for those who verify.
    pub key: PublicKey,
    shutdown: Shutdown,
    served: JoinHandle<()>,
}

impl House {
    /// Makes database and sample shops, and opens the doors on a port of 127.0.0.1; 0 means a free one.
    ///
    /// # Errors
    /// When the port is taken or the folder cannot be written.
    pub async fn open(folder: &Folder, port: u16, shutdown: Shutdown) -> anyhow::Result<Self> {
        let database = folder.0.join("efface.db");
        let (secret, token) = (Secret::new(random(16)), Secret::new(random(16)));
        let config = config(&database, port, &secret, &token)?;
        let app = App::build(config, Clock::system(), shutdown.clone()).await?;
        let (store, key) = (app.store().clone(), app.signer().public_key().clone());
        shops::insert(store.db(), Clock::system().now()).await.context("cannot fill the sample shops in")?;
        let listener = app.listen().await?;
        let address = listener.local_addr()?;
        let served = tokio::spawn(app.serve(Roles::ALL, Some(listener)));
        Ok(Self { address, database, store, secret, token, key, shutdown, served })
    }

    /// Stops the server and waits until it has closed its database.
    pub async fn close(self) {
        self.shutdown.cancel();
        let _ = self.served.await;
    }

    /// Whether any file of the database holds this text, in the clear.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files_hold(&self, text: &str) -> anyhow::Result<bool> {
        for suffix in ["", "-wal"] {
            let mut file = self.database.clone().into_os_string();
            file.push(suffix);
            let file = Path::new(&file);
            if file.exists() {
                let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The defaults but for what makes a house of one's own. The environment is not asked: a `DATABASE_URL` in somebody's
/// shell has no business here.
fn config(database: &Path, port: u16, secret: &Secret, token: &Secret) -> anyhow::Result<Config> {
    let tokens = json!([{ "name": "demo", "role": "admin", "token": token.expose() }]);
    let set = |key, value| Override { key, flag: "efface demo", value };
    let overrides = vec![
        set("database.url", format!("sqlite://{}?mode=rwc", database.display())),
        set("http.listen", format!("127.0.0.1:{port}")),
        set("webhooks.secrets", secret.expose().to_owned()),
        set("auth.tokens", tokens.to_string()),
    ];
    Ok(Config::load(&LoadOptions { overrides, ..LoadOptions::default() })?)
}

/// Random bytes as hex.
fn random(bytes: usize) -> String {
    let random: [u8; 16] = rand::random();
    hex::encode(&random[..bytes.min(16)])
}
