//! Whether calls are answered: where the cloud has fallen silent, only some calls wait for it at a time, since each waits for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::RateLimits;
use crate::tencent::action::Action;
use crate::tencent::credentials::SecretId;
use crate::tencent::region::Region;

/// For how long calls are under way and none is answered until the cloud counts as silent. Source: our choice: longer than any answer that
/// we measured, and a tenth of a call's deadline.
const SILENT: Duration = Duration::from_secs(2);

/// Calls that wait at a time where the cloud is silent. Source: our choice: they find out that it answers again; every other pass of the
/// account ends at once instead of waiting as long.
const MOST_WAITING: usize = 8;

/// The calls of one key that are under way.
#[derive(Debug, Default)]
pub struct Pulse {
    waiting: usize,
    /// Since when calls are under way without an answer to any.
    silent_since: Option<Instant>,
}

impl Pulse {
    fn begin(&mut self, now: Instant) {
        self.waiting += 1;
        self.silent_since.get_or_insert(now);
    }

    fn answered(&mut self, now: Instant) {
        // Whoever still waits counts from here on: what is answered slowly is not silent.
        self.silent_since = Some(now);
    }

    fn end(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            // Whether it is silent still only the next call can say.
            self.silent_since = None;
        }
    }

    fn takes_one_more(&self, now: Instant) -> bool {
        let is_silent = self.silent_since.is_some_and(|since| now.duration_since(since) >= SILENT);
        !is_silent || self.waiting < MOST_WAITING
    }
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay {
    limits: Arc<RateLimits>,
    secret_id: SecretId,
    region: Region,
    action: Action,
}

impl UnderWay {
    /// The cloud answered, whatever it said.
    pub fn answered(&self) {
        let now = Instant::now();
        self.limits.with(&self.secret_id, &self.region, self.action, now, |bucket| bucket.pulse.answered(now));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = Instant::now();
        self.limits.with(&self.secret_id, &self.region, self.action, now, |bucket| bucket.pulse.end());
    }
}

impl RateLimits {
    /// Notes that a call begins.
    pub fn begin(self: &Arc<Self>, secret_id: &SecretId, region: &Region, action: Action) -> UnderWay {
        let now = Instant::now();
        self.with(secret_id, region, action, now, |bucket| bucket.pulse.begin(now));
        UnderWay { limits: Arc::clone(self), secret_id: secret_id.clone(), region: region.clone(), action }
    }

    /// Whether one more call may wait for its answer: always, unless none of those under way has been answered for a while.
    pub fn takes_one_more(&self, secret_id: &SecretId, region: &Region, action: Action) -> bool {
        let now = Instant::now();
        self.with(secret_id, region, action, now, |bucket| bucket.pulse.takes_one_more(now))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::tencent::Account;

    const READ: Action = Action::DescribeInstances;

    fn takes_one_more(limits: &RateLimits, account: &Account) -> bool {
        limits.takes_one_more(&account.credentials.secret_id, &account.region, READ)
    }

    fn begin(limits: &Arc<RateLimits>, account: &Account, count: usize) -> Vec<UnderWay> {
        (0..count).map(|_| limits.begin(&account.credentials.secret_id, &account.region, READ)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_answered_only_some_wait() {
        let (limits, ours) = (Arc::new(RateLimits::default()), Account::of_test("AKIDa"));
        let mut calls = begin(&limits, &ours, MOST_WAITING + 20);
        assert!(takes_one_more(&limits, &ours), "they were sent just now");
        advance(SILENT).await;
        assert!(!takes_one_more(&limits, &ours));
        assert!(takes_one_more(&limits, &Account::of_test("AKIDb")), "another account is another matter");
        calls.truncate(MOST_WAITING);
        assert!(!takes_one_more(&limits, &ours), "as many as may wait do");
        calls.truncate(MOST_WAITING - 1);
        assert!(takes_one_more(&limits, &ours), "one gave up");
        calls.extend(begin(&limits, &ours, 1));
        assert!(!takes_one_more(&limits, &ours), "and nothing was answered meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_says_that_it_is_well() {
        let (limits, ours) = (Arc::new(RateLimits::default()), Account::of_test("AKIDa"));
        let calls = begin(&limits, &ours, MOST_WAITING + 1);
        advance(SILENT).await;
        calls[0].answered();
        assert!(takes_one_more(&limits, &ours));
        advance(SILENT).await;
        assert!(!takes_one_more(&limits, &ours), "the others wait still");
        drop(calls);
        let calls = begin(&limits, &ours, MOST_WAITING + 1);
        assert!(takes_one_more(&limits, &ours), "nobody waited in between");
        drop(calls);
    }
}
