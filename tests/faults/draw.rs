//! What a seed draws of people's doing: objects, edits, deletions, Secrets, machines changed outside.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::person::{OTHER_ID, SECRET, SECRET_ID, SECRET_KEY, STRANGER, attempt_state, ids};
use crate::world::World;

/// Names of the objects of a run: few mostly, twenty at times.
pub fn objects(rng: &mut Rng) -> Vec<String> {
    let count = [1, 1, 1, 2, 2, 3, 5, 8, 20][rng.usize(..9)];
    (0..count).map(|n| format!("web-{n}")).collect()
}

/// The spec of an object.
pub fn spec(rng: &mut Rng, names: &[String]) -> Value {
    let mut spec = match rng.u8(..10) {
        0..4 => json!({}),
        4 | 5 => json!({"instanceChargeType": "PREPAID", "instanceChargePrepaid": {"period": 1}}),
        6 => json!({"instanceChargeType": "SPOTPAID"}),
        7 => json!({"instanceName": "my-machine"}),
        8 => json!({
            "initScript": {"configMapKeyRef": {"name": "script", "key": "run.sh"}},
            "loginSettings": {"passwordSecretRef": {"name": "login", "key": "password"}},
        }),
        _ => json!({"deletionPolicy": "Retain"}),
    };
    // Two objects that want one domain.
    if names.len() > 1 && rng.u8(..12) == 0 {
        spec["domainName"] = crate::person::domain(&names[rng.usize(..names.len())]).into();
    }
    spec
}

/// What a person does to one object or Secret at some moment.
pub fn act(rng: &mut Rng, world: &Arc<World>, name: &str, spec: &Value) {
    let class = match rng.u8(..16) {
        0 => edit(world, name),
        1 | 2 => {
            world.delete(name);
            "deletion"
        }
        3 => {
            world.delete(name);
            apply_again_once_gone(world, name, spec.clone());
            "re-creation"
        }
        4 => {
            world.annotate(name, "reconcile-requested-at", &world.now().to_string().into());
            "request to reconcile"
        }
        5 => {
            world.annotate(name, "resolve-create", &"retry:0123456789abcdef".into());
            "stale answer"
        }
        6 => {
            world.annotate(name, "paused", &"true".into());
            let name = name.to_owned();
            later(world, Duration::from_mins(1), move |world| world.annotate(&name, "paused", &Value::Null));
            "pause"
        }
        7..13 => secret(rng, world),
        _ => outside(rng, world, name),
    };
    world.state().drawn.insert(class);
}

/// The Secret changes: for a minute, where nothing works with it.
fn secret(rng: &mut Rng, world: &Arc<World>) -> &'static str {
    let with_a_line_break = format!("{SECRET_KEY}\n");
    let (class, id, key, for_a_minute) = match rng.u8(..7) {
        0 => ("Secret deleted", "", "", true),
        1 => ("rotated key", OTHER_ID, SECRET_KEY, false),
        2 => ("rotated key", SECRET_ID, SECRET_KEY, false),
        3 => ("wrong key", SECRET_ID, "not-the-key", true),
        4 => ("empty key", SECRET_ID, "", true),
        5 => ("another account's key", STRANGER, SECRET_KEY, true),
        _ => ("line break after the key", SECRET_ID, with_a_line_break.as_str(), false),
    };
    world.log(|| format!("person changes the Secret: {class}"));
    if id.is_empty() {
        world.delete_core("secrets", SECRET);
    } else {
        world.write_secret_with(id, key);
    }
    if for_a_minute {
        later(world, Duration::from_mins(1), |world| world.write_secret(SECRET_ID));
    }
    class
}

/// Somebody changes the object's machine, or takes the finalizer away, behind the operator's back.
fn outside(rng: &mut Rng, world: &World, name: &str) -> &'static str {
    let class = ["finalizer taken away", "machine destroyed outside", "machine stopped outside"][rng.usize(..3)];
    let Some(id) = world.get(name).and_then(|object| ids(&object).pop()) else { return "nothing to change outside" };
    world.log(|| format!("{id}: {class}"));
    let runs = world.state().cloud.instance(&id).is_some_and(|instance| instance.state == "RUNNING");
    match class {
        "finalizer taken away" => {
            world.patch(name, json!({"metadata": {"finalizers": null}}));
        }
        "machine destroyed outside" => {
            world.state().cloud.destroy(&id);
        }
        _ if runs => {
            let stopped = json!({"InstanceState": "STOPPED"});
            world.state().cloud.change(&id, stopped.as_object().unwrap());
        }
        _ => {}
    }
    class
}

/// An edit that the CRD takes: only where nothing is frozen.
fn edit(world: &World, name: &str) -> &'static str {
    let frozen = world.get(name).is_none_or(|object| {
        !ids(&object).is_empty() || !["", "Rejected", "Lapsed", "Abandoned"].contains(&attempt_state(&object))
    });
    if frozen {
        return "nothing to edit";
    }
    world.patch(name, json!({"spec": {"instanceTypes": ["S5.MEDIUM4"]}}));
    "edit"
}

fn later(world: &Arc<World>, wait: Duration, change: impl FnOnce(&World) + Send + 'static) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        change(&world);
    });
}

/// A person who deletes and applies again, as GitOps does.
pub fn apply_again_once_gone(world: &Arc<World>, name: &str, spec: Value) {
    let (world, name) = (Arc::clone(world), name.to_owned());
    tokio::spawn(async move {
        while world.get(&name).is_some() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        // Not in a namespace that goes.
        world.try_apply(&name, &spec);
    });
}
