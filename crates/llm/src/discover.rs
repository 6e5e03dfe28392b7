//! Finds an Ollama on this machine.

use crate::error::{LlmError, LlmErrorKind, Result};
use serde::Deserialize;
use std::time::Duration;

/// Where Ollama listens unless told otherwise.
const DEFAULT_PORT: u16 = 11434;
/// How long to wait for an answer of a neighbour.
const WAIT: Duration = Duration::from_millis(300);
/// The largest list of models that is read, in bytes.
const MAX_LIST: usize = 4 << 20;

/// An Ollama that answered.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundOllama {
    /// The address for deployments of the preset `ollama`, with `/v1`.
    pub base_url: String,
    /// Its models.
    pub models: Vec<OllamaModel>,
}

/// A model that an Ollama has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OllamaModel {
    /// The name, such as `llama3.2:latest`.
    pub name: String,
    /// Its size on disk, in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// What Ollama tells of it.
    #[serde(default)]
    pub details: OllamaDetails,
}

/// What Ollama tells of a model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct OllamaDetails {
    /// The family, such as `llama`.
    #[serde(default)]
    pub family: Option<String>,
    /// The number of parameters, such as `3.2B`.
    #[serde(default)]
    pub parameter_size: Option<String>,
    /// How it is packed, such as `Q4_K_M`.
    #[serde(default)]
    pub quantization_level: Option<String>,
}

/// Asks the Ollama at `host` (in any form that `OLLAMA_HOST` may have; this machine if `None`) for its models.
///
/// # Errors
/// `BadConfig` when `host` is no address, `Connect` when nobody answers within 300 ms, `Malformed` when it is no Ollama.
pub async fn discover_ollama(client: &reqwest::Client, host: Option<&str>) -> Result<FoundOllama> {
    let root = ollama_url(host)?;
    let nobody = |_| LlmError::new(LlmErrorKind::Connect, "No Ollama answers there.");
    let ask = async {
        let mut answer = client
            .get(format!("{root}/api/tags"))
            .send()
            .await
            .map_err(nobody)?;
        if !answer.status().is_success() {
            return Err(crate::adapter::malformed("What answers there is no Ollama."));
        }
        let mut body = Vec::new();
        while let Some(bytes) = answer.chunk().await.map_err(nobody)? {
            if body.len() + bytes.len() > MAX_LIST {
                return Err(crate::adapter::malformed("The list of models is too long."));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    };
    let timeout = |_| LlmError::new(LlmErrorKind::Connect, "No Ollama answers there in time.");
    let body = tokio::time::timeout(WAIT, ask).await.map_err(timeout)??;
    #[derive(Deserialize)]
    struct Tags {
        models: Vec<OllamaModel>,
    }
    let tags: Tags = serde_json::from_slice(&body)
        .map_err(|error| crate::adapter::malformed(format!("What answers there is no Ollama: {error}")))?;
    Ok(FoundOllama {
        base_url: format!("{root}/v1"),
        models: tags.models,
    })
}

/// The address of an Ollama, without a slash at the end.
fn ollama_url(host: Option<&str>) -> Result<String> {
    let text = host
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .unwrap_or("127.0.0.1");
    let bare = !text.contains("://");
    let text = if text.starts_with(':') {
        format!("127.0.0.1{text}")
    } else {
        text.to_owned()
    };
    let text = if bare { format!("http://{text}") } else { text };
    let bad = || LlmError::new(LlmErrorKind::BadConfig, "The address of Ollama is not one.");
    let mut url = reqwest::Url::parse(&text).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad());
    }
    // Where it listens is not always where it can be reached.
    if matches!(url.host_str(), Some("0.0.0.0" | "[::]")) {
        url.set_host(Some("127.0.0.1")).map_err(|_| bad())?;
    }
    // A whole URL without a port means the scheme's own.
    if bare && url.port().is_none() {
        url.set_port(Some(DEFAULT_PORT)).map_err(|()| bad())?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_address() {
        for (given, url) in [
            (None, "http://127.0.0.1:11434"),
            (Some(""), "http://127.0.0.1:11434"),
            (Some("0.0.0.0"), "http://127.0.0.1:11434"),
            (Some("0.0.0.0:9999"), "http://127.0.0.1:9999"),
            (Some(":1234"), "http://127.0.0.1:1234"),
            (Some("gpu-box"), "http://gpu-box:11434"),
            (Some("[::1]:5"), "http://[::1]:5"),
            (Some("https://ollama.example.com"), "https://ollama.example.com"),
            (Some("http://h:1/base/"), "http://h:1/base"),
        ] {
            assert_eq!(ollama_url(given).expect("url"), url, "{given:?}");
        }
        assert!(ollama_url(Some("ftp://x")).is_err());
    }
}
