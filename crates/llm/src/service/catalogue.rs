//! What one tenant has, ready for calls: providers with their keys opened, routes built. Kept in memory, so that a model
//! call costs no query.

use crate::deployment::Deployment;
use crate::presets::{Preset, preset};
use crate::price::Pricing;
use crate::route::Route;
use crate::secret::Secret;
use crate::service::clients::Clients;
use crate::service::entity::{provider, route};
use crate::service::providers::open_key;
use crate::service::view::{ProviderSettings, RouteDeployment, RouteView, read};
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synapscale_core::{Ctx, Error, Result, TenantId};
use synapscale_store::{Scoped, Store};
use uuid::Uuid;

/// For how long another process's change may go unseen.
const TTL: Duration = Duration::from_secs(30);
/// Tenants kept in memory.
const TENANTS: u64 = 10_000;
/// Counters of changes; tenants share them by chance, which only costs a reload.
const COUNTERS: usize = 1024;
/// The route of calls that name none.
pub(crate) const DEFAULT: &str = "default";

/// A provider ready to be called.
pub(crate) struct Known {
    pub id: Uuid,
    pub name: String,
    pub preset: &'static Preset,
    base_url: String,
    key: Option<Secret>,
    settings: ProviderSettings,
    /// Why it cannot be called, if it cannot: told to who calls it, while the others work on.
    fault: Option<Error>,
    client: Option<reqwest::Client>,
}

/// A route with the providers' names, which usage is recorded under.
pub(crate) struct Target {
    pub route: Route,
    /// The alias, for a call by alias.
    pub alias: Option<String>,
    /// The name of each deployment's provider, in the route's order.
    pub providers: Vec<String>,
}

impl Target {
    /// The name of the provider behind a deployment.
    pub fn provider_of(&self, deployment: &str) -> &str {
        let at = self.route.deployments.iter().position(|d| d.id == deployment);
        at.and_then(|at| self.providers.get(at))
            .map_or("", String::as_str)
    }
}

/// What one tenant has.
pub(crate) struct Catalogue {
    pub providers: HashMap<String, Arc<Known>>,
    routes: HashMap<String, Result<Arc<Target>>>,
    /// Whether there is no provider at all, disabled ones included.
    pub empty: bool,
    /// The tenant's counter when this was read.
    generation: u64,
}

impl Known {
    pub(crate) fn open(row: &provider::Model, store: &Store, clients: &Clients) -> Result<Self> {
        let kind = preset(&row.preset)
            .ok_or_else(|| Error::internal(format!("`{}` is no preset of this version", row.preset)))?;
        let base_url = row.base_url.clone().unwrap_or_else(|| kind.base_url.to_owned());
        let placed = clients.of(&base_url).map_err(Error::from);
        let key = open_key(store.secrets(), TenantId(row.tenant_id), row);
        Ok(Known {
            id: row.id,
            name: row.name.clone(),
            preset: kind,
            base_url,
            settings: read(&row.settings)?,
            fault: key.as_ref().err().or(placed.as_ref().err()).cloned(),
            key: key.ok().flatten(),
            client: placed.ok(),
        })
    }

    /// The Ollama of this machine, which nobody had to enter.
    pub(crate) fn ollama(base_url: String, client: reqwest::Client) -> Option<Self> {
        Some(Known {
            id: Uuid::nil(),
            name: "ollama".to_owned(),
            preset: preset("ollama")?,
            base_url,
            key: None,
            settings: ProviderSettings::default(),
            fault: None,
            client: Some(client),
        })
    }

    pub(crate) fn default_model(&self) -> Option<&str> {
        self.settings.default_model.as_deref()
    }

    /// What a model costs here.
    pub(crate) fn pricing(&self) -> Pricing {
        match &self.settings.pricing {
            Some(pricing) => pricing.clone(),
            None if self.preset.local => Pricing::Free,
            None => Pricing::Book,
        }
    }

    /// A deployment of `model` under the id `id`.
    ///
    /// # Errors
    /// Why the provider cannot be called.
    pub(crate) fn deployment(&self, id: String, model: &str) -> Result<Deployment> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let mut deployment = Deployment::new(id, self.preset, model).with_base_url(self.base_url.as_str());
        deployment.key = self.key.clone();
        deployment.pricing = self.pricing();
        deployment.structured = self.settings.structured;
        deployment.effort = self.settings.effort;
        deployment.unsupported = self.settings.unsupported.clone();
        deployment.client = self.client.clone();
        deployment.validate()?;
        Ok(deployment)
    }

    /// The way to one model of this provider. All of its models share one breaker: who calls may name any number of
    /// models, and the breakers' memory must not grow by that.
    pub(crate) fn target(&self, model: &str, alias: Option<&str>) -> Result<Target> {
        let deployment = self.deployment(self.id.to_string(), model)?;
        Ok(Target {
            route: Route::new(alias.unwrap_or(model), vec![Arc::new(deployment)]),
            alias: alias.map(str::to_owned),
            providers: vec![self.name.clone()],
        })
    }
}

impl Catalogue {
    /// The way of a call to `model`: a route's alias, or `provider/model`.
    ///
    /// # Errors
    /// `no_route`, or why the way is closed.
    pub(crate) fn target(&self, model: &str) -> Result<Arc<Target>> {
        if let Some(route) = self.routes.get(model) {
            return route.clone();
        }
        if let Some((name, model)) = model.split_once('/') {
            let known = self.providers.get(name).ok_or_else(|| no_provider(name))?;
            return known.target(model, None).map(Arc::new);
        }
        match self.only() {
            Some(known) if model == DEFAULT => {
                let model = known.default_model().ok_or_else(|| {
                    let words = "The only provider has no default model: set settings.default_model, add a route \
                                 `default`, or name provider/model.";
                    Error::invalid("/model", "no_default_model", words)
                })?;
                known.target(model, Some(DEFAULT)).map(Arc::new)
            }
            _ => Err(no_route(model)),
        }
    }

    /// The only provider that is active, if it is the only one.
    pub(crate) fn only(&self) -> Option<&Arc<Known>> {
        let mut all = self.providers.values();
        all.next().filter(|_| all.next().is_none())
    }
}

pub(crate) fn no_route(alias: &str) -> Error {
    let words =
        format!("There is no route `{alias}`. Name a route, or provider/model; models.list shows both.");
    Error::invalid("/model", "no_route", words)
}

fn no_provider(name: &str) -> Error {
    Error::invalid(
        "/model",
        "no_provider",
        format!("There is no active provider `{name}`."),
    )
}

/// The route of a row. Deployments of providers that are gone or disabled are left out.
fn build(row: &route::Model, by_id: &HashMap<Uuid, Arc<Known>>) -> Result<Arc<Target>> {
    let view = RouteView::try_from(row)?;
    let (mut deployments, mut providers, mut fault) = (Vec::new(), Vec::new(), None);
    for (index, wanted) in view.deployments.iter().enumerate() {
        let Some(known) = by_id.get(&wanted.provider_id) else {
            continue;
        };
        match deployment(&view, index, wanted, known) {
            Ok(deployment) => {
                deployments.push(Arc::new(deployment));
                providers.push(known.name.clone());
            }
            Err(error) => fault = Some(error),
        }
    }
    if deployments.is_empty() {
        let words = format!(
            "The route `{}` has no deployment at an active provider.",
            view.alias
        );
        return Err(fault.unwrap_or_else(|| Error::unavailable("llm_no_deployment", words)));
    }
    let mut route = Route::new(view.alias.clone(), deployments);
    route.strategy = view.strategy;
    route.total = Duration::from_millis(u64::try_from(view.total_timeout_ms).unwrap_or(u64::MAX));
    Ok(Arc::new(Target {
        route,
        alias: Some(view.alias),
        providers,
    }))
}

fn deployment(view: &RouteView, index: usize, wanted: &RouteDeployment, known: &Known) -> Result<Deployment> {
    // By its place: a route has few, so that the breakers' memory is bounded.
    let mut made = known.deployment(format!("{}/{index}", view.id), &wanted.model)?;
    let millis = |value: Option<u64>, usual: Duration| value.map_or(usual, Duration::from_millis);
    made.timeouts.first_token = millis(wanted.first_token_ms, made.timeouts.first_token);
    made.timeouts.idle = millis(wanted.idle_ms, made.timeouts.idle);
    made.timeouts.attempt = millis(wanted.attempt_ms, made.timeouts.attempt);
    made.retry.retries = wanted.retries.unwrap_or(made.retry.retries);
    made.weight = wanted.weight.unwrap_or(1);
    made.max_tokens = wanted.max_tokens;
    if let Some(pricing) = &wanted.pricing {
        made.pricing = pricing.clone();
    }
    Ok(made)
}

/// Catalogues by tenant. What was read before a change is never believed after it, in this process; elsewhere it is for
/// [`TTL`] at most.
pub(crate) struct Catalogues {
    known: Cache<TenantId, Arc<Catalogue>>,
    changes: Arc<[AtomicU64]>,
}

impl Default for Catalogues {
    fn default() -> Self {
        Catalogues {
            known: Cache::builder().max_capacity(TENANTS).time_to_live(TTL).build(),
            changes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Catalogues {
    fn counter(tenant: TenantId) -> usize {
        // The end of such an id is random.
        (tenant.0.as_u128() % COUNTERS as u128) as usize
    }

    fn generation(&self, tenant: TenantId) -> u64 {
        self.changes
            .get(Self::counter(tenant))
            .map_or(0, |counter| counter.load(Ordering::Acquire))
    }

    /// Makes this process forget what it knows of a tenant. To be called after the commit.
    pub fn forget(&self, tenant: TenantId) {
        if let Some(counter) = self.changes.get(Self::counter(tenant)) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The tenant's catalogue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, ctx: &Ctx, store: &Store, clients: &Clients) -> Result<Arc<Catalogue>> {
        let tenant = ctx.tenant();
        // Read before the rows: a change in between makes what is loaded old at once.
        let generation = self.generation(tenant);
        if let Some(found) = self.known.get(&tenant)
            && found.generation == generation
        {
            return Ok(found);
        }
        let (providers, routes) = store
            .read(&ctx.system_in(tenant), |tx| async move {
                let providers = tx.find::<provider::Entity>().rows(&tx).await?;
                Ok((providers, tx.find::<route::Entity>().rows(&tx).await?))
            })
            .await?;
        let made = Arc::new(Self::assemble(&providers, &routes, generation, store, clients));
        self.known.insert(tenant, made.clone());
        Ok(made)
    }

    fn assemble(
        providers: &[provider::Model],
        routes: &[route::Model],
        generation: u64,
        store: &Store,
        clients: &Clients,
    ) -> Catalogue {
        let active = providers.iter().filter(|row| row.status == "active");
        let known: Vec<Arc<Known>> = active
            .filter_map(|row| match Known::open(row, store, clients) {
                Ok(known) => Some(Arc::new(known)),
                // Of another version, say. The others work on.
                Err(error) => {
                    tracing::warn!(?error, provider = %row.id, "a provider cannot be read and is left out");
                    None
                }
            })
            .collect();
        let by_id = known.iter().map(|known| (known.id, known.clone())).collect();
        Catalogue {
            routes: routes
                .iter()
                .map(|row| (row.alias.clone(), build(row, &by_id)))
                .collect(),
            providers: known
                .into_iter()
                .map(|known| (known.name.clone(), known))
                .collect(),
            empty: providers.is_empty(),
            generation,
        }
    }
}
