//! A create's token between the moment it was given out and the moment its call is sent.

use std::sync::Arc;

use tokio::time::Instant;

use super::RateLimits;
use crate::tencent::action::Action;
use crate::tencent::credentials::SecretId;
use crate::tencent::region::Region;

/// A token of [`RateLimits::take_ahead`] whose call is not sent yet. Dropped without being used, it leaves its slot to the next.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    pub(super) limits: Arc<RateLimits>,
    pub(super) secret_id: SecretId,
    pub(super) region: Region,
    pub(super) action: Action,
    /// When its token was due.
    pub(super) begun: Instant,
}

impl Permit {
    /// Waits for the moment at which the call may be sent: [`RateLimits::slot`].
    pub async fn slot(self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.begun);
        self.limits.with(&self.secret_id, &self.region, self.action, now, |bucket| bucket.lead.learn(took));
        self.limits.slot(&self.secret_id, &self.region, self.action).await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limits.with(&self.secret_id, &self.region, self.action, Instant::now(), |bucket| {
            bucket.ahead = bucket.ahead.saturating_sub(1);
        });
    }
}
