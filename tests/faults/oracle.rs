//! What must hold, measured in the cloud and in the API server, never in the operator.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::person::{Ready, attempt_state, ids, is_stalled, name_of};
use crate::world::World;

/// Why the world is not at rest; `None` if it is: every object is ready or waits for a person, none is going.
pub fn unrest(world: &World) -> Option<String> {
    world.objects().iter().find_map(|object| {
        let name = name_of(object);
        let ready = Ready::of(object);
        let generation = object.pointer("/metadata/generation");
        let why = if object.pointer("/metadata/deletionTimestamp").is_some() && !is_stalled(object) {
            "is being deleted".to_owned()
        } else if object.pointer("/status/observedGeneration") != generation {
            "was not looked at since its last edit".to_owned()
        } else if ready.status && !ids(object).iter().all(|id| is_running(world, id)) {
            "is ready and its machine does not run".to_owned()
        } else if ready.status || is_stalled(object) {
            return None;
        } else {
            format!("is not ready: {} {}", ready.reason, ready.message)
        };
        Some(format!("{name} {why}"))
    })
}

fn is_running(world: &World, id: &str) -> bool {
    world.state().cloud.instance(id).is_some_and(|instance| instance.state == "RUNNING")
}

/// O2 and O3 at rest: the billed machines are exactly those in the status of an object, each in one. `excused` are ids that a person
/// or a policy left running.
pub fn machines_and_objects_agree(world: &World, excused: &BTreeSet<String>) -> Result<(), String> {
    let mut claimed = BTreeSet::new();
    for object in world.objects() {
        for id in ids(&object) {
            if !claimed.insert(id.clone()) {
                return Err(format!("{id} stands in two objects"));
            }
        }
    }
    let billed: BTreeSet<String> = {
        let state = world.state();
        // A returned prepaid machine lies in the recycle bin until somebody renews or destroys it: that is its end.
        let kept = state.cloud.instances().filter(|instance| instance.billed() && instance.state != "SHUTDOWN");
        kept.map(|instance| instance.id.clone()).collect()
    };
    if let Some(leak) = billed.difference(&claimed).find(|id| !excused.contains(*id)) {
        return Err(format!("{leak} is billed and no object has it"));
    }
    for object in world.objects() {
        let ready = Ready::of(&object);
        if ready.status && ids(&object).iter().any(|id| !billed.contains(id)) {
            return Err(format!("an object is ready and its machine is gone: {object}"));
        }
        if ready.status && ids(&object).is_empty() {
            return Err(format!("an object is ready without a machine: {object}"));
        }
    }
    Ok(())
}

/// O1: no domain was ever billed for more than one purchase.
pub fn no_duplicates(world: &World) -> Result<(), String> {
    world.audit();
    let state = world.state();
    match state.most.iter().find(|(_, most)| **most > 1) {
        Some((domain, most)) => Err(format!("{domain} had the machines of {most} purchases at once")),
        None => Ok(()),
    }
}

/// Only what an object gives up is terminated, one machine at a time, and a prepaid one once.
pub fn ends_are_right(world: &World) -> Result<(), String> {
    world.state().wrong_end.clone().map_or(Ok(()), Err)
}

/// O5: no process called more often than the cloud takes. Each counts for itself, as it cannot know of the others.
pub fn rates_are_kept(world: &World) -> Result<(), String> {
    world.state().overrun.clone().map_or(Ok(()), Err)
}

/// O7 and O8: no secret anywhere, no panic of its own.
pub fn nothing_shown_nothing_broken(world: &World) -> Result<(), String> {
    let state = world.state();
    if let Some(leak) = state.first_leak() {
        return Err(format!("a secret shows: {leak}"));
    }
    match crate::run::panics() - state.planted_panics {
        0 => Ok(()),
        count => Err(format!("{count} panics")),
    }
}

/// The end state as far as two right runs agree on it: names, reasons, attempt states and how many machines.
pub fn end_state(world: &World) -> Vec<String> {
    let describe = |object: &Value| {
        let name = name_of(object);
        let ready = Ready::of(object);
        let ids = ids(object).len();
        format!("{name} ready={} {} {} ids={ids}", ready.status, ready.reason, attempt_state(object))
    };
    let mut lines: Vec<String> = world.objects().iter().map(describe).collect();
    let counts = world.state().cloud.state();
    lines.push(counts.get("history").cloned().unwrap_or_default().to_string());
    lines
}
