//! Whether calls are answered: where the cloud has fallen silent, only some calls wait for it at a time, since each waits for long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::RateLimits;
use crate::tencent::action::Action;
use crate::tencent::credentials::SecretId;
use crate::tencent::errors::CallError;
use crate::tencent::region::Region;

/// For how long some calls are under way and none is answered until the cloud counts as silent. Source: our choice: longer than any answer
/// that we measured, and a tenth of a call's deadline.
const SILENT: Duration = Duration::from_secs(2);

/// Calls that must wait for so long: one or two may hang where the cloud is well.
const HANGING: usize = 4;

/// Calls that wait at a time where the cloud is silent. Source: our choice: every other pass of the account ends at once instead of waiting
/// as long.
const MOST_WAITING: usize = 8;

/// The calls of one key that are under way.
#[derive(Debug, Default)]
pub struct Pulse {
    /// When each of them began, in that order.
    waiting: BTreeMap<u64, Instant>,
    begun: u64,
    /// When one was answered last.
    answered: Option<Instant>,
    /// When one more was let through last, to find out whether it is answered.
    tried: Option<Instant>,
    /// What came of the last one that was not answered, until one is.
    last_failure: Option<CallError>,
}

impl Pulse {
    fn begin(&mut self, now: Instant) -> u64 {
        self.begun += 1;
        self.waiting.insert(self.begun, now);
        self.begun
    }

    fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
        self.last_failure = None;
    }

    fn is_silent(&self, now: Instant) -> bool {
        let is_long_ago = |then: Instant| now.duration_since(then) >= SILENT;
        let hanging = self.waiting.values().take_while(|begun| is_long_ago(**begun)).count();
        hanging >= HANGING && self.answered.is_none_or(is_long_ago)
    }

    fn take_one_more(&mut self, now: Instant) -> Result<(), CallError> {
        if self.waiting.len() < MOST_WAITING || !self.is_silent(now) {
            return Ok(());
        }
        // Those that hang may be all that is wrong.
        if self.tried.is_none_or(|tried| now.duration_since(tried) >= SILENT) {
            self.tried = Some(now);
            return Ok(());
        }
        let nothing_yet = || CallError::NotSent { reason: "the calls before it are not answered".to_owned() };
        Err(self.last_failure.clone().unwrap_or_else(nothing_yet))
    }
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay {
    limits: Arc<RateLimits>,
    secret_id: SecretId,
    region: Region,
    action: Action,
    number: u64,
}

impl UnderWay {
    /// The cloud answered, whatever it said.
    pub fn answered(&self) {
        let now = Instant::now();
        self.limits.with(&self.secret_id, &self.region, self.action, now, |bucket| bucket.pulse.answered(now));
    }

    /// It was not.
    pub fn failed(&self, error: &CallError) {
        let now = Instant::now();
        self.limits.with(&self.secret_id, &self.region, self.action, now, |bucket| {
            bucket.pulse.last_failure = Some(error.clone());
        });
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = Instant::now();
        self.limits
            .with(&self.secret_id, &self.region, self.action, now, |bucket| bucket.pulse.waiting.remove(&self.number));
    }
}

impl RateLimits {
    /// Notes that a call begins.
    pub fn begin(self: &Arc<Self>, secret_id: &SecretId, region: &Region, action: Action) -> UnderWay {
        let now = Instant::now();
        let number = self.with(secret_id, region, action, now, |bucket| bucket.pulse.begin(now));
        UnderWay { limits: Arc::clone(self), secret_id: secret_id.clone(), region: region.clone(), action, number }
    }

    /// Whether one more call may wait for its answer: always, unless some have waited for a while and none was answered meanwhile. Then one
    /// is let through every two seconds, and the others fail as the last one did, with the same words, so that a status that tells of it is
    /// not written again and again.
    pub fn take_one_more(&self, secret_id: &SecretId, region: &Region, action: Action) -> Result<(), CallError> {
        let now = Instant::now();
        self.with(secret_id, region, action, now, |bucket| bucket.pulse.take_one_more(now))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::tencent::Account;

    const READ: Action = Action::DescribeInstances;

    fn takes_one_more(limits: &RateLimits, account: &Account) -> bool {
        limits.take_one_more(&account.credentials.secret_id, &account.region, READ).is_ok()
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
        assert!(takes_one_more(&limits, &ours), "one finds out whether it is answered");
        assert!(!takes_one_more(&limits, &ours));
        assert!(takes_one_more(&limits, &Account::of_test("AKIDb")), "another account is another matter");
        calls.truncate(MOST_WAITING);
        assert!(!takes_one_more(&limits, &ours), "as many as may wait do");
        calls.truncate(MOST_WAITING - 1);
        assert!(takes_one_more(&limits, &ours), "one gave up");
        calls.extend(begin(&limits, &ours, 1));
        assert!(!takes_one_more(&limits, &ours), "and nothing was answered meanwhile");
        advance(SILENT).await;
        assert!(takes_one_more(&limits, &ours), "the next one finds out");
        assert!(!takes_one_more(&limits, &ours));
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_in_two_seconds_says_that_it_is_well() {
        let (limits, ours) = (Arc::new(RateLimits::default()), Account::of_test("AKIDa"));
        let calls = begin(&limits, &ours, MOST_WAITING + 1);
        advance(SILENT).await;
        calls[0].answered();
        assert!((0..9).all(|_| takes_one_more(&limits, &ours)));
        advance(SILENT).await;
        assert!(takes_one_more(&limits, &ours) && !takes_one_more(&limits, &ours), "the others wait still");
    }

    /// They hang at machines at which the cloud breaks.
    #[tokio::test(start_paused = true)]
    async fn a_few_calls_that_hang_hold_up_no_burst() {
        let (limits, ours) = (Arc::new(RateLimits::default()), Account::of_test("AKIDa"));
        let _hanging = begin(&limits, &ours, HANGING - 1);
        advance(3 * SILENT).await;
        let _burst = begin(&limits, &ours, MOST_WAITING);
        assert!((0..9).all(|_| takes_one_more(&limits, &ours)));
    }
}
