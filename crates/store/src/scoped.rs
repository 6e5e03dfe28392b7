//! Queries that carry their tenant: what `Entity::find` is elsewhere.

use crate::errors::IntoCore;
use crate::tx::Tx;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, DeleteMany, EntityTrait, FromQueryResult,
    IntoActiveModel, QueryFilter, QueryResult, Select, Statement, UpdateMany,
};
use synapscale_core::{Error, Privilege, Result};

/// An entity whose rows belong to tenants.
pub trait Tenanted: EntityTrait {
    /// The column that names the tenant.
    fn tenant_column() -> Self::Column;
}

/// A select that can be run on a transaction.
pub trait Scoped {
    /// What one row becomes.
    type Row;
    /// All rows.
    fn rows(self, tx: &Tx) -> impl Future<Output = Result<Vec<Self::Row>>> + Send;
    /// The first row, if there is one.
    fn row(self, tx: &Tx) -> impl Future<Output = Result<Option<Self::Row>>> + Send;
}

impl<E> Scoped for Select<E>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Sized + Send + Sync,
{
    type Row = E::Model;

    async fn rows(self, tx: &Tx) -> Result<Vec<E::Model>> {
        self.all(tx).await.map_err(IntoCore::into_core)
    }

    async fn row(self, tx: &Tx) -> Result<Option<E::Model>> {
        self.one(tx).await.map_err(IntoCore::into_core)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is where the bare queries get their tenant"
)]
impl Tx {
    fn own<E: Tenanted>(&self) -> sea_orm::sea_query::SimpleExpr {
        E::tenant_column().eq(self.ctx().tenant().0)
    }

    fn only_system(&self) -> Result<()> {
        match self.ctx().privilege() {
            Privilege::System => Ok(()),
            Privilege::Tenant => Err(Error::internal(
                "a tenant's transaction asked for rows of all tenants",
            )),
        }
    }

    /// Selects this tenant's rows.
    pub fn find<E: Tenanted>(&self) -> Select<E> {
        E::find().filter(self.own::<E>())
    }

    /// Updates this tenant's rows.
    pub fn update<E: Tenanted>(&self) -> UpdateMany<E> {
        E::update_many().filter(self.own::<E>())
    }

    /// Deletes this tenant's rows for good.
    pub fn delete<E: Tenanted>(&self) -> DeleteMany<E> {
        E::delete_many().filter(self.own::<E>())
    }

    /// Selects rows of all tenants, or of a table without tenants.
    ///
    /// # Errors
    /// For a context that is not elevated.
    pub fn find_as_system<E: EntityTrait>(&self) -> Result<Select<E>> {
        self.only_system().map(|()| E::find())
    }

    /// Updates rows of all tenants, or of a table without tenants.
    ///
    /// # Errors
    /// For a context that is not elevated.
    pub fn update_as_system<E: EntityTrait>(&self) -> Result<UpdateMany<E>> {
        self.only_system().map(|()| E::update_many())
    }

    /// Deletes rows of all tenants, or of a table without tenants.
    ///
    /// # Errors
    /// For a context that is not elevated.
    pub fn delete_as_system<E: EntityTrait>(&self) -> Result<DeleteMany<E>> {
        self.only_system().map(|()| E::delete_many())
    }

    /// Inserts a row into this tenant, whatever tenant the model names.
    ///
    /// # Errors
    /// `already_exists`, `reference` or a database failure.
    pub async fn insert<E>(&self, model: E::Model) -> Result<()>
    where
        E: Tenanted,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: Send,
    {
        self.insert_all::<E>(vec![model]).await
    }

    /// Inserts rows into this tenant with one statement.
    ///
    /// # Errors
    /// As [`Tx::insert`]; none of the rows stands then.
    pub async fn insert_all<E>(&self, models: Vec<E::Model>) -> Result<()>
    where
        E: Tenanted,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: Send,
    {
        if models.is_empty() {
            return Ok(());
        }
        let models = self.owned_models::<E>(models)?;
        E::insert_many(models)
            .exec_without_returning(self)
            .await
            .map(|_| ())
            .map_err(IntoCore::into_core)
    }

    /// Inserts a row unless one with the same key stands; says whether it was inserted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_new<E>(&self, model: E::Model) -> Result<bool>
    where
        E: Tenanted,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: Send,
    {
        let mut models = self.owned_models::<E>(vec![model])?;
        let Some(model) = models.pop() else {
            return Ok(false);
        };
        let inserted = E::insert(model)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(self)
            .await;
        match inserted {
            Ok(rows) => Ok(rows > 0),
            Err(sea_orm::DbErr::RecordNotInserted) => Ok(false),
            Err(error) => Err(error.into_core()),
        }
    }

    fn owned_models<E>(&self, models: Vec<E::Model>) -> Result<Vec<E::ActiveModel>>
    where
        E: Tenanted,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        let tenant = self.ctx().tenant().0;
        models
            .into_iter()
            .map(|model| {
                let mut active = model.into_active_model().reset_all();
                active
                    .try_set(E::tenant_column(), tenant.into())
                    .map_err(IntoCore::into_core)?;
                Ok(active)
            })
            .collect()
    }

    /// Inserts a row into a table without tenants, or for another tenant.
    ///
    /// # Errors
    /// For a context that is not elevated; otherwise as [`Tx::insert`].
    pub async fn insert_as_system<E>(&self, model: E::Model) -> Result<()>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<E::ActiveModel>,
        E::ActiveModel: Send,
    {
        self.only_system()?;
        E::insert(model.into_active_model().reset_all())
            .exec_without_returning(self)
            .await
            .map(|_| ())
            .map_err(IntoCore::into_core)
    }

    /// Runs an update; answers how many rows it hit.
    ///
    /// # Errors
    /// When a rule is broken or the database fails.
    pub async fn run_update<E: EntityTrait>(&self, update: UpdateMany<E>) -> Result<u64> {
        update
            .exec(self)
            .await
            .map(|done| done.rows_affected)
            .map_err(IntoCore::into_core)
    }

    /// Runs a delete; answers how many rows it hit.
    ///
    /// # Errors
    /// When the rows are referred to or the database fails.
    pub async fn run_delete<E: EntityTrait>(&self, delete: DeleteMany<E>) -> Result<u64> {
        delete
            .exec(self)
            .await
            .map(|done| done.rows_affected)
            .map_err(IntoCore::into_core)
    }

    /// Rows of a statement built by hand with the query builder. It must name its tenant itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn query<R: FromQueryResult + Send + Sync>(
        &self,
        query: &sea_orm::sea_query::SelectStatement,
    ) -> Result<Vec<R>> {
        let statement: Statement = self.get_database_backend().build(query);
        let rows = self.query_all_raw(statement).await.map_err(IntoCore::into_core)?;
        rows.iter()
            .map(|row| R::from_query_result(row, "").map_err(IntoCore::into_core))
            .collect()
    }

    /// As [`Tx::query`] for large answers: `read` takes the columns by their places in the statement, which spares looking
    /// each of them up by name.
    ///
    /// # Errors
    /// When the database fails, or a column is not what `read` wants.
    pub async fn query_by<R>(
        &self,
        query: &sea_orm::sea_query::SelectStatement,
        read: impl Fn(&QueryResult) -> std::result::Result<R, DbErr>,
    ) -> Result<Vec<R>> {
        let statement: Statement = self.get_database_backend().build(query);
        let rows = self.query_all_raw(statement).await.map_err(IntoCore::into_core)?;
        rows.iter()
            .map(|row| read(row).map_err(IntoCore::into_core))
            .collect()
    }

    /// The tenant, as a value for statements built by hand.
    pub fn tenant_value(&self) -> sea_orm::sea_query::SimpleExpr {
        Expr::val(self.ctx().tenant().0)
    }
}
