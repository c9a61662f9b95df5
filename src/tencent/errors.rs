//! What can come of a call other than its reply. Needs the secrets of the call, to cut them out; must not carry any
//! text of the cloud that is not cleaned and bounded.

use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use super::redact::Redactor;

pub use super::classes::{Class, classify};
pub use super::verdict::{CreateVerdict, create_verdict};

/// Longest error code that is kept, in bytes. Source: our choice; the longest known code has 75.
pub const MAX_CODE_BYTES: usize = 128;
/// Longest message that is kept, in bytes. Source: our choice; it must fit into an Event's 1024 bytes with room.
pub const MAX_MESSAGE_BYTES: usize = 512;
/// Longest request id that is kept, in bytes. Source: our choice; the cloud's are UUIDs of 36.
pub const MAX_REQUEST_ID_BYTES: usize = 64;

/// How much of a text is looked at before secrets are cut out, in bytes: a bound on work for hostile replies.
const MAX_LOOKED_AT: usize = 16 * 1024;
/// What is dropped from the end of a text that was cut there: the cut may have split a secret.
const SPLIT_SECRET: usize = 64;

/// A refusal in the cloud's envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The code, for [`classify`]; at most [`MAX_CODE_BYTES`], visible ASCII only (anything else became `?`).
    pub code: String,
    /// The cloud's words, for people: without the secrets of the call and without control characters, at most
    /// [`MAX_MESSAGE_BYTES`]. Never parse it.
    pub message: String,
    /// For the vendor's support; at most [`MAX_REQUEST_ID_BYTES`].
    pub request_id: Option<String>,
}

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// No byte of the request left this process.
    #[error("the request was not sent: {reason}")]
    NotSent {
        /// Why.
        reason: String,
    },
    /// Our own rate limit: nothing was sent.
    #[error("the request was not sent: the rate limit allows it in {} ms", retry_after.as_millis())]
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// The cloud said no.
    #[error("the cloud refused: {error}")]
    Refused {
        /// Its words.
        error: ApiError,
        /// Its clock (`Date` header).
        cloud_time: Option<Timestamp>,
    },
    /// Something may have been sent, and no whole answer came.
    #[error("no answer: {reason}")]
    NoAnswer {
        /// Why.
        reason: String,
    },
    /// An answer came that is not in the cloud's envelope, or contradicts itself.
    #[error("the answer (HTTP status {status}) cannot be understood: {reason}")]
    Garbled {
        /// HTTP status.
        status: u16,
        /// What is wrong with it; no part of the body.
        reason: String,
        /// For the vendor's support, if it could be read.
        request_id: Option<String>,
    },
}

impl CallError {
    /// The cloud's error code, if there is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => Some(&error.code),
            _ => None,
        }
    }

    /// The cloud's request id, if there is one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { error, .. } => error.request_id.as_deref(),
            Self::Garbled { request_id, .. } => request_id.as_deref(),
            _ => None,
        }
    }

    /// Whether the cloud refused the call because there were too many.
    pub fn is_throttled(&self) -> bool {
        self.code().is_some_and(|code| code.starts_with("RequestLimitExceeded"))
    }

    /// A label for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not_sent",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::NoAnswer { .. } => "no_answer",
            Self::Garbled { .. } => "garbled",
        }
    }
}

/// An error code as it may be shown and compared. Odd characters are replaced, not removed, so that no odd text turns
/// into a code that we know.
pub(super) fn clean_code(code: &str, redactor: &Redactor) -> String {
    let redacted = redactor.redact(cut(code, MAX_LOOKED_AT));
    let visible: String = redacted.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
    cut(&redactor.redact(&visible), MAX_CODE_BYTES).to_owned()
}

/// Text of the cloud as it may be shown: one line without the call's secrets, cut to `limit` bytes. Secrets are cut
/// out both before and after control characters are: either may hide one.
pub(super) fn clean_text(text: &str, limit: usize, redactor: &Redactor) -> String {
    let looked_at = cut(text, MAX_LOOKED_AT);
    let redacted = redactor.redact(looked_at);
    let visible: String = redacted.chars().filter(|&c| !is_invisible(c)).collect();
    let redacted = redactor.redact(&visible);
    let kept = if looked_at.len() < text.len() {
        cut(&redacted, redacted.len().saturating_sub(SPLIT_SECRET))
    } else {
        &redacted
    };
    cut(kept.trim(), limit).to_owned()
}

/// A request id as it may be shown.
pub(super) fn clean_request_id(text: &str, redactor: &Redactor) -> Option<String> {
    let id = clean_text(text, MAX_REQUEST_ID_BYTES, redactor);
    (!id.is_empty()).then_some(id)
}

/// Control characters, line separators and marks that turn the direction of text: they would forge log lines and
/// hide what follows.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The beginning of the text, at most `limit` bytes, whole characters only.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cleaned_redacted_and_bounded() {
        let mut redactor = Redactor::default();
        redactor.add("PAI@Test123");
        let filler = "x".repeat(MAX_LOOKED_AT - 5);
        let drowned = "PAI@Test123".repeat(2000);
        let rows = [
            ("plain text", "plain text".to_owned()),
            ("支付 is wrong", "支付 is wrong".to_owned()),
            ("two\r\nlines\u{1b}[31m\u{202e}", "twolines[31m".to_owned()),
            ("the password PAI@Test123 is weak", "the password [redacted] is weak".to_owned()),
            ("split PAI@\nTest123", "split [redacted]".to_owned()),
            (filler.as_str(), "x".repeat(MAX_MESSAGE_BYTES)),
            (drowned.as_str(), String::new()),
            ("", String::new()),
        ];
        for (text, expected) in rows {
            let cleaned = clean_text(text, MAX_MESSAGE_BYTES, &redactor);
            assert_eq!(cleaned, expected, "{:?}", cut(text, 80));
        }
        let wide = clean_text(&"支".repeat(400), MAX_MESSAGE_BYTES, &redactor);
        assert_eq!(wide.len(), MAX_MESSAGE_BYTES / 3 * 3);
    }

    #[test]
    fn no_odd_text_becomes_a_known_code() {
        let redactor = Redactor::default();
        let rows = [
            ("InternalError.CallCnsError", "InternalError.CallCnsError"),
            ("Auth\u{0}Failure", "Auth?Failure"),
            (" InvalidAction", "?InvalidAction"),
            ("ActionOffline\u{200b}", "ActionOffline?"),
        ];
        for (code, expected) in rows {
            assert_eq!(clean_code(code, &redactor), expected);
        }
        assert_eq!(clean_code(&"A".repeat(500), &redactor).len(), MAX_CODE_BYTES);
    }
}
