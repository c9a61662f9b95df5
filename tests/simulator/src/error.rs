//! An API error: the code and message of the envelope. Needs nothing; messages never repeat a value
//! that a caller sent, since it may be a secret.

use std::borrow::Cow;

/// What the cloud answers in `Response.Error` (with HTTP status 200, API page "common").
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The whole code, such as `InvalidParameterValue.ZoneMismatchRegion`.
    pub code: Cow<'static, str>,
    /// Text for people; clients must not parse it.
    pub message: String,
}

impl ApiError {
    /// An error from its code and text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// `MissingParameter` for the parameter or header `name`.
    pub(crate) fn missing(name: &str) -> Self {
        Self::new("MissingParameter", format!("The request is missing the required parameter `{name}`."))
    }

    /// `UnknownParameter` for the parameter `name`, written with dots where nested.
    pub(crate) fn unknown(name: &str) -> Self {
        Self::new("UnknownParameter", format!("The parameter `{name}` is not recognized."))
    }

    /// `InvalidParameterValue` for the parameter `name`.
    pub(crate) fn value(name: &str, rule: &str) -> Self {
        Self::new("InvalidParameterValue", format!("The value of the parameter `{name}` is not valid: {rule}."))
    }
}
