//! Places holds and ends them, each with an audit entry in its transaction.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use entity::legal_hold::Model;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::query::identifiers;
use super::wish::Coverage;
use super::{HoldError, Holds, Identifier, Wish};
use crate::audit::{self, Actor, Entry};
use crate::clock::rfc3339;
use crate::store::gdpr_job::holding;
use crate::store::legal_hold::{self, SubjectHashes};
use crate::store::{StoreError, id};

impl Holds {
    /// Places a hold in the name of `placer`.
    ///
    /// When it returns, no transaction that erases what the hold covers is under way, and none begins until the hold is
    /// released: from the commit on every step sees the hold, and those that began before were waited for.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn place(&self, placer: &str, wish: &Wish) -> Result<Model, HoldError> {
        let now = self.clock.now();
        let tables = self.reach.customer.iter().chain(&self.reach.shop).cloned();
        let hold = self.hold(placer, wish, wish.read(now, tables)?, now);
        let tx = self.store.begin_write().await?;
        legal_hold::insert(&*tx, hold.clone()).await?;
        let metadata = json!({
            "scope": hold.scope,
            "table": hold.table_name,
            "identifiers": identifiers(&hold),
            "reviewAt": hold.review_at.map(rfc3339),
        });
        audit::append(&*tx, now, vec![entry(Action::Create, placer, &hold, metadata)]).await?;
        tx.commit().await?;
        if let Err(error) = self.wait_for_steps(&hold).await {
            tracing::warn!(hold.id = %hold.id, error = %error,
                "a hold is in force, but steps that began before it could not be waited for");
        }
        Ok(hold)
    }

    fn hold(&self, placer: &str, wish: &Wish, coverage: Coverage, now: DateTime<Utc>) -> Model {
        let scope = coverage.scope();
        let (shop_domain, subject, table_name) = match coverage {
            Coverage::Shop(shop) => (Some(shop), None, None),
            Coverage::Subject(shop, identifiers) => {
                let subject = json!(self.hashes(&shop, &identifiers));
                (Some(shop), Some(subject), None)
            }
            Coverage::Table(table, shop) => (shop, None, Some(table)),
        };
        Model {
            id: id::row(),
            scope,
            shop_domain,
            subject,
            table_name,
            reason: wish.reason.trim().to_owned(),
            placed_by: placer.to_owned(),
            placed_at: now,
            review_at: wish.review_at,
            released_at: None,
            released_by: None,
        }
    }

    fn hashes(&self, shop: &str, identifiers: &[Identifier]) -> SubjectHashes {
        let mut hashes: SubjectHashes = BTreeMap::new();
        for identifier in identifiers {
            let of_kind = hashes.entry(identifier.kind().as_str().to_owned()).or_default();
            let hash = identifier.hash(&self.keyring, shop);
            if !of_kind.contains(&hash) {
                of_kind.push(hash);
            }
        }
        hashes
    }

    /// The second of two transactions: what was claimed before the hold's commit is visible to it, and what is claimed
    /// later sees the hold.
    async fn wait_for_steps(&self, hold: &Model) -> Result<(), StoreError> {
        let tx = self.store.begin_write().await?;
        holding::wait_for_steps(&*tx, hold.shop_domain.as_deref()).await?;
        tx.rollback().await
    }

    /// Ends a hold in the caller's transaction, which must also let go on what it held.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub async fn end(
        &self,
        conn: &impl ConnectionTrait,
        now: DateTime<Utc>,
        releaser: &str,
        id: &str,
    ) -> Result<Model, HoldError> {
        let ended = legal_hold::release(conn, id, releaser, now).await?;
        let hold = legal_hold::find(conn, id).await?.ok_or_else(|| HoldError::NotFound(id.to_owned()))?;
        if !ended {
            return Err(HoldError::Released(id.to_owned()));
        }
        let metadata = json!({ "scope": hold.scope, "because": "released" });
        audit::append(conn, now, vec![entry(Action::Update, releaser, &hold, metadata)]).await?;
        Ok(hold)
    }
}

/// The reason stays in the row: it is the operator's text, and the audit log keeps none.
fn entry(action: Action, operator: &str, hold: &Model, metadata: Value) -> Entry {
    Entry {
        actor: Actor::Operator(operator.to_owned()),
        action,
        resource_type: super::TABLE,
        resource_id: hold.id.clone(),
        shop_domain: hold.shop_domain.clone(),
        metadata,
    }
}
