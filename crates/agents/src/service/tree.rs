//! The tree that the messages of a conversation form: branches up to the root, siblings, leaves.

use crate::entity::message::{Column, Entity, Model};
use std::collections::{HashMap, HashSet};
use synapscale_core::Result;
use synapscale_store::orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, Query, SelectStatement, UnionType, WithClause,
};
use synapscale_store::orm::{ColumnTrait, Iterable, Order, QueryFilter};
use synapscale_store::{Scoped, Tenanted, Tx};
use uuid::Uuid;

/// A message of this conversation.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &Tx, conversation_id: Uuid, id: Uuid) -> Result<Option<Model>> {
    let query = tx
        .find::<Entity>()
        .filter(Column::Id.eq(id))
        .filter(Column::ConversationId.eq(conversation_id));
    query.row(tx).await
}

/// The message `from` and those above it, the nearest first, at most `limit`. None for a message that is not there.
///
/// # Errors
/// When the database fails.
pub async fn branch(tx: &Tx, conversation_id: Uuid, from: Uuid, limit: u64) -> Result<Vec<Model>> {
    tx.query::<Model>(&branch_query(tx, conversation_id, from, limit))
        .await
}

fn branch_query(tx: &Tx, conversation_id: Uuid, from: Uuid, limit: u64) -> SelectStatement {
    let [branch, id, parent, step] = ["branch", "id", "parent_id", "step"].map(Alias::new);
    let column = |column: Column| Expr::col((Entity, column));
    let own = |query: &mut SelectStatement| {
        query
            .and_where(Expr::col((Entity, Entity::tenant_column())).eq(tx.tenant_value()))
            .and_where(column(Column::ConversationId).eq(conversation_id));
    };
    let mut first = Query::select();
    first
        .expr(column(Column::Id))
        .expr(column(Column::ParentId))
        .expr(Expr::val(1_i64))
        .from(Entity)
        .and_where(column(Column::Id).eq(from));
    own(&mut first);
    // CROSS JOIN keeps SQLite to this order: from the branch into the key, never over all messages. Counting the steps
    // bounds the walk, even if the rows should ever form a circle.
    let mut above = Query::select();
    above
        .expr(column(Column::Id))
        .expr(column(Column::ParentId))
        .expr(Expr::col((branch.clone(), step.clone())).add(1_i64))
        .from(branch.clone())
        .cross_join(Entity)
        .and_where(column(Column::Id).equals((branch.clone(), parent.clone())))
        .and_where(Expr::col((branch.clone(), step.clone())).lt(i64::try_from(limit).unwrap_or(i64::MAX)));
    own(&mut above);
    let mut walk = CommonTableExpression::new();
    walk.table_name(branch.clone())
        .columns([id.clone(), parent, step.clone()])
        .query(first.union(UnionType::All, above).to_owned());
    let mut clause = WithClause::new();
    clause.recursive(true).cte(walk);
    let mut rows = Query::select();
    rows.columns(Column::iter().map(|column| (Entity, column)))
        .from(branch.clone())
        .cross_join(Entity)
        .and_where(column(Column::Id).equals((branch.clone(), id)));
    own(&mut rows);
    rows.order_by((branch, step), Order::Asc).with_cte(clause);
    rows
}

/// Ids and parents of messages that `condition` names, in the order of their making.
async fn links(
    tx: &Tx,
    conversation_id: Uuid,
    condition: impl IntoIterator<Item = synapscale_store::orm::Condition>,
) -> Result<Vec<(Uuid, Option<Uuid>)>> {
    let mut query = Query::select();
    query
        .columns([Column::Id, Column::ParentId])
        .from(Entity)
        .and_where(Entity::tenant_column().eq(tx.ctx().tenant().0))
        .and_where(Column::ConversationId.eq(conversation_id))
        .order_by(Column::Id, Order::Asc);
    for condition in condition {
        query.cond_where(condition);
    }
    tx.query_by(&query, |row| {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    })
    .await
}

/// The messages below each of these parents, in the order of their making. No parent stands for the first messages.
///
/// # Errors
/// When the database fails.
pub async fn siblings(
    tx: &Tx,
    conversation_id: Uuid,
    parents: impl IntoIterator<Item = Option<Uuid>>,
) -> Result<HashMap<Option<Uuid>, Vec<Uuid>>> {
    let parents: HashSet<Option<Uuid>> = parents.into_iter().collect();
    if parents.is_empty() {
        return Ok(HashMap::new());
    }
    let mut any = synapscale_store::orm::Condition::any();
    if parents.contains(&None) {
        any = any.add(Column::ParentId.is_null());
    }
    let named: Vec<Uuid> = parents.iter().flatten().copied().collect();
    if !named.is_empty() {
        any = any.add(Column::ParentId.is_in(named));
    }
    let mut found: HashMap<Option<Uuid>, Vec<Uuid>> = HashMap::new();
    for (id, parent) in links(tx, conversation_id, [any]).await? {
        found.entry(parent).or_default().push(id);
    }
    Ok(found)
}

/// The newest message below `from` that nothing comes after; `from` itself if nothing comes after it. A conversation has a
/// bounded number of messages, and their links are small.
///
/// # Errors
/// When the database fails.
pub async fn newest_leaf(tx: &Tx, conversation_id: Uuid, from: Uuid) -> Result<Uuid> {
    let links = links(tx, conversation_id, []).await?;
    Ok(leaf_below(&links, from))
}

fn leaf_below(links: &[(Uuid, Option<Uuid>)], from: Uuid) -> Uuid {
    let mut children: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for (id, parent) in links {
        if let Some(parent) = parent {
            children.entry(*parent).or_default().push(*id);
        }
    }
    let (mut open, mut newest, mut seen) = (vec![from], None, HashSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        match children.get(&id) {
            Some(below) => open.extend(below),
            None => newest = Ord::max(newest, Some(id)),
        }
    }
    newest.unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_leaf_is_found_and_circles_end() {
        let id = |n: u128| Uuid::from_u128(n);
        let links = [
            (id(1), None),
            (id(2), Some(id(1))),
            (id(3), Some(id(1))),
            (id(4), Some(id(2))),
            (id(5), Some(id(3))),
            (id(6), Some(id(2))),
        ];
        assert_eq!(leaf_below(&links, id(1)), id(6));
        assert_eq!(leaf_below(&links, id(3)), id(5));
        assert_eq!(leaf_below(&links, id(4)), id(4));
        let circle = [(id(1), Some(id(2))), (id(2), Some(id(1)))];
        assert_eq!(leaf_below(&circle, id(1)), id(1));
    }
}
