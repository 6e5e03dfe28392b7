//! The first workspace, its owner and the owner's first key: what a new installation starts from.

use crate::api_keys::{self, NewKey};
use crate::entity::user;
use crate::key::FreshKey;
use crate::members;
use crate::password::{self, Passwords};
use crate::roles::Role;
use crate::rules;
use crate::users::{self, NewUser};
use crate::workspaces;
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Clock, Ctx, Error, Result, TenantId, new_id};
use synapscale_store::{Scoped, Store, Tx};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Who is first.
#[derive(Clone)]
pub struct BootstrapInput {
    /// The owner's e-mail address.
    pub email: String,
    /// The workspace's name.
    pub workspace: String,
    /// The owner's password; without one, the key is the only way in. A user who is known keeps their own.
    pub password: Option<Zeroizing<String>>,
    /// Whether this is a further workspace, whose owner may be known already, and not the first.
    pub further: bool,
}

impl fmt::Debug for BootstrapInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapInput")
            .field("email", &self.email)
            .field("workspace", &self.workspace)
            .field("further", &self.further)
            .finish_non_exhaustive()
    }
}

/// What was made.
pub struct Bootstrapped {
    /// The workspace.
    pub workspace_id: TenantId,
    /// Its owner.
    pub user_id: Uuid,
    /// A key of the owner's that is not narrowed. To be shown once.
    pub api_key: Zeroizing<String>,
}

impl fmt::Debug for Bootstrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrapped")
            .field("workspace_id", &self.workspace_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

struct Plan {
    workspace: String,
    email: String,
    password_hash: Option<String>,
    user_id: Uuid,
    key_id: Uuid,
    key: FreshKey,
    further: bool,
}

/// Makes a workspace with its owner and a key, in one transaction.
///
/// # Errors
/// `already_bootstrapped` when the first is asked for and there is any user; what is wrong with a field; a database failure.
pub async fn bootstrap(store: &Store, clock: &Clock, input: BootstrapInput) -> Result<Bootstrapped> {
    let email = rules::email(&input.email, "/email")?;
    let workspace = rules::name(&input.workspace, 200, "/workspace")?;
    let password_hash = match input.password {
        None => None,
        Some(secret) => {
            password::check(&secret, &email, "/password")?;
            Some(Passwords::new().hash(secret).await?)
        }
    };
    let workspace_id = TenantId(new_id());
    let plan = Arc::new(Plan {
        workspace,
        email,
        password_hash,
        user_id: new_id(),
        key_id: new_id(),
        key: FreshKey::new()?,
        further: input.further,
    });
    let ctx = Ctx::system(clock.clone()).system_in(workspace_id).elevated();
    let to_write = plan.clone();
    let written = store
        .write(&ctx, move |tx| {
            let plan = to_write.clone();
            async move { write(&tx, &plan).await }
        })
        .await;
    let user_id = written?;
    Ok(Bootstrapped {
        workspace_id,
        user_id,
        api_key: plan.key.text.clone(),
    })
}

fn already() -> Error {
    Error::conflict(
        "already_bootstrapped",
        "There is a user already: the first workspace was made before.",
    )
}

async fn write(tx: &Tx, plan: &Plan) -> Result<Uuid> {
    // Two servers that start at once with one configuration must not both be first.
    tx.lock_globally("identity/bootstrap").await?;
    if !plan.further && tx.find_as_system::<user::Entity>()?.row(tx).await?.is_some() {
        return Err(already());
    }
    let mut slug = rules::slug(&plan.workspace);
    if plan.further {
        // Its name may be another's too; the address by which it is known may not.
        slug = format!("{slug}-{}", &new_id().simple().to_string()[24..]);
    }
    workspaces::create(tx, &plan.workspace, &slug).await?;
    let known = match plan.further {
        true => users::by_email(tx, &plan.email).await?,
        false => None,
    };
    let owner = match known {
        Some(known) => known.id,
        None => {
            let owner = NewUser {
                id: plan.user_id,
                email: plan.email.clone(),
                full_name: None,
                password_hash: plan.password_hash.clone(),
            };
            users::create(tx, owner).await?.id
        }
    };
    members::join(tx, owner, Role::Owner).await?;
    let key = NewKey {
        id: plan.key_id,
        user_id: owner,
        name: "First key".to_owned(),
        scopes: vec!["*".to_owned()],
        expires_at: None,
        created_by: owner,
    };
    api_keys::write(tx, key, &plan.key).await?;
    Ok(owner)
}
