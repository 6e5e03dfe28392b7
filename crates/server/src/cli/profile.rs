//! The file that tells client commands where the server is and with which key to call it.

use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use synapscale_core::{Error, Result};
use zeroize::Zeroizing;

/// A server and a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The server's address.
    pub server: String,
    /// The key.
    pub key: Zeroizing<String>,
}

/// The file in a data directory.
pub fn path(data: &Path) -> PathBuf {
    data.join("cli.toml")
}

/// Writes the file, for its owner alone.
///
/// # Errors
/// When the directory does not allow it.
pub fn save(data: &Path, server: &str, key: &Zeroizing<String>) -> Result<()> {
    let failed = |what: String| Error::unavailable("profile", format!("{}: {what}", path(data).display()));
    let profile = Profile { server: server.to_owned(), key: key.clone() };
    let text = Zeroizing::new(toml::to_string(&profile).map_err(|error| failed(error.to_string()))?);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path(data))
        .map_err(|error| failed(error.to_string()))?;
    file.write_all(text.as_bytes()).map_err(|error| failed(error.to_string()))
}

/// The first file found: in the data directory here, then the person's own.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn find() -> Result<Option<Profile>> {
    let own = crate::config::home().map(|home| home.join(".config/synapscale/profile.toml"));
    let data = crate::config::variable("DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from);
    for path in [Some(path(&data)), own].into_iter().flatten() {
        if let Ok(text) = std::fs::read_to_string(&path) {
            let text = Zeroizing::new(text);
            let profile = toml::from_str(&text)
                .map_err(|_| Error::unavailable("profile", format!("{} is damaged", path.display())))?;
            return Ok(Some(profile));
        }
    }
    Ok(None)
}
