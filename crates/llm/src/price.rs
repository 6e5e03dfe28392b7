//! What a call costs, from a dated price file. What is not known stays unknown.

use crate::model::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Prices of one model, in micro-USD per million tokens (which is pico-USD per token).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// Put into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Cost {
    /// In nano-USD (10⁻⁹ USD): fine enough that a single token still counts.
    pub nano_usd: u64,
}

impl Cost {
    /// Nothing.
    pub const ZERO: Cost = Cost { nano_usd: 0 };

    /// In micro-USD, rounded half up.
    pub fn micro_usd(self) -> u64 {
        self.nano_usd.saturating_add(500) / 1000
    }
}

impl Price {
    /// The price of nothing: for models on one's own machines.
    pub const FREE: Price = Price {
        input: 0,
        output: 0,
        cached_input: Some(0),
        cache_write: Some(0),
    };

    /// What `usage` costs; `None` when tokens or the price of a used kind of token are not known.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        let (input, output) = (usage.input?, usage.output?);
        let cached = usage.cached_input.unwrap_or(0);
        let written = usage.cache_write.unwrap_or(0);
        let plain = input.checked_sub(cached)?.checked_sub(written)?;
        let times = |tokens: u64, price: Option<u64>| match tokens {
            0 => Some(0),
            _ => price.map(|price| u128::from(tokens) * u128::from(price)),
        };
        let pico = times(plain, Some(self.input))?
            + times(output, Some(self.output))?
            + times(cached, self.cached_input)?
            + times(written, self.cache_write)?;
        u64::try_from((pico + 500) / 1000)
            .ok()
            .map(|nano_usd| Cost { nano_usd })
    }
}

/// How a deployment is priced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// By the price file, under the preset's name and the model.
    #[default]
    Book,
    /// Costs nothing, as on one's own machine.
    Free,
    /// At this price.
    Fixed(Price),
    /// Not known.
    Unknown,
}

/// A dated list of prices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PriceBook {
    /// The day on which the prices were read, `YYYY-MM-DD`.
    pub as_of: String,
    /// Where they were read.
    pub source: String,
    /// Prices by provider and model.
    pub prices: HashMap<String, HashMap<String, Price>>,
}

static BUILT_IN: LazyLock<PriceBook> = LazyLock::new(|| {
    PriceBook::from_json(include_str!("prices.json")).unwrap_or_else(|_| PriceBook {
        as_of: String::new(),
        source: String::new(),
        prices: HashMap::new(),
    })
});

impl PriceBook {
    /// Reads a price file.
    ///
    /// # Errors
    /// When it is not one.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The price file that comes with the product.
    pub fn built_in() -> &'static PriceBook {
        &BUILT_IN
    }

    /// The price of exactly this model; names are not guessed at, since snapshots of one model differ in price.
    pub fn price(&self, provider: &str, model: &str) -> Option<Price> {
        self.prices.get(provider)?.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64, cached: Option<u64>, write: Option<u64>) -> Usage {
        Usage {
            input: Some(input),
            output: Some(output),
            cached_input: cached,
            cache_write: write,
            ..Usage::default()
        }
    }

    #[test]
    fn the_built_in_file_is_read_and_dated() {
        let book = PriceBook::built_in();
        assert_eq!(book.as_of.len(), 10);
        assert!(book.price("openai", "gpt-4o").is_some());
        assert!(book.price("openai", "no-such-model").is_none());
    }

    #[test]
    fn costs_are_exact_and_unknown_stays_unknown() {
        let price = Price {
            input: 2_500_000,
            output: 10_000_000,
            cached_input: Some(1_250_000),
            cache_write: None,
        };
        let cost = price.cost(&usage(1000, 100, Some(400), None)).expect("known");
        assert_eq!(cost.nano_usd, 600 * 2500 + 400 * 1250 + 100 * 10_000);
        assert_eq!(cost.micro_usd(), 3000);
        assert_eq!(price.cost(&usage(10, 1, None, Some(5))), None);
        assert_eq!(price.cost(&Usage::default()), None);
        assert_eq!(
            Price::FREE.cost(&usage(10, 1, Some(2), Some(5))),
            Some(Cost::ZERO)
        );
    }
}
