//! Turns: how many creates of one account are on their way at a time. The others wait in the order in which they came, without a pass, a
//! look or a token.
//!
//! Without this a thousand new objects would each ask again and again whether the next of twenty creates a second is theirs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::queue::{Key, Lane, Queue};
use crate::tencent::{Account, Region, SecretId};

/// Creates of one account on their way between look and intent. Source: our choice: as many as may be sent in two seconds, so that on a busy
/// machine, where look and intent take half a second and come in bursts, the next send waits for nothing but its token. With eight, 17 a
/// second were bought there.
const PLACES: usize = 40;

/// How long a pass waits for the cloud until it keeps no other from beginning. Source: our choice: longer than what a look takes amid a
/// flood, whose passes must stay few, since each costs the API server something.
const PATIENCE: Duration = Duration::from_secs(1);

/// The turns of all accounts, counted as the cloud counts: by secret id and region.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    /// Passes that do nothing but wait: for the token of their create, or for a cloud that takes long.
    idle: watch::Sender<usize>,
}

/// A pass that waits, until it is dropped.
#[derive(Debug)]
pub struct Idle<'a>(&'a watch::Sender<usize>);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

type Counter = (SecretId, Region);

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<Counter, Line>,
    /// Where each object stands.
    of: BTreeMap<Key, Counter>,
}

#[derive(Debug, Default)]
struct Line {
    inside: BTreeSet<Key>,
    waiting: VecDeque<Key>,
}

impl Turns {
    /// Whether it is this object's turn. If not, it waits and gets a pass when it is.
    pub fn enter(&self, account: &Account, key: &Key, queue: &Queue) -> bool {
        let counter = (account.credentials.secret_id.clone(), account.region.clone());
        let mut state = self.locked();
        let known = state.of.get(key).map(|other| *other == counter);
        if known == Some(false) {
            // Its credentials changed: it stands in another line from now on.
            call(state.take_out(key), queue);
        }
        let line = state.lines.entry(counter.clone()).or_default();
        if line.inside.contains(key) {
            return true;
        }
        let mine = line.waiting.is_empty() && line.inside.len() < PLACES;
        if mine {
            line.inside.insert(key.clone());
        } else if known != Some(true) {
            line.waiting.push_back(key.clone());
        }
        state.of.insert(key.clone(), counter);
        mine
    }

    /// Gives the object's place to the next. Whoever has no place and does not wait loses nothing.
    pub fn leave(&self, key: &Key, queue: &Queue) {
        call(self.locked().take_out(key), queue);
    }

    /// A pass waits for its token from now on. Until it goes on it keeps no other from beginning: with a few accounts in a flood nobody
    /// else would get a pass.
    pub fn idle(&self) -> Idle<'_> {
        self.idle.send_modify(|count| *count += 1);
        Idle(&self.idle)
    }

    /// Waits for what the cloud says. Should that take long, the pass keeps no other from beginning: sixteen objects in a region that does
    /// not answer would stop all others for as long as a call may take.
    pub async fn wait_for<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        if let Ok(answer) = timeout(PATIENCE, &mut answer).await {
            return answer;
        }
        let _idle = self.idle();
        answer.await
    }

    /// How many passes do nothing but wait.
    pub fn idling(&self) -> watch::Receiver<usize> {
        self.idle.subscribe()
    }

    /// How many objects wait for their turn.
    pub fn waiting(&self) -> usize {
        self.locked().lines.values().map(|line| line.waiting.len()).sum()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn call(keys: Vec<Key>, queue: &Queue) {
    for key in keys {
        queue.push(&key, Lane::Called);
    }
}

impl State {
    /// Takes an object out of its line. Returns whose turn it is now.
    fn take_out(&mut self, key: &Key) -> Vec<Key> {
        let Some(counter) = self.of.remove(key) else { return Vec::new() };
        let Some(line) = self.lines.get_mut(&counter) else { return Vec::new() };
        if !line.inside.remove(key) {
            line.waiting.retain(|other| other != key);
        }
        let mut called = Vec::new();
        while line.inside.len() < PLACES
            && let Some(next) = line.waiting.pop_front()
        {
            line.inside.insert(next.clone());
            called.push(next);
        }
        if line.inside.is_empty() {
            self.lines.remove(&counter);
        }
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(nth: usize) -> Key {
        Key { namespace: "default".into(), name: nth.to_string().into() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_first_goes_first_and_nobody_is_forgotten() {
        let (turns, queue) = (Turns::default(), Queue::default());
        let ours = Account::of_test("AKIDa");
        let mine: Vec<bool> = (0..PLACES + 3).map(|nth| turns.enter(&ours, &key(nth), &queue)).collect();
        assert_eq!(mine.iter().filter(|mine| **mine).count(), PLACES);
        assert!(turns.enter(&ours, &key(0), &queue), "it has its turn still");
        assert!(!turns.enter(&ours, &key(PLACES), &queue), "asking again moves nobody forward");
        assert!(
            turns.enter(&Account::of_test("AKIDb"), &key(99), &queue),
            "a flood in one account is nothing to another"
        );
        turns.leave(&key(3), &queue);
        assert_eq!(queue.next().await, key(PLACES));
        assert!(turns.enter(&ours, &key(PLACES), &queue));
        assert!(!turns.enter(&ours, &key(PLACES + 1), &queue));
        // One that waits goes away, another comes back under new credentials.
        turns.leave(&key(PLACES + 1), &queue);
        turns.leave(&key(0), &queue);
        assert_eq!(queue.next().await, key(PLACES + 2));
        assert_eq!(turns.waiting(), 0);
    }

    #[test]
    fn an_account_that_nobody_waits_for_takes_no_room() {
        let (turns, queue) = (Turns::default(), Queue::default());
        turns.enter(&Account::of_test("AKIDa"), &key(1), &queue);
        turns.enter(&Account::of_test("AKIDb"), &key(1), &queue);
        turns.leave(&key(1), &queue);
        turns.leave(&key(1), &queue);
        let state = turns.locked();
        assert!(state.of.is_empty() && state.lines.is_empty());
    }
}
