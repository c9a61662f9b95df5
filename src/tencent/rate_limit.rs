//! Keeps calls below the cloud's documented rates, per key pair, region and action. Needs tokio's clock, so that tests
//! can stop it; must not send more in a second than the cloud takes, which counts in windows of one second.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::action::Action;
use super::credentials::SecretId;
use super::region::Region;

mod lead;
mod permit;
mod pulse;
mod urgent;

use lead::Lead;
pub use permit::Permit;
use pulse::Pulse;
use urgent::{Place, Urgent};

/// Share of the documented rate that is used, in percent: 19.8 of 20 calls a second, as many as [`WINDOW`] lets through.
const SHARE_PERCENT: u64 = 99;
/// How early a call may come, for timers that wake on whole milliseconds, and how much of their delay is made up for in routine work. Well below the 10 ms to spare.
const TOLERANCE: Duration = Duration::from_millis(5);
/// In how long the cloud counts calls, with some to spare for ways of unequal length: no more than its rate are sent in it.
const WINDOW: Duration = Duration::from_millis(1010);
/// For how long tokens for creates that nobody came for are kept, so that what a stall of the API server held up is made up for. Longer
/// is of no use: what the cloud did not get in its second it never will.
const KEPT: Duration = Duration::from_secs(1);
/// Pause after the cloud said that there were too many calls: it counts in windows of one second.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the rate is halved at most: to an eighth.
const MAX_HALVINGS: u32 = 3;
/// After this long without another refusal the rate doubles again.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long routine work lets others go first. Source: our choice: short against the interval of a sweep.
const PATIENCE: Duration = Duration::from_secs(1);
/// How far ahead callers that were turned away are spread out; more of them share the first place again.
const SPREAD: Duration = Duration::from_mins(1);
/// A key that was not used for this long is forgotten; by then a throttled one has recovered.
const FORGET: Duration = Duration::from_mins(10);

/// How a read comes to its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The caller has it already.
    Taken,
    /// It is waited for, after those who asked before.
    InLine,
}

/// The limits of one process, shared by all its workers.
#[derive(Debug, Default)]
pub struct RateLimits {
    /// Calls a second, where they are other than documented.
    rates: HashMap<Action, u32>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<(SecretId, Region, Action), Bucket>,
    swept: Option<Instant>,
}

impl RateLimits {
    /// Limits with other rates than the documented ones for some actions, in calls a second.
    pub fn with_rates(rates: impl IntoIterator<Item = (Action, u32)>) -> Self {
        Self { rates: rates.into_iter().collect(), state: Mutex::default() }
    }

    /// Takes a token that is due, or says when to come back. Nothing is reserved: callers that are turned away are
    /// given different times, one interval apart, so that they do not all come back at once.
    pub fn try_take(
        &self,
        secret_id: &SecretId,
        region: &Region,
        action: Action,
        now: Instant,
    ) -> Result<(), Duration> {
        self.with(secret_id, region, action, now, |bucket| bucket.try_take(now))
    }

    /// Takes the next token and waits for it, unless that would last longer than `longest`: then says how long.
    pub async fn take(
        &self,
        secret_id: &SecretId,
        region: &Region,
        action: Action,
        longest: Duration,
    ) -> Result<(), Duration> {
        let now = Instant::now();
        let due = self.with(secret_id, region, action, now, |bucket| bucket.reserve(now, longest))?;
        if due > now {
            sleep_until(due).await;
        }
        Ok(())
    }

    /// Takes a token that nobody else waits for: routine work goes behind all who call [`RateLimits::take`], but not for longer than
    /// [`PATIENCE`], after which it stands in line as they do.
    pub async fn take_behind(&self, secret_id: &SecretId, region: &Region, action: Action) {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            let patient = now.duration_since(begun) < PATIENCE;
            let due = self.with(secret_id, region, action, now, |bucket| {
                if patient { bucket.free(now) } else { bucket.reserve(now, Duration::MAX) }
            });
            match due {
                Ok(due) => return sleep_until(due).await,
                Err(wait) => sleep_until(now + wait).await,
            }
        }
    }

    /// How a call for which a person waits goes before most others: with a token that is kept for such, or in a line that is short. Waits for
    /// a kept one for at most 0.4 s, unless another such call comes meanwhile; `None` says that there is no way past the others.
    pub async fn take_urgent(&self, secret_id: &SecretId, region: &Region, action: Action) -> Option<Turn> {
        let now = Instant::now();
        let mut place = match self.with(secret_id, region, action, now, |bucket| bucket.urgent(now)) {
            Ok(turn) => return Some(turn),
            Err(place) => place?,
        };
        while timeout_at(place.until, &mut place.lost).await.is_err() {
            let now = Instant::now();
            if self.with(secret_id, region, action, now, |bucket| bucket.end_wait(&mut place, now))? {
                return Some(Turn::Taken);
            }
        }
        None
    }

    /// Takes the next token for a call that needs a while until it can be sent, and waits for it, unless that would last longer than
    /// `longest`: then says how long. The call is sent when its permit's slot has come.
    pub async fn take_ahead(
        self: &Arc<Self>,
        secret_id: &SecretId,
        region: &Region,
        action: Action,
        longest: Duration,
    ) -> Result<Permit, Duration> {
        let now = Instant::now();
        let due = self.with(secret_id, region, action, now, |bucket| bucket.reserve_ahead(now, longest))?;
        // From here on it counts, even if the caller goes away while it waits.
        let (limits, secret_id, region) = (Arc::clone(self), secret_id.clone(), region.clone());
        let permit = Permit { limits, secret_id, region, action, begun: due };
        if due > now {
            sleep_until(due).await;
        }
        Ok(permit)
    }

    /// Waits until one more call can be sent without the cloud counting too many. To be asked at the last moment: between its token and
    /// its first byte a call may be held up, and would then come together with the ones after it. Who asks first goes first: a create that
    /// others overtook again and again would not be sent at all, its signature being too old.
    pub async fn slot(&self, secret_id: &SecretId, region: &Region, action: Action) {
        let line = self.with(secret_id, region, action, Instant::now(), |bucket| Arc::clone(&bucket.line));
        let _first = line.lock().await;
        loop {
            let now = Instant::now();
            match self.with(secret_id, region, action, now, |bucket| bucket.slot(now)) {
                Ok(()) => return,
                Err(free_at) => sleep_until(free_at).await,
            }
        }
    }

    /// Whether a call would have to wait for no more than the next token: nobody but routine and urgent work is before it.
    pub fn has_room(&self, secret_id: &SecretId, region: &Region, action: Action) -> bool {
        let now = Instant::now();
        self.with(secret_id, region, action, now, |bucket| bucket.has_room(now))
    }

    /// The cloud answered `RequestLimitExceeded*`: pause for a second, then go on at half the rate, recovering step by
    /// step.
    pub fn throttled(&self, secret_id: &SecretId, region: &Region, action: Action, now: Instant) {
        self.with(secret_id, region, action, now, |bucket| {
            bucket.throttled(now);
        });
    }

    fn with<T>(
        &self,
        secret_id: &SecretId,
        region: &Region,
        action: Action,
        now: Instant,
        use_bucket: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.swept.is_none_or(|swept| now.duration_since(swept) > FORGET) {
            state.buckets.retain(|_, bucket| now.duration_since(bucket.due) <= FORGET);
            state.swept = Some(now);
        }
        let key = (secret_id.clone(), region.clone(), action);
        use_bucket(state.buckets.entry(key).or_insert_with(|| {
            let rate = self.rates.get(&action).copied().unwrap_or(action.documented_rate());
            Bucket::new(rate, now)
        }))
    }
}

/// Tokens of one key, evenly spaced.
#[derive(Debug)]
struct Bucket {
    /// Between two calls at the full rate.
    interval: Duration,
    /// Calls a second at the full rate.
    rate: usize,
    /// When the last calls were sent, as many as the rate, the oldest first.
    sent: VecDeque<Instant>,
    /// Who has its slot before the others: a fair lock, which is handed on in the order in which it was asked for.
    line: Arc<tokio::sync::Mutex<()>>,
    /// Tokens that were given out ahead of a slot that is not taken yet.
    ahead: usize,
    /// How long before its slot the next of them is given out.
    lead: Lead,
    /// When the next token is due.
    due: Instant,
    /// What goes before all others.
    urgent: Urgent,
    /// Whether its calls are answered.
    pulse: Pulse,
    /// The last time that was given to a caller who was turned away.
    promised: Instant,
    /// How often the rate was halved, as of `throttled_at`.
    halvings: u32,
    throttled_at: Instant,
}

impl Bucket {
    fn new(rate: u32, now: Instant) -> Self {
        let rate = rate.max(1);
        let urgent = Urgent::new(rate, now);
        let nanoseconds = 1_000_000_000 * 100 / (u64::from(rate) * SHARE_PERCENT);
        let rate = usize::try_from(rate).unwrap_or(usize::MAX);
        let interval = Duration::from_nanos(nanoseconds);
        Self {
            interval,
            rate,
            sent: VecDeque::new(),
            line: Arc::default(),
            ahead: 0,
            lead: Lead::default(),
            due: now,
            urgent,
            pulse: Pulse::default(),
            promised: now,
            halvings: 0,
            throttled_at: now,
        }
    }

    fn try_take(&mut self, now: Instant) -> Result<(), Duration> {
        if now + TOLERANCE >= self.due {
            self.due = self.due.max(now) + self.interval(now);
            return Ok(());
        }
        let next = self.promised + self.interval(now);
        self.promised = if next < self.due || next > now + SPREAD { self.due } else { next };
        Err(self.promised - now)
    }

    fn reserve(&mut self, now: Instant, longest: Duration) -> Result<Instant, Duration> {
        let token = self.due.max(now);
        self.take(token, token, now, longest)
    }

    /// As [`Bucket::reserve`], but no more than the lead before a slot is free for it, those counted that have their token already. Tokens are
    /// [`KEPT`] for it, unless the cloud has slowed us down.
    fn reserve_ahead(&mut self, now: Instant, longest: Duration) -> Result<Instant, Duration> {
        let kept = if self.halvings_left(now) == 0 { KEPT } else { Duration::ZERO };
        let token = self.due.max(now.checked_sub(kept).unwrap_or(now));
        let slot = self.free_slot(now, self.ahead);
        let begin = token.max(slot.checked_sub(self.lead.time()).unwrap_or(now));
        let begin = self.take(token, begin, now, longest)?;
        self.ahead += 1;
        Ok(begin)
    }

    /// Takes the token for a caller who begins then. The next one is due an interval after the token, not after that: what holds the caller
    /// back is not lost.
    fn take(&mut self, token: Instant, begin: Instant, now: Instant, longest: Duration) -> Result<Instant, Duration> {
        let wait = begin.saturating_duration_since(now);
        if wait > longest {
            return Err(wait);
        }
        self.due = token + self.interval(now);
        Ok(begin.max(now))
    }

    /// When a slot is free for one who lets `others` go first, if they are sent as soon as they can be.
    fn free_slot(&self, now: Instant, others: usize) -> Instant {
        match (self.sent.len() + others).checked_sub(self.rate) {
            None => now,
            Some(nth) => match self.sent.get(nth) {
                Some(sent) => now.max(*sent + WINDOW),
                // As many go before as in a whole second: a second after the one whose place it takes.
                None => self.free_slot(now, others.saturating_sub(self.rate)) + WINDOW,
            },
        }
    }

    /// Takes the right to send now, or says when the oldest of the last calls leaves the cloud's window.
    fn slot(&mut self, now: Instant) -> Result<(), Instant> {
        if self.sent.len() >= self.rate {
            let free_at = self.sent.front().map_or(now, |oldest| *oldest + WINDOW);
            if free_at > now {
                return Err(free_at);
            }
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        Ok(())
    }

    /// The way past the others, or the place of the one who waits for one. No place while the cloud slows us down.
    fn urgent(&mut self, now: Instant) -> Result<Turn, Option<Place>> {
        let least = self.urgent.ask(now);
        if self.take_kept(least, now) {
            Ok(Turn::Taken)
        } else if self.has_room(now) {
            Ok(Turn::InLine)
        } else {
            Err(if self.halvings_left(now) == 0 { self.urgent.wait(least, now) } else { None })
        }
    }

    /// Who waited takes one, or waits on (`Some(false)`), as others took some meanwhile. None while the cloud slows us down.
    fn end_wait(&mut self, place: &mut Place, now: Instant) -> Option<bool> {
        let taken = self.take_kept(place.least, now);
        (taken || (self.halvings_left(now) == 0 && self.urgent.wait_on(place))).then_some(taken)
    }

    /// Takes a token that is kept for urgent calls, if at least so many are. None while the cloud slows us down.
    fn take_kept(&mut self, least: u32, now: Instant) -> bool {
        let is_first = !self.urgent.needs_room(now);
        let taken = self.halvings_left(now) == 0 && self.urgent.take(least, now);
        if taken && is_first {
            self.due = self.due.max(now) + self.interval(now);
        }
        taken
    }

    fn has_room(&self, now: Instant) -> bool {
        self.due <= now + self.interval(now) + TOLERANCE
    }

    fn leaves_room(&self, now: Instant) -> bool {
        self.halvings_left(now) == 0 && self.urgent.needs_room(now)
    }

    /// The token that is due now, or how long until one may be: nobody reserved it then.
    fn free(&mut self, now: Instant) -> Result<Instant, Duration> {
        if now + TOLERANCE < self.due {
            return Err(self.due - now);
        }
        // That a timer woke late is made up for: there are a hundred of them in a sweep.
        self.due = self.due.max(now.checked_sub(TOLERANCE).unwrap_or(now)) + self.interval(now);
        Ok(now)
    }

    fn throttled(&mut self, now: Instant) {
        // Calls that were in flight together count once.
        if self.halvings == 0 || now.duration_since(self.throttled_at) >= PAUSE {
            self.halvings = (self.halvings_left(now) + 1).min(MAX_HALVINGS);
            self.throttled_at = now;
        }
        self.due = self.due.max(now + PAUSE);
    }

    fn interval(&self, now: Instant) -> Duration {
        let interval = self.interval * 2_u32.pow(self.halvings_left(now));
        if self.leaves_room(now) { interval * urgent::SHARE / (urgent::SHARE - 1) } else { interval }
    }

    fn halvings_left(&self, now: Instant) -> u32 {
        let steps = now.duration_since(self.throttled_at).as_secs() / RECOVERY.as_secs();
        self.halvings.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod urgent_tests;
