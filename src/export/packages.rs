//! The desk where packages are handed out: to an operator as a file, to a merchant through a link.
//!
//! A link is used up when its whole answer was handed over. The last piece of the answer is held back until the row says
//! so (one compare-and-set, which one caller wins), so of two downloads at the same time only one becomes a whole zip. A
//! download that breaks off leaves the link open, for five tries in all and until its time is over; each try is counted
//! and audited before its first byte. There is no resuming: a second try begins at the first byte.

mod download;

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use entity::audit_log::Action;
use entity::export_package::{Model, PackageStatus};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use download::Download;

use super::archive::{self, Facts};
use super::link::{self, Link};
use super::removal::{self, Removal};
use super::{PackageError, Recipient, TABLE, place, place_row};
use crate::audit::{self, Actor, Entry};
use crate::clock::{Clock, rfc3339};
use crate::seal::{ContentKeys, Keyring, Pii};
use crate::store::export_package::NewLink;
use crate::store::{Store, StoreError, export_package};

/// Times that a link may be opened: one that works, and four that may break off.
pub const TRIES_MAX: i32 = 5;
/// Packages that one process builds at the same time for bearers of links.
const BUILDS_MAX: usize = 8;

/// What links look like and how long they are good.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// The address under which merchants reach this installation, without a slash at the end.
    pub public_url: String,
    /// From the making of a link to its end.
    pub valid: TimeDelta,
}

/// Hands packages out, and takes them away early. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Packages {
    store: Store,
    keys: ContentKeys,
    keyring: Arc<Keyring>,
    clock: Clock,
    links: LinkSettings,
    builds: Arc<Semaphore>,
}

impl Packages {
    /// Hands out what lies in `store`, sealed under `keys`; links are signed with the keyring's digest key.
    pub fn new(store: Store, keys: ContentKeys, keyring: Arc<Keyring>, clock: Clock, links: LinkSettings) -> Self {
        Self { store, keys, keyring, clock, links, builds: Arc::new(Semaphore::new(BUILDS_MAX)) }
    }

    /// The row of a job's package: where it stands, and no personal data.
    ///
    /// # Errors
    /// [`PackageError::NoPackage`] when the job has none.
    pub async fn of_job(&self, job_id: &str) -> Result<Model, PackageError> {
        let found = export_package::of_job(self.store.db(), job_id).await?;
        found.ok_or_else(|| PackageError::NoPackage(job_id.to_owned()))
    }

    /// Makes a link to a job's package, good for one download, in place of any earlier one.
    ///
    /// # Errors
    /// When there is no package, or it may not be fetched (any more).
    pub async fn make_link(
        &self,
        actor: Actor,
        job_id: &str,
        recipient: Option<&Recipient>,
    ) -> Result<Link, PackageError> {
        let now = self.clock.now();
        let tx = self.store.begin_write().await?;
        let package = export_package::lock_of_job(&*tx, job_id).await?;
        let package = fetchable(package.ok_or_else(|| PackageError::NoPackage(job_id.to_owned()))?, now)?;
        let expires_at = (now + self.links.valid).min(package.expires_at).trunc_subsecs(0);
        let minted = link::mint(&self.keyring, &package.id, expires_at);
        let kept = NewLink { digest: minted.digest, expires_at, recipient: recipient.map(ToString::to_string) };
        if !export_package::set_link(&*tx, &package.id, kept).await? {
            return Err(PackageError::Removed);
        }
        let about = json!({ "link": "made", "expiresAt": rfc3339(expires_at), "encrypted": recipient.is_some() });
        audit::append(&*tx, now, vec![entry(actor, Action::Create, &package, about)]).await?;
        tx.commit().await?;
        let url = format!("{}/api/v1/exports/{}?token={}", self.links.public_url, package.id, minted.token);
        Ok(Link { url, expires_at })
    }

    /// Says whether a link would be answered, and changes nothing.
    ///
    /// # Errors
    /// As [`Packages::open`].
    pub async fn look(&self, package_id: &str, token: &str) -> Result<(), PackageError> {
        self.link_in_force(package_id, token).await.map(|_| ())
    }

    /// Opens a link: counts the try, and begins the answer.
    ///
    /// # Errors
    /// [`PackageError::UnknownLink`] when the token is not one of ours for that package, [`PackageError::LinkGone`] or
    /// [`PackageError::Removed`] when it was one once, [`PackageError::Busy`] when too much is going on: no try is
    /// counted then.
    pub async fn open(&self, package_id: &str, token: &str) -> Result<Download, PackageError> {
        let (package, digest) = self.link_in_force(package_id, token).await?;
        let turn = Arc::clone(&self.builds).try_acquire_owned().map_err(|_| PackageError::Busy)?;
        let facts = Facts::of(&package)?;
        let recipient = recipient_of(&package)?;
        let now = self.clock.now();
        let tx = self.store.begin_write().await?;
        if !export_package::open_link(&*tx, &package.id, &digest, TRIES_MAX).await? {
            return Err(PackageError::LinkGone("was used, replaced, or opened too often"));
        }
        let about = json!({ "link": "opened", "try": package.link_tries + 1 });
        audit::append(&*tx, now, vec![entry(Actor::LinkHolder, Action::Read, &package, about)]).await?;
        tx.commit().await?;
        Ok(Download::begin(self.clone(), package, digest, facts, recipient, turn))
    }

    async fn link_in_force(&self, package_id: &str, token: &str) -> Result<(Model, Vec<u8>), PackageError> {
        let genuine = link::read(&self.keyring, package_id, token).ok_or(PackageError::UnknownLink)?;
        let now = self.clock.now();
        if genuine.expires_at <= now {
            return Err(PackageError::LinkGone("has expired"));
        }
        // The link is one of ours, so the package was there once.
        let package = export_package::find(self.store.db(), package_id).await?.ok_or(PackageError::Removed)?;
        let package = fetchable(package, now)?;
        if package.link_digest.as_deref() != Some(&genuine.digest) {
            return Err(PackageError::LinkGone("was replaced by a newer one"));
        }
        if package.link_used_at.is_some() {
            return Err(PackageError::LinkGone("was used"));
        }
        if package.link_tries >= TRIES_MAX {
            return Err(PackageError::LinkGone("was opened too often"));
        }
        Ok((package, genuine.digest))
    }

    /// Uses a link up, with its audit entry. False when somebody else did, or it ended meanwhile.
    async fn use_up(&self, package: &Model, digest: &[u8], bytes: u64) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let tx = self.store.begin_write().await?;
        if !export_package::use_link(&*tx, &package.id, digest, now).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        let about = json!({ "link": "used", "bytes": bytes, "encrypted": package.link_recipient.is_some() });
        audit::append(&*tx, now, vec![entry(Actor::LinkHolder, Action::Export, package, about)]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes a job's package to `sink`, encrypted when a recipient is given. The audit entry is there before the first
    /// byte.
    ///
    /// # Errors
    /// When there is no package, it may not be fetched (any more), is not whole, or the sink refuses.
    pub async fn write_to<W: Write + Send + 'static>(
        &self,
        actor: Actor,
        job_id: &str,
        recipient: Option<Recipient>,
        sink: W,
    ) -> Result<W, PackageError> {
        let now = self.clock.now();
        let package = fetchable(self.of_job(job_id).await?, now)?;
        let facts = Facts::of(&package)?;
        let tx = self.store.begin_write().await?;
        let about = json!({ "to": "file", "encrypted": recipient.is_some() });
        audit::append(&*tx, now, vec![entry(actor, Action::Export, &package, about)]).await?;
        tx.commit().await?;
        self.build(facts, recipient, sink).await
    }

    /// Removes a job's package before its time, and returns its row.
    ///
    /// # Errors
    /// [`PackageError::NotReady`] while it is being collected, [`PackageError::Removed`] when it was removed before.
    pub async fn remove(&self, actor: Actor, job_id: &str) -> Result<Model, PackageError> {
        loop {
            let now = self.clock.now();
            let tx = self.store.begin_write().await?;
            let package = export_package::lock_of_job(&*tx, job_id).await?;
            let package = package.ok_or_else(|| PackageError::NoPackage(job_id.to_owned()))?;
            match package.status {
                PackageStatus::Collecting => return Err(PackageError::NotReady),
                PackageStatus::Removed => return Err(PackageError::Removed),
                PackageStatus::Ready | PackageStatus::Removing => {}
            }
            let step = removal::step(&*tx, &package, actor.clone(), "an operator asked for it", now).await?;
            tx.commit().await?;
            if step == Removal::Done {
                removal::off_the_disk(&self.store).await;
                return self.of_job(job_id).await;
            }
        }
    }

    /// Builds the zip in a thread that may block, which asks here for one part after the other.
    async fn build<W: Write + Send + 'static>(
        &self,
        facts: Facts,
        recipient: Option<Recipient>,
        sink: W,
    ) -> Result<W, PackageError> {
        let facts = Arc::new(facts);
        let (ask, mut asked) = mpsc::channel::<(i32, oneshot::Sender<_>)>(1);
        let of_writer = Arc::clone(&facts);
        let writing = tokio::task::spawn_blocking(move || {
            let mut open = |sequence| {
                let (reply, answer) = oneshot::channel();
                let nobody = || io::Error::from(ErrorKind::BrokenPipe);
                ask.blocking_send((sequence, reply)).map_err(|_| nobody())?;
                answer.blocking_recv().map_err(|_| nobody())?
            };
            let outlet = super::recipient::Outlet::new(sink, recipient.as_ref())?;
            let mut sink = archive::write(outlet, &of_writer, &mut open)?.finish()?;
            sink.flush()?;
            Ok(sink)
        });
        while let Some((sequence, reply)) = asked.recv().await {
            let _gone = reply.send(self.part(&facts, sequence).await);
        }
        writing.await.map_err(io::Error::other)?
    }

    async fn part(&self, facts: &Facts, sequence: i32) -> Result<Pii<Vec<u8>>, PackageError> {
        let part = export_package::part(self.store.db(), &facts.package_id, sequence).await?;
        let part = part.ok_or_else(|| PackageError::NotWhole(facts.package_id.clone()))?;
        let row = place_row(&facts.package_id, sequence);
        Ok(self.keys.open(&place(&row, &facts.shop_domain), &part.sealed).await?)
    }
}

/// Lets packages through that may be fetched now.
fn fetchable(package: Model, now: DateTime<Utc>) -> Result<Model, PackageError> {
    match package.status {
        PackageStatus::Collecting => Err(PackageError::NotReady),
        PackageStatus::Ready if package.expires_at > now => Ok(package),
        PackageStatus::Ready | PackageStatus::Removing | PackageStatus::Removed => Err(PackageError::Removed),
    }
}

fn recipient_of(package: &Model) -> Result<Option<Recipient>, PackageError> {
    let Some(text) = &package.link_recipient else { return Ok(None) };
    let unreadable = |_| StoreError::Row {
        table: TABLE,
        column: "linkRecipient",
        id: package.id.clone(),
        reason: "not an age recipient",
    };
    Ok(Some(text.parse().map_err(unreadable)?))
}

/// What was done with a package; `about` is an object, and gets the job's id.
pub(super) fn entry(actor: Actor, action: Action, package: &Model, mut about: Value) -> Entry {
    about["jobId"] = Value::from(package.job_id.as_str());
    Entry {
        actor,
        action,
        resource_type: TABLE,
        resource_id: package.id.clone(),
        shop_domain: Some(package.shop_domain.clone()),
        metadata: about,
    }
}
