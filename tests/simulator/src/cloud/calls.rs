//! One API call from request to answer: who is it, which action, is it within the limits, what goes wrong on the
//! way, and the journal entry. The actions themselves are in the modules beside this one.

use super::{Cloud, Event, LateCall};
use crate::authentication::{self, Authorization};
use crate::config::SystemDiskPolicy;
use crate::error::ApiError;
use crate::faults::{Effect, Plan, Twists, wait};
use crate::http::{Delivery, Handling, HttpRequest, HttpResponse};
use crate::journal::Call;
use crate::{parameters, region, schema};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// Largest query string of a GET, in bytes (vendor page "signature v3").
const MAX_QUERY: usize = 32 * 1024;
/// Largest body of a POST, in bytes (the same page).
const MAX_BODY: usize = 10 * 1024 * 1024;

/// The actions that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    DescribePai,
    Preview,
    Describe,
    Terminate,
}

impl Action {
    fn find(service: &str, name: &str) -> Option<Self> {
        match (service, name) {
            ("as", "CreatePaiInstance") => Some(Self::Create),
            ("as", "DescribePaiInstances") => Some(Self::DescribePai),
            ("as", "PreviewPaiDomainName") => Some(Self::Preview),
            ("cvm", "DescribeInstances") => Some(Self::Describe),
            ("cvm", "TerminateInstances") => Some(Self::Terminate),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "CreatePaiInstance",
            Self::DescribePai => "DescribePaiInstances",
            Self::Preview => "PreviewPaiDomainName",
            Self::Describe => "DescribeInstances",
            Self::Terminate => "TerminateInstances",
        }
    }

    /// Calls a second (API pages of the actions).
    fn limit(self) -> u32 {
        match self {
            Self::Create | Self::DescribePai | Self::Preview => 20,
            Self::Describe => 40,
            Self::Terminate => 10,
        }
    }
}

/// A call that passed the door: known caller, known action, within the limits.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) owner: String,
    pub(crate) region: String,
    action: Action,
    timestamp: i64,
    /// Typed parameters, or what is wrong with them.
    parameters: Result<Map<String, Value>, ApiError>,
}

/// What an action answers: the fields beside `RequestId`, and the machines it made.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) fields: Map<String, Value>,
    pub(crate) created: Vec<String>,
}

type Outcome = Result<Done, ApiError>;

impl Cloud {
    /// Answers one request to the API at the time `now`.
    pub fn handle(&mut self, request: &HttpRequest, now: Timestamp) -> Handling {
        self.advance(now);
        let request_id = self.uuid();
        let mut call = claimed(request, &request_id, now);
        let handling = match self.admit(request, now) {
            Err(error) => {
                call.outcome = error.code.clone().into_owned();
                sent(HttpResponse::failure(&error, &request_id, now))
            }
            Ok(admitted) => {
                if let Ok(parameters) = &admitted.parameters {
                    call.parameters = Value::Object(parameters.clone());
                }
                let plan = self.faults.plan(admitted.action.name());
                if let Some(Effect::Late { seconds }) = plan.delivery {
                    "late".clone_into(&mut call.outcome);
                    let seq = self.journal.add(call);
                    let late = LateCall { admitted, twists: plan.twists, seq };
                    self.schedule(wait(seconds), Event::Late(Box::new(late)));
                    return self.delayed(by(Delivery::Close, gateway(502, String::new(), now)));
                }
                self.spoil(&admitted, plan, &mut call, now)
            }
        };
        self.journal.add(call);
        self.delayed(handling)
    }

    fn delayed(&self, handling: Handling) -> Handling {
        Handling { latency: self.config.latency, ..handling }
    }

    /// The checks at the door, in our order: form, signature, product, version, action, region, rate.
    fn admit(&mut self, request: &HttpRequest, now: Timestamp) -> Result<Admitted, ApiError> {
        check_form(request)?;
        let caller = authentication::verify(request, &self.config.accounts, now)?;
        let action = find_action(request, &caller.service)?;
        let region = header(request, "x-tc-region", "Region")?;
        region::check(region, request.header("host").unwrap_or_default())?;
        if self.config.rate_limits {
            let limit = action.limit();
            self.rates.count(&caller.owner, region, action.name(), limit, now)?;
        }
        Ok(Admitted {
            owner: caller.owner,
            region: region.to_owned(),
            action,
            timestamp: caller.timestamp,
            parameters: parameters::read(request)
                .and_then(|(sent, form)| schema::check(&self.fields(action), &sent, form)),
        })
    }

    fn fields(&self, action: Action) -> Vec<schema::Field> {
        match action {
            Action::Create => {
                let mut fields = schema::CREATE.to_vec();
                if self.config.system_disk == SystemDiskPolicy::Accept {
                    fields.push(schema::SYSTEM_DISK);
                }
                fields
            }
            Action::DescribePai | Action::Describe => schema::DESCRIBE.to_vec(),
            Action::Preview => schema::PREVIEW.to_vec(),
            Action::Terminate => schema::TERMINATE.to_vec(),
        }
    }

    fn execute(&mut self, admitted: &Admitted, twists: &Twists) -> Outcome {
        let parameters = admitted.parameters.clone()?;
        match admitted.action {
            Action::Create => self.create(admitted, &parameters, twists),
            Action::DescribePai => self.describe_pai(admitted, &parameters, twists),
            Action::Preview => self.preview(&parameters),
            Action::Describe => self.describe(admitted, &parameters, twists),
            Action::Terminate => self.terminate(admitted, &parameters),
        }
    }

    /// Carries the call out if the plan lets it, notes it, and delivers the answer as the plan says.
    fn spoil(&mut self, admitted: &Admitted, plan: Plan, call: &mut Call, now: Timestamp) -> Handling {
        let commit = plan.delivery.as_ref().is_none_or(Effect::commits);
        let outcome = commit.then(|| self.execute(admitted, &plan.twists));
        call.outcome = match (&plan.delivery, &outcome) {
            (Some(Effect::Error { code, .. }), _) => code.clone(),
            (Some(effect), _) => effect.kind().to_owned(),
            (None, Some(Err(error))) => error.code.clone().into_owned(),
            (None, _) => "ok".to_owned(),
        };
        if let Some(Ok(done)) = &outcome {
            call.created.clone_from(&done.created);
        }
        let id = &call.request_id;
        let response = match outcome {
            Some(Ok(done)) => HttpResponse::success(done.fields, id, now),
            Some(Err(error)) => HttpResponse::failure(&error, id, now),
            // Seen by nobody but the one who gets half of it.
            None => HttpResponse::failure(&ApiError::new("InternalError", "An internal error has occurred."), id, now),
        };
        deliver(plan.delivery, response, id, now)
    }

    pub(super) fn carry_out_late(&mut self, call: &LateCall, due: Timestamp) {
        if authentication::expired(call.admitted.timestamp, due) {
            return;
        }
        if let Ok(done) = self.execute(&call.admitted, &call.twists) {
            self.journal.created_late(call.seq, done.created);
        }
    }
}

fn check_form(request: &HttpRequest) -> Result<(), ApiError> {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(ApiError::new("UnsupportedProtocol", "Only GET and POST are supported."));
    }
    if request.query.len() > MAX_QUERY || request.body.len() > MAX_BODY {
        return Err(ApiError::new("RequestSizeLimitExceeded", "The request is too large."));
    }
    Ok(())
}

/// The action that the headers name, in the version that its service has.
fn find_action(request: &HttpRequest, service: &str) -> Result<Action, ApiError> {
    let version = match service {
        "as" => "2018-04-19",
        "cvm" => "2017-03-12",
        _ => {
            return Err(ApiError::new("NoSuchProduct", "The service of the credential scope does not exist."));
        }
    };
    let name = header(request, "x-tc-action", "Action")?;
    if header(request, "x-tc-version", "Version")? != version {
        return Err(ApiError::new("NoSuchVersion", "The version of the API does not exist."));
    }
    Action::find(service, name)
        .ok_or_else(|| ApiError::new("InvalidAction", "The action does not exist in this version."))
}

/// A header that must be there; the error calls it by the name of its common parameter.
fn header<'a>(request: &'a HttpRequest, name: &str, field: &str) -> Result<&'a str, ApiError> {
    request.header(name).ok_or_else(|| ApiError::missing(field))
}

/// The journal entry from what the request claims, before anything is checked.
fn claimed(request: &HttpRequest, request_id: &str, now: Timestamp) -> Call {
    let header = |name| request.header(name).unwrap_or_default().to_owned();
    let scope = request.header("authorization").and_then(Authorization::parse);
    Call {
        seq: 0,
        time: now,
        service: scope.as_ref().map_or("", |scope| scope.service).to_owned(),
        action: header("x-tc-action"),
        version: header("x-tc-version"),
        region: header("x-tc-region"),
        secret_id: scope.as_ref().map_or("", |scope| scope.secret_id).to_owned(),
        request_id: request_id.to_owned(),
        parameters: parameters::read(request).map_or(Value::Null, |(sent, _)| Value::Object(sent)),
        outcome: String::new(),
        created: Vec::new(),
    }
}

/// What the client gets in place of `response`, or how it gets it.
fn deliver(effect: Option<Effect>, response: HttpResponse, request_id: &str, now: Timestamp) -> Handling {
    match effect {
        Some(Effect::Error { code, message, .. }) => {
            let error = ApiError::new(code, message);
            sent(HttpResponse::failure(&error, request_id, now))
        }
        Some(Effect::Status { status, body, .. }) => sent(gateway(status, body, now)),
        Some(Effect::Drop { .. }) => by(Delivery::Close, response),
        Some(Effect::Stall { seconds, commit }) if commit => by(Delivery::SendAfter(wait(seconds)), response),
        Some(Effect::Stall { seconds, .. }) => by(Delivery::CloseAfter(wait(seconds)), response),
        Some(Effect::Truncate { .. }) => by(Delivery::Truncate(response.body.len() / 2), response),
        Some(Effect::Drip { seconds }) => by(Delivery::Drip(wait(seconds)), response),
        // The other effects change what the action does, not how it is answered.
        _ => sent(response),
    }
}

fn sent(response: HttpResponse) -> Handling {
    by(Delivery::Send, response)
}

fn by(delivery: Delivery, response: HttpResponse) -> Handling {
    Handling { response, latency: Duration::ZERO, delivery }
}

/// An answer that does not come from the API itself.
fn gateway(status: u16, body: String, now: Timestamp) -> HttpResponse {
    let json = serde_json::from_str::<Map<String, Value>>(&body).is_ok();
    let content_type = if json { "application/json" } else { "text/html" };
    HttpResponse::new(status, content_type, body.into_bytes(), now)
}
