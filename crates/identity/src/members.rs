//! Members: who belongs to the workspace, in which role. Only owners make and unmake owners, and one always stays.

use crate::api_keys;
use crate::authenticator::Authenticator;
use crate::caller;
use crate::entity::{membership, user};
use crate::events::{MemberAdded, MemberRemoved as MemberRemovedEvent, MemberUpdated};
use crate::model::{AddMember, MemberRemoved, MemberView};
use crate::password;
use crate::roles::Role;
use crate::rules;
use crate::users::{self, NewUser};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use synapscale_core::{Change, Changes, Error, ErrorKind, NewEvent, Result, new_id};
use synapscale_ops::{Page, PageQuery, page};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Serialises changes of one workspace's members: the rule on the last owner spans rows.
const LOCK: &str = "identity/members";

/// A member to be, checked and with the password hashed.
pub struct Newcomer {
    email: String,
    full_name: Option<String>,
    role: Role,
    password_hash: Option<String>,
}

/// Checks the input and hashes the password: the slow half of adding a member.
///
/// # Errors
/// What is wrong with a field; `busy` when too many passwords wait.
pub async fn prepare(auth: &Authenticator, input: AddMember) -> Result<Newcomer> {
    let email = rules::email(&input.email, "/email")?;
    let full_name = input
        .full_name
        .map(|name| rules::name(&name, 200, "/full_name"))
        .transpose()?;
    let password_hash = match input.password {
        None => None,
        Some(secret) => {
            password::check(&secret.0, &email, "/password")?;
            Some(auth.passwords().hash(secret.0).await?)
        }
    };
    Ok(Newcomer {
        email,
        full_name,
        role: input.role,
        password_hash,
    })
}

/// The members, by user id.
///
/// # Errors
/// `cursor`.
pub async fn list(tx: &Tx, query: &PageQuery) -> Result<Page<MemberView>> {
    let limit = page::limit(query.limit);
    let mut select = tx.find::<membership::Entity>();
    if let Some(last) = page::decode_opt::<Uuid>(query.cursor.as_deref())? {
        select = select.filter(membership::Column::UserId.gt(last));
    }
    let rows = select
        .order_by_asc(membership::Column::UserId)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let page = Page::cut(rows, limit, |row| row.user_id)?;
    let users = users::by_ids(tx, page.items.iter().map(|row| row.user_id)).await?;
    let mut users: HashMap<Uuid, _> = users.into_iter().map(|user| (user.id, user)).collect();
    let Page { items, next_cursor } = page;
    let items = items
        .into_iter()
        .filter_map(|row| users.remove(&row.user_id).map(|user| MemberView::of(row, user)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page { items, next_cursor })
}

/// What people call those of `users` who are members here: the full name, else what stands before the address's `@`.
///
/// # Errors
/// When the database fails.
pub async fn names(tx: &Tx, wanted: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let members = tx
        .find::<membership::Entity>()
        .filter(membership::Column::UserId.is_in(wanted.iter().copied()))
        .rows(tx)
        .await?;
    let users = users::by_ids(tx, members.iter().map(|row| row.user_id)).await?;
    let name = |user: user::Model| {
        let short = user.email.split('@').next().unwrap_or_default().to_owned();
        (user.id, user.full_name.unwrap_or(short))
    };
    Ok(users.into_iter().map(name).collect())
}

/// Makes somebody a member, and a user if nobody knows the address. There is no e-mail yet that would ask them.
///
/// # Errors
/// `owners_only`, `already_member`.
pub async fn add(tx: &Tx, auth: &Authenticator, new: &Newcomer) -> Result<MemberView> {
    tx.lock(LOCK).await?;
    only_owners_touch_owners(caller::role(tx).await?, &[new.role])?;
    let user = match users::by_email(tx, &new.email).await? {
        // Name and password of somebody who is known stay theirs: another workspace's admin does not set them.
        Some(known) => known,
        None => {
            let new = NewUser {
                id: new_id(),
                email: new.email.clone(),
                full_name: new.full_name.clone(),
                password_hash: new.password_hash.clone(),
            };
            users::create(tx, new).await?
        }
    };
    let row = join(tx, user.id, new.role).await?;
    forget(tx, auth, user.id);
    MemberView::of(row, user)
}

/// Writes the membership and tells of it.
///
/// # Errors
/// `already_member`.
pub async fn join(tx: &Tx, user_id: Uuid, role: Role) -> Result<membership::Model> {
    let now = tx.ctx().clock().now();
    let row = membership::Model {
        tenant_id: tx.ctx().tenant().0,
        user_id,
        role: role.as_str().to_owned(),
        created_at: now,
        updated_at: now,
    };
    if !tx.insert_new::<membership::Entity>(row.clone()).await? {
        return Err(Error::conflict(
            "already_member",
            "This user is a member already.",
        ));
    }
    tx.emit(NewEvent::new("member", user_id, &MemberAdded { user_id, role }));
    Ok(row)
}

/// Gives a member another role.
///
/// # Errors
/// `not_found`, `owners_only`, `last_owner`.
pub async fn update(tx: &Tx, auth: &Authenticator, user_id: Uuid, role: Role) -> Result<MemberView> {
    tx.lock(LOCK).await?;
    let mut row = caller::find(tx, user_id)
        .await?
        .ok_or_else(|| Error::not_found("member"))?;
    let user = users::by_ids(tx, [user_id])
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("member"))?;
    let old = Role::parse(&row.role)?;
    if old == role {
        return MemberView::of(row, user);
    }
    only_owners_touch_owners(caller::role(tx).await?, &[old, role])?;
    if old == Role::Owner {
        another_owner(tx, user_id).await?;
    }
    row.role = role.as_str().to_owned();
    row.updated_at = tx.ctx().clock().now();
    let update = tx
        .update::<membership::Entity>()
        .col_expr(membership::Column::Role, Expr::val(row.role.clone()))
        .col_expr(membership::Column::UpdatedAt, Expr::val(row.updated_at))
        .filter(membership::Column::UserId.eq(user_id));
    tx.run_update(update).await?;
    let change = Change {
        before: old.as_str().into(),
        after: role.as_str().into(),
    };
    let event = NewEvent::new("member", user_id, &MemberUpdated { user_id, role });
    tx.emit(event.with_changes(Changes::from([("role".to_owned(), change)])));
    forget(tx, auth, user_id);
    MemberView::of(row, user)
}

/// Takes a member out of the workspace and revokes their keys to it. The user stays.
///
/// # Errors
/// `not_found`, `owners_only`, `last_owner`.
pub async fn remove(tx: &Tx, auth: &Authenticator, user_id: Uuid) -> Result<MemberRemoved> {
    tx.lock(LOCK).await?;
    let row = caller::find(tx, user_id)
        .await?
        .ok_or_else(|| Error::not_found("member"))?;
    let role = Role::parse(&row.role)?;
    only_owners_touch_owners(caller::role(tx).await?, &[role])?;
    if role == Role::Owner {
        another_owner(tx, user_id).await?;
    }
    let keys_revoked = api_keys::revoke_all_of(tx, user_id).await?;
    let delete = tx
        .delete::<membership::Entity>()
        .filter(membership::Column::UserId.eq(user_id));
    tx.run_delete(delete).await?;
    tx.emit(NewEvent::new(
        "member",
        user_id,
        &MemberRemovedEvent { user_id, role },
    ));
    forget(tx, auth, user_id);
    Ok(MemberRemoved {
        user_id,
        keys_revoked,
    })
}

/// Once committed, this process knows at once; others within the bound.
fn forget(tx: &Tx, auth: &Authenticator, user_id: Uuid) {
    let auth = auth.clone();
    tx.after_commit(move || auth.invalidate_user(user_id));
}

fn only_owners_touch_owners(caller: Role, touched: &[Role]) -> Result<()> {
    match caller < Role::Owner && touched.contains(&Role::Owner) {
        true => Err(Error::new(
            ErrorKind::Forbidden,
            "owners_only",
            "Only an owner makes somebody an owner, or an owner something else.",
        )),
        false => Ok(()),
    }
}

async fn another_owner(tx: &Tx, than: Uuid) -> Result<()> {
    let other = tx
        .find::<membership::Entity>()
        .filter(membership::Column::Role.eq(Role::Owner.as_str()))
        .filter(membership::Column::UserId.ne(than))
        .row(tx)
        .await?;
    other.map(|_| ()).ok_or_else(|| {
        Error::conflict(
            "last_owner",
            "A workspace keeps at least one owner. Make somebody else an owner first.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_touched_by_owners_only() {
        assert!(only_owners_touch_owners(Role::Owner, &[Role::Owner]).is_ok());
        assert!(only_owners_touch_owners(Role::Admin, &[Role::Admin, Role::Viewer]).is_ok());
        for touched in [[Role::Owner, Role::Viewer], [Role::Viewer, Role::Owner]] {
            let refused = only_owners_touch_owners(Role::Admin, &touched).expect_err("refused");
            assert_eq!(refused.code(), "owners_only");
        }
    }
}
