//! Opens the cloud's replies: `{"Response": {...}}` with an `Error` or without. Needs a whole reply; must never take
//! part of the body into an error, since it may echo what was sent.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::autoscaling::{CreatePaiInstanceReply, CreatedIds};
use super::client::Reply;
use super::errors::{ApiError, CallError, MAX_MESSAGE_BYTES, clean_code, clean_request_id, clean_text};
use super::lenient;
use super::redact::Redactor;
use super::transport::HttpResponse;

const OK: u16 = 200;

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Response")]
    response: T,
}

/// What every reply may hold. Read apart from the values, so that one bad value does not hide the error code.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head {
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, deserialize_with = "lenient::text")]
    request_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    deprecated_warning: Option<String>,
}

/// A reply whose head could be read.
struct Opened<'a> {
    response: &'a HttpResponse,
    request_id: Option<String>,
    deprecated: Option<String>,
    error: Option<Result<ApiError, &'static str>>,
}

impl<'a> Opened<'a> {
    fn new(response: &'a HttpResponse, redactor: &Redactor) -> Result<Self, CallError> {
        let head = match serde_json::from_slice::<Envelope<Head>>(&response.body) {
            Ok(envelope) => envelope.response,
            Err(error) => {
                return Err(CallError::Garbled {
                    status: response.status,
                    reason: shape(&error).to_owned(),
                    request_id: None,
                });
            }
        };
        let request_id = head.request_id.and_then(|id| clean_request_id(&id, redactor));
        let error = head.error.map(|error| api_error(&error, request_id.clone(), redactor));
        let deprecated = head.deprecated_warning.map(|text| clean_text(&text, MAX_MESSAGE_BYTES, redactor));
        Ok(Self { response, request_id, deprecated, error })
    }

    fn garbled(&self, reason: &str) -> CallError {
        CallError::Garbled {
            status: self.response.status,
            reason: reason.to_owned(),
            request_id: self.request_id.clone(),
        }
    }

    fn reply<T>(self, value: T) -> Reply<T> {
        Reply { value, request_id: self.request_id, cloud_time: self.response.date, deprecated: self.deprecated }
    }

    fn refused(self) -> Result<Self, CallError> {
        match self.error {
            None => Ok(self),
            Some(Ok(error)) => Err(CallError::Refused { error, cloud_time: self.response.date }),
            Some(Err(reason)) => Err(self.garbled(reason)),
        }
    }

    fn value<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        match serde_json::from_slice::<Envelope<T>>(&self.response.body) {
            Ok(envelope) => Ok(envelope.response),
            Err(error) => Err(self.garbled(shape(&error))),
        }
    }
}

/// Opens the reply of a call that can be judged by its error code: the body counts before the HTTP status, since
/// gateways answer with statuses of their own.
pub(super) fn open<T: DeserializeOwned>(response: &HttpResponse, redactor: &Redactor) -> Result<Reply<T>, CallError> {
    let opened = Opened::new(response, redactor)?.refused()?;
    if response.status != OK {
        return Err(opened.garbled("a success with a status other than 200"));
    }
    let value = opened.value()?;
    Ok(opened.reply(value))
}

/// Opens the reply of a create. Ids win over everything that stands beside them; a refusal counts only with status
/// 200, since any other came through something that is not the cloud.
pub(super) fn open_create(
    response: &HttpResponse,
    redactor: &Redactor,
) -> Result<Reply<CreatePaiInstanceReply>, CallError> {
    let opened = Opened::new(response, redactor)?;
    let value: CreatePaiInstanceReply = opened.value::<CreatedIds>()?.into();
    if !value.instance_ids.is_empty() {
        return Ok(opened.reply(value));
    }
    if response.status != OK {
        let reason = match &opened.error {
            Some(Ok(error)) => format!("a status other than 200 with the code {}", error.code),
            _ => "a status other than 200".to_owned(),
        };
        return Err(opened.garbled(&reason));
    }
    let opened = opened.refused()?;
    Ok(opened.reply(value))
}

fn api_error(error: &Value, request_id: Option<String>, redactor: &Redactor) -> Result<ApiError, &'static str> {
    let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
    let code = clean_code(text("Code"), redactor);
    if code.is_empty() {
        return Err("an error without a code");
    }
    let message = clean_text(text("Message"), MAX_MESSAGE_BYTES, redactor);
    Ok(ApiError { code, message, request_id })
}

/// What is wrong with a body, in words of ours: `serde_json`'s own may quote it.
fn shape(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the JSON ends early",
        serde_json::error::Category::Data => "the JSON is not the expected envelope",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "the body is not JSON",
    }
}

#[cfg(test)]
mod tests;
