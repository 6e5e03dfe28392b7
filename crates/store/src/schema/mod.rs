//! How a migration describes a table. One description serves both databases; tenancy, keys and policies follow from it,
//! so that no table can be made without them.

mod column;

pub use column::{Column, ColumnType, boolean, bytes, integer, json, real, text, timestamp, uuid};

/// Who may see the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// Each row belongs to a tenant; only that tenant sees it.
    Tenant,
    /// As `Tenant`, and relay, claims and schedules see all rows through the system role.
    TenantAndSystem,
    /// No tenant column; only the system role sees the rows. Identity and the platform's own tables.
    System,
}

/// An index. On tenant tables the tenant comes first unless it is `across` tenants.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) unique: bool,
    pub(crate) across: bool,
    pub(crate) condition: Option<&'static str>,
}

/// A reference to another table; between tenant tables it carries the tenant.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub columns: Vec<&'static str>,
    pub table: &'static str,
    pub target: Vec<&'static str>,
    pub cascade: bool,
    pub with_tenant: bool,
}

/// A table as a migration makes it.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) name: &'static str,
    pub(crate) tenancy: Tenancy,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<&'static str>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) references: Vec<Reference>,
    pub(crate) checks: Vec<(&'static str, &'static str)>,
    pub(crate) append_only: bool,
    pub(crate) partitions: u16,
    pub(crate) sequence: Option<&'static str>,
    pub(crate) readable: bool,
}

impl Table {
    /// A table whose rows belong to tenants. `tenant_id` is added as its first column.
    pub fn tenant(name: &'static str, columns: impl IntoIterator<Item = Column>) -> Self {
        let columns = [uuid("tenant_id")].into_iter().chain(columns).collect();
        Self::new(name, Tenancy::Tenant, columns)
    }

    /// A table that only the system role sees.
    pub fn system(name: &'static str, columns: impl IntoIterator<Item = Column>) -> Self {
        Self::new(name, Tenancy::System, columns.into_iter().collect())
    }

    fn new(name: &'static str, tenancy: Tenancy, columns: Vec<Column>) -> Self {
        Table {
            name,
            tenancy,
            columns,
            key: vec!["id"],
            indexes: Vec::new(),
            references: Vec::new(),
            checks: Vec::new(),
            append_only: false,
            partitions: 0,
            sequence: None,
            readable: false,
        }
    }

    /// Lets the system role see all tenants' rows.
    pub fn seen_by_system(mut self) -> Self {
        self.tenancy = Tenancy::TenantAndSystem;
        self
    }

    /// The primary key, without the tenant, which is put in front of it on tenant tables.
    pub fn key(mut self, columns: &[&'static str]) -> Self {
        self.key = columns.to_vec();
        self
    }

    /// An index for a common query.
    pub fn index(mut self, name: &'static str, columns: &[&'static str]) -> Self {
        self.indexes.push(Index::new(name, columns));
        self
    }

    /// An index of its own making.
    pub fn index_with(mut self, index: Index) -> Self {
        self.indexes.push(index);
        self
    }

    /// Values that stand once per tenant.
    pub fn unique(mut self, name: &'static str, columns: &[&'static str]) -> Self {
        self.indexes.push(Index {
            unique: true,
            ..Index::new(name, columns)
        });
        self
    }

    /// `column` refers to `table`'s `id` in the same tenant. No cascade: rows are soft-deleted.
    pub fn references(mut self, column: &'static str, table: &'static str) -> Self {
        let with_tenant = self.tenancy != Tenancy::System;
        self.references.push(Reference {
            columns: vec![column],
            table,
            target: vec!["id"],
            cascade: false,
            with_tenant,
        });
        self
    }

    /// `column` refers to the `id` of `table`, which has no tenant.
    pub fn references_global(mut self, column: &'static str, table: &'static str) -> Self {
        self.references.push(Reference {
            columns: vec![column],
            table,
            target: vec!["id"],
            cascade: false,
            with_tenant: false,
        });
        self
    }

    /// As [`Table::references`], and the rows go when the target goes.
    pub fn owned_by(mut self, column: &'static str, table: &'static str) -> Self {
        self = self.references(column, table);
        if let Some(last) = self.references.last_mut() {
            last.cascade = true;
        }
        self
    }

    /// A rule over several columns, in SQL that both databases read.
    pub fn check(mut self, name: &'static str, condition: &'static str) -> Self {
        self.checks.push((name, condition));
        self
    }

    /// Rows are added and read, never changed: the app role gets no right to.
    pub fn append_only(mut self) -> Self {
        self.append_only = true;
        self
    }

    /// Lets every tenant read the rows of a system table: nothing in it is anybody's.
    pub fn readable_by_all(mut self) -> Self {
        self.readable = true;
        self
    }

    /// Hash partitions by tenant on PostgreSQL. Must stand in the table's first migration.
    pub fn partitioned(mut self, count: u16) -> Self {
        self.partitions = count;
        self
    }

    /// `column` counts up by itself in the order of insertion and becomes the key.
    pub fn sequence(mut self, column: &'static str) -> Self {
        self.sequence = Some(column);
        self.key = vec![column];
        self
    }

    pub(crate) fn has_tenant(&self) -> bool {
        self.tenancy != Tenancy::System
    }
}

impl Index {
    /// A plain index.
    pub fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Index {
            name,
            columns: columns.to_vec(),
            unique: false,
            across: false,
            condition: None,
        }
    }

    /// No two rows with the same values.
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Over all tenants: for the system's own queries.
    pub fn across_tenants(mut self) -> Self {
        self.across = true;
        self
    }

    /// Only rows that meet `condition`, in SQL that both databases read.
    pub fn only(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }
}
