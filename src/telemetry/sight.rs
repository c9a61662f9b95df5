//! Whether the watches see the objects: they tell, the probes ask. Must not know why one does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a watch may fail, or the API server be silent, before the process is not ready. Source: our choice: twice the default lease.
pub const BLIND_AFTER: Duration = Duration::from_secs(30);

/// What the watches of one process see.
#[derive(Debug, Default)]
pub struct Sight(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// How many watches there are.
    watches: usize,
    /// All objects were listed once.
    listed: bool,
    /// The watches that do not see anything.
    failing: BTreeMap<usize, Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    /// The API server does not let us look.
    refused: bool,
}

impl Sight {
    /// So many watches begin.
    pub fn begin(&self, watches: usize) {
        self.locked().watches = watches;
    }

    /// All objects were listed.
    pub fn listed(&self) {
        self.locked().listed = true;
    }

    /// Whether all objects were listed.
    pub fn is_listed(&self) -> bool {
        self.locked().listed
    }

    /// What one of the watches sees.
    pub fn of(self: &Arc<Self>, watch: usize) -> WatchSight {
        WatchSight { all: Arc::clone(self), watch }
    }

    /// Whether a watch has seen nothing for [`BLIND_AFTER`]. A namespace that was deleted takes our rights there with it: what is refused
    /// counts only if nothing else is seen.
    pub fn is_blind(&self) -> bool {
        let seen = self.locked();
        let all_fail = seen.failing.len() >= seen.watches;
        seen.failing.values().any(|one| one.since.elapsed() >= BLIND_AFTER && (all_fail || !one.refused))
    }

    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one watch sees.
#[derive(Debug)]
pub struct WatchSight {
    all: Arc<Sight>,
    watch: usize,
}

impl WatchSight {
    /// It was begun, or has listed.
    pub fn sees(&self) {
        self.all.locked().failing.remove(&self.watch);
    }

    /// It failed; `refused` if we may not look there.
    pub fn fails(&self, refused: bool) {
        let mut seen = self.all.locked();
        let failing = seen.failing.entry(self.watch).or_insert_with(|| Failing { since: Instant::now(), refused });
        failing.refused = refused;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_fails_for_long_makes_blind_until_it_sees_again() {
        let sight = Arc::new(Sight::default());
        sight.begin(2);
        assert!(!sight.is_blind());
        sight.of(1).fails(false);
        advance(BLIND_AFTER / 2).await;
        // The next try fails as well: it counts from the first.
        sight.of(1).fails(false);
        assert!(!sight.is_blind());
        advance(BLIND_AFTER / 2).await;
        assert!(sight.is_blind());
        sight.of(0).sees();
        assert!(sight.is_blind());
        sight.of(1).sees();
        assert!(!sight.is_blind());
        sight.of(1).fails(false);
        assert!(!sight.is_blind(), "what was before does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_counts_only_where_nothing_else_is_seen() {
        let sight = Arc::new(Sight::default());
        sight.begin(2);
        sight.of(0).fails(true);
        advance(BLIND_AFTER).await;
        assert!(!sight.is_blind());
        sight.of(1).fails(true);
        assert!(sight.is_blind());
        sight.of(1).sees();
        sight.of(0).fails(false);
        assert!(sight.is_blind(), "it is let in now, and fails all the same");
    }
}
