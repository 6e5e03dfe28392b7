//! The secret box: AES-256-GCM under a master key, with the key's id in the ciphertext so that keys can change, and with
//! tenant and purpose bound in, so that a ciphertext cannot be moved to another row or another tenant.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustix::fs::Mode;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use synapscale_core::{Error, Result, TenantId};
use zeroize::Zeroizing;

/// First byte of every ciphertext: the format.
const FORMAT: u8 = 1;
/// Keeps what is derived here apart from what others derive from the same bytes.
const SALT: &[u8] = b"synapscale/derived/1";
const KEY_BYTES: usize = 32;
/// Of 32 random bytes, fewer different ones than this come by chance once in 10^15 times.
const FEW_BYTES: usize = 16;
const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 12;

/// The 32-byte key that all others hang on.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(not shown)")
    }
}

impl MasterKey {
    /// Reads 32 bytes in base64, as a variable holds them.
    ///
    /// # Errors
    /// `master_key` when it is anything else.
    pub fn from_base64(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text)
                .or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')))
                .map_err(|_| Self::bad("is not base64"))?,
        );
        let key: [u8; KEY_BYTES] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| Self::bad("is not 32 bytes long"))?;
        Ok(MasterKey(Zeroizing::new(key)))
    }

    /// Reads the key file, or makes it (mode 0600) when there is none.
    ///
    /// # Errors
    /// `master_key` when the file is readable by others, damaged, or cannot be written.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(meta) => {
                if meta.permissions().mode() & 0o077 != 0 {
                    let advice = format!("{} is readable by others; run chmod 600", path.display());
                    return Err(Self::bad(&advice));
                }
                let text =
                    Zeroizing::new(std::fs::read_to_string(path).map_err(|e| Self::bad(&e.to_string()))?);
                Self::from_base64(&text)
            }
            Err(_) => Self::create(path),
        }
    }

    fn create(path: &Path) -> Result<Self> {
        let key = Self::random()?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Self::bad(&e.to_string()))?;
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode((Mode::RUSR | Mode::WUSR).as_raw_mode())
            .open(path)
            .map_err(|e| Self::bad(&format!("{}: {e}", path.display())))?;
        let text = Zeroizing::new(STANDARD.encode(key.0.as_slice()));
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|e| Self::bad(&e.to_string()))?;
        Ok(key)
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn random() -> Result<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut_slice()).map_err(|_| Self::bad("no randomness"))?;
        Ok(MasterKey(key))
    }

    /// Why somebody could guess the key, as the end of a sentence; none for one that looks random. It is no proof: it finds
    /// keys that were typed, counted or copied from an example.
    pub fn weakness(&self) -> Option<&'static str> {
        let bytes = self.0.as_slice();
        let distinct = |bytes: &mut dyn Iterator<Item = u8>| bytes.collect::<BTreeSet<u8>>().len();
        if distinct(&mut bytes.iter().copied()) < FEW_BYTES {
            return Some("repeats a few bytes");
        }
        let steps = bytes
            .windows(2)
            .filter_map(|pair| Some(pair.get(1)?.wrapping_sub(*pair.first()?)));
        if distinct(&mut { steps }) < FEW_BYTES {
            return Some("counts up or down");
        }
        let typed = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        bytes.iter().all(typed).then_some("is text, not random bytes")
    }

    fn bad(what: &str) -> Error {
        Error::unavailable("master_key", format!("The master key {what}."))
    }
}

/// A ciphertext in text form; safe to store and, since nothing can be read from it, to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub String);

/// What goes wrong on opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not a ciphertext of this box's making.
    #[error("not a sealed value")]
    Format,
    /// Sealed under a key that is not at hand.
    #[error("sealed under a key that this server does not have")]
    UnknownKey,
    /// Changed, or moved from another tenant or purpose.
    #[error("the sealed value does not open here")]
    Refused,
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        Error::internal(error).with_code("secret_unreadable")
    }
}

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct SecretBox(Arc<Keyed>);

struct Keyed {
    key: RandomizedNonceKey,
    /// What further keys are derived from; the master key cannot be told from it.
    root: hkdf::Prk,
    id: [u8; KEY_ID_BYTES],
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBox(not shown)")
    }
}

impl SecretBox {
    /// A box under `master`.
    ///
    /// # Errors
    /// Never for a key of the right length.
    pub fn new(master: &MasterKey) -> Result<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master.0.as_slice())
            .map_err(|_| Error::internal("the master key has a wrong length"))?;
        // The id tells keys apart and gives nothing of them away.
        let hash = digest::digest(&digest::SHA256, master.0.as_slice());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash.as_ref()[..KEY_ID_BYTES]);
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(master.0.as_slice());
        Ok(SecretBox(Arc::new(Keyed { key, root, id })))
    }

    /// A key of 32 bytes for one purpose (`access tokens`, `csrf`…), the same wherever the master key is: HKDF with SHA-256.
    /// One purpose's key tells nothing of another's, nor of the master key.
    ///
    /// # Errors
    /// Never for 32 bytes.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
        let info = [purpose.as_bytes()];
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.0
            .root
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|made| made.fill(key.as_mut_slice()))
            .map_err(|_| Error::internal("a key could not be derived"))?;
        Ok(key)
    }

    /// Seals `plain` for one tenant and purpose (`hook`, `idempotency`…).
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn seal_bytes(&self, tenant: TenantId, purpose: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut body = plain.to_vec();
        let nonce = self
            .0
            .key
            .seal_in_place_append_tag(Aad::from(bound(tenant, purpose)), &mut body)
            .map_err(|_| Error::internal("sealing failed"))?;
        let mut out = Vec::with_capacity(1 + KEY_ID_BYTES + NONCE_BYTES + body.len());
        out.push(FORMAT);
        out.extend_from_slice(&self.0.id);
        out.extend_from_slice(nonce.as_ref());
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Opens what [`SecretBox::seal_bytes`] made for the same tenant and purpose.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn open_bytes(
        &self,
        tenant: TenantId,
        purpose: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let (format, rest) = sealed.split_first().ok_or(SecretError::Format)?;
        if *format != FORMAT || rest.len() < KEY_ID_BYTES + NONCE_BYTES {
            return Err(SecretError::Format);
        }
        let (id, rest) = rest.split_at(KEY_ID_BYTES);
        if id != self.0.id {
            return Err(SecretError::UnknownKey);
        }
        let (nonce, body) = rest.split_at(NONCE_BYTES);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretError::Format)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .key
            .open_in_place(nonce, Aad::from(bound(tenant, purpose)), &mut body)
            .map_err(|_| SecretError::Refused)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// As [`SecretBox::seal_bytes`], in text form.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn seal(&self, tenant: TenantId, purpose: &str, plain: &[u8]) -> Result<Sealed> {
        self.seal_bytes(tenant, purpose, plain)
            .map(|bytes| Sealed(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens what [`SecretBox::seal`] made for the same tenant and purpose.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn open(
        &self,
        tenant: TenantId,
        purpose: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(&sealed.0)
            .map_err(|_| SecretError::Format)?;
        self.open_bytes(tenant, purpose, &bytes)
    }
}

fn bound(tenant: TenantId, purpose: &str) -> Vec<u8> {
    [tenant.0.as_bytes().as_slice(), purpose.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::new_id;

    #[test]
    fn keys_that_somebody_typed_are_told_from_random_ones() {
        let weak = |bytes: [u8; KEY_BYTES]| MasterKey(Zeroizing::new(bytes)).weakness();
        assert!(weak([9; KEY_BYTES]).is_some_and(|why| why.contains("repeats")));
        assert!(weak(std::array::from_fn(|at| at as u8 * 3)).is_some_and(|why| why.contains("counts")));
        assert!(weak(*b"correct horse battery staple, 42").is_some_and(|why| why.contains("text")));
        for _ in 0..100 {
            assert_eq!(MasterKey::random().expect("a key").weakness(), None);
        }
    }

    #[test]
    fn opens_only_where_it_was_sealed() {
        let secrets = SecretBox::new(&MasterKey::random().expect("key")).expect("box");
        let (ours, theirs) = (TenantId(new_id()), TenantId(new_id()));
        let sealed = secrets.seal(ours, "hook", b"hunter2").expect("seal");
        assert!(!sealed.0.contains("hunter2"));
        assert_eq!(
            secrets.open(ours, "hook", &sealed).expect("open").as_slice(),
            b"hunter2"
        );
        assert_eq!(secrets.open(theirs, "hook", &sealed), Err(SecretError::Refused));
        assert_eq!(secrets.open(ours, "totp", &sealed), Err(SecretError::Refused));
        let other = SecretBox::new(&MasterKey::random().expect("key")).expect("box");
        assert_eq!(other.open(ours, "hook", &sealed), Err(SecretError::UnknownKey));
        assert_eq!(
            secrets.open(ours, "hook", &Sealed("x!".into())),
            Err(SecretError::Format)
        );
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_master() {
        let master = MasterKey::random().expect("key");
        let (one, same) = (SecretBox::new(&master), SecretBox::new(&master));
        let (one, same) = (one.expect("box"), same.expect("box"));
        let derived = |from: &SecretBox, purpose: &str| *from.derive(purpose).expect("derived");
        assert_eq!(derived(&one, "csrf"), derived(&same, "csrf"));
        assert_ne!(derived(&one, "csrf"), derived(&one, "access tokens"));
        assert_ne!(derived(&one, "csrf"), *master.0);
        let other = SecretBox::new(&MasterKey::random().expect("key")).expect("box");
        assert_ne!(derived(&one, "csrf"), derived(&other, "csrf"));
    }

    #[test]
    fn key_files_are_private() {
        let folder = std::env::temp_dir().join(new_id().to_string());
        let path = folder.join("master.key");
        let made = MasterKey::load_or_create(&path).expect("made");
        let mode = std::fs::metadata(&path).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = MasterKey::load_or_create(&path).expect("read");
        assert_eq!(made.0.as_slice(), read.0.as_slice());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(MasterKey::load_or_create(&path).is_err());
        std::fs::remove_dir_all(folder).expect("clean");
    }
}
