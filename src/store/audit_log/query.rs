//! Reads entries: for people, the newest first; for proofs, in the order of the tree.

use chrono::{DateTime, Utc};
use entity::audit_log::{Action, Column, Entity, Model};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use crate::store::StoreError;

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

/// Up to `limit` entries, the newest first.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<&Before>,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let mut query = Entity::find().filter(filter.condition());
    if let Some(Before { created_at, id }) = before {
        let same = Condition::all().add(Column::CreatedAt.eq(*created_at)).add(Column::Id.lt(id.as_str()));
        // The first half lets the index begin where the page does.
        query = query
            .filter(Column::CreatedAt.lte(*created_at))
            .filter(Condition::any().add(Column::CreatedAt.lt(*created_at)).add(same));
    }
    let newest = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id);
    Ok(newest.limit(limit).all(conn).await?)
}

/// Up to `limit` entries that have a place from `from` to before `to`, in the order of the tree.
///
/// # Errors
/// When the database refuses or does not answer, or a row does not read back.
pub async fn placed(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    from: u64,
    to: u64,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let placed = Entity::find()
        .filter(filter.condition())
        .filter(Column::LeafIndex.is_not_null())
        .filter(Column::LeafIndex.gte(from.cast_signed()))
        .filter(Column::LeafIndex.lt(to.cast_signed()));
    Ok(placed.order_by_asc(Column::LeafIndex).limit(limit).all(conn).await?)
}
