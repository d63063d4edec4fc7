//! Reads entries: for people, the newest first; for proofs, in the order of the tree.

use chrono::{DateTime, Utc};
use entity::audit_log::{Action, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, FromQueryResult as _, Order, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::span::{self, PLACE, Places};
use crate::store::StoreError;

/// Places that are looked through at once, when few of their entries are asked for.
const WINDOW_MAX: u64 = 8_192;

/// Which entries; an absent field does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub actor_id: Option<String>,
    pub action: Option<Action>,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub shop_domain: Option<String>,
    /// The first instant.
    pub from: Option<DateTime<Utc>>,
    /// The first instant after it.
    pub to: Option<DateTime<Utc>>,
}

/// The entry after which a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub created_at: DateTime<Utc>,
    pub id: String,
}

impl Filter {
    fn condition(&self) -> Condition {
        Condition::all()
            .add_option(self.actor_id.as_ref().map(|actor| Column::ActorId.eq(actor.as_str())))
            .add_option(self.action.map(|action| Column::Action.eq(action)))
            .add_option(self.resource_type.as_ref().map(|kind| Column::ResourceType.eq(kind.as_str())))
            .add_option(self.resource_id.as_ref().map(|id| Column::ResourceId.eq(id.as_str())))
            .add_option(self.shop_domain.as_ref().map(|shop| Column::ShopDomain.eq(shop.as_str())))
            .add_option(self.from.map(|from| Column::CreatedAt.gte(from)))
            .add_option(self.to.map(|to| Column::CreatedAt.lt(to)))
    }
}

/// An entry, and its place in the tree once it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub entry: Model,
    pub index: Option<u64>,
}

/// An entry and its place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub index: u64,
    pub entry: Model,
}

/// Up to `limit` entries, the newest first.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<&Before>,
    limit: u64,
) -> Result<Vec<Listed>, StoreError> {
    let mut query = Entity::find().filter(filter.condition());
    if let Some(Before { created_at, id }) = before {
        let same = Condition::all().add(Column::CreatedAt.eq(*created_at)).add(Column::Id.lt(id.as_str()));
        // The first half lets the index begin where the page does.
        query = query
            .filter(Column::CreatedAt.lte(*created_at))
            .filter(Condition::any().add(Column::CreatedAt.lt(*created_at)).add(same));
    }
    listed(conn, query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit)).await
}

async fn listed(conn: &impl ConnectionTrait, query: Select<Entity>) -> Result<Vec<Listed>, StoreError> {
    let statement = query.expr_as(Expr::cust(PLACE), "leafIndex").build(conn.get_database_backend());
    let rows = conn.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| {
            let index: Option<i64> = row.try_get("", "leafIndex")?;
            Ok(Listed { entry: Model::from_query_result(row, "")?, index: index.map(i64::unsigned_abs) })
        })
        .collect()
}

/// Up to `limit` entries that have a place from `from` to before `to`, in the order of the tree.
///
/// Of one resource, they are looked up; else the tree is walked from `from`, a window at a time.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn placed(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    from: u64,
    to: u64,
    limit: u64,
) -> Result<Vec<Placed>, StoreError> {
    if from >= to {
        return Ok(Vec::new());
    }
    if filter.resource_id.is_none() {
        return walk(conn, filter, from, to, limit).await;
    }
    let within = Expr::cust(format!("{PLACE} BETWEEN {from} AND {}", to - 1));
    let found = Entity::find().filter(filter.condition()).filter(within);
    let found = found.order_by(Expr::cust(r#""leafIndex""#), Order::Asc).limit(limit);
    let placed = |Listed { entry, index }| Some(Placed { index: index?, entry });
    Ok(listed(conn, found).await?.into_iter().filter_map(placed).collect())
}

/// What a walk along the tree meets.
async fn walk(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    mut from: u64,
    to: u64,
    limit: u64,
) -> Result<Vec<Placed>, StoreError> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    // As if every entry were asked for; wider as soon as a window shows that they are not.
    let mut window = limit.clamp(1, WINDOW_MAX);
    let mut found = Vec::new();
    while from < to && found.len() < most {
        let end = to.min(from.saturating_add(window));
        let spans = span::between(conn, from, end).await?;
        if spans.is_empty() {
            // Pruned.
            match span::first_from(conn, end).await? {
                Some(next) => from = next,
                None => break,
            }
            continue;
        }
        let ranges = span::to_read(&spans);
        let places = Places::new(spans);
        let before = found.len();
        for range in ranges {
            let in_range = Entity::find()
                .filter(filter.condition())
                .filter(Column::Ordinal.gte(range.start))
                .filter(Column::Ordinal.lt(range.end));
            let entries = in_range.all(conn).await?;
            found.extend(
                entries.into_iter().filter_map(|entry| Some(Placed { index: places.of(entry.ordinal)?, entry })),
            );
        }
        found[before..].sort_by_key(|placed| placed.index);
        if (found.len() - before) as u64 * 2 < end - from {
            window = (window * 2).min(WINDOW_MAX);
        }
        from = end;
    }
    found.truncate(most);
    Ok(found)
}
