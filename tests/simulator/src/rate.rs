//! Rate limits: calls per account, region and action in one-second windows. Needs the time handed in.

use crate::error::ApiError;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Calls counted in the current second of each (account, region, action).
#[derive(Debug, Default)]
pub(crate) struct Rates {
    windows: BTreeMap<(String, String, &'static str), (i64, u32)>,
}

impl Rates {
    /// Counts one call; refuses it beyond `limit` in this second. A refused call counts too.
    pub(crate) fn count(
        &mut self,
        owner: &str,
        region: &str,
        action: &'static str,
        limit: u32,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let second = now.as_second();
        let window = self.windows.entry((owner.to_owned(), region.to_owned(), action)).or_insert((second, 0));
        if window.0 != second {
            *window = (second, 0);
        }
        window.1 += 1;
        if window.1 <= limit {
            return Ok(());
        }
        Err(ApiError::new(
            "RequestLimitExceeded",
            format!("This is call {} of the action in this second; {limit} are allowed.", window.1),
        ))
    }
}
