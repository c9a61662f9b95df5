//! The calls: builds, signs, sends once and opens the reply. Needs a transport, endpoints and the time of each call; must
//! not read the wall clock, and must never send anything twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::Instant;
use tracing::debug;
use zeroize::Zeroizing;

use super::action::Action;
use super::autoscaling::{CreatePaiInstance, CreatePaiInstanceReply, DescribePaiInstances, DescribePaiInstancesReply};
use super::credentials::{Account, SecretId};
use super::cvm::{DescribeInstances, DescribeInstancesReply, InstanceId, TerminateInstances};
use super::endpoints::Endpoints;
use super::envelope::{open, open_create};
use super::errors::{CallError, MAX_MESSAGE_BYTES, clean_text};
use super::rate_limit::{Permit, RateLimits, Turn};
use super::redact::Redactor;
use super::region::Region;
use super::sign::{Payload, RequestParts, sign};
use super::transport::{CALL_DEADLINE, HeaderText, HttpRequest, HttpResponse, Sent, Transport};

/// Longest time that a read waits for its turn. Source: our choice; at 30 to 40 reads a second about a thousand can wait.
pub const READ_WAIT: Duration = Duration::from_secs(30);
/// Largest request body, in bytes. Source: vendor page on signature v3 (POST).
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// How much longer than the deadline the client waits for a transport that does not keep it.
const GRACE: Duration = Duration::from_secs(1);

const CONTENT_TYPE: &str = "application/json";

/// The cloud client of the process. Cheap to clone; clones share rate limits and connections.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    endpoints: Endpoints,
    limits: Arc<RateLimits>,
    observer: Arc<dyn Observer>,
}

/// Is told about calls, for metrics.
pub trait Observer: Send + Sync {
    /// A call was made and ended: with what, and how long after its first byte.
    fn called(&self, action: Action, error: Option<&CallError>, took: Duration);
    /// A call got its turn, after that long.
    fn waited(&self, action: Action, wait: Duration);
}

/// For those who count nothing.
impl Observer for () {
    fn called(&self, _: Action, _: Option<&CallError>, _: Duration) {}
    fn waited(&self, _: Action, _: Duration) {}
}

/// A success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// What was asked for.
    pub value: T,
    /// For the vendor's support.
    pub request_id: Option<String>,
    /// The cloud's clock (`Date` header), in whole seconds.
    pub cloud_time: Option<Timestamp>,
    /// `DeprecatedWarning` of the reply: bounded and cleaned as an error message.
    pub deprecated: Option<String>,
}

/// A create whose bytes are final. Consumed by the one call that sends it; never shown.
pub struct SignedCreate {
    signed: Signed,
    signed_at: Timestamp,
}

impl SignedCreate {
    /// The `X-TC-Timestamp`, cut to whole seconds: from it the cloud counts its five minutes.
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }
}

/// A request cannot be built. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// The parameters cannot be written as JSON.
    #[error("the parameters cannot be written as JSON")]
    Json,
    /// Larger than the cloud takes.
    #[error("the request has {bytes} bytes; the cloud takes {MAX_BODY_BYTES}")]
    TooLarge {
        /// Size of the body.
        bytes: usize,
    },
}

/// A signed request with what is needed to judge, count and show its end.
struct Signed {
    request: HttpRequest,
    action: Action,
    secret_id: SecretId,
    region: Region,
    redactor: Redactor,
}

impl Client {
    /// A client that sends through `transport` to `endpoints`, with rate limits of its own: have one per process.
    pub fn new(transport: Arc<dyn Transport>, endpoints: Endpoints) -> Self {
        Self { transport, endpoints, limits: Arc::new(RateLimits::default()), observer: Arc::new(()) }
    }

    /// The same client with other rate limits than the documented ones.
    #[must_use]
    pub fn limited_to(self, rates: impl IntoIterator<Item = (Action, u32)>) -> Self {
        Self { limits: Arc::new(RateLimits::with_rates(rates)), ..self }
    }

    /// The same client, which tells `observer` about its calls.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Waits for the token of a create, unless that would last longer than `longest`: then says how long. Ask before
    /// [`Client::prepare_create`]: a create must not wait for long between signing and sending. Right before [`Client::send_create`] wait for
    /// [`Permit::slot`]: the intent, which is written in between, takes now less and now more time.
    pub async fn create_permit(&self, account: &Account, longest: Duration) -> Result<Permit, Duration> {
        let asked = Instant::now();
        let action = Action::CreatePaiInstance;
        let permit = self.limits.take_ahead(&account.credentials.secret_id, &account.region, action, longest).await?;
        self.observer.waited(action, asked.elapsed());
        Ok(permit)
    }

    /// Whether a read would be the next one, as far as objects wait for one.
    pub fn has_room(&self, account: &Account, action: Action) -> bool {
        self.limits.has_room(&account.credentials.secret_id, &account.region, action)
    }

    /// Waits until a read may be made that nobody waits for. It takes the token of that read, which is then made with
    /// [`Client::describe_instances`].
    pub async fn routine_turn(&self, account: &Account, action: Action) {
        let asked = Instant::now();
        self.limits.take_behind(&account.credentials.secret_id, &account.region, action).await;
        self.observer.waited(action, asked.elapsed());
    }

    /// How a read for which a person waits goes before most others, if it can: [`RateLimits::take_urgent`]. A turn that is taken is that of
    /// the read which is then made with [`Client::describe_instances`].
    pub async fn urgent_turn(&self, account: &Account, action: Action) -> Option<Turn> {
        let asked = Instant::now();
        self.limits.take_one_more(&account.credentials.secret_id, &account.region, action).ok()?;
        let turn = self.limits.take_urgent(&account.credentials.secret_id, &account.region, action).await;
        if turn == Some(Turn::Taken) {
            self.observer.waited(action, asked.elapsed());
        }
        turn
    }

    /// Waits for the turn of a read up to [`READ_WAIT`]. It takes the token of that read, which is then made with
    /// [`Client::describe_instances`]. Where the cloud has fallen silent and enough wait for it, it fails
    /// as the call before it.
    pub async fn turn(&self, account: &Account, action: Action) -> Result<(), CallError> {
        let asked = Instant::now();
        self.limits.take_one_more(&account.credentials.secret_id, &account.region, action)?;
        let turn = self.limits.take(&account.credentials.secret_id, &account.region, action, READ_WAIT).await;
        turn.map_err(|retry_after| CallError::RateLimited { retry_after })?;
        self.observer.waited(action, asked.elapsed());
        Ok(())
    }

    /// Writes and signs a create. Sends nothing.
    pub fn prepare_create(
        &self,
        account: &Account,
        request: &CreatePaiInstance,
        signed_at: Timestamp,
    ) -> Result<SignedCreate, PrepareError> {
        let capacity = request.body_capacity();
        let mut signed = self.sign(account, Action::CreatePaiInstance, request, capacity, signed_at)?;
        request.add_secrets(&mut signed.redactor);
        let signed_at = Timestamp::from_second(signed_at.as_second()).unwrap_or(signed_at);
        Ok(SignedCreate { signed, signed_at })
    }

    /// Sends a create: one request on a connection of its own, never repeated. Judge the result with
    /// [`super::create_verdict`].
    pub async fn send_create(&self, signed: SignedCreate) -> Result<Reply<CreatePaiInstanceReply>, CallError> {
        self.call(signed.signed, open_create).await
    }

    /// One page of the PAI instances. Waits for its turn up to [`READ_WAIT`], then signs for `now` plus the wait.
    pub async fn describe_pai_instances(
        &self,
        account: &Account,
        request: &DescribePaiInstances,
        now: Timestamp,
    ) -> Result<Reply<DescribePaiInstancesReply>, CallError> {
        self.read(account, Action::DescribePaiInstances, request, now).await
    }

    /// One page of the machines, for a caller who has waited for the turn: [`Client::turn`], [`Client::urgent_turn`] or
    /// [`Client::routine_turn`].
    pub async fn describe_instances(
        &self,
        account: &Account,
        request: &DescribeInstances,
        now: Timestamp,
    ) -> Result<Reply<DescribeInstancesReply>, CallError> {
        let mut reply: Reply<DescribeInstancesReply> =
            self.send_read(account, Action::DescribeInstances, request, now).await?;
        let messages = reply.value.instances.iter_mut();
        let mut messages = messages.filter_map(|instance| instance.latest_operation_error_msg.as_mut()).peekable();
        if messages.peek().is_some() {
            let redactor = account.credentials.redactor();
            messages.for_each(|message| *message = clean_text(message, MAX_MESSAGE_BYTES, &redactor));
        }
        Ok(reply)
    }

    /// Terminates one machine; a prepaid one moves to the recycle bin first, and a second call destroys it. Does not
    /// wait for its turn: [`CallError::RateLimited`] says when to come back. One request on a connection of its own.
    pub async fn terminate_instance(
        &self,
        account: &Account,
        id: &InstanceId,
        now: Timestamp,
    ) -> Result<Reply<()>, CallError> {
        let action = Action::TerminateInstances;
        self.limits
            .try_take(&account.credentials.secret_id, &account.region, action, Instant::now())
            .map_err(|retry_after| CallError::RateLimited { retry_after })?;
        let request = TerminateInstances { instance_ids: [id.clone()] };
        let signed = self.sign(account, action, &request, 0, now).map_err(|error| not_sent(&error))?;
        let reply = self.call_in_slot(signed, open::<serde::de::IgnoredAny>).await?;
        Ok(Reply {
            value: (),
            request_id: reply.request_id,
            cloud_time: reply.cloud_time,
            deprecated: reply.deprecated,
        })
    }

    async fn read<P: Serialize, T: DeserializeOwned>(
        &self,
        account: &Account,
        action: Action,
        parameters: &P,
        now: Timestamp,
    ) -> Result<Reply<T>, CallError> {
        let asked = Instant::now();
        self.turn(account, action).await?;
        self.send_read(account, action, parameters, now.checked_add(asked.elapsed()).unwrap_or(now)).await
    }

    async fn send_read<P: Serialize, T: DeserializeOwned>(
        &self,
        account: &Account,
        action: Action,
        parameters: &P,
        now: Timestamp,
    ) -> Result<Reply<T>, CallError> {
        let signed = self.sign(account, action, parameters, 0, now).map_err(|error| not_sent(&error))?;
        self.call_in_slot(signed, open).await
    }

    fn sign<P: Serialize>(
        &self,
        account: &Account,
        action: Action,
        parameters: &P,
        capacity: usize,
        signed_at: Timestamp,
    ) -> Result<Signed, PrepareError> {
        let mut body = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer(&mut *body, parameters).map_err(|_| PrepareError::Json)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(PrepareError::TooLarge { bytes: body.len() });
        }
        let (url, host) = self.endpoints.url(action.service(), &account.region);
        let headers = headers(account, action, host, &body, signed_at);
        let request = HttpRequest {
            url,
            headers,
            body: Bytes::from_owner(body),
            fresh_connection: !action.is_read(),
            deadline: CALL_DEADLINE,
        };
        Ok(Signed {
            request,
            action,
            secret_id: account.credentials.secret_id.clone(),
            region: account.region.clone(),
            redactor: account.credentials.redactor(),
        })
    }

    /// [`Client::call`] at the moment at which the cloud takes one more. A create waits for that moment before its last gate instead.
    async fn call_in_slot<T>(
        &self,
        signed: Signed,
        open: impl FnOnce(&HttpResponse, &Redactor) -> Result<Reply<T>, CallError>,
    ) -> Result<Reply<T>, CallError> {
        self.limits.slot(&signed.secret_id, &signed.region, signed.action).await;
        self.call(signed, open).await
    }

    /// Sends once, opens the reply, and tells log and rate limit about the end.
    async fn call<T>(
        &self,
        signed: Signed,
        open: impl FnOnce(&HttpResponse, &Redactor) -> Result<Reply<T>, CallError>,
    ) -> Result<Reply<T>, CallError> {
        let Signed { request, action, secret_id, region, redactor } = signed;
        let begun = Instant::now();
        let longest = request.deadline + GRACE;
        let under_way = self.limits.begin(&secret_id, &region, action);
        let result = match tokio::time::timeout(longest, self.transport.send(request)).await {
            Ok(Ok(response)) => open(&response, &redactor),
            Ok(Err(failure)) => {
                let reason = clean_text(&failure.reason, MAX_MESSAGE_BYTES, &redactor);
                Err(match failure.sent {
                    Sent::No => CallError::NotSent { reason },
                    Sent::Maybe => CallError::NoAnswer { reason },
                })
            }
            Err(_) => Err(CallError::NoAnswer { reason: "the transport did not keep its deadline".to_owned() }),
        };
        match &result {
            Err(error @ (CallError::NotSent { .. } | CallError::NoAnswer { .. })) => under_way.failed(error),
            _ => under_way.answered(),
        }
        let (request_id, code) = match &result {
            Ok(reply) => (reply.request_id.as_deref(), None),
            Err(error) => (error.request_id(), error.code()),
        };
        if result.as_ref().is_err_and(CallError::is_throttled) {
            self.limits.throttled(&secret_id, &region, action, Instant::now());
        }
        let outcome = result.as_ref().err().map_or("ok", CallError::category);
        let took = begun.elapsed();
        self.observer.called(action, result.as_ref().err(), took);
        let milliseconds = took.as_millis();
        debug!(%action, %region, request_id, code, outcome, milliseconds, "cloud call");
        result
    }
}

fn not_sent(error: &PrepareError) -> CallError {
    CallError::NotSent { reason: error.to_string() }
}

/// All headers of a call. Signed are those that the vendor's current page signs.
fn headers(
    account: &Account,
    action: Action,
    host: String,
    body: &[u8],
    signed_at: Timestamp,
) -> Vec<(&'static str, HeaderText)> {
    let credentials = &account.credentials;
    let signed = [("content-type", CONTENT_TYPE), ("host", &host), ("x-tc-action", action.name())];
    let parts = RequestParts {
        method: "POST",
        query: "",
        service: action.service().name(),
        headers: &signed,
        payload: Payload::Signed(body),
    };
    let authorization = SecretString::from(sign(&parts, credentials, signed_at).authorization);
    let plain = |text: &str| HeaderText::Plain(text.to_owned());
    let mut headers = vec![
        ("Host", HeaderText::Plain(host)),
        ("Content-Type", plain(CONTENT_TYPE)),
        ("Authorization", HeaderText::Sensitive(authorization)),
        ("X-TC-Action", plain(action.name())),
        ("X-TC-Version", plain(action.version())),
        ("X-TC-Timestamp", HeaderText::Plain(signed_at.as_second().to_string())),
        ("X-TC-Region", plain(account.region.as_str())),
        ("X-TC-Language", plain("en-US")),
    ];
    if let Some(token) = &credentials.token {
        headers.push(("X-TC-Token", HeaderText::Sensitive(token.expose_secret().into())));
    }
    headers
}

#[cfg(test)]
mod tests;
