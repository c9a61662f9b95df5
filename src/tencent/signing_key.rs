//! The key that signs one day's requests to one service, and those that a key pair has made so far. Needs the secret key; must not let
//! one out, nor leave one behind in memory.

use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Block size of SHA-256 in bytes (FIPS 180-4).
const BLOCK: usize = 64;
const SECONDS_A_DAY: i64 = 86_400;

/// The keys that were made from one secret key: the last day's, one for each service. To make one costs three HMACs, to use it one:
/// half of what a signature takes.
#[derive(Default)]
pub(super) struct SigningKeys(Mutex<Vec<Arc<SigningKey>>>);

/// The key of one day and service.
pub(super) struct SigningKey {
    /// Days since 1970.
    day: i64,
    service: String,
    /// `<UTC date>/<service>/tc3_request`.
    pub(super) scope: String,
    /// HMAC that has taken the key and no message.
    mac: Hmac<Sha256>,
}

impl SigningKeys {
    /// The key for that time and service: the one that is there, or a new one, which takes the place of another day's.
    pub(super) fn get(&self, secret_key: &SecretString, timestamp: Timestamp, service: &str) -> Arc<SigningKey> {
        let day = timestamp.as_second().div_euclid(SECONDS_A_DAY);
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.iter().find(|key| key.day == day && key.service == service) {
            return Arc::clone(key);
        }
        let key = Arc::new(SigningKey::new(secret_key, day, timestamp, service));
        keys.retain(|other| other.service != service);
        keys.push(Arc::clone(&key));
        key
    }
}

impl SigningKey {
    fn new(secret_key: &SecretString, day: i64, timestamp: Timestamp, service: &str) -> Self {
        let date = timestamp.strftime("%Y-%m-%d").to_string();
        let secret = secret_key.expose_secret();
        // With the capacity given at once no copy of the key stays behind in a smaller buffer.
        let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        seed.extend_from_slice(b"TC3");
        seed.extend_from_slice(secret.as_bytes());
        let dated = hmac_sha256(&seed, date.as_bytes());
        let scoped = hmac_sha256(&*dated, service.as_bytes());
        let key = hmac_sha256(&*scoped, b"tc3_request");
        let scope = [&date, "/", service, "/tc3_request"].concat();
        Self { day, service: service.to_owned(), scope, mac: keyed(&*key) }
    }

    /// HMAC-SHA256 of the text to sign.
    pub(super) fn mac(&self, text: &str) -> [u8; 32] {
        self.mac.clone().chain_update(text).finalize().into_bytes().into()
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(key).chain_update(message).finalize().into_bytes().into())
}

/// HMAC-SHA256 (RFC 2104) with a key of any length, which is brought to the block size here, so that no error is left to handle.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0_u8; BLOCK]);
    let digest: Zeroizing<[u8; 32]>;
    let fitting = if key.len() > BLOCK {
        digest = Zeroizing::new(Sha256::digest(key).into());
        digest.as_slice()
    } else {
        key
    };
    for (place, byte) in block.iter_mut().zip(fitting) {
        *place = *byte;
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::super::sign::hex;
    use super::*;

    #[test]
    fn hmac_matches_rfc_4231() {
        // Test cases 2 and 6: a short key, and one longer than a block.
        let rows: [(&[u8], &[u8], &str); 2] = [
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, expected) in rows {
            let digits = hex(&hmac_sha256(key, message));
            assert_eq!(digits, expected);
        }
    }

    #[test]
    fn a_kept_key_signs_as_a_new_one_on_each_day_and_for_each_service() {
        let secret = SecretString::from("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE");
        let kept = SigningKeys::default();
        let midnight = 20_000 * SECONDS_A_DAY;
        // Over midnight and back again, as a clock may go that is being corrected; the last lies before 1970.
        for second in [midnight - 1, midnight, midnight + 1, midnight - 1, midnight + SECONDS_A_DAY, -1] {
            let timestamp = Timestamp::from_second(second).unwrap();
            for service in ["as", "cvm", "as"] {
                let (old, new) =
                    (kept.get(&secret, timestamp, service), SigningKeys::default().get(&secret, timestamp, service));
                assert_eq!(old.scope, new.scope);
                assert_eq!(old.scope, format!("{}/{service}/tc3_request", timestamp.strftime("%Y-%m-%d")));
                assert_eq!(old.mac("text"), new.mac("text"));
            }
            assert_eq!(kept.0.lock().unwrap().len(), 2, "one for each service");
        }
    }
}
