//! What must hold in every state, and what must be possible for the model to say anything.

use stateright::Property;

use crate::state::{At, Phase, Purpose, Request, SIGNATURE_LIMIT, State, Verdict};
use crate::world::{Variant, World};

pub const ONE_MACHINE: &str = "never more than one machine";
pub const ANNOUNCED: &str = "no create is sent without its intent in the object";
pub const NOT_BLIND: &str = "no create is sent once a machine was listed for a look's longest age";

pub const RECORDED: &str = "once nothing fails any more, every machine is recorded";

/// The properties. In a cloud that lists machines later than the window, two are possible, and the other rules still hold.
pub fn of(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        Property::always(ANNOUNCED, |_: &World, state: &State| !state.sent_unannounced),
        Property::always(NOT_BLIND, |_: &World, state: &State| !state.sent_blindly),
        Property::sometimes("a machine is bought and recorded", |_: &World, state: &State| {
            is(state, Phase::Created) && state.object.ids != 0
        }),
        Property::sometimes("an unknown outcome is settled by finding the machine", |_: &World, state: &State| {
            state.processes.iter().any(|one| {
                matches!(one.at, At::Writing { new, purpose: Purpose::Adopt, .. } if new.attempt.is_some_and(|record| record.phase == Phase::Created))
            })
        }),
        Property::sometimes("an attempt lapses and a second create is sent", |_: &World, state: &State| {
            state.object.attempt.is_some_and(|record| {
                record.lapsed_before == 1 && state.attempts[usize::from(record.id)].request == Request::InFlight
            })
        }),
        Property::sometimes("two processes race and one loses the swap", |_: &World, state: &State| {
            let intents = state.processes.iter().filter(|one| {
                matches!(one.at, At::Gate(_) | At::Writing { purpose: Purpose::Intent(_), outdated: true, .. })
            });
            intents.count() == 2
        }),
        Property::sometimes("an intent whose answer was lost is closed as never sent", |_: &World, state: &State| {
            is(state, Phase::Rejected) && state.attempts.iter().all(|one| one.request == Request::NotSent)
        }),
        Property::sometimes(
            "ids arrive after another process gave the attempt up as uncertain",
            |_: &World, state: &State| {
                is(state, Phase::Uncertain)
                    && state.processes.iter().any(|one| matches!(one.at, At::Outcome(_, Verdict::Bought)))
            },
        ),
    ];
    let one_machine: fn(&World, &State) -> bool = |_, state| state.machines() <= 1;
    if world.is_within_the_window() {
        all.push(Property::always(ONE_MACHINE, one_machine));
        all.push(Property::always(RECORDED, |world: &World, state: &State| {
            world.variant != Variant::AsBuilt || world.comes_to_rest(state)
        }));
    } else {
        all.push(Property::sometimes("a machine listed too late is bought twice", |_: &World, state: &State| {
            state.machines() > 1
        }));
    }
    if world.refuses_old_signatures {
        all.push(Property::sometimes("a late request is refused by the cloud", |_: &World, state: &State| {
            state
                .attempts
                .iter()
                .any(|one| one.request == Request::InFlight && one.age.is_some_and(|age| age > SIGNATURE_LIMIT))
        }));
    }
    all
}

fn is(state: &State, phase: Phase) -> bool {
    state.object.attempt.is_some_and(|record| record.phase == phase)
}
