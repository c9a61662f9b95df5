//! The transport of production: reqwest over TLS with ring. Needs CA certificates on the machine; must not retry, follow
//! redirects, use a proxy or speak plain HTTP unless told to.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use super::errors::cut;
use super::transport::{HeaderText, HttpRequest, HttpResponse, Sent, Transport, TransportFailure};

/// Longest time to connect: name resolution, TCP and TLS. Source: our choice (`reliability.md`, step 8).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest reply that is read, in bytes. Source: our choice; a hundred machines take about 400 kB.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// How long an idle connection for reads is kept: less than servers usually keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Longest reason that is passed on, in bytes.
const MAX_REASON_BYTES: usize = 256;

/// How a [`ReqwestTransport`] connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    /// Also speak plain HTTP. Passwords are then readable by everybody on the way.
    pub allow_insecure: bool,
    /// Longest time to connect.
    pub connect_timeout: Duration,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self { allow_insecure: false, connect_timeout: CONNECT_TIMEOUT }
    }
}

/// The HTTP client cannot be set up. A machine without CA certificates shows only later: no TLS connection stands.
#[derive(Debug, Error)]
#[error("cannot set up the HTTPS client")]
pub struct BuildTransport(#[source] reqwest::Error);

/// Sends over the network.
///
/// Proxies of the environment (`HTTPS_PROXY` and its like) are ignored on purpose: a proxy that ends TLS may repeat a
/// POST on its own, and a repeated create buys a second machine. TLS early data stays off for the same reason.
#[derive(Debug, Clone)]
pub struct ReqwestTransport {
    /// For reads.
    pooled: reqwest::Client,
    /// For everything else: keeps no connection, so that none can be found dead after the request was written to it.
    fresh: reqwest::Client,
}

impl ReqwestTransport {
    /// Sets both clients up. Makes ring the process's TLS provider if there is none yet.
    pub fn new(options: &TransportOptions) -> Result<Self, BuildTransport> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails only when another thread was faster, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self {
            pooled: build(options, usize::MAX).map_err(BuildTransport)?,
            fresh: build(options, 0).map_err(BuildTransport)?,
        })
    }
}

fn build(options: &TransportOptions, idle_per_host: usize) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("pai-operator/", env!("CARGO_PKG_VERSION")))
        .https_only(!options.allow_insecure)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(idle_per_host)
        .pool_idle_timeout(POOL_IDLE)
        .build()
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, TransportFailure>> {
        let client = if request.fresh_connection { self.fresh.clone() } else { self.pooled.clone() };
        exchange(client, request).boxed()
    }
}

async fn exchange(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, TransportFailure> {
    let sending = client
        .post(&request.url)
        .headers(header_map(&request.headers)?)
        .timeout(request.deadline)
        .body(request.body)
        .send();
    let mut response = sending.await.map_err(|error| failure(error, "send"))?;
    let status = response.status().as_u16();
    let date = response.headers().get(DATE).and_then(http_date);
    // Growing step by step would copy a large reply several times over.
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut body = BytesMut::with_capacity(announced.min(MAX_REPLY_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, "read the reply"))? {
        if body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(TransportFailure {
                sent: Sent::Maybe,
                reason: format!("the reply has more than {MAX_REPLY_BYTES} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, date, body: Bytes::from(body) })
}

fn header_map(headers: &[(&'static str, HeaderText)]) -> Result<HeaderMap, TransportFailure> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, text) in headers {
        let unfit =
            || TransportFailure { sent: Sent::No, reason: format!("the value of the header {name} cannot be sent") };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        let mut value = HeaderValue::from_str(text.expose()).map_err(|_| unfit())?;
        value.set_sensitive(matches!(text, HeaderText::Sensitive(_)));
        map.insert(header, value);
    }
    Ok(map)
}

/// Only a failure to build or to connect is certain to precede the first byte; a deadline that strikes at any time is
/// not.
fn failure(error: reqwest::Error, doing: &str) -> TransportFailure {
    let sent = if error.is_builder() || error.is_connect() { Sent::No } else { Sent::Maybe };
    // The chain holds names of hosts and reasons of the system and of TLS, nothing that was sent.
    let error = error.without_url();
    let mut reason = format!("{doing}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    TransportFailure { sent, reason: cut(&reason, MAX_REASON_BYTES).to_owned() }
}

/// A date in the form of RFC 9110, section 5.6.7; the cloud's clock is worth nothing if it cannot be read.
fn http_date(value: &HeaderValue) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_or_left_out() {
        let rows = [
            ("Tue, 14 Nov 2023 22:13:20 GMT", Some(1_700_000_000)),
            ("Tue, 14 Nov 2023 22:13:20 +0000", Some(1_700_000_000)),
            ("2023-11-14T22:13:20Z", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(http_date(&value).map(Timestamp::as_second), expected, "{text}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_not_sent() {
        let headers = [("X-TC-Token", HeaderText::Sensitive("hush\nhush".into()))];
        let failure = header_map(&headers).unwrap_err();
        assert_eq!(failure.sent, Sent::No);
        assert!(!failure.reason.contains("hush"), "{}", failure.reason);
    }
}
