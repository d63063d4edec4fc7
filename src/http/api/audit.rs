//! Lists the audit log.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use entity::audit_log::Action;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::jobs_source::unavailable;
use super::{ApiState, query};
use crate::audit;
use crate::audit::query::{Before, Filter, Listed};
use crate::clock::{is_usual, rfc3339};
use crate::evidence::leaf::{self, EntrySalt};
use crate::http::error::Problem;

/// One entry. Holds no personal data, because its row does not; the salt stays here.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    /// A UUID.
    pub id: String,
    /// Kind of actor.
    pub actor_type: String,
    /// Which actor.
    pub actor_id: String,
    /// What was done.
    pub action: Action,
    /// The kind of thing it was done to.
    pub resource_type: String,
    /// Its id.
    pub resource_id: String,
    /// The shop it concerns.
    pub shop_domain: Option<String>,
    /// Facts about the act.
    pub metadata: Option<Value>,
    /// The caller's network.
    pub ip_address: Option<String>,
    /// When it was done.
    pub created_at: DateTime<Utc>,
    /// Its place in the tree; null until the sequencer has been there.
    pub leaf_index: Option<u64>,
    /// Its leaf's hash, in hex.
    pub leaf_hash: Option<String>,
}

impl From<Listed> for AuditView {
    fn from(Listed { entry, index }: Listed) -> Self {
        let salt = entry.salt.as_slice().try_into().ok().filter(|_| index.is_some());
        let leaf_hash = salt.map(|salt| hex::encode(leaf::hash_of_entry(&entry, &EntrySalt(salt))));
        Self {
            id: entry.id,
            actor_type: entry.actor_type,
            actor_id: entry.actor_id,
            action: entry.action,
            resource_type: entry.resource_type,
            resource_id: entry.resource_id,
            shop_domain: entry.shop_domain,
            metadata: entry.metadata,
            ip_address: entry.ip_address,
            created_at: entry.created_at,
            leaf_index: index,
            leaf_hash,
        }
    }
}

/// A page of entries, the newest first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The entries.
    pub data: Vec<AuditView>,
    /// Leads to the next page; none on the last one.
    pub next_cursor: Option<AuditCursor>,
}

impl AuditPage {
    /// The page of these entries; `more` says whether others follow.
    pub fn of(entries: Vec<Listed>, more: bool) -> Self {
        let last = entries.last().filter(|_| more).map(|last| &last.entry);
        let next_cursor = last.map(|last| AuditCursor(Before { created_at: last.created_at, id: last.id.clone() }));
        Self { data: entries.into_iter().map(AuditView::from).collect(), next_cursor }
    }
}

/// Where a page of the audit log ended: outside it is opaque text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCursor(pub Before);

impl AuditCursor {
    /// The text that callers see and send back.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("2 {} {}", rfc3339(self.0.created_at), self.0.id))
    }

    /// Reads the text back; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (created_at, id) = plain.strip_prefix("2 ")?.split_once(' ')?;
        let created_at = DateTime::parse_from_rfc3339(created_at).ok()?.to_utc();
        (super::is_id(id) && is_usual(created_at)).then(|| Self(Before { created_at, id: id.to_owned() }))
    }
}

impl Serialize for AuditCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

pub(super) async fn list(State(api): State<ApiState>, uri: Uri) -> Result<Json<AuditPage>, Problem> {
    let (filter, cursor, limit) = query::audit_list(&uri)?;
    api.audit(&filter, cursor.as_ref(), limit).await.map(Json)
}

impl ApiState {
    /// The entries that pass `filter`, the newest first, with the cursor of the next page.
    pub async fn audit(&self, filter: &Filter, after: Option<&AuditCursor>, limit: u16) -> Result<AuditPage, Problem> {
        let page = audit::query::page(&self.store, filter, after.map(|cursor| &cursor.0), limit.into()).await;
        let (entries, more) = page.map_err(unavailable)?;
        Ok(AuditPage::of(entries, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let created_at = "2026-11-21T05:42:00.123Z".parse().unwrap();
        let cursor = AuditCursor(Before { created_at, id: "0197-a".into() });
        assert_eq!(AuditCursor::parse(&cursor.to_text()), Some(cursor));
        for plain in ["", "2 ", "1 0197", "2 2026-11-21T05:42:00.123Z", "2 soon 0197", "2 2026-11-21T05:42:00Z a'b"] {
            assert_eq!(AuditCursor::parse(&URL_SAFE_NO_PAD.encode(plain)), None, "{plain}");
        }
    }
}
