//! What operations show of the tables. Each field of an output that is a row's is a column, is made of columns, or is declared
//! computed; each column of a tenant's table is shown somewhere, or declared hidden. So no column reaches an answer by
//! accident, and no field outlives its column. `synapscale db check` and a test hold the declarations against the schemas of
//! the operations and the entities.

use crate::module::Module;
use crate::schema;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use synapscale_store::EntitySpec;

/// The two fields of a page, whose items are looked at instead.
const PAGE: [&str; 2] = ["items", "next_cursor"];
/// The column that the gate's context decides on, never an answer.
const TENANT: &str = "tenant_id";

/// An output type that shows rows of a table.
#[derive(Clone, Copy, Debug)]
pub struct View {
    table: &'static str,
    fields: fn() -> BTreeSet<String>,
    made_of: &'static [(&'static str, &'static [&'static str])],
    computed: &'static [&'static str],
}

impl View {
    /// `T` shows rows of `table`: each of its fields is the column of the same name.
    pub fn of<T: JsonSchema>(table: &'static str) -> Self {
        View {
            table,
            fields: || fields(&schema::output::<T>()).unwrap_or_default(),
            made_of: &[],
            computed: &[],
        }
    }

    /// These fields are made of the columns behind them.
    pub fn made_of(self, made_of: &'static [(&'static str, &'static [&'static str])]) -> Self {
        View { made_of, ..self }
    }

    /// These fields are found out otherwise: from other tables, or from what is going on.
    pub fn computed(self, computed: &'static [&'static str]) -> Self {
        View { computed, ..self }
    }
}

/// What one module shows.
#[derive(Clone, Debug, Default)]
pub struct Faces {
    views: Vec<View>,
    assembled: Vec<&'static str>,
    hidden: Vec<(&'static str, &'static [&'static str])>,
    unseen: Vec<&'static str>,
}

impl Faces {
    /// With one more type that shows rows.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.views.push(view);
        self
    }

    /// With operations whose output is no row: put together of several, a sum, or a receipt.
    #[must_use]
    pub fn assembled(mut self, operations: &[&'static str]) -> Self {
        self.assembled.extend(operations);
        self
    }

    /// With columns of `table` that no answer shows.
    #[must_use]
    pub fn hidden(mut self, table: &'static str, columns: &'static [&'static str]) -> Self {
        self.hidden.push((table, columns));
        self
    }

    /// With tables of which no answer shows anything.
    #[must_use]
    pub fn unseen(mut self, tables: &[&'static str]) -> Self {
        self.unseen.extend(tables);
        self
    }
}

/// One difference between what is declared and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The operation, or the table and its column.
    pub place: String,
    /// What does not fit, in words.
    pub what: String,
}

/// Compares what `modules` declare with their operations and with `entities`. An empty list is what is wanted.
pub fn check_faces(modules: &[Module], entities: &[EntitySpec]) -> Vec<Mismatch> {
    let tables = entities
        .iter()
        .map(|entity| (entity.table(), entity.columns().collect::<BTreeSet<_>>()))
        .collect();
    let mut check = Check {
        tables,
        shown: BTreeSet::new(),
        known: BTreeSet::new(),
        found: Vec::new(),
    };
    let views = modules.iter().flat_map(|module| &module.faces.views);
    views.for_each(|view| check.view(view));
    check.operations(modules);
    check.hidden(modules);
    let tenants = entities.iter().filter(|entity| entity.is_tenant());
    check.columns(modules, tenants);
    check.found
}

struct Check<'a> {
    tables: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Columns that some view shows.
    shown: BTreeSet<(&'static str, String)>,
    /// The fields of each declared view, by which an output is recognised.
    known: BTreeSet<BTreeSet<String>>,
    found: Vec<Mismatch>,
}

impl Check<'_> {
    fn differs(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.found.push(Mismatch {
            place: place.into(),
            what: what.into(),
        });
    }

    fn view(&mut self, view: &View) {
        let fields = (view.fields)();
        let Some(columns) = self.tables.get(view.table).cloned() else {
            return self.differs(view.table, "a view shows this table, and no entity knows it");
        };
        for name in view
            .computed
            .iter()
            .chain(view.made_of.iter().map(|(name, _)| name))
        {
            if !fields.contains(*name) {
                self.differs(
                    view.table,
                    format!("a view declares the field `{name}` and has none of that name"),
                );
            }
        }
        for field in &fields {
            if view.computed.contains(&field.as_str()) {
                continue;
            }
            let made_of = view.made_of.iter().find(|(name, _)| name == field);
            let sources: Vec<&str> = made_of.map_or_else(|| vec![field.as_str()], |(_, of)| of.to_vec());
            for source in sources {
                if !columns.contains(source) {
                    self.differs(
                        format!("{}.{source}", view.table),
                        format!(
                            "a view shows the field `{field}`, which is no column and not declared computed"
                        ),
                    );
                }
                self.shown.insert((view.table, source.to_owned()));
            }
        }
        self.known.insert(fields);
    }

    fn operations(&mut self, modules: &[Module]) {
        let mut assembled: BTreeSet<&str> = modules
            .iter()
            .flat_map(|m| m.faces.assembled.iter().copied())
            .collect();
        let operations = modules.iter().flat_map(|module| &module.operations);
        for operation in operations.filter(|operation| !operation.is_internal()) {
            let declared = assembled.remove(operation.name());
            let shows_row = match row_fields(&operation.output_schema()) {
                // Without a field of its own there is nothing to declare.
                None => continue,
                Some(fields) => self.known.contains(&fields),
            };
            match (shows_row, declared) {
                (true, true) => self.differs(
                    operation.name(),
                    "is declared assembled, and shows a declared view",
                ),
                (false, false) => self.differs(
                    operation.name(),
                    "its output is no declared view of a table and not declared assembled",
                ),
                _ => {}
            }
        }
        for name in assembled {
            self.differs(name, "is declared assembled, and there is no such operation");
        }
    }

    /// What is declared hidden is there, and is hidden.
    fn hidden(&mut self, modules: &[Module]) {
        for (table, columns) in modules.iter().flat_map(|module| &module.faces.hidden) {
            for column in *columns {
                let place = format!("{table}.{column}");
                if !self.tables.get(table).is_some_and(|known| known.contains(column)) {
                    self.differs(place, "is declared hidden, and is no column");
                } else if self.shown.contains(&(*table, (*column).to_owned())) {
                    self.differs(place, "is declared hidden, and a view shows it");
                }
            }
        }
        for table in modules.iter().flat_map(|module| &module.faces.unseen) {
            if !self.tables.contains_key(table) {
                self.differs(*table, "is declared unseen, and no entity knows it");
            } else if self.shown.iter().any(|(shown, _)| shown == table) {
                self.differs(*table, "is declared unseen, and a view shows it");
            }
        }
    }

    fn columns<'e>(&mut self, modules: &[Module], tenants: impl Iterator<Item = &'e EntitySpec>) {
        let faces = || modules.iter().map(|module| &module.faces);
        for entity in tenants {
            let table = entity.table();
            if faces().any(|faces| faces.unseen.contains(&table)) {
                continue;
            }
            for column in entity.columns().filter(|column| *column != TENANT) {
                let hidden = faces()
                    .flat_map(|faces| &faces.hidden)
                    .any(|(of, columns)| *of == table && columns.contains(&column));
                let shown = self.shown.iter().any(|(of, name)| *of == table && name == column);
                if !hidden && !shown {
                    self.differs(
                        format!("{table}.{column}"),
                        "no view shows the column and it is not declared hidden",
                    );
                }
            }
        }
    }
}

/// The fields of what an output tells of: its own, or those of a page's items. None where it names none.
fn row_fields(output: &Value) -> Option<BTreeSet<String>> {
    let of_root = fields(output)?;
    if of_root.iter().any(|name| !PAGE.contains(&name.as_str())) || of_root.len() != PAGE.len() {
        return Some(of_root);
    }
    let items = output.pointer("/properties/items/items")?;
    Some(fields(resolved(items, output)).unwrap_or(of_root))
}

fn fields(schema: &Value) -> Option<BTreeSet<String>> {
    let properties = resolved(schema, schema).get("properties")?.as_object()?;
    (!properties.is_empty()).then(|| Map::keys(properties).cloned().collect())
}

/// Follows the one reference that the schema of a recursive type begins with.
fn resolved<'v>(schema: &'v Value, root: &'v Value) -> &'v Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    target
        .and_then(|target| root.pointer(target.strip_prefix('#')?))
        .unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoInput, Operation, Page};
    use std::sync::Arc;
    use synapscale_store::Tx;

    mod row {
        use sea_orm::entity::prelude::*;
        use synapscale_store::orm as sea_orm;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "things")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub tenant_id: Uuid,
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: Uuid,
            pub title: String,
            pub maker_kind: String,
            pub secret: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    /// A thing.
    #[derive(Default, Serialize, JsonSchema)]
    struct Thing {
        id: String,
        title: String,
        maker: String,
        hot: bool,
    }

    /// A sum.
    #[derive(Default, Serialize, JsonSchema)]
    struct Sum {
        total: u64,
    }

    fn read<O: Serialize + JsonSchema + Default + Send + Sync + 'static>(name: &'static str) -> Operation {
        Operation::read(name, "Reads")
            .about("Reads.")
            .permission("things:read")
            .handle(|_: Tx, _: Arc<NoInput>| async { Ok(O::default()) })
    }

    fn good() -> Faces {
        let view = View::of::<Thing>("things")
            .made_of(&[("maker", &["maker_kind"])])
            .computed(&["hot"]);
        Faces::default()
            .view(view)
            .hidden("things", &["secret"])
            .assembled(&["things.sum"])
    }

    fn found(faces: Faces) -> Vec<String> {
        let mut module = Module::new("things").operations([
            read::<Thing>("things.get"),
            read::<Page<Thing>>("things.list"),
            read::<Sum>("things.sum"),
        ]);
        module.faces = faces;
        let found = check_faces(&[module], &[EntitySpec::of(row::Entity)]);
        found
            .into_iter()
            .map(|one| format!("{}: {}", one.place, one.what))
            .collect()
    }

    fn one(faces: Faces, place: &str, words: &str) {
        let found = found(faces);
        let fits = found
            .iter()
            .any(|one| one.starts_with(place) && one.contains(words));
        assert!(fits, "{place} {words}: {found:?}");
    }

    #[test]
    fn a_whole_declaration_has_no_mismatch() {
        assert_eq!(found(good()), Vec::<String>::new());
    }

    #[test]
    fn wrong_views_are_refused() {
        let bare = View::of::<Thing>("things");
        let faces = |view| {
            Faces::default()
                .view(view)
                .assembled(&["things.sum"])
                .hidden("things", &["secret"])
        };
        one(faces(bare), "things.hot", "not declared computed");
        one(faces(bare), "things.maker_kind", "not declared hidden");
        one(faces(View::of::<Thing>("others")), "others", "no entity knows it");
        one(faces(bare.computed(&["cold"])), "things", "none of that name");
        one(
            faces(bare.made_of(&[("hot", &["heat"])])),
            "things.heat",
            "no column",
        );
    }

    #[test]
    fn what_is_declared_in_vain_is_told_of() {
        one(good().hidden("things", &["gone"]), "things.gone", "is no column");
        one(
            good().hidden("things", &["title"]),
            "things.title",
            "a view shows it",
        );
        one(good().unseen(&["things"]), "things", "a view shows it");
        one(good().unseen(&["nothings"]), "nothings", "no entity knows it");
        one(
            good().assembled(&["things.get"]),
            "things.get",
            "shows a declared view",
        );
        one(
            good().assembled(&["things.none"]),
            "things.none",
            "no such operation",
        );
        one(
            Faces::default().unseen(&["things"]),
            "things.list",
            "not declared assembled",
        );
    }
}
