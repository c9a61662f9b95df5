//! Who sent a request: checks the Authorization header, the clock and the token against the known keys.
//! A pure function; the codes are those of the common error list, the order of the checks is our choice.

use crate::config::Account;
use crate::error::ApiError;
use crate::http::HttpRequest;
use crate::signature::{self, ALGORITHM, Parts, UNSIGNED_PAYLOAD};
use jiff::Timestamp;

/// How far `X-TC-Timestamp` may be from the cloud's clock, in seconds (vendor page "signature v3").
pub const MAX_SKEW_SECS: i64 = 300;

/// A request whose signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Account of the key.
    pub owner: String,
    /// Secret id of the key.
    pub secret_id: String,
    /// Service of the credential scope.
    pub service: String,
    /// `X-TC-Timestamp`, Unix seconds.
    pub timestamp: i64,
}

/// The Authorization header taken apart.
pub(crate) struct Authorization<'a> {
    pub(crate) secret_id: &'a str,
    date: &'a str,
    pub(crate) service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the TC3 form; `None` for anything else.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.strip_prefix(ALGORITHM)?.trim().split(',');
        let credential = fields.next()?.trim().strip_prefix("Credential=")?;
        let signed_headers = fields.next()?.trim().strip_prefix("SignedHeaders=")?;
        let signature = fields.next()?.trim().strip_prefix("Signature=")?;
        let mut scope = credential.split('/');
        let parsed = Self {
            secret_id: scope.next().filter(|id| !id.is_empty())?,
            date: scope.next()?,
            service: scope.next().filter(|service| !service.is_empty())?,
            signed_headers,
            signature,
        };
        let whole = scope.next() == Some("tc3_request") && scope.next().is_none() && fields.next().is_none();
        whole.then_some(parsed)
    }
}

/// Whether a request signed at `timestamp` is too old, or too far ahead, at `now`.
pub(crate) fn expired(timestamp: i64, now: Timestamp) -> bool {
    now.as_second().abs_diff(timestamp) > MAX_SKEW_SECS.unsigned_abs()
}

/// Checks the signature of `request` at the time `now` against the known keys.
///
/// # Errors
/// `AuthFailure.*` as the common error list names them, and `MissingParameter` without a timestamp.
pub fn verify(request: &HttpRequest, accounts: &[Account], now: Timestamp) -> Result<Verified, ApiError> {
    let malformed = |why: &str| ApiError::new("AuthFailure.InvalidAuthorization", why);
    let header = request.header("authorization").ok_or_else(|| malformed("The Authorization header is missing."))?;
    let parsed = Authorization::parse(header)
        .ok_or_else(|| malformed("The Authorization header is not in the TC3-HMAC-SHA256 form."))?;
    let timestamp: i64 = request
        .header("x-tc-timestamp")
        .ok_or_else(|| ApiError::missing("Timestamp"))?
        .parse()
        .map_err(|_| malformed("X-TC-Timestamp is not a number of seconds."))?;
    if expired(timestamp, now) {
        return Err(ApiError::new(
            "AuthFailure.SignatureExpire",
            format!(
                "The timestamp is more than {MAX_SKEW_SECS} seconds away from the server time {}.",
                now.as_second()
            ),
        ));
    }
    let account = accounts
        .iter()
        .find(|account| account.secret_id == parsed.secret_id)
        .ok_or_else(|| ApiError::new("AuthFailure.SecretIdNotFound", "The SecretId is not found."))?;
    let expected = expected_signature(request, &parsed, timestamp, account)?;
    if expected != parsed.signature || signature::utc_date(timestamp).as_deref() != Some(parsed.date) {
        return Err(ApiError::new(
            "AuthFailure.SignatureFailure",
            "The provided credentials could not be validated. Please check your signature.",
        ));
    }
    if request.header("x-tc-token").filter(|token| !token.is_empty()) != account.token.as_deref() {
        return Err(ApiError::new("AuthFailure.TokenFailure", "The token does not belong to the SecretId."));
    }
    Ok(Verified {
        owner: account.owner.clone(),
        secret_id: account.secret_id.clone(),
        service: parsed.service.to_owned(),
        timestamp,
    })
}

fn expected_signature(
    request: &HttpRequest,
    parsed: &Authorization<'_>,
    timestamp: i64,
    account: &Account,
) -> Result<String, ApiError> {
    // Only the two documented sets: whether the cloud takes others is an open question, so a client that
    // relies on it must fail here.
    if !matches!(parsed.signed_headers, "content-type;host" | "content-type;host;x-tc-action") {
        return Err(ApiError::new(
            "AuthFailure.InvalidAuthorization",
            "SignedHeaders must be content-type;host or content-type;host;x-tc-action.",
        ));
    }
    let mut headers = Vec::new();
    for name in parsed.signed_headers.split(';') {
        let value = request.header(name).ok_or_else(|| {
            ApiError::new(
                "AuthFailure.InvalidAuthorization",
                format!("The signed header `{name}` is not in the request."),
            )
        })?;
        headers.push((name, value));
    }
    let parts = Parts {
        method: &request.method,
        query: &request.query,
        headers: &headers,
        payload: &request.body,
        unsigned_payload: request.header("x-tc-content-sha256") == Some(UNSIGNED_PAYLOAD),
        service: parsed.service,
        timestamp,
    };
    signature::sign(&parts, &account.secret_id, &account.secret_key)
        .map(|signed| signed.signature)
        .ok_or_else(|| ApiError::new("AuthFailure.InvalidAuthorization", "X-TC-Timestamp is out of range."))
}
