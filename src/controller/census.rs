//! The census: how many objects stand how, for the metrics. Reads what the watch last showed; decides nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Context;
use crate::telemetry::metrics::Census;

/// The classes of time until a prepaid machine expires: their words, and the days within which it does. Source: our choice.
const EXPIRIES: [(&str, i64); 4] = [("expired", 0), ("1d", 1), ("7d", 7), ("30d", 30)];

/// In which class a machine is that expires then.
fn expires_within(expires: i64, now: Timestamp) -> &'static str {
    let left = SignedDuration::from_secs(expires.saturating_sub(now.as_second()));
    let class = EXPIRIES.iter().find(|(_, days)| left <= SignedDuration::from_hours(24 * days));
    class.map_or("later", |(word, _)| word)
}

/// How things stand now. Every class of expiry is named, so that an alert on it never lacks its series.
pub fn take(context: &Context) -> Census {
    let mut census = Census {
        leads: !context.leadership.is_lost(),
        queued: i64::try_from(context.queue.waiting()).unwrap_or(i64::MAX),
        prepaid: EXPIRIES.iter().map(|(word, _)| (*word, 0)).chain([("later", 0)]).collect(),
        ..Census::default()
    };
    let now = context.clock.now();
    context.objects.each(|shown| {
        count(&mut census.readiness, shown.readiness());
        count(&mut census.attempts, shown.attempt);
        for expires in &shown.expires {
            count(&mut census.prepaid, expires_within(*expires, now));
        }
    });
    census
}

fn count<K: Ord>(counts: &mut BTreeMap<K, i64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_in_the_first_class_that_fits() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let class = |days: i64| expires_within(now.as_second() + days * 86_400, now);
        assert_eq!(
            [-1, 0, 1, 2, 7, 8, 30, 31].map(class),
            ["expired", "expired", "1d", "7d", "7d", "30d", "30d", "later"]
        );
    }
}
