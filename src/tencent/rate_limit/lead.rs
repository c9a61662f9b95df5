//! How long before its slot a create gets its token: in this time it is signed and its intent written. Data only.
//!
//! Shorter than that takes, and the cloud's second is not filled. Longer, and more creates stand ready with an intent that a killed process
//! never sends, which then takes eleven minutes of searching to know. An API server at rest takes 10 ms and a busy one 250, so it is
//! learned. Source: the estimate of RFC 6298 section 2, with three quarters of its margin: who is late delays one send, and
//! repeats nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The lead at least and at most. Source: our choice: at most ten of twenty a second stand ready so.
const AHEAD: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(500);

/// The lead, as the last creates have shown it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    mean: Duration,
    deviation: Duration,
}

impl Default for Lead {
    /// 100 ms, until the first are known.
    fn default() -> Self {
        Self { mean: Duration::from_millis(40), deviation: Duration::from_millis(20) }
    }
}

impl Lead {
    /// One create took so long from its token until it was ready. One that was held up for long says no more than [`AHEAD`] allows.
    pub(super) fn learn(&mut self, took: Duration) {
        let took = took.min(*AHEAD.end());
        self.deviation = (self.deviation * 3 + self.mean.abs_diff(took)) / 4;
        self.mean = (self.mean * 7 + took) / 8;
    }

    /// The lead, within [`AHEAD`].
    pub(super) fn time(&self) -> Duration {
        (self.mean + self.deviation * 3).clamp(*AHEAD.start(), *AHEAD.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: impl IntoIterator<Item = u64>) -> u128 {
        let mut lead = Lead::default();
        times.into_iter().for_each(|took| lead.learn(Duration::from_millis(took)));
        lead.time().as_millis()
    }

    #[test]
    fn it_is_what_most_take_and_no_more_than_it_may_be() {
        assert_eq!(after([]), 100);
        assert_eq!(after([5; 50]), 50, "at rest: the least");
        assert!((200..=260).contains(&after([200; 50])));
        assert_eq!(after([60_000; 50]), 500, "a standstill: the most");
        let busy = after((0..50).map(|nth| 50 + nth * 7919 % 200));
        assert!((220..=380).contains(&busy), "{busy}");
        let after_a_standstill = after([vec![10; 50], vec![5000; 3], vec![10; 40]].concat());
        assert!(after_a_standstill < 60, "{after_a_standstill}: it is forgotten within two seconds");
    }
}
