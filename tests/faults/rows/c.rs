//! What the cloud does wrong while a machine is bought.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, DESCRIBE, LIST, Play, Spare, TERMINATE, code, get, outside, prepaid};
use crate::faults::{Place, Trouble};
use crate::person::{Ready, attempt_state, ids, is_stalled};
use crate::run::{plain, run, run_in};
use crate::scenario::{answer_what_is_held, spoil, spoil_after};

#[test]
fn c01_committed_and_the_reply_lost() {
    // Injects: the create is carried out and its reply lost, in six ways. Holds: one call, and its id is found.
    let status = |status, body: &str| Effect::Status { status, body: body.to_owned(), commit: true };
    let ways = [
        ("time-out", Effect::Stall { seconds: 30.0, commit: true }),
        ("reset", Effect::Drop { commit: true }),
        ("502", status(502, "<html>bad gateway</html>")),
        ("504 without a body", status(504, "")),
        ("200 that is not JSON", status(200, "<html>welcome</html>")),
        ("cut body", Effect::Truncate { commit: true }),
    ];
    for (variant, effect) in ways {
        for spec in [plain(), prepaid(), json!({"instanceName": "my-machine"})] {
            let effect = effect.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{variant} {spec}"));
                spoil(&world, CREATE, effect);
                play.create(&spec).await;
                play.expect("calls", play.called(CREATE), 1);
                play.expect("unknown", world.state().seen.unknown, 1);
                play.expect("ids", ids(&get(&world)).len(), 1);
                play.expect("told", (play.told("OutcomeUnknown").len(), play.told("Found").len()), (1, 1));
                play.hold(Spare::default()).await;
            });
        }
    }
}

#[test]
fn c02_the_request_lost() {
    // Injects: the create is lost on the way, in four ways. Holds: by the hour it is tried again after settling, prepaid is held.
    for way in 0..4 {
        for (spec, held) in [(plain(), false), (prepaid(), true)] {
            run(1, move |world| async move {
                let play = Play::new(&world, format!("way {way} {spec}"));
                match way {
                    0 => spoil(&world, CREATE, Effect::Drop { commit: false }),
                    1 => spoil(&world, CREATE, Effect::Stall { seconds: 30.0, commit: false }),
                    2 => world.state().faults.once(Place::Cloud(CREATE), Trouble::LoseRequest),
                    _ => world.state().faults.once(Place::Cloud(CREATE), Trouble::BlackHole),
                }
                play.create(&spec).await;
                if held {
                    play.expect("bought before a person spoke", play.bought(), 0);
                    play.expect("state", attempt_state(&get(&world)).to_owned(), "Held");
                    play.expect("stalled", is_stalled(&get(&world)), true);
                    play.expect("told", play.told("AttemptHeld").len(), 1);
                    play.rest_with(|world| answer_what_is_held(world, None)).await;
                } else {
                    play.told_once("AttemptLapsed").await;
                }
                play.expect("bought", play.bought(), 1);
                play.expect("ready", Ready::of(&get(&world)).status, true);
                play.hold(Spare::default()).await;
            });
        }
    }
    given_up_and_deleted();
}

/// The last word on a create of which nobody learned anything names the machine that might exist.
fn given_up_and_deleted() {
    run(1, |world| async move {
        let play = Play::new(&world, "given up, and the object deleted");
        spoil(&world, CREATE, Effect::Drop { commit: false });
        play.create(&prepaid()).await;
        let name = get(&world)["status"]["createAttempt"]["instanceName"].as_str().unwrap_or_default().to_owned();
        play.expect("answered", world.obey(&get(&world), "abandon", None), true);
        play.told_once("AttemptAbandoned").await;
        world.delete("web");
        play.until("the object is gone", |world| world.objects().is_empty()).await;
        play.expect("named", play.told_once("Released").await.contains(&name), true);
        play.expect("bought", play.bought(), 0);
        play.hold(Spare::default()).await;
    });
}

#[test]
fn c03_visible_late_or_too_late() {
    // Injects: the reply is lost and the machine is listed only later. Holds: one machine; beyond the window `DuplicateFound`.
    for seconds in [1.0, 60.0, 299.0, 600.0] {
        for shared_domains in [false, true] {
            run_in(1, shared_domains, move |world| async move {
                let play = Play::new(&world, format!("{seconds} s, shared domains {shared_domains}"));
                spoil(&world, CREATE, Effect::Invisible { seconds });
                spoil(&world, CREATE, Effect::Drop { commit: true });
                play.create(&plain()).await;
                play.expect("calls", play.called(CREATE), 1);
                play.hold(Spare::default()).await;
            });
        }
    }
    run_in(1, true, |world| async move {
        let play = Play::new(&world, "beyond the window");
        spoil(&world, CREATE, Effect::Invisible { seconds: 2000.0 });
        spoil(&world, CREATE, Effect::Drop { commit: true });
        play.create(&plain()).await;
        play.expect("bought", play.bought(), 2);
        play.until("DuplicateFound", |world| is_stalled(&get(world))).await;
        let object = get(&world);
        let second = object["status"]["duplicateInstanceIds"][0].as_str().unwrap_or_default().to_owned();
        let note = play.told_once("DuplicateFound").await;
        play.expect("the Event names it", note.contains(&second) && note.contains("TerminateInstances"), true);
        play.expect("ready", Ready::of(&object).status, true);
        let spare = || Spare { machines: vec![second.clone()], ..Spare::default() };
        play.hold(spare()).await;
        world.delete("web");
        play.until("the object is gone", |world| world.get("web").is_none()).await;
        play.expect("calls that end a machine", play.called(TERMINATE) > 0, true);
        play.expect("the second is never ended", world.state().cloud.instance(&second).is_some(), true);
        play.hold(spare()).await;
    });
}

#[test]
fn c04_describe_empty_present_empty() {
    // Injects: listings that are empty, right, and empty again. Holds: a hit wins, and a miss is not "gone".
    for action in [LIST, DESCRIBE, "*"] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("{action} empty while it settles"));
            spoil(&world, CREATE, Effect::Drop { commit: true });
            spoil_after(&world, action, 2, 5, Effect::Empty {});
            play.create(&plain()).await;
            play.expect("calls", play.called(CREATE), 1);
            let look_again = async || {
                world.annotate("web", "reconcile-requested-at", &world.elapsed().as_millis().to_string().into());
                play.pass(Duration::from_secs(50)).await;
            };
            // One look in two misses it from now on, which is never two looks half a minute apart.
            for _ in 0..10 {
                spoil(&world, action, Effect::Empty {});
                look_again().await;
                play.expect("ready", Ready::of(&get(&world)).status, true);
            }
            play.expect("told", play.told("ExternallyDeleted").len(), 0);
            // A list that does not say how long it is shows no absence, however often.
            let body = r#"{"Response":{"InstanceSet":[],"RequestId":"r"}}"#.to_owned();
            spoil_after(&world, action, 0, 40, Effect::Status { status: 200, body, commit: false });
            for _ in 0..5 {
                look_again().await;
            }
            play.expect("told", play.told("ExternallyDeleted").len(), 0);
            world.state().cloud.clear_faults();
            play.until_reason("Available").await;
            spoil(&world, action, Effect::Empty {});
            world.delete("web");
            play.rest().await;
            play.expect("machines", world.state().cloud.instances().count(), 0);
            play.expect("calls", play.called(CREATE), 1);
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn c05_listings_that_prove_nothing() {
    // Injects: filters ignored, InvalidFilter, pages that shift. Holds: only our own match counts, and incomplete is no evidence.
    let troubles = [
        ("ignored filter", DESCRIBE, Effect::IgnoreFilter {}, false),
        ("InvalidFilter", DESCRIBE, code("InvalidFilter", false), true),
        ("shifting pages of domains", LIST, Effect::ShiftPages {}, true),
        ("shifting pages of names", DESCRIBE, Effect::ShiftPages {}, false),
    ];
    for (variant, action, effect, blinds) in troubles {
        for lost in [false, true] {
            let effect = effect.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{variant}, reply lost {lost}"));
                let mut crowd = Vec::new();
                for n in 0..130 {
                    crowd.push(outside::buy(&world, &format!("crowd-{n}.example.com"), "crowd").await);
                    play.pass(Duration::from_millis(100)).await;
                }
                let before = play.called(CREATE);
                if lost {
                    spoil(&world, CREATE, Effect::Drop { commit: true });
                }
                spoil_after(&world, action, 0, 60, effect);
                play.operator();
                world.apply("web", &plain());
                if blinds {
                    play.pass(Duration::from_mins(1)).await;
                    play.expect("calls while it sees nothing", play.called(CREATE) - before, 0);
                    play.expect("reason", play.reason(), "CloudUnavailable");
                }
                play.rest().await;
                play.expect("calls", play.called(CREATE) - before, 1);
                play.expect("not one of the crowd", crowd.contains(&ids(&get(&world))[0]), false);
                play.hold(Spare { machines: crowd, ..Spare::default() }).await;
            });
        }
    }
}

/// A page of something before the cloud, after or without carrying the call out.
fn gateway(status: u16, commit: bool) -> Effect {
    Effect::Status { status, body: "<html>sorry</html>".to_owned(), commit }
}

#[test]
fn c06_throttled_broken_and_slow() {
    // Injects: bursts of throttling, 5xx, replies that drip, on every action. Holds: O5, the right class, and one machine.
    let troubles = [
        ("throttle", code("RequestLimitExceeded", false), "CloudThrottled"),
        ("throttle of the account", code("RequestLimitExceeded.UinLimitExceeded", false), "CloudThrottled"),
        ("500", gateway(500, false), "CloudUnavailable"),
        ("503", gateway(503, false), "CloudUnavailable"),
        ("ServiceUnavailable", code("ServiceUnavailable", false), "CloudUnavailable"),
        ("slow drip", Effect::Drip { seconds: 15.0 }, ""),
    ];
    for (variant, effect, class) in troubles {
        for objects in [1, 20] {
            let effect = effect.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{variant}, {objects} objects"));
                let throttled = variant.starts_with("throttle");
                spoil_after(&world, "*", 0, 6, effect.clone());
                play.operator();
                for n in 1..objects {
                    world.apply(&format!("web-{n}"), &plain());
                }
                world.apply("web", &plain());
                if objects == 1 && !class.is_empty() {
                    play.until_reason(class).await;
                    play.expect("calls before the lookup", play.called(CREATE), 0);
                }
                play.rest().await;
                play.expect("bought", play.bought(), objects);
                spoil_after(&world, "*", 0, 6, effect);
                world.delete("web");
                play.rest().await;
                play.hold(Spare { throttled, ..Spare::default() }).await;
            });
        }
    }
    only_the_create();
    only_the_termination();
}

/// The create alone is refused for its number, fails or drips: only the first is a definite no.
fn only_the_create() {
    let troubles = [
        ("throttle", code("RequestLimitExceeded", false), "CloudThrottled", 2),
        ("500", gateway(500, false), "OutcomeUnknown", 2),
        ("503", gateway(503, false), "OutcomeUnknown", 2),
        ("ServiceUnavailable", code("ServiceUnavailable", false), "OutcomeUnknown", 2),
        ("slow drip", Effect::Drip { seconds: 15.0 }, "Available", 1),
        ("a drip beyond the deadline", Effect::Drip { seconds: 30.0 }, "OutcomeUnknown", 1),
    ];
    for (variant, effect, class, calls) in troubles {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("create: {variant}"));
            spoil(&world, CREATE, effect);
            play.operator();
            world.apply("web", &plain());
            play.until_reason(class).await;
            play.expect("calls until it is judged", play.called(CREATE), 1);
            play.rest().await;
            play.expect("calls", (play.called(CREATE), play.bought()), (calls, 1));
            play.expect("told", play.told("OutcomeUnknown").len(), usize::from(class == "OutcomeUnknown"));
            play.hold(Spare { throttled: class == "CloudThrottled", ..Spare::default() }).await;
        });
    }
}

/// The termination alone is: it is asked for again, of the one machine. A last call learns that it is gone.
fn only_the_termination() {
    let troubles = [
        ("throttle", code("RequestLimitExceeded", false), 5),
        ("500", gateway(500, false), 5),
        ("500 after it is done", gateway(500, true), 3),
        ("503", gateway(503, false), 5),
        ("ServiceUnavailable", code("ServiceUnavailable", false), 5),
        ("a drip beyond the deadline", Effect::Drip { seconds: 60.0 }, 2),
    ];
    for (variant, effect, calls) in troubles {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("terminate: {variant}"));
            let throttled = variant == "throttle";
            play.create(&plain()).await;
            spoil_after(&world, TERMINATE, 0, 3, effect);
            world.delete("web");
            play.until("the object is gone", |world| world.objects().is_empty()).await;
            play.expect("left", world.state().cloud.instances().count(), 0);
            play.expect("calls", play.called(TERMINATE), calls);
            play.hold(Spare { throttled, ..Spare::default() }).await;
        });
    }
}

#[test]
fn c07_the_dns_step_fails() {
    // Injects: CallCnsError with a machine, with one that lacks its domain, and without one. Holds: `DomainNotBound`, or settle.
    for (variant, commit, bound) in [("bound after all", true, true), ("not bound", true, false), ("none", false, true)]
    {
        run(1, move |world| async move {
            let play = Play::new(&world, variant);
            spoil(&world, CREATE, code("InternalError.CallCnsError", commit));
            if !bound {
                spoil(&world, CREATE, Effect::NoDomain {});
            }
            play.create(&plain()).await;
            play.expect("told", play.told("OutcomeUnknown").len(), 1);
            play.expect("bought", play.bought(), 1);
            play.expect("calls", play.called(CREATE), if commit { 1 } else { 2 });
            if !bound {
                play.expect("reason", play.reason(), "DomainNotBound");
                let message = play.message();
                play.expect("the way out", message.contains("kubectl delete pai web -n default"), true);
                play.hold(Spare::default()).await;
                let domain = json!({"DomainName": crate::person::domain("web")});
                let id = ids(&get(&world))[0].clone();
                world.state().cloud.change(&id, domain.as_object().unwrap());
                play.until_reason("Available").await;
            }
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn c08_an_id_and_then_no_machine() {
    // Injects: an id, then LAUNCH_FAILED, or it vanishes, or never shows. Holds: it is told, and nothing is bought unasked.
    for (variant, reason) in
        [("fails", "InstanceFailed"), ("vanishes", "ExternallyDeleted"), ("never shows", "ExternallyDeleted")]
    {
        run(1, move |world| async move {
            let play = Play::new(&world, variant);
            match variant {
                "fails" => spoil(&world, CREATE, Effect::LaunchFailed {}),
                "never shows" => spoil(&world, CREATE, Effect::Invisible { seconds: 1e6 }),
                _ => {}
            }
            play.operator();
            world.apply("web", &plain());
            play.until("an id", |world| !ids(&get(world)).is_empty()).await;
            let id = ids(&get(&world))[0].clone();
            if variant == "vanishes" {
                world.state().cloud.destroy(&id);
            }
            play.until_reason(reason).await;
            play.expect("stalled", is_stalled(&get(&world)), true);
            play.expect("the command", play.message().contains("resolve-create=recreate:"), true);
            play.until_reason("ExternallyDeleted").await;
            play.pass(Duration::from_hours(2)).await;
            play.expect("calls", play.called(CREATE), 1);
            if variant == "never shows" {
                play.hold(Spare { machines: vec![id], ..Spare::default() }).await;
                return;
            }
            play.expect("answered", world.obey(&get(&world), "recreate", None), true);
            play.until_reason("Available").await;
            play.expect("calls", play.called(CREATE), 2);
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn c09_several_ids() {
    // Injects: the create makes three machines and says so, or the reply is lost. Holds: all are recorded, polled and deleted.
    run(1, |world| async move {
        let play = Play::new(&world, "three ids");
        spoil(&world, CREATE, Effect::Ids { count: 3 });
        play.create(&plain()).await;
        let all = ids(&get(&world));
        play.expect("recorded", all.len(), 3);
        let known = get(&world)["status"]["instances"].as_array().cloned().unwrap_or_default();
        let running = known.iter().filter(|one| one["state"] == "RUNNING").count();
        play.expect("polled", running, 3);
        // The one that is worst off decides.
        let stopped = json!({"InstanceState": "STOPPED"});
        world.state().cloud.change(&all[1], stopped.as_object().unwrap());
        play.until_reason("Stopped").await;
        world.delete("web");
        play.rest().await;
        play.expect("left", world.state().cloud.instances().count(), 0);
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
    });
    run(1, |world| async move {
        let play = Play::new(&world, "three machines and no reply");
        spoil(&world, CREATE, Effect::Ids { count: 3 });
        spoil(&world, CREATE, Effect::Drop { commit: true });
        play.create(&plain()).await;
        play.expect("reason", play.reason(), "AmbiguousInstances");
        let listed = play.machines();
        let message = play.message();
        play.expect("all are named", listed.iter().all(|id| message.contains(id)), true);
        play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
        play.expect("attempt", get(&world)["status"]["createAttempt"]["state"].clone(), Value::from("Held"));
        play.hold(Spare { machines: listed, ..Spare::default() }).await;
    });
}
