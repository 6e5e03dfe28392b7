//! The declaration that most modules' rows need.

/// Declares a tenant's entity without relations as a module of its own; the fields in brackets are its key, behind the
/// tenant's id.
#[macro_export]
macro_rules! tenant_entity {
    ($(#[$about:meta])* $module:ident, $table:literal, [$($key:ident: $key_kind:ty),*], {
        $($(#[$meta:meta])* $field:ident: $kind:ty,)*
    }) => {
        $(#[$about])*
        pub mod $module {
            use $crate::orm as sea_orm;
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub tenant_id: Uuid,
                $(#[sea_orm(primary_key, auto_increment = false)]
                pub $key: $key_kind,)*
                $($(#[$meta])* pub $field: $kind,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl $crate::Tenanted for Entity {
                fn tenant_column() -> Column {
                    Column::TenantId
                }
            }
        }
    };
}
