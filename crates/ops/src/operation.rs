//! One operation: what every face, the planner and the gate need to know of it. Made by [`crate::Draft`].

use crate::draft::{Draft, ExternalKind, Plain, ReadKind, WriteKind};
use crate::prepared::Bind;
use crate::schema::InputCheck;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Effect, Result};

/// How often one caller may call it. The numbers stand in [`crate::GateConfig`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateClass {
    /// Cheap reads.
    Light,
    /// Most operations.
    #[default]
    Normal,
    /// Costly ones.
    Heavy,
    /// Whatever tries a password, a code or a token.
    SignIn,
}

impl RateClass {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RateClass::Light => "light",
            RateClass::Normal => "normal",
            RateClass::Heavy => "heavy",
            RateClass::SignIn => "sign_in",
        }
    }
}

/// What an operation says of itself, apart from its types.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub permission: Option<&'static str>,
    pub effect: Effect,
    pub destructive: bool,
    pub public: bool,
    pub internal: bool,
    /// Its input or output is nothing to be kept.
    pub secret: bool,
    pub elevated: bool,
    pub one_statement: bool,
    pub rate: RateClass,
    pub rest: Option<(Method, &'static str)>,
    /// The output carries a revision.
    pub revisioned: bool,
    /// The handler is given the envelope, and so can hold to an expected revision.
    pub takes_envelope: bool,
    /// There is work before the transaction.
    pub slow: bool,
    /// It says what it finds as it finds it.
    pub streams: bool,
    /// The operation that shows what this one would do.
    pub preview: Option<&'static str>,
}

impl Meta {
    pub fn new(name: &'static str, title: &'static str, effect: Effect) -> Self {
        Meta {
            name,
            title,
            about: "",
            permission: None,
            effect,
            destructive: false,
            public: false,
            internal: false,
            secret: false,
            elevated: false,
            one_statement: false,
            rate: RateClass::Normal,
            rest: None,
            revisioned: false,
            takes_envelope: false,
            slow: false,
            streams: false,
            preview: None,
        }
    }
}

pub(crate) struct Inner {
    pub meta: Meta,
    pub wire_name: String,
    pub input_schema: Arc<Value>,
    /// Made when it is asked for, which is seldom: hundreds of them would be most of an idle server's memory.
    pub output_schema: fn() -> Value,
    pub check: InputCheck,
    /// What is wrong with the types; the registry refuses the operation with it.
    pub problem: Option<String>,
    pub bind: Bind,
}

/// A typed function with a name, a permission and an effect. Cheap to clone.
#[derive(Clone)]
pub struct Operation(pub(crate) Arc<Inner>);

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.0.meta.name).finish()
    }
}

impl Operation {
    /// Begins an operation that reads the database. `name` is `noun.verb`, `title` is a few words for people.
    pub fn read(name: &'static str, title: &'static str) -> Draft<ReadKind, Plain> {
        Draft::new(Meta::new(name, title, Effect::Read))
    }

    /// Begins an operation that changes the database and nothing else.
    pub fn write(name: &'static str, title: &'static str) -> Draft<WriteKind, Plain> {
        Draft::new(Meta::new(name, title, Effect::Write))
    }

    /// Begins an operation that reaches outside of the database.
    pub fn external(name: &'static str, title: &'static str) -> Draft<ExternalKind, Plain> {
        Draft::new(Meta::new(name, title, Effect::External))
    }

    /// Its name, such as `tasks.create`.
    pub fn name(&self) -> &'static str {
        self.0.meta.name
    }

    /// Its name where dots are refused, such as `tasks_create`.
    pub fn wire_name(&self) -> &str {
        &self.0.wire_name
    }

    /// A few words for people.
    pub fn title(&self) -> &'static str {
        self.0.meta.title
    }

    /// What it does, in sentences that a model reads too.
    pub fn about(&self) -> &'static str {
        self.0.meta.about
    }

    /// The permission it asks for; none when it is public.
    pub fn permission(&self) -> Option<&'static str> {
        self.0.meta.permission.filter(|_| !self.0.meta.public)
    }

    /// What it does to the world.
    pub fn effect(&self) -> Effect {
        self.0.meta.effect
    }

    /// Whether it takes away something that does not come back by itself.
    pub fn is_destructive(&self) -> bool {
        self.0.meta.destructive
    }

    /// Whether anybody may call it, signed in or not.
    pub fn is_public(&self) -> bool {
        self.0.meta.public
    }

    /// Whether only the product's own code calls it: no face lists or serves it.
    pub fn is_internal(&self) -> bool {
        self.0.meta.internal
    }

    /// Whether its input or output is a secret, which no run may keep: workflows and agents do not call it.
    pub fn is_secret(&self) -> bool {
        self.0.meta.secret
    }

    /// Whether there is work before its transaction.
    pub fn has_prepare(&self) -> bool {
        self.0.meta.slow
    }

    /// Whether its transaction is opened to all tenants.
    pub fn is_elevated(&self) -> bool {
        self.0.meta.elevated
    }

    /// Whether its handler reads by one statement at most.
    pub(crate) fn reads_once(&self) -> bool {
        self.0.meta.one_statement
    }

    /// The operation that, with the same input, shows what this one would do: for whoever is asked to approve.
    pub fn preview(&self) -> Option<&'static str> {
        self.0.meta.preview
    }

    /// How often one caller may call it.
    pub fn rate_class(&self) -> RateClass {
        self.0.meta.rate
    }

    /// Method and path below `/api/v1`, if it is served there.
    pub fn rest(&self) -> Option<(&Method, &str)> {
        self.0.meta.rest.as_ref().map(|(method, path)| (method, *path))
    }

    /// Whether it hands chunks to whoever listens before it answers.
    pub fn streams(&self) -> bool {
        self.0.meta.streams
    }

    /// Whether its output carries a revision, which REST serves as an ETag.
    pub fn is_revisioned(&self) -> bool {
        self.0.meta.revisioned
    }

    /// Whether it holds to an expected revision. The gate refuses one given to an operation that does not.
    pub fn takes_expected_revision(&self) -> bool {
        self.0.meta.takes_envelope
    }

    /// Whether it holds to an idempotency key.
    pub fn takes_idempotency_key(&self) -> bool {
        self.0.meta.effect == Effect::Write
    }

    /// JSON Schema 2020-12 of the input: a plain object.
    pub fn input_schema(&self) -> &Arc<Value> {
        &self.0.input_schema
    }

    /// JSON Schema 2020-12 of the output: a plain object.
    pub fn output_schema(&self) -> Value {
        (self.0.output_schema)()
    }

    /// Checks an input against the schema.
    ///
    /// # Errors
    /// 422 with one field error per fault, at most fifty.
    pub fn validate(&self, input: &Value) -> Result<()> {
        self.0.check.validate(input)
    }
}
