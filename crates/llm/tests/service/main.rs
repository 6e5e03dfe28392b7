//! The persistent half of the model service, through the gate, on both databases, against stand-in providers.

mod calls;
mod guard;
mod home;
mod local;
mod providers;
mod routes;
mod streams;
mod tenants;
mod usage;
