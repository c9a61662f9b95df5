//! The troubles that a seed draws: one of every class that can go wrong between operator, API server and cloud.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kube_apiserver_model::Verb;
use serde_json::Value;
use tencentcloud_simulator::Effect;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{SECRET_KEY, path};
use crate::process::Slot;
use crate::scenario::spoil_after;
use crate::world::World;

/// Everything that goes wrong has begun by then, and has ended when it stops by itself.
pub const TROUBLE_LASTS: Duration = Duration::from_mins(8);

/// One trouble, whose class is noted.
pub fn draw(rng: &mut Rng, world: &World, processes: &[Arc<Slot>]) {
    let class = match rng.u8(..32) {
        0..13 => on_the_way(rng, world),
        13..19 => at_the_api_server(rng, world),
        19 => {
            processes[rng.usize(..processes.len())].lose_its_lease();
            "lease lost"
        }
        20..23 => in_the_critical_step(rng, world),
        23..28 => with_a_purchase(rng, world),
        28 => with_a_termination(rng, world),
        _ => with_a_listing(rng, world),
    };
    world.state().drawn.insert(class);
}

fn few(rng: &mut Rng) -> u32 {
    1 + u32::from(rng.u8(..4))
}

fn later_or_now(rng: &mut Rng) -> u32 {
    u32::from(rng.u8(..8)) * u32::from(rng.bool())
}

/// What befalls one call, or the process at it.
fn on_the_way(rng: &mut Rng, world: &World) -> &'static str {
    let (class, at, trouble) = match rng.u8(..14) {
        0 => ("crash before a call", any_call(rng), Trouble::CrashBefore),
        1 => ("crash during a call", any_call(rng), Trouble::CrashInFlight(span(rng, &[0, 3, 30, 200]))),
        2 => ("crash after a call", any_call(rng), Trouble::CrashAfter),
        3 => ("panic", any_call(rng), Trouble::PanicAfter),
        4 => ("passes dropped", any_call(rng), Trouble::Abandon),
        5 => ("lost answer", Place::StatusWrite, Trouble::LoseAnswer),
        6 => ("lost answer", any_call(rng), Trouble::LoseAnswer),
        7 => ("lost request", any_call(rng), Trouble::LoseRequest),
        8 => ("slow answer", any_call(rng), Trouble::SlowAnswer(span(rng, &[1, 11, 16, 40]))),
        9 => ("late request", any_call(rng), Trouble::Delay(span(rng, &[1, 11, 16, 100, 290]))),
        10 => ("black hole", any_call(rng), Trouble::BlackHole),
        11 => ("freeze", any_call(rng), Trouble::Freeze(span(rng, &[1, 11, 360]))),
        12 => ("freeze", Place::StatusWrite, Trouble::FreezeAfter(span(rng, &[1, 11, 360]))),
        _ => ("no connection", Place::AnyCloud, Trouble::NoConnection),
    };
    world.state().faults.add(Rule { at, skip: later_or_now(rng), times: 1, trouble });
    class
}

fn at_the_api_server(rng: &mut Rng, world: &World) -> &'static str {
    match rng.u8(..7) {
        0 => {
            let (code, reason) =
                [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")]
                    [rng.usize(..4)];
            let at = if code == 409 { Place::StatusWrite } else { Place::AnyApi };
            let (skip, times) = (later_or_now(rng), few(rng) * 3);
            world.state().faults.add(Rule { at, skip, times, trouble: Trouble::Refuse(code, reason) });
            "refused by the API server"
        }
        1 => {
            world.state().faults.watch_delay = span(rng, &[1, 10, 60]);
            "late events"
        }
        2 => {
            world.state().faults.watch_drops += few(rng);
            "lost events"
        }
        3 => {
            world.state().faults.watch_doubles += few(rng);
            "doubled events"
        }
        4 => {
            world.state().api.compact();
            "history compacted"
        }
        5 => {
            let old = world.ask("GET", path("").trim_end_matches('/'), Value::Null);
            world.state().faults.old_list = Some(old);
            "old list"
        }
        _ => {
            world.state().faults.api_down_until = world.elapsed() + span(rng, &[5, 30, 90]);
            "API server gone"
        }
    }
}

/// Between the intent and the persisted outcome.
fn in_the_critical_step(rng: &mut Rng, world: &World) -> &'static str {
    let trouble = [Trouble::CrashBefore, Trouble::CrashInFlight(span(rng, &[0, 3, 30, 200])), Trouble::CrashAfter]
        [rng.usize(..3)]
    .clone();
    world.state().faults.once(Place::Cloud("CreatePaiInstance"), trouble);
    "crash at a create"
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

/// What goes wrong with a create in the cloud, the visibility of its machine included.
fn with_a_purchase(rng: &mut Rng, world: &World) -> &'static str {
    let (after, times) = (later_or_now(rng) % 3, few(rng).min(2));
    let create = |effect| spoil_after(world, "CreatePaiInstance", after, times, effect);
    match rng.u8(..6) {
        0 => {
            create(Effect::Ids { count: 2 + usize::from(rng.bool()) });
            "several ids"
        }
        1 => {
            // Whatever the answer was, nothing but the hourly look after a lapsed attempt can find it.
            create(Effect::Invisible { seconds: 2000.0 });
            create(Effect::Drop { commit: true });
            "visible beyond the window"
        }
        _ => {
            let (class, effect) = bad_answer(rng);
            create(effect);
            class
        }
    }
}

fn bad_answer(rng: &mut Rng) -> (&'static str, Effect) {
    let commit = rng.bool();
    match rng.u8(..16) {
        0 | 1 => ("answer dropped", Effect::Drop { commit }),
        2 => ("stalled", Effect::Stall { seconds: [1.0, 19.0, 30.0][rng.usize(..3)], commit }),
        3 => ("bad gateway", Effect::Status { status: 502, body: "<html>bad gateway</html>".to_owned(), commit }),
        4 => ("truncated", Effect::Truncate { commit }),
        5 => ("InternalError", code("InternalError", commit)),
        6 => ("ServiceUnavailable", code("ServiceUnavailable", commit)),
        7 => ("unlisted code", code("SomethingNobodyListed", commit)),
        8 => ("throttled", code("RequestLimitExceeded", false)),
        9 => ("sold out", code("ResourceInsufficient", false)),
        10 => ("visible late", Effect::Invisible { seconds: [1.0, 60.0, 299.0][rng.usize(..3)] }),
        11 => ("launch failed", Effect::LaunchFailed {}),
        12 => ("carried out late", Effect::Late { seconds: [1.0, 60.0, 290.0, 400.0][rng.usize(..4)] }),
        13 => ("no domain", Effect::NoDomain {}),
        14 => ("CallCnsError", code("InternalError.CallCnsError", commit)),
        _ => ("action withdrawn", code("InvalidAction", false)),
    }
}

fn with_a_termination(rng: &mut Rng, world: &World) -> &'static str {
    let codes = [
        "OperationDenied.InstanceOperationInProgress",
        "MutexOperation.TaskRunning",
        "UnsupportedOperation.InstanceStateStarting",
        "LimitExceeded.UserReturnQuota",
        "InternalError.TradeUnknownError",
    ];
    let times = few(rng).min(2);
    let (class, effect) = if rng.bool() {
        ("termination refused", code(codes[rng.usize(..codes.len())], false))
    } else {
        ("termination unanswered", Effect::Drop { commit: rng.bool() })
    };
    spoil_after(world, "TerminateInstances", 0, times, effect);
    class
}

fn with_a_listing(rng: &mut Rng, world: &World) -> &'static str {
    let action = ["DescribePaiInstances", "DescribeInstances"][rng.usize(..2)];
    let (class, effect) = match rng.u8(..9) {
        0 => ("empty listing", Effect::Empty {}),
        1 => ("filter ignored", Effect::IgnoreFilter {}),
        2 => ("pages shift", Effect::ShiftPages {}),
        3 => ("listing throttled", code("RequestLimitExceeded", false)),
        4 => ("listing refused", code("InternalError", false)),
        5 => ("InvalidFilter", code("InvalidFilter", false)),
        6 => ("listing withdrawn", code("ActionOffline", false)),
        7 => ("listing byte by byte", Effect::Drip { seconds: 5.0 }),
        _ => ("listing lost", Effect::Drop { commit: false }),
    };
    let (after, times) = (later_or_now(rng), few(rng));
    spoil_after(world, action, after, times, effect);
    class
}
