//! Whether all ends well once nothing goes wrong any more: from any state, the run in which no call fails, nobody crashes and nothing
//! is delayed must come to rest with every machine recorded.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use stateright::Model;

use crate::state::{At, Machine, Phase, Request, State};
use crate::world::{Event, World};

/// Far more events than any calm run takes.
const PATIENCE: usize = 1000;

/// States from which a calm run is known to come to rest, by their hash.
#[derive(Default)]
pub struct Restful(Mutex<HashSet<u64>>);

impl World {
    /// Whether a calm run from here comes to rest.
    pub fn comes_to_rest(&self, start: &State) -> bool {
        let mut state = *start;
        let mut passed = Vec::new();
        let mut known = self.restful.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looked = false;
        for _ in 0..PATIENCE {
            if !looked {
                let key = hash(&state);
                if known.contains(&key) || Self::is_at_rest(&state) {
                    known.extend(passed);
                    known.insert(key);
                    return true;
                }
                passed.push(key);
            }
            let event = calm_event(&state, looked);
            looked = match event {
                Event::ReadsAndDecides(_) => true,
                Event::TimePasses => false,
                _ => looked,
            };
            state = self.next_state(&state, event).unwrap_or(state);
        }
        false
    }

    /// Nothing is under way, nothing is open but what a person must decide, and every machine is recorded.
    fn is_at_rest(state: &State) -> bool {
        let bought = state.attempts.iter().enumerate().filter(|(_, one)| one.machine != Machine::None);
        let bought = bought.fold(0, |set, (id, _)| set | 1 << id);
        let held = state.object.attempt.is_some_and(|record| record.phase == Phase::Held);
        let open = state.object.attempt.is_some_and(|record| record.phase.is_open());
        let spent = state.attempts.iter().all(|one| one.age.is_some());
        state.processes.iter().all(|one| one.at == At::Idle)
            && state.attempts.iter().all(|one| one.request != Request::InFlight)
            && bought == state.object.ids
            && (held || (!open && (bought != 0 || spent)))
    }
}

/// What happens next when all goes well: whoever is at work goes on, then one process looks, then time passes.
fn calm_event(state: &State, looked: bool) -> Event {
    let working = state.processes.iter().enumerate().filter_map(|(index, one)| goes_on(state, index, one.at));
    if let Some(event) = working.into_iter().next() {
        return event;
    }
    if let Some(id) = state.attempts.iter().position(|one| one.request == Request::InFlight) {
        return arrives(state, id);
    }
    // The second is the greater one, which is the one that counts empty looks.
    if looked { Event::TimePasses } else { Event::ReadsAndDecides(1) }
}

fn goes_on(state: &State, index: usize, at: At) -> Option<Event> {
    Some(match at {
        At::Idle => return None,
        At::Looking { listing: None, .. } => Event::ListingIsTaken(index),
        At::Looking { listing: Some(_), .. } => Event::LookEndsAndDecides(index),
        At::Deciding { .. } => Event::SignsAndWritesTheIntent(index),
        At::Writing { outdated: true, .. } => Event::WriteConflicts(index),
        At::Writing { outdated: false, .. } => Event::WriteIsCommitted(index),
        At::Gate(_) => Event::PassesTheGateAndSends(index),
        At::Outcome(..) => Event::ReadsToRecordTheOutcome(index),
        At::Waiting(id) => match state.attempts[usize::from(id)].request {
            Request::Answered(_) => Event::TakesTheAnswer(index),
            Request::InFlight => arrives(state, usize::from(id)),
            Request::NotSent | Request::Gone => Event::StopsWaiting(index),
        },
    })
}

fn arrives(state: &State, id: usize) -> Event {
    let in_time = state.attempts[id].age.is_some_and(|age| age <= crate::state::SIGNATURE_LIMIT);
    if in_time { Event::RequestBuys(id) } else { Event::RequestIsRefusedForItsAge(id) }
}

fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
