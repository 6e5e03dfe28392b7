//! Passwords: Argon2id with OWASP's parameters, few at once, never on a thread that serves requests.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Error, Result};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Memory of one hash, in KiB: 19 MiB (OWASP password storage, first choice for one lane).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at once: each takes a core and 19 MiB for some tens of milliseconds.
const RUNNING: usize = 2;
/// Most that run or wait; beyond it the caller is told to come back.
const ADMITTED: usize = 64;

/// Fewest characters of a password (OWASP ASVS 2.1.1).
const FEWEST: usize = 12;
/// Most characters: longer ones only cost time.
const MOST: usize = 128;

/// Passwords of at least twelve characters that are on every list of stolen ones.
const COMMON: [&str; 40] = [
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789123",
    "1234567891011",
    "0123456789012",
    "987654321098",
    "111222333444",
    "112233445566",
    "abcdefghijkl",
    "abcdefghijklm",
    "abc123abc123",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "qazwsxedcrfv",
    "q1w2e3r4t5y6",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "qwertyqwerty",
    "asdfghjkl123",
    "asdfasdfasdf",
    "password1234",
    "password12345",
    "password123456",
    "password@123",
    "passwordpassword",
    "administrator",
    "administrator1",
    "adminadminadmin",
    "changemechangeme",
    "changeme1234",
    "letmeinletmein",
    "welcome12345",
    "iloveyou1234",
    "correcthorsebatterystaple",
    "synapscale123",
];

/// What came of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the password, or there is none.
    Wrong,
    /// The password.
    Right,
    /// The password, hashed with other parameters than today's: hash it anew now that it is at hand.
    Outdated,
}

/// Refuses weak passwords. No rules of composition, as ASVS asks: length and a list.
///
/// # Errors
/// `password_length` or `password_common` at `pointer`.
pub(crate) fn check(password: &str, email: &str, pointer: &str) -> Result<()> {
    let length = password.chars().count();
    if !(FEWEST..=MOST).contains(&length) {
        let message = format!("A password has {FEWEST} to {MOST} characters.");
        return Err(Error::invalid(pointer, "password_length", message));
    }
    let lower = password.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next();
    let repeated = characters.all(|c| Some(c) == first);
    let local = email.split('@').next().unwrap_or_default();
    let own = lower == email || lower == local;
    if repeated || own || COMMON.contains(&lower.as_str()) {
        return Err(Error::invalid(
            pointer,
            "password_common",
            "This password is among the first that anybody tries. Choose another.",
        ));
    }
    Ok(())
}

/// Hashes and checks passwords. Cheap to clone; a server has one, so that its bounds hold for all.
#[derive(Clone)]
pub struct Passwords(Arc<Slots>);

struct Slots {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Passwords(Arc::new(Slots {
            running: Arc::new(Semaphore::new(RUNNING)),
            admitted: Arc::new(Semaphore::new(ADMITTED)),
        }))
    }

    /// The hash to store, in PHC form.
    ///
    /// # Errors
    /// `busy` when too many wait.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
        self.work(move || {
            let hashed = hasher()?.hash_password(password.as_bytes());
            hashed.map(|hash| hash.to_string()).map_err(Error::internal)
        })
        .await
    }

    /// Checks a password. Without a stored hash the same work is done, so that the time taken does not tell whether there
    /// is such a user.
    ///
    /// # Errors
    /// `busy` when too many wait; `internal` for a stored hash that is none.
    pub async fn verify(&self, password: Zeroizing<String>, stored: Option<String>) -> Result<Verdict> {
        self.work(move || match stored {
            Some(stored) => verify(password.as_bytes(), &stored),
            None => {
                let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
                hasher()?
                    .hash_password_into(password.as_bytes(), b"there is no user", &mut out)
                    .map_err(Error::internal)?;
                Ok(Verdict::Wrong)
            }
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = self.0.admitted.clone().try_acquire_owned().map_err(|_| {
            Error::unavailable("busy", "Too many passwords are being checked. Try again.")
                .retry_after(Duration::from_secs(2))
        })?;
        let turn = self
            .0
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        // The permits go along: a caller who leaves does not let another hash start while this one still runs.
        let done = tokio::task::spawn_blocking(move || {
            let outcome = job();
            drop((turn, place));
            outcome
        });
        done.await.map_err(Error::internal)?
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn verify(password: &[u8], stored: &str) -> Result<Verdict> {
    let parsed =
        PasswordHash::new(stored).map_err(|_| Error::internal("a stored password hash is damaged"))?;
    if hasher()?.verify_password(password, &parsed).is_err() {
        return Ok(Verdict::Wrong);
    }
    let params = Params::try_from(&parsed).map_err(Error::internal)?;
    let present = parsed.algorithm.as_str() == Algorithm::Argon2id.as_str()
        && (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES);
    Ok(if present {
        Verdict::Right
    } else {
        Verdict::Outdated
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn weak_passwords_are_refused() {
        let email = "ada.lovelace@example.com";
        let code = |password: &str| {
            check(password, email, "/password")
                .err()
                .map(|error| error.fields()[0].code.to_string())
        };
        assert_eq!(code("elevenchars").as_deref(), Some("password_length"));
        assert_eq!(code(&"é".repeat(129)).as_deref(), Some("password_length"));
        for common in [
            "Password1234",
            "AAAAAAAAAAAA",
            "Ada.Lovelace@example.com",
            "ada.lovelace",
        ] {
            assert_eq!(code(common).as_deref(), Some("password_common"), "{common}");
        }
        for good in ["twelve chars", "日本語のパスワードですよね", &"ab".repeat(64)] {
            assert_eq!(code(good), None, "{good}");
        }
    }

    #[test]
    fn the_list_holds_nothing_that_length_refuses() {
        assert!(
            COMMON
                .iter()
                .all(|word| (FEWEST..=MOST).contains(&word.chars().count()))
        );
    }

    #[tokio::test]
    async fn hashes_check_out() {
        let passwords = Passwords::new();
        let hash = passwords.hash(secret("twelve chars")).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let verdict = |text: &'static str, stored: Option<String>| {
            let passwords = passwords.clone();
            async move { passwords.verify(secret(text), stored).await.expect("checked") }
        };
        assert_eq!(verdict("twelve chars", Some(hash.clone())).await, Verdict::Right);
        assert_eq!(verdict("twelve charS", Some(hash)).await, Verdict::Wrong);
        assert_eq!(verdict("twelve chars", None).await, Verdict::Wrong);
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(64, 1, 1, None).expect("params"),
        );
        let old = weak.hash_password(b"twelve chars").expect("hashed").to_string();
        assert_eq!(verdict("twelve chars", Some(old)).await, Verdict::Outdated);
        assert!(
            passwords
                .verify(secret("twelve chars"), Some("plain".to_owned()))
                .await
                .is_err()
        );
    }
}
