//! HTTP as data: the request that came in, the answer, and how the answer is to be delivered. Does no IO.

use crate::error::ApiError;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A request, whole.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    /// `GET` or `POST`, upper case.
    pub method: String,
    /// Path without the query, `/` for the API.
    pub path: String,
    /// Text after the question mark exactly as sent, without it.
    pub query: String,
    /// Headers as sent, `Host` included.
    pub headers: Vec<(String, String)>,
    /// Body exactly as sent.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// Value of the first header of that name, in any case, without blanks around it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// HTTP status; 200 for API errors too.
    pub status: u16,
    /// Headers, `Date` always among them.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn new(status: u16, content_type: &str, body: Vec<u8>, now: Timestamp) -> Self {
        Self {
            status,
            headers: vec![("Date".to_owned(), http_date(now)), ("Content-Type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    pub(crate) fn json(status: u16, body: &Value, now: Timestamp) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes(), now)
    }

    /// The envelope of a success: the fields beside `RequestId`.
    pub(crate) fn success(mut fields: Map<String, Value>, request_id: &str, now: Timestamp) -> Self {
        fields.insert("RequestId".to_owned(), request_id.into());
        // Moved: what `json!` is given it copies, and a page of machines is large.
        let envelope = Map::from_iter([("Response".to_owned(), Value::Object(fields))]);
        Self::json(200, &Value::Object(envelope), now)
    }

    /// The envelope of a failure, HTTP status 200 (API page "common").
    pub(crate) fn failure(error: &ApiError, request_id: &str, now: Timestamp) -> Self {
        Self::json(
            200,
            &json!({"Response": {
                "Error": {"Code": error.code, "Message": error.message},
                "RequestId": request_id,
            }}),
            now,
        )
    }
}

/// What happens to the answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is sent.
    Send,
    /// The connection is closed without a byte of an answer.
    Close,
    /// The same, after a wait.
    CloseAfter(Duration),
    /// It is sent after a wait.
    SendAfter(Duration),
    /// Headers with the full length and this many bytes of the body are sent, then the connection is closed.
    Truncate(usize),
    /// Headers at once, then the body byte by byte, evenly over this time.
    Drip(Duration),
}

/// The answer to one request and how to deliver it. Whoever carries it out needs no other knowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handling {
    /// The answer; to be ignored where the delivery closes the connection.
    pub response: HttpResponse,
    /// To be waited before anything else, the configured latency.
    pub latency: Duration,
    /// How it is delivered.
    pub delivery: Delivery,
}

/// IMF-fixdate (RFC 9110, 5.6.7), the form of the `Date` header.
pub(crate) fn http_date(now: Timestamp) -> String {
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// RFC 3339 in whole seconds with `Z`, as CVM writes times.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
