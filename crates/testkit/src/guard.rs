//! Parses every statement sent and refuses one that touches a tenant's table without naming the tenant. On SQLite this
//! is what keeps tenants apart, so the tests leave no statement unseen.

use sqlparser::ast::{Expr, Query, SetExpr, Statement, TableFactor, TableWithJoins, Visit, Visitor};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use std::collections::HashSet;
use std::ops::ControlFlow;
use synapscale_core::{Ctx, Privilege};
use synapscale_store::{EntitySpec, StatementObserver};

/// The check.
pub struct TenantGuard {
    tables: HashSet<String>,
}

impl TenantGuard {
    /// Watches the tenant tables among `entities`.
    pub fn new<'a>(entities: impl IntoIterator<Item = &'a EntitySpec>) -> Self {
        let tables = entities
            .into_iter()
            .filter(|spec| spec.is_tenant())
            .map(|spec| spec.table().to_owned());
        TenantGuard {
            tables: tables.collect(),
        }
    }

    fn check(&self, sql: &str) -> Result<(), String> {
        let dialect: &dyn Dialect = if sql.contains("$1") {
            &PostgreSqlDialect {}
        } else {
            &SQLiteDialect {}
        };
        let statements =
            Parser::parse_sql(dialect, sql).map_err(|e| format!("not to be parsed: {e}: {sql}"))?;
        for statement in &statements {
            self.check_statement(statement).map_err(|table| {
                format!("`{table}` belongs to tenants and the statement names none: {sql}")
            })?;
        }
        Ok(())
    }

    fn check_statement(&self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::Insert(insert) => {
                let table = insert.table.to_string().replace('"', "");
                let named = insert
                    .columns
                    .iter()
                    .any(|c| c.to_string().replace('"', "") == "tenant_id");
                if self.tables.contains(&table) && !named {
                    return Err(table);
                }
            }
            Statement::Update(update) => {
                self.check_scope(std::slice::from_ref(&update.table), update.selection.as_ref())?;
            }
            Statement::Delete(delete) => {
                use sqlparser::ast::FromTable::{WithFromKeyword, WithoutKeyword};
                let (WithFromKeyword(from) | WithoutKeyword(from)) = &delete.from;
                self.check_scope(from, delete.selection.as_ref())?;
            }
            _ => {}
        }
        let mut visitor = Selects { guard: self };
        match Visit::visit(statement, &mut visitor) {
            ControlFlow::Break(table) => Err(table),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn check_scope(&self, from: &[TableWithJoins], condition: Option<&Expr>) -> Result<(), String> {
        let mut tables = Vec::new();
        let mut text = condition.map(ToString::to_string).unwrap_or_default();
        for item in from {
            tables.push(&item.relation);
            for join in &item.joins {
                tables.push(&join.relation);
                text.push_str(&format!("{:?}", join.join_operator));
            }
        }
        let named = text.replace('"', "").contains("tenant_id");
        for table in tables {
            if let TableFactor::Table { name, .. } = table {
                let name = name.to_string().replace('"', "");
                if self.tables.contains(&name) && !named {
                    return Err(name);
                }
            }
        }
        Ok(())
    }
}

struct Selects<'a> {
    guard: &'a TenantGuard,
}

impl Visitor for Selects<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.body(&query.body)
    }
}

impl Selects<'_> {
    fn body(&self, body: &SetExpr) -> ControlFlow<String> {
        match body {
            SetExpr::Select(select) => {
                match self.guard.check_scope(&select.from, select.selection.as_ref()) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(table) => ControlFlow::Break(table),
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left)?;
                self.body(right)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl StatementObserver for TenantGuard {
    fn observe(&self, ctx: &Ctx, sql: &str) -> Result<(), String> {
        match ctx.privilege() {
            Privilege::System => Ok(()),
            Privilege::Tenant => self.check(sql),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_without_a_tenant_are_refused() {
        let guard = TenantGuard {
            tables: HashSet::from(["tasks".to_owned()]),
        };
        for good in [
            r#"SELECT "id" FROM "tasks" WHERE "tasks"."tenant_id" = ? AND "id" = ?"#,
            r#"INSERT INTO "tasks" ("tenant_id", "id") VALUES ($1, $2)"#,
            r#"UPDATE "tasks" SET "title" = $1 WHERE "tasks"."tenant_id" = $2"#,
            r#"SELECT 1"#,
        ] {
            assert_eq!(guard.check(good), Ok(()), "{good}");
        }
        for bad in [
            r#"SELECT "id" FROM "tasks" WHERE "id" = ?"#,
            r#"DELETE FROM "tasks""#,
            r#"UPDATE "tasks" SET "title" = ? WHERE "id" = ?"#,
            r#"INSERT INTO "tasks" ("id") VALUES (?)"#,
            r#"SELECT 1 WHERE EXISTS (SELECT 1 FROM "tasks")"#,
        ] {
            assert!(guard.check(bad).is_err(), "{bad}");
        }
    }
}
