//! The connections of the service: one client that reaches what is public, one for hosts that the operator named.

use crate::client::ClientConfig;
use crate::error::{LlmError, LlmErrorKind, Result};
use crate::service::net::{AddressPolicy, GuardedResolver, Place};
use std::sync::Arc;

/// The clients under one policy.
pub(crate) struct Clients {
    policy: Arc<AddressPolicy>,
    public: reqwest::Client,
    named: reqwest::Client,
}

impl Clients {
    pub fn new(policy: AddressPolicy, config: &ClientConfig) -> Result<Self> {
        let policy = Arc::new(policy);
        let build = |place| {
            let resolver = GuardedResolver {
                policy: policy.clone(),
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
            policy,
        })
    }

    /// The client for an address.
    ///
    /// # Errors
    /// `BadConfig` when it may not be reached.
    pub fn of(&self, base_url: &str) -> Result<reqwest::Client> {
        Ok(match self.policy.place(base_url)? {
            Place::Public => self.public.clone(),
            Place::Named => self.named.clone(),
        })
    }

    /// The client that is used where nothing else is said.
    pub fn public(&self) -> &reqwest::Client {
        &self.public
    }
}
