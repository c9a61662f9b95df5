//! TC3-HMAC-SHA256 as a pure function of a request's parts and a key, with every middle value, for checking
//! requests and for running over test vectors. Knows no clock and no account.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Name of the algorithm (vendor page "signature v3").
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// What is hashed in place of the body when `X-TC-Content-SHA256: UNSIGNED-PAYLOAD` was sent.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// Text after the question mark exactly as sent; empty for POST.
    pub query: &'a str,
    /// Signed headers in their order, names in lower case, values as sent. The value of `x-tc-action` is
    /// lowered here, no other is changed beyond trimming.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body exactly as sent; empty for GET.
    pub payload: &'a [u8],
    /// Whether the body is left out of the signature.
    pub unsigned_payload: bool,
    /// Bare service name of the scope, such as `as`.
    pub service: &'a str,
    /// Unix seconds, as in `X-TC-Timestamp`. The date of the scope is the UTC date of this.
    pub timestamp: i64,
}

/// A signature with everything it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Text that was hashed first.
    pub canonical_request: String,
    /// Text that was signed.
    pub string_to_sign: String,
    /// Lower-case hex.
    pub signature: String,
    /// Value of the `Authorization` header.
    pub authorization: String,
}

/// Signs `parts` with a key. `None` only for a timestamp beyond the years that can be written.
pub fn sign(parts: &Parts<'_>, secret_id: &str, secret_key: &str) -> Option<Signed> {
    let date = utc_date(parts.timestamp)?;
    let scope = format!("{date}/{}/tc3_request", parts.service);
    let signed_headers = parts.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical_request = canonical_request(parts, &signed_headers);
    let string_to_sign =
        format!("{ALGORITHM}\n{}\n{scope}\n{}", parts.timestamp, hex(&Sha256::digest(canonical_request.as_bytes())));
    let key = hmac(format!("TC3{secret_key}").as_bytes(), date.as_bytes())?;
    let key = hmac(&key, parts.service.as_bytes())?;
    let key = hmac(&key, b"tc3_request")?;
    let signature = hex(&hmac(&key, string_to_sign.as_bytes())?);
    Some(Signed {
        authorization: format!(
            "{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
        ),
        canonical_request,
        string_to_sign,
        signature,
    })
}

/// UTC date `YYYY-MM-DD` of Unix seconds, the only date a scope may carry.
pub(crate) fn utc_date(timestamp: i64) -> Option<String> {
    let time = Timestamp::from_second(timestamp).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

fn canonical_request(parts: &Parts<'_>, signed_headers: &str) -> String {
    let payload = if parts.unsigned_payload { UNSIGNED_PAYLOAD.as_bytes() } else { parts.payload };
    let mut text = format!("{}\n/\n{}\n", parts.method, parts.query);
    for (name, value) in parts.headers {
        let value = value.trim();
        let _ = if *name == "x-tc-action" {
            writeln!(text, "{name}:{}", value.to_lowercase())
        } else {
            writeln!(text, "{name}:{value}")
        };
    }
    let _ = write!(text, "\n{signed_headers}\n{}", hex(&Sha256::digest(payload)));
    text
}

fn hmac(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    // HMAC takes a key of any length; the error exists only for other constructions.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
