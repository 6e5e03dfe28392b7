//! The connections of the service: one client that reaches what is public, one for hosts that the operator named.

use crate::client::ClientConfig;
use crate::error::{LlmError, LlmErrorKind, Result};
use crate::service::net::{GuardedResolver, Place, place};
use std::sync::Arc;
use synapscale_core::net::Guard;

/// The clients under one guard.
pub(crate) struct Clients {
    guard: Guard,
    public: reqwest::Client,
    named: reqwest::Client,
}

impl Clients {
    pub fn new(guard: Guard, config: &ClientConfig) -> Result<Self> {
        let build = |place| {
            let resolver = GuardedResolver {
                guard: guard.clone(),
                place,
            };
            let builder = config.builder()?.dns_resolver(Arc::new(resolver));
            builder
                .build()
                .map_err(|error| LlmError::new(LlmErrorKind::BadConfig, error.without_url().to_string()))
        };
        Ok(Clients {
            public: build(Place::Public)?,
            named: build(Place::Named)?,
            guard,
        })
    }

    /// The client for an address.
    ///
    /// # Errors
    /// `BadConfig` when it may not be reached.
    pub fn of(&self, base_url: &str) -> Result<reqwest::Client> {
        Ok(match place(&self.guard, base_url)? {
            Place::Public => self.public.clone(),
            Place::Named => self.named.clone(),
        })
    }

    /// The client for hosts that the operator named.
    pub fn named(&self) -> &reqwest::Client {
        &self.named
    }

    /// The client that is used where nothing else is said.
    pub fn public(&self) -> &reqwest::Client {
        &self.public
    }
}
