//! Whose call it is: the secret id, the secret key and the token of one snapshot. Needs text from the caller, who read the
//! Secret; must never show a key or a token.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::redact::Redactor;
use super::region::{InvalidRegion, Region};
use super::signing_key::{SigningKey, SigningKeys};

/// Longest secret id and secret key, in bytes. Source: vendor page of STS (its reply's fields).
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest temporary token, in bytes. Source: vendor page of STS.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The public half of a key pair: an identifier, not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(String);

impl SecretId {
    /// Takes any text, for instance one from a status that was written earlier.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hash of a key pair and its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// One snapshot of a key pair, with the token when the pair is temporary.
#[derive(Clone)]
pub struct Credentials {
    /// The public half.
    pub secret_id: SecretId,
    /// The secret half.
    pub secret_key: SecretString,
    /// Only with temporary keys; sent as `X-TC-Token`, never signed.
    pub token: Option<SecretString>,
    /// Shared by the clones.
    signing_keys: Arc<SigningKeys>,
}

/// A value that cannot be a credential. Names the part, never the value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidCredentials {
    /// The part is there but has no characters.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Blanks, line ends and non-ASCII characters: most often a trailing newline.
    #[error("{0} holds a blank, a line end or another character that no key has")]
    Character(&'static str),
    /// Longer than the vendor's bound.
    #[error("{0} is too long")]
    TooLong(&'static str),
}

impl Credentials {
    /// Takes the parts if each can be a credential: not empty, only visible ASCII, within the vendor's lengths. A
    /// trailing line end is refused, not cut: the cloud would answer `AuthFailure` for reasons nobody can see.
    pub fn new(
        secret_id: &str,
        secret_key: SecretString,
        token: Option<SecretString>,
    ) -> Result<Self, InvalidCredentials> {
        check("secretId", secret_id, MAX_KEY_BYTES)?;
        // The id stands in the Authorization header between these two.
        if secret_id.contains(['/', ',']) {
            return Err(InvalidCredentials::Character("secretId"));
        }
        check("secretKey", secret_key.expose_secret(), MAX_KEY_BYTES)?;
        if let Some(token) = &token {
            check("token", token.expose_secret(), MAX_TOKEN_BYTES)?;
        }
        let signing_keys = Arc::default();
        Ok(Self { secret_id: SecretId::new(secret_id), secret_key, token, signing_keys })
    }

    /// The text without secret key and token, and without long pieces of them: for text that came from outside.
    pub fn redact(&self, text: &str) -> String {
        self.redactor().redact(text)
    }

    /// Tells one snapshot from another without holding it: equal only where id, key and token are. Source: SHA-256, each part with its
    /// length before it.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut digest = Sha256::new();
        let token = self.token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        for part in [self.secret_id.as_str(), self.secret_key.expose_secret(), token] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Fingerprint(digest.finalize().into())
    }

    /// What signs requests to the service at that time.
    pub(super) fn signing_key(&self, timestamp: Timestamp, service: &str) -> Arc<SigningKey> {
        self.signing_keys.get(&self.secret_key, timestamp, service)
    }

    pub(super) fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.add(self.secret_key.expose_secret());
        if let Some(token) = &self.token {
            redactor.add(token.expose_secret());
        }
        redactor
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("secret_id", &self.secret_id.0).finish_non_exhaustive()
    }
}

/// Tells accounts apart. Of two Secrets with one id and different keys only one is right, so they share nothing.
pub type AccountKey = (Fingerprint, Region);

/// Whose call, and where.
#[derive(Debug, Clone)]
pub struct Account {
    /// The key pair that signs.
    pub credentials: Credentials,
    /// The region that is asked.
    pub region: Region,
}

impl Account {
    /// The key pair in that region, if the region has the shape of one.
    pub fn new(credentials: Credentials, region: &str) -> Result<Self, InvalidRegion> {
        Ok(Self { credentials, region: Region::parse(region)? })
    }

    /// One for tests, by its secret id.
    #[cfg(test)]
    pub(crate) fn of_test(id: &str) -> Self {
        Self::new(Credentials::new(id, "key".into(), None).unwrap(), "ap-guangzhou").unwrap()
    }

    /// What tells it from others.
    pub fn key(&self) -> AccountKey {
        (self.credentials.fingerprint(), self.region.clone())
    }
}

fn check(part: &'static str, value: &str, limit: usize) -> Result<(), InvalidCredentials> {
    if value.is_empty() {
        return Err(InvalidCredentials::Empty(part));
    }
    if value.len() > limit {
        return Err(InvalidCredentials::TooLong(part));
    }
    if value.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(()) } else { Err(InvalidCredentials::Character(part)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(id: &str, key: &str, token: Option<&str>) -> Result<Credentials, InvalidCredentials> {
        Credentials::new(id, key.into(), token.map(Into::into))
    }

    #[test]
    fn values_that_no_key_has_are_refused() {
        use InvalidCredentials::{Character, Empty, TooLong};
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        let rows = [
            ("AKIDx", "key", None, None),
            ("AKIDx", "key", Some("token/AA+B=="), None),
            ("", "key", None, Some(Empty("secretId"))),
            ("AKIDx", "", None, Some(Empty("secretKey"))),
            ("AKIDx", "key", Some(""), Some(Empty("token"))),
            ("AKIDx\n", "key", None, Some(Character("secretId"))),
            ("AKID/x", "key", None, Some(Character("secretId"))),
            ("AKIDx", "key\n", None, Some(Character("secretKey"))),
            ("AKIDx", " key", None, Some(Character("secretKey"))),
            ("AKIDx", "ключ", None, Some(Character("secretKey"))),
            ("AKIDx", "key", Some("to ken"), Some(Character("token"))),
            ("AKIDx", long.as_str(), None, Some(TooLong("secretKey"))),
        ];
        for (id, key, token, refused) in rows {
            assert_eq!(credentials(id, key, token).err(), refused, "{id:?} {token:?}");
        }
    }

    #[test]
    fn debug_shows_the_id_alone() {
        let credentials = credentials("AKIDx", "hush-hush", Some("tell-nobody")).unwrap();
        let account = Account::new(credentials, "ap-guangzhou").unwrap();
        let shown = format!("{account:?}");
        assert!(shown.contains("AKIDx"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains("tell"), "{shown}");
    }

    #[test]
    fn key_and_token_are_cut_out_of_echoed_text() {
        let credentials = credentials("AKIDx", "hush-hush", Some("tell-nobody-about-it")).unwrap();
        assert_eq!(credentials.redact("AKIDx hush-hush/tell-nobody-about-it."), "AKIDx [redacted]/[redacted].");
        assert_eq!(credentials.redact("cut off: tell-nobody-ab"), "cut off: [redacted]");
        assert_eq!(credentials.redact("nothing here"), "nothing here");
    }
}
