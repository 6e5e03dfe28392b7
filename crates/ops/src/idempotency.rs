//! The same call again gets the first one's answer. The row is written in the handler's own transaction, so there is
//! never an effect without its row. Input digest and answer are sealed together: a digest in clear would let whoever
//! reads the database try passwords against it.

use crate::canonical::{self, DIGEST_BYTES};
use crate::operation::Operation;
use crate::outcome::{Applied, Envelope, Outcome};
use crate::output::Output;
use crate::prepared::TxRun;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ExprTrait;
use sea_orm::{ColumnTrait, Condition, QueryFilter};
use serde_json::Value;
use synapscale_core::{Actor, ActorKind, Channel, Ctx, Error, ErrorKind, Result};
use synapscale_store::schema::{Index, Table, integer, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Sealed, SecretBox, Tx};
use uuid::Uuid;

/// How long an answer is kept, in hours.
pub const KEPT_HOURS: i64 = 24;
/// How long the answers are kept that steps of runs got: a step whose worker died is tried again when the server is back.
const KEPT_FOR_RUNS_HOURS: i64 = 31 * 24;
/// The keys of steps: run, node, path.
const RUN_KEY: &str = "________-____-____-____-____________/%";
/// Largest kept answer, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// Longest key, in characters.
const MAX_KEY: usize = 255;
const PURPOSE: &str = "idempotency";
const DONE: &str = "done";
const REFUSED: &str = "refused";

mod entity {
    use sea_orm::entity::prelude::*;
    use synapscale_store::Tenanted;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub actor_id: Uuid,
        /// For whom the actor acted; nil for itself.
        #[sea_orm(primary_key, auto_increment = false)]
        pub principal_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub operation: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub idem_key: String,
        pub status: String,
        /// The input's digest and the answer or error as JSON.
        pub answer_sealed: String,
        pub revision: Option<i64>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }
}

use entity::{Column, Entity, Model};

pub(crate) fn migrations() -> Vec<Migration> {
    let table = Table::tenant(
        "idempotency_keys",
        [
            uuid("actor_id"),
            uuid("principal_id"),
            text("operation").max(100),
            text("idem_key").max(255),
            text("status").one_of(&[DONE, REFUSED]),
            text("answer_sealed"),
            integer("revision").null(),
            timestamp("created_at"),
        ],
    );
    // The system role sees it for elevated operations, whose key belongs to their tenant all the same, and for the purge.
    let table = table
        .key(&["actor_id", "principal_id", "operation", "idem_key"])
        .seen_by_system()
        .index_with(Index::new("idempotency_keys_by_age", &["created_at"]).across_tenants());
    vec![Migration::new("ops_0001_idempotency").create(table)]
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(Entity)]
}

/// A key and what it was used with.
#[derive(Clone)]
pub(crate) struct Keyed {
    key: String,
    digest: [u8; DIGEST_BYTES],
}

/// The key of a call that is to be done once; none where keys are not honoured: reads repeat themselves, external calls
/// have their run, and callers whom nobody knows would share keys and answers.
///
/// # Errors
/// 422 `idempotency_key` for anything but 1 to 255 printable ASCII characters.
pub(crate) fn keyed(
    ctx: &Ctx,
    operation: &Operation,
    envelope: &Envelope,
    input: &Value,
) -> Result<Option<Keyed>> {
    let Some(key) = &envelope.idempotency_key else {
        return Ok(None);
    };
    let printable = key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY || !printable {
        let message = "An idempotency key is 1 to 255 printable ASCII characters.";
        return Err(Error::new(ErrorKind::Invalid, "idempotency_key", message));
    }
    if !operation.takes_idempotency_key() || ctx.actor().kind == ActorKind::Anonymous {
        return Ok(None);
    }
    Ok(Some(Keyed {
        key: key.clone(),
        digest: canonical::digest(input),
    }))
}

/// Where the row of a call stands.
struct Slot {
    actor: Uuid,
    principal: Uuid,
    operation: &'static str,
    key: String,
}

impl Slot {
    fn of(ctx: &Ctx, operation: &'static str, keyed: &Keyed) -> Self {
        let principal = ctx.principal().unwrap_or(Actor::SYSTEM).id;
        Slot {
            actor: ctx.actor().id,
            principal,
            operation,
            key: keyed.key.clone(),
        }
    }

    fn lock_name(&self) -> String {
        format!(
            "idempotency/{}/{}/{}/{}",
            self.actor, self.principal, self.operation, self.key
        )
    }

    fn condition(&self) -> Condition {
        Condition::all()
            .add(Column::ActorId.eq(self.actor))
            .add(Column::PrincipalId.eq(self.principal))
            .add(Column::Operation.eq(self.operation))
            .add(Column::IdemKey.eq(self.key.as_str()))
    }
}

/// Runs the handler, or answers with what it answered before.
///
/// # Errors
/// The handler's; 422 `idempotency_mismatch` for another input under the same key; 413 for an answer over 1 MiB.
pub(crate) async fn once(
    tx: &Tx,
    secrets: &SecretBox,
    operation: &'static str,
    keyed: &Keyed,
    run: &TxRun,
) -> Result<Applied> {
    let slot = Slot::of(tx.ctx(), operation, keyed);
    tx.lock(&slot.lock_name()).await?;
    let now = tx.ctx().clock().now();
    let row = tx.find::<Entity>().filter(slot.condition()).row(tx).await?;
    if let Some(row) = row {
        let kept = match tx.ctx().origin().channel {
            Channel::Run => KEPT_FOR_RUNS_HOURS,
            _ => KEPT_HOURS,
        };
        if row.created_at + TimeDelta::hours(kept) > now {
            return replay(tx.ctx(), secrets, keyed, &row);
        }
        tx.run_delete(tx.delete::<Entity>().filter(slot.condition()))
            .await?;
    }
    let outcome = run(tx.clone()).await?;
    let (status, json) = match &outcome {
        Outcome::Done(output) => (DONE, output.to_bytes()?),
        Outcome::Refused(error) => (
            REFUSED,
            serde_json::to_vec(error)
                .map(Bytes::from)
                .map_err(Error::internal)?,
        ),
    };
    if json.len() > MAX_ANSWER_BYTES {
        return Err(Error::too_large(
            "answer, which is to be kept for the idempotency key,",
            "1 MiB",
        ));
    }
    // Written out once: the caller gets the text that is kept.
    let outcome = outcome.map(|output| Output::from_json(json.clone(), output.revision()));
    let applied = Applied::fresh(outcome);
    let plain = [keyed.digest.as_slice(), &json].concat();
    tx.insert::<Entity>(Model {
        tenant_id: tx.ctx().tenant().0,
        actor_id: slot.actor,
        principal_id: slot.principal,
        operation: slot.operation.to_owned(),
        idem_key: slot.key,
        status: status.to_owned(),
        answer_sealed: secrets.seal(tx.ctx().tenant(), PURPOSE, &plain)?.0,
        revision: applied.revision,
        created_at: now,
    })
    .await?;
    Ok(applied)
}

fn replay(ctx: &Ctx, secrets: &SecretBox, keyed: &Keyed, row: &Model) -> Result<Applied> {
    let sealed = Sealed(row.answer_sealed.clone());
    let plain = secrets
        .open(ctx.tenant(), PURPOSE, &sealed)
        .map_err(Error::from)?;
    let Some((digest, json)) = plain.split_at_checked(DIGEST_BYTES) else {
        return Err(Error::internal("a kept answer is too short"));
    };
    if digest != keyed.digest.as_slice() {
        let message = "This idempotency key was used with another input. Use a new key for a new call.";
        return Err(Error::new(ErrorKind::Invalid, "idempotency_mismatch", message));
    }
    let outcome = match row.status.as_str() {
        DONE => Ok(Output::from_json(json.to_vec(), row.revision)),
        _ => Err(serde_json::from_slice::<Error>(json).map_err(Error::internal)?),
    };
    Ok(Applied {
        outcome,
        revision: row.revision,
        replayed: true,
    })
}

/// Removes the answers of all tenants that are past their time; says how many. In an elevated transaction.
///
/// # Errors
/// When the transaction is not elevated, or the database fails.
pub(crate) async fn purge(tx: &Tx, now: DateTime<Utc>) -> Result<u64> {
    let of_run = || Column::IdemKey.like(RUN_KEY);
    let (short, long) = (
        now - TimeDelta::hours(KEPT_HOURS),
        now - TimeDelta::hours(KEPT_FOR_RUNS_HOURS),
    );
    let old = Condition::any()
        .add(Column::CreatedAt.lt(long))
        .add(Column::CreatedAt.lt(short).and(of_run().not()));
    let old = tx
        .delete_as_system::<Entity>()?
        .filter(Column::CreatedAt.lt(short))
        .filter(old);
    tx.run_delete(old).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{NoInput, NoOutput};
    use serde_json::json;
    use synapscale_core::{Channel, Clock, Grants, Origin, TenantId, new_id};

    fn write() -> Operation {
        Operation::write("things.touch", "Touch")
            .permission("things:write")
            .handle(|_tx: Tx, _input: std::sync::Arc<NoInput>| async { Ok(Outcome::Done(NoOutput {})) })
    }

    fn with(key: &str) -> Envelope {
        Envelope {
            idempotency_key: Some(key.to_owned()),
            expected_revision: None,
        }
    }

    #[test]
    fn keys_are_checked_and_honoured_for_known_callers() {
        let origin = Origin::of(Channel::Rest);
        let actor = Actor::user(new_id());
        let known = Ctx::authenticated(
            TenantId(new_id()),
            actor,
            Grants::none(),
            origin.clone(),
            Clock::system(),
        );
        let nobody = Ctx::anonymous(origin, Clock::system());
        let input = json!({});
        assert!(
            keyed(&known, &write(), &with("a b"), &input)
                .expect("key")
                .is_some()
        );
        assert!(
            keyed(&known, &write(), &Envelope::default(), &input)
                .expect("none")
                .is_none()
        );
        assert!(
            keyed(&nobody, &write(), &with("a"), &input)
                .expect("ignored")
                .is_none()
        );
        for bad in ["", "\n", "ä", &"a".repeat(256)] {
            let error = keyed(&known, &write(), &with(bad), &input)
                .err()
                .expect("refused");
            assert_eq!(error.code(), "idempotency_key");
        }
    }
}
