//! The TC3-HMAC-SHA256 signature as a pure function of parts, credentials and time. Needs the exact bytes that will be
//! sent; does no IO and reads no clock.

use std::borrow::Cow;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::credentials::Credentials;

const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// Hex digits of a SHA-256 hash.
const HASH_DIGITS: usize = 64;

/// What is signed. Source of the form: vendor page on signature v3.
pub struct RequestParts<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The text after `?` exactly as sent; empty for POST.
    pub query: &'a str,
    /// The bare service name of the scope (`as`, `cvm`), whatever the host.
    pub service: &'a str,
    /// The headers to sign, in any order and case, with the values that are sent. `content-type` and `host` are the
    /// vendor's minimum; without `x-tc-action` whoever can alter a header turns a read into a delete.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub payload: Payload<'a>,
}

/// The body as the signature sees it.
pub enum Payload<'a> {
    /// These very bytes are sent.
    Signed(&'a [u8]),
    /// The body is left out of the signature (`UNSIGNED-PAYLOAD`). The operator never does that.
    Unsigned,
}

/// A signature with its middle steps, which explain a wrong one. Has no `Debug`: the canonical text of a GET holds the
/// parameters.
pub struct Signature {
    /// The canonical request.
    pub canonical_request: String,
    /// The text that was signed.
    pub string_to_sign: String,
    /// 64 hex digits.
    pub signature: String,
    /// The value of the `Authorization` header.
    pub authorization: String,
}

/// Signs the parts for that second. The scope's date is the UTC date of `timestamp`, whose whole seconds must be sent
/// as `X-TC-Timestamp`.
pub fn sign(parts: &RequestParts<'_>, credentials: &Credentials, timestamp: Timestamp) -> Signature {
    let (canonical_request, signed_headers) = canonical_request(parts);
    let key = credentials.signing_key(timestamp, parts.service);
    let scope = key.scope.as_str();
    let (second, hash) = (timestamp.as_second().to_string(), sha256_hex(canonical_request.as_bytes()));
    // Joined, not formatted: formatting is a tenth of the whole.
    let string_to_sign = [ALGORITHM, "\n", &second, "\n", scope, "\n", &hash].concat();
    let signature = hex(&key.mac(&string_to_sign));
    let authorization = [
        ALGORITHM,
        " Credential=",
        credentials.secret_id.as_str(),
        "/",
        scope,
        ", SignedHeaders=",
        &signed_headers,
        ", Signature=",
        &signature,
    ]
    .concat();
    Signature { canonical_request, string_to_sign, signature, authorization }
}

fn canonical_request(parts: &RequestParts<'_>) -> (String, String) {
    let lowered = |name: &'_ str| name.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| name.to_ascii_lowercase());
    let mut headers: Vec<(Cow<'_, str>, &str)> = parts
        .headers
        .iter()
        .map(|(name, value)| (lowered(name).map_or(Cow::Borrowed(*name), Cow::Owned), value.trim()))
        .collect();
    headers.sort_unstable();
    let payload_hash = match parts.payload {
        Payload::Signed(bytes) => sha256_hex(bytes),
        Payload::Unsigned => sha256_hex(b"UNSIGNED-PAYLOAD"),
    };
    let length: usize = headers.iter().map(|(name, value)| 2 * name.len() + value.len() + 3).sum();
    let mut names = String::with_capacity(length);
    let mut text = String::with_capacity(parts.query.len() + length + HASH_DIGITS + 16);
    for part in [parts.method, "\n/\n", parts.query, "\n"] {
        text.push_str(part);
    }
    for (name, value) in &headers {
        text.push_str(name);
        text.push(':');
        // The one value that the vendor lowers; the header itself keeps its case.
        if name == "x-tc-action" {
            text.extend(value.chars().map(|letter| letter.to_ascii_lowercase()));
        } else {
            text.push_str(value);
        }
        text.push('\n');
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    }
    for part in ["\n", &names, "\n", &payload_hash] {
        text.push_str(part);
    }
    (text, names)
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes).into())
}

pub(super) fn hex(hash: &[u8; HASH_DIGITS / 2]) -> String {
    // Into bytes, then at once into text: the formatter took three times as long as the hashes, digit by digit half as long.
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [0; HASH_DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
    }
    String::from_utf8_lossy(&digits).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sorted_trimmed_and_lowered() {
        let parts = RequestParts {
            method: "POST",
            query: "",
            service: "as",
            headers: &[
                ("X-TC-Action", "CreatePaiInstance"),
                ("Host", " as.example "),
                ("Content-Type", "application/json"),
            ],
            payload: Payload::Signed(b"{}"),
        };
        let (text, names) = canonical_request(&parts);
        assert_eq!(names, "content-type;host;x-tc-action");
        assert_eq!(
            text,
            "POST\n/\n\ncontent-type:application/json\nhost:as.example\nx-tc-action:createpaiinstance\n\n\
             content-type;host;x-tc-action\n44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
