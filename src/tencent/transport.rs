//! The narrow gate to the network: one request in, one reply or a failure that says whether a byte may have left. Needs
//! nothing; implementations must not retry, redirect or fail over.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// Longest time for one cloud call, from connecting to the last byte. Source: our choice (`reliability.md`, step 8); a
/// create that takes longer counts as unknown, never as failed.
pub const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Sends requests. One call of `send` is at most one request on the wire.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request once and reads the whole reply, within `request.deadline`. Dropping the future may leave the
    /// request on its way.
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, TransportFailure>>;
}

/// A POST whose bytes are final: what was signed is what is sent.
#[derive(Clone)]
pub struct HttpRequest {
    /// Absolute URL with the path `/` and no query.
    pub url: String,
    /// All headers of ours, `Host` included.
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body. May hold a password and a script.
    pub body: Bytes,
    /// Never take a connection from the pool: set for everything that changes something.
    pub fresh_connection: bool,
    /// Longest time for the whole exchange.
    pub deadline: Duration,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .field("fresh_connection", &self.fresh_connection)
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// The value of a header.
#[derive(Clone)]
pub enum HeaderText {
    /// May be shown.
    Plain(String),
    /// `Authorization` and `X-TC-Token`: never shown, and marked as sensitive for the layers below.
    Sensitive(SecretString),
}

impl HeaderText {
    /// The value to send.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Sensitive(secret) => secret.expose_secret(),
        }
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Sensitive(_) => f.write_str("[redacted]"),
        }
    }
}

/// A whole reply.
#[derive(Clone)]
pub struct HttpResponse {
    /// HTTP status; the cloud itself answers 200 to everything.
    pub status: u16,
    /// The `Date` header: the cloud's clock, in whole seconds.
    pub date: Option<Timestamp>,
    /// The body, bounded by the transport.
    pub body: Bytes,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("date", &self.date)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// No whole reply came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFailure {
    /// Whether the cloud may have received something.
    pub sent: Sent,
    /// Why, in words without secrets.
    pub reason: String,
}

/// Whether a byte of the request may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: name resolution, TCP connect or TLS failed before the first byte of the request.
    No,
    /// It may have: everything else.
    Maybe,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_authorization_nor_token_nor_body() {
        let request = HttpRequest {
            url: "https://as.tencentcloudapi.com/".to_owned(),
            headers: vec![
                ("X-TC-Action", HeaderText::Plain("CreatePaiInstance".into())),
                ("Authorization", HeaderText::Sensitive("TC3 hush-hush".into())),
                ("X-TC-Token", HeaderText::Sensitive("tell-nobody".into())),
            ],
            body: Bytes::from_static(b"{\"Password\":\"PAI@Test123\"}"),
            fresh_connection: true,
            deadline: CALL_DEADLINE,
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("CreatePaiInstance"), "{shown}");
        for secret in ["hush", "tell", "PAI@Test123"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let response = HttpResponse { status: 200, date: None, body: Bytes::from_static(b"PAI@Test123") };
        assert!(!format!("{response:?}").contains("PAI@"), "{response:?}");
    }
}
