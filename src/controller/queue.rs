//! The work queue: which object gets the next pass. Data and a bell; the driver holds the passes.
//!
//! kube's own scheduler was left because it hands out what is due in the order of a hash set: a new object then waits behind thousands
//! that are only looked at again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::{Span, error_span};

use crate::api::PaiInstance;

/// Of so many passes one goes to what is only looked at again, whatever else waits. Source: our choice.
const ROUTINE_SHARE: u32 = 8;

/// Of so many passes one goes to what somebody waits for, however many are called: several floods of creates may call without end.
/// Source: our choice.
const URGENT_SHARE: u32 = 4;

/// Name of an object: of two that bear one name after each other only one gets a pass at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl Key {
    /// The name of an object.
    pub fn of(object: &PaiInstance) -> Self {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Self { namespace: text(&object.metadata.namespace), name: text(&object.metadata.name) }
    }

    /// What the log lines of work on the object are told with: at the level that every filter lets through, so that what went wrong names it.
    pub fn span(&self) -> Span {
        error_span!("pass", object = %self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How soon an object's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// It is looked at again because its time has come.
    Routine,
    /// Somebody waits: it is new, edited or deleted, or its machine changed.
    Urgent,
    /// It is to be bought, and what it waited for has come: its turn, or a listing. These are few, and others wait behind them for theirs.
    Called,
}

impl Lane {
    /// In the order in which they are served.
    const ALL: [Self; 3] = [Self::Called, Self::Urgent, Self::Routine];
}

/// The queue of one controller.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    called: VecDeque<Key>,
    urgent: VecDeque<Key>,
    routine: VecDeque<Key>,
    /// Who comes back when. The number keeps those of one moment in their order.
    timers: BTreeMap<(Instant, u64), (Key, Lane)>,
    numbers: u64,
    taken: u32,
}

/// Where one object stands. An object that has no entry waits for nothing.
#[derive(Debug, Default)]
struct Entry {
    /// It has a pass now.
    running: bool,
    /// The lane in which it waits; while it has a pass, the one into which it goes after that.
    lane: Option<Lane>,
    /// Its timer.
    timer: Option<(Instant, u64)>,
}

impl Queue {
    /// Asks for a pass, now. Of several requests before that pass one remains; one during a pass leads to another pass.
    pub fn push(&self, key: &Key, lane: Lane) {
        self.locked().push(key, lane);
        self.bell.notify_one();
    }

    /// Asks for a pass at a time, unless one is asked for earlier.
    pub fn push_at(&self, key: &Key, at: Instant, lane: Lane) {
        self.locked().push_at(key, at, lane);
        self.bell.notify_one();
    }

    /// Asks for a pass after a while.
    pub fn push_after(&self, key: &Key, delay: Duration, lane: Lane) {
        if delay.is_zero() {
            self.push(key, lane);
        } else {
            self.push_at(key, Instant::now() + delay, lane);
        }
    }

    /// The next object that gets a pass, which the caller ends with [`Queue::done`].
    pub async fn next(&self) -> Key {
        loop {
            let until = {
                let mut state = self.locked();
                if let Some(key) = state.pop(Instant::now()) {
                    return key;
                }
                state.timers.first_key_value().map(|((at, _), _)| *at)
            };
            tokio::select! {
                biased;
                () = self.bell.notified() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }

    /// Ends a pass.
    pub fn done(&self, key: &Key) {
        self.locked().done(key);
        self.bell.notify_one();
    }

    /// How many objects wait for a pass that is due.
    pub fn waiting(&self) -> usize {
        self.locked().entries.values().filter(|entry| entry.lane.is_some()).count()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, key: &Key, lane: Lane) {
        let entry = self.entries.entry(key.clone()).or_default();
        if let Some(timer) = entry.timer.take() {
            self.timers.remove(&timer);
        }
        if entry.lane >= Some(lane) {
            return;
        }
        entry.lane = Some(lane);
        if !entry.running {
            self.line(lane).push_back(key.clone());
        }
    }

    fn line(&mut self, lane: Lane) -> &mut VecDeque<Key> {
        match lane {
            Lane::Called => &mut self.called,
            Lane::Urgent => &mut self.urgent,
            Lane::Routine => &mut self.routine,
        }
    }

    fn push_at(&mut self, key: &Key, at: Instant, lane: Lane) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.lane.is_some() || entry.timer.is_some_and(|(earlier, _)| earlier <= at) {
            return;
        }
        self.numbers += 1;
        let timer = (at, self.numbers);
        if let Some(old) = entry.timer.replace(timer) {
            self.timers.remove(&old);
        }
        self.timers.insert(timer, (key.clone(), lane));
    }

    fn pop(&mut self, now: Instant) -> Option<Key> {
        while let Some(first) = self.timers.first_entry()
            && first.key().0 <= now
        {
            let (key, lane) = first.remove();
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.timer = None;
            }
            self.push(&key, lane);
        }
        self.taken = (self.taken + 1) % ROUTINE_SHARE;
        let first = match self.taken {
            0 => Some(Lane::Routine),
            taken if taken % URGENT_SHARE == URGENT_SHARE / 2 => Some(Lane::Urgent),
            _ => None,
        };
        first.into_iter().chain(Lane::ALL).find_map(|lane| self.pop_from(lane))
    }

    /// The first of a lane. One that meanwhile went to the other lane, or has a pass, is passed over: its place there counts.
    fn pop_from(&mut self, lane: Lane) -> Option<Key> {
        while let Some(key) = self.line(lane).pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if entry.lane == Some(lane) && !entry.running {
                (entry.running, entry.lane) = (true, None);
                return Some(key);
            }
        }
        None
    }

    fn done(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.running = false;
        match entry.lane {
            Some(lane) => self.line(lane).push_back(key.clone()),
            None if entry.timer.is_none() => {
                self.entries.remove(key);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "default".into(), name: name.into() }
    }

    fn names(state: &mut State, now: Instant, most: usize) -> String {
        let taken: Vec<Key> = (0..most).map_while(|_| state.pop(now)).collect();
        taken.iter().map(|key| key.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn those_who_are_called_without_end_leave_room_for_what_somebody_waits_for() {
        let mut state = State::default();
        let now = Instant::now();
        state.push(&key("deleted"), Lane::Urgent);
        for nth in 0..URGENT_SHARE {
            state.push(&key(&format!("called-{nth}")), Lane::Called);
            let taken = state.pop(now).unwrap();
            if *taken.name == *"deleted" {
                return;
            }
        }
        panic!("it never came");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_person_goes_before_who_is_only_looked_at_again() {
        let mut state = State::default();
        for name in ["r1", "r2", "r3"] {
            state.push(&key(name), Lane::Routine);
        }
        state.push(&key("new"), Lane::Urgent);
        state.push(&key("r2"), Lane::Urgent);
        state.push(&key("turn"), Lane::Called);
        assert_eq!(names(&mut state, Instant::now(), 9), "turn new r2 r1 r3");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_does_not_starve_the_rest() {
        let mut state = State::default();
        state.push(&key("r"), Lane::Routine);
        for n in 0..20 {
            state.push(&key(&format!("u{n}")), Lane::Urgent);
        }
        let order = names(&mut state, Instant::now(), 30);
        let place = order.split(' ').position(|name| name == "r").unwrap();
        assert_eq!(place, 7, "{order}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_has_one_pass_at_a_time_and_one_more_if_something_came_meanwhile() {
        let mut state = State::default();
        let now = Instant::now();
        state.push(&key("a"), Lane::Urgent);
        state.push(&key("a"), Lane::Routine);
        assert_eq!(names(&mut state, now, 9), "a");
        state.push(&key("a"), Lane::Urgent);
        state.push(&key("a"), Lane::Urgent);
        assert_eq!(names(&mut state, now, 9), "", "it has a pass");
        state.done(&key("a"));
        assert_eq!(names(&mut state, now, 9), "a");
        state.done(&key("a"));
        assert_eq!(names(&mut state, now, 9), "");
        assert!(state.entries.is_empty(), "who waits for nothing takes no room");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_time_counts_and_a_request_for_now_most_of_all() {
        let mut state = State::default();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        state.push_at(&key("a"), at(10), Lane::Routine);
        state.push_at(&key("a"), at(20), Lane::Routine);
        state.push_at(&key("b"), at(5), Lane::Routine);
        state.push_at(&key("b"), at(3), Lane::Routine);
        assert_eq!(names(&mut state, now, 9), "");
        assert_eq!(names(&mut state, at(4), 9), "b");
        assert_eq!(names(&mut state, at(9), 9), "");
        state.push(&key("a"), Lane::Urgent);
        assert_eq!(names(&mut state, at(9), 9), "a");
        for name in ["a", "b"] {
            state.done(&key(name));
        }
        assert!(state.timers.is_empty() && state.entries.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn next_waits_for_the_bell_and_for_the_clock() {
        let queue = Arc::new(Queue::default());
        let begun = Instant::now();
        queue.push_after(&key("later"), Duration::from_secs(7), Lane::Routine);
        let (asked, other) = (Arc::clone(&queue), Arc::clone(&queue));
        let first = tokio::spawn(async move { asked.next().await });
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            other.push(&key("sooner"), Lane::Urgent);
        });
        assert_eq!(first.await.unwrap(), key("sooner"));
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        assert_eq!(queue.next().await, key("later"));
        assert_eq!(begun.elapsed(), Duration::from_secs(7));
    }
}
