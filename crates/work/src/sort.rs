//! The order of a list: a column, its direction, and how a cursor keeps its place in it.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};
use synapscale_core::{Error, Result};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use synapscale_store::orm::{
    ColumnTrait, Condition, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder, Select, Value,
};
use uuid::Uuid;

/// A column that a list may be sorted by.
pub(crate) struct Key<C> {
    /// What callers call it.
    pub name: &'static str,
    /// The column.
    pub column: C,
    /// Whether rows may have no value there. Only those orders put such rows last: it keeps an index from giving the order.
    pub gaps: bool,
}

/// The order that a caller asked for.
pub(crate) struct Sort<E: EntityTrait> {
    column: E::Column,
    id: E::Column,
    gaps: bool,
    descending: bool,
}

impl<E: EntityTrait> Sort<E> {
    /// Reads `name` or `-name`; the first key in rising order when nothing is asked for.
    ///
    /// # Errors
    /// 422 that lists the keys.
    pub fn parse(text: Option<&str>, id: E::Column, keys: &[Key<E::Column>]) -> Result<Self> {
        let text = text.unwrap_or(keys[0].name);
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
            let message = format!(
                "Sort by one of {}, with - in front for descending.",
                names.join(", ")
            );
            return Err(Error::invalid("/sort", "one_of", message));
        };
        Ok(Sort {
            column: key.column,
            id,
            gaps: key.gaps,
            descending,
        })
    }

    /// The row's place: its value in this order, and its id.
    pub fn place(&self, row: &E::Model) -> (Json, Option<Uuid>) {
        let value = match row.get(self.column) {
            Value::ChronoDateTimeUtc(Some(time)) => json!(time),
            Value::BigInt(Some(number)) => json!(number),
            Value::String(Some(text)) => json!(text),
            _ => Json::Null,
        };
        let id = match row.get(self.id) {
            Value::Uuid(id) => id,
            _ => None,
        };
        (value, id)
    }

    /// What comes after a place. Rows without a value come last, in either direction.
    ///
    /// # Errors
    /// 422 for a cursor of another order.
    pub fn after(&self, (value, id): (Json, Uuid)) -> Result<Condition> {
        let column = Expr::col((E::default(), self.column));
        let same_id = Expr::col((E::default(), self.id)).gt(id);
        if value == Json::Null {
            return Ok(Condition::all().add(column.is_null()).add(same_id));
        }
        let value = self.parse_value(value)?;
        let beyond = match self.descending {
            true => column.clone().lt(value.clone()),
            false => column.clone().gt(value.clone()),
        };
        let mut after = Condition::any()
            .add(beyond)
            .add(Condition::all().add(column.clone().eq(value)).add(same_id));
        if self.gaps {
            after = after.add(column.is_null());
        }
        Ok(after)
    }

    fn parse_value(&self, value: Json) -> Result<SimpleExpr> {
        use synapscale_store::orm::ColumnType;
        let bad = || Error::invalid("/cursor", "cursor", "This cursor belongs to another order.");
        Ok(match self.column.def().get_column_type() {
            ColumnType::BigInteger => Expr::val(value.as_i64().ok_or_else(bad)?),
            ColumnType::String(_) | ColumnType::Text => Expr::val(value.as_str().ok_or_else(bad)?),
            _ => Expr::val(serde_json::from_value::<DateTime<Utc>>(value).map_err(|_| bad())?),
        })
    }

    /// The query in this order.
    pub fn order(&self, mut query: Select<E>) -> Select<E> {
        let direction = if self.descending { Order::Desc } else { Order::Asc };
        if self.gaps {
            query = query.order_by(Expr::col((E::default(), self.column)).is_null(), Order::Asc);
        }
        query
            .order_by(self.column, direction)
            .order_by(self.id, Order::Asc)
    }

    /// The query in this order from a cursor's place on.
    ///
    /// # Errors
    /// 422 for a cursor that is none, or of another order.
    pub fn page(&self, query: Select<E>, cursor: Option<&str>) -> Result<Select<E>> {
        let query = match cursor {
            Some(cursor) => query.filter(self.after(synapscale_ops::page::decode(cursor)?)?),
            None => query,
        };
        Ok(self.order(query))
    }
}
