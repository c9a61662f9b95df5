//! What a seed draws: objects, faults of every class, edits and deletions, and when they come.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kube_apiserver_model::Verb;
use serde_json::{Value, json};
use tencentcloud_simulator::{Effect, Rule as CloudRule};

use crate::faults::{Place, Rule, Trouble};
use crate::person::{OTHER_ID, SECRET, SECRET_ID, SECRET_KEY, attempt_state, ids};
use crate::world::World;

/// Everything that goes wrong has begun by then, and has ended when it stops by itself.
pub const TROUBLE_LASTS: Duration = Duration::from_mins(8);

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

/// One fault, by its class.
pub fn trouble(rng: &mut Rng, world: &World) {
    let skip = u32::from(rng.u8(..8)) * u32::from(rng.bool());
    let times = 1 + u32::from(rng.u8(..4));
    let wire = |at, trouble| world.state().faults.add(Rule { at, skip, times: 1, trouble });
    match rng.u8(..27) {
        0 => wire(any_call(rng), Trouble::CrashBefore),
        1 => wire(any_call(rng), Trouble::CrashInFlight(span(rng, &[0, 3, 30, 200]))),
        2 => wire(any_call(rng), Trouble::CrashAfter),
        3 => wire(Place::StatusWrite, Trouble::LoseAnswer),
        4 => wire(any_call(rng), Trouble::LoseAnswer),
        5 => wire(any_call(rng), Trouble::LoseRequest),
        6 => wire(any_call(rng), Trouble::SlowAnswer(span(rng, &[1, 11, 16, 40]))),
        7 => wire(any_call(rng), Trouble::Delay(span(rng, &[1, 11, 16, 100, 290]))),
        8 => wire(any_call(rng), Trouble::BlackHole),
        9 => wire(any_call(rng), Trouble::Freeze(span(rng, &[1, 11, 360]))),
        10 => wire(Place::StatusWrite, Trouble::FreezeAfter(span(rng, &[1, 11, 360]))),
        11 => {
            let (code, reason) =
                [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")]
                    [rng.usize(..4)];
            let at = if code == 409 { Place::StatusWrite } else { Place::AnyApi };
            world.state().faults.add(Rule { at, skip, times: times * 3, trouble: Trouble::Refuse(code, reason) });
        }
        12 => wire(Place::AnyCloud, Trouble::NoConnection),
        13 => world.state().faults.watch_delay = span(rng, &[1, 10, 60]),
        14 => world.state().faults.watch_drops += times,
        15 => world.state().faults.watch_doubles += times,
        16 => world.state().api.compact(),
        17 => world.state().faults.api_down_until = world.elapsed() + span(rng, &[5, 30, 90]),
        18..22 => cloud_trouble(rng, world, "CreatePaiInstance", skip % 3, times.min(2)),
        // The critical step: between the intent and the persisted outcome.
        23 => wire(Place::Cloud("CreatePaiInstance"), Trouble::CrashAfter),
        24 => wire(Place::Cloud("CreatePaiInstance"), Trouble::CrashInFlight(span(rng, &[0, 3, 30, 200]))),
        25 => wire(Place::Cloud("CreatePaiInstance"), Trouble::CrashBefore),
        22 if rng.bool() => cloud_trouble(rng, world, "TerminateInstances", 0, times.min(2)),
        22 => refused_terminate(rng, world, times),
        _ => listing_trouble(rng, world, skip, times),
    }
}

fn any_call(rng: &mut Rng) -> Place {
    match rng.u8(..8) {
        0 => Place::AnyApi,
        1 => Place::AnyCloud,
        2 => Place::Api(Verb::Get, "paiinstances"),
        3 => Place::Api(Verb::Patch, "paiinstances"),
        4 => Place::Api(Verb::Get, "secrets"),
        5 => Place::Cloud("CreatePaiInstance"),
        6 => Place::Cloud("TerminateInstances"),
        _ => Place::StatusWrite,
    }
}

fn span(rng: &mut Rng, seconds: &[u64]) -> Duration {
    Duration::from_secs(seconds[rng.usize(..seconds.len())])
}

fn code(code: &str, commit: bool) -> Effect {
    // A cloud that repeats what it was sent must not make us show it.
    Effect::Error { code: code.to_owned(), message: format!("echo {SECRET_KEY}"), commit }
}

fn cloud_trouble(rng: &mut Rng, world: &World, action: &str, after: u32, times: u32) {
    let commit = rng.bool();
    let effect = match rng.u8(..17) {
        0 | 1 => Effect::Drop { commit },
        2 => Effect::Stall { seconds: [1.0, 19.0, 30.0][rng.usize(..3)], commit },
        3 => Effect::Status { status: 502, body: "<html>bad gateway</html>".to_owned(), commit },
        4 => Effect::Truncate { commit },
        5 => code("InternalError", commit),
        6 => code("ServiceUnavailable", commit),
        7 => code("SomethingNobodyListed", commit),
        8 => code("RequestLimitExceeded", false),
        9 => code("ResourceInsufficient", false),
        10 => Effect::Invisible { seconds: [1.0, 60.0, 299.0][rng.usize(..3)] },
        11 => Effect::LaunchFailed {},
        12 => Effect::Late { seconds: [1.0, 60.0, 290.0, 400.0][rng.usize(..4)] },
        13 => Effect::NoDomain {},
        14 => code("InternalError.CallCnsError", commit),
        15 => code("InvalidAction", false),
        _ => Effect::Drip { seconds: 5.0 },
    };
    world.state().cloud.add_fault(CloudRule { action: action.to_owned(), after, times, effect });
}

fn refused_terminate(rng: &mut Rng, world: &World, times: u32) {
    let codes = [
        "OperationDenied.InstanceOperationInProgress",
        "MutexOperation.TaskRunning",
        "UnsupportedOperation.InstanceStateStarting",
        "LimitExceeded.UserReturnQuota",
        "InternalError.TradeUnknownError",
    ];
    let effect = code(codes[rng.usize(..codes.len())], false);
    world.state().cloud.add_fault(CloudRule { action: "TerminateInstances".to_owned(), after: 0, times, effect });
}

fn listing_trouble(rng: &mut Rng, world: &World, after: u32, times: u32) {
    let action = ["DescribePaiInstances", "DescribeInstances"][rng.usize(..2)];
    let effect = match rng.u8(..9) {
        0 => Effect::Empty {},
        1 => Effect::IgnoreFilter {},
        2 => Effect::ShiftPages {},
        3 => code("RequestLimitExceeded", false),
        4 => code("InternalError", false),
        5 => code("InvalidFilter", false),
        6 => code("ActionOffline", false),
        7 => Effect::Drip { seconds: 5.0 },
        _ => Effect::Drop { commit: false },
    };
    world.state().cloud.add_fault(CloudRule { action: action.to_owned(), after, times, effect });
}

/// What a person does to one object or Secret at some moment.
pub fn act(rng: &mut Rng, world: &Arc<World>, name: &str, spec: &Value) {
    match rng.u8(..15) {
        0 => edit(world, name),
        1 | 2 => world.delete(name),
        3 => {
            world.delete(name);
            apply_again_once_gone(world, name, spec.clone());
        }
        4 => world.annotate(name, "reconcile-requested-at", &world.now().to_string().into()),
        5 => world.annotate(name, "resolve-create", &"retry:0123456789abcdef".into()),
        6 => {
            world.annotate(name, "paused", &"true".into());
            let name = name.to_owned();
            later(world, Duration::from_mins(1), move |world| world.annotate(&name, "paused", &Value::Null));
        }
        7 => {
            let id = if rng.bool() { OTHER_ID } else { SECRET_ID };
            world.log(|| format!("person writes the key {id}"));
            world.write_secret(id);
        }
        8 => {
            world.log(|| "person deletes the Secret for a minute".to_owned());
            world.delete_core("secrets", SECRET);
            later(world, Duration::from_mins(1), |world| world.write_secret(SECRET_ID));
        }
        9 => {
            world.log(|| "person writes a wrong key for a minute".to_owned());
            world.write_secret_with(SECRET_ID, "not-the-key");
            later(world, Duration::from_mins(1), |world| world.write_secret(SECRET_ID));
        }
        10 => {
            world.log(|| "person empties the key for a minute".to_owned());
            world.write_secret_with(SECRET_ID, "");
            later(world, Duration::from_mins(1), |world| world.write_secret(SECRET_ID));
        }
        11 => {
            world.log(|| "person writes the key with a line break at its end".to_owned());
            world.write_secret_with(SECRET_ID, &format!("{SECRET_KEY}\n"));
        }
        12 => outside(world, name, |world, _| {
            world.patch(name, json!({"metadata": {"finalizers": null}}));
        }),
        13 => outside(world, name, |world, id| {
            world.state().cloud.destroy(id);
        }),
        _ => outside(world, name, |world, id| {
            let runs = world.state().cloud.instance(id).is_some_and(|instance| instance.state == "RUNNING");
            if !runs {
                return;
            }
            let stopped = json!({"InstanceState": "STOPPED"});
            world.state().cloud.change(id, stopped.as_object().unwrap());
        }),
    }
}

/// An edit that the CRD takes: only where nothing is frozen.
fn edit(world: &World, name: &str) {
    let frozen = world.get(name).is_none_or(|object| {
        !ids(&object).is_empty() || !["", "Rejected", "Lapsed", "Abandoned"].contains(&attempt_state(&object))
    });
    if !frozen {
        world.patch(name, json!({"spec": {"instanceTypes": ["S5.MEDIUM4"]}}));
    }
}

fn outside(world: &World, name: &str, change: impl FnOnce(&World, &str)) {
    if let Some(id) = world.get(name).and_then(|object| ids(&object).pop()) {
        world.log(|| format!("somebody changes {id} outside"));
        change(world, &id);
    }
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
        world.apply(&name, &spec);
    });
}
