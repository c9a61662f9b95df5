//! The TC3-HMAC-SHA256 signature as a pure function of parts, credentials and time. Needs the exact bytes that will be
//! sent; does no IO, reads no clock and leaves no key behind in memory.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::credentials::Credentials;

const ALGORITHM: &str = "TC3-HMAC-SHA256";
/// Block size of SHA-256 in bytes (FIPS 180-4).
const BLOCK: usize = 64;

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
    let date = timestamp.strftime("%Y-%m-%d").to_string();
    // Joined, not formatted: formatting is a tenth of the whole.
    let scope = [&date, "/", parts.service, "/tc3_request"].concat();
    let (second, hash) = (timestamp.as_second().to_string(), sha256_hex(canonical_request.as_bytes()));
    let string_to_sign = [ALGORITHM, "\n", &second, "\n", &scope, "\n", &hash].concat();
    let key = signing_key(credentials, &date, parts.service);
    let signature = hex(hmac_sha256(&*key, string_to_sign.as_bytes()).as_slice());
    let authorization = [
        ALGORITHM,
        " Credential=",
        credentials.secret_id.as_str(),
        "/",
        &scope,
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
    let mut text = String::with_capacity(parts.query.len() + length + 2 * BLOCK + 16);
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

fn signing_key(credentials: &Credentials, date: &str, service: &str) -> Zeroizing<[u8; 32]> {
    let secret = credentials.secret_key.expose_secret();
    // With the capacity given at once no copy of the key stays behind in a smaller buffer.
    let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    seed.extend_from_slice(b"TC3");
    seed.extend_from_slice(secret.as_bytes());
    let dated = hmac_sha256(&seed, date.as_bytes());
    let scoped = hmac_sha256(&*dated, service.as_bytes());
    hmac_sha256(&*scoped, b"tc3_request")
}

/// HMAC-SHA256 (RFC 2104) of a key of any length, brought to the block size here, so that no error is left to handle.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
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
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

fn hex(bytes: &[u8]) -> String {
    // Digit by digit: the formatter took three times as long as the hashes.
    let digit = |half: u8| char::from(half + if half < 10 { b'0' } else { b'a' - 10 });
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0x0f));
    }
    text
}

#[cfg(test)]
mod tests {
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
            assert_eq!(hex(hmac_sha256(key, message).as_slice()), expected);
        }
    }

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
