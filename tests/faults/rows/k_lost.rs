//! The CRD, the status and the objects themselves lost, older or newer than the operator.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, LIST, Play, STEPS, Spare, TERMINATE, get, prepaid};
use crate::faults::{Place, Trouble};
use crate::person::{Ready, attempt_state, ids, is_stalled, path};
use crate::run::{plain, run};
use crate::scenario::{answer_what_is_held, spoil};
use crate::world::{CRD, World};

#[test]
fn k11_the_crd_deleted_older_or_newer() {
    // Injects: the CRD deleted, an older schema that prunes the attempt or parts of it, unknown fields. Holds: no Terminate; no call.
    for spec in [plain(), prepaid()] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("deleted {spec}"));
            play.create(&spec).await;
            let machines = ids(&get(&world));
            world.ask("DELETE", CRD, Value::Null);
            play.until("the objects are gone", |world| world.objects().is_empty()).await;
            play.told_once("Retained").await;
            play.pass(Duration::from_hours(1)).await;
            play.expect("calls", play.called(TERMINATE), 0);
            play.hold(Spare { machines, ..Spare::default() }).await;
        });
    }
    deleted_while_unknown();
    let parts = [
        "",
        "id",
        "ordinal",
        "state",
        "signedAt",
        "secretId",
        "region",
        "domainName",
        "instanceName",
        "nameOrigin",
        "chargeType",
    ];
    for part in parts {
        older(part, false);
        older(part, true);
    }
    newer();
}

/// The CRD goes while nobody knows what became of a create: that is settled first, and what is found stays.
fn deleted_while_unknown() {
    for commit in [true, false] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("deleted while the outcome is unknown, bought {commit}"));
            spoil(&world, CREATE, Effect::Drop { commit });
            spoil(&world, CREATE, Effect::Invisible { seconds: 60.0 });
            play.operator();
            world.apply("web", &plain());
            play.until("Uncertain", |world| attempt_state(&get(world)) == "Uncertain").await;
            world.ask("DELETE", CRD, Value::Null);
            // An absence is believed after eleven minutes at the soonest, a machine when it shows.
            play.pass(if commit { Duration::from_secs(30) } else { Duration::from_mins(10) }).await;
            play.expect("objects", world.objects().len(), 1);
            play.until("the objects are gone", |world| world.objects().is_empty()).await;
            let machines = play.machines();
            play.expect("machines", machines.len(), usize::from(commit));
            if let Some(machine) = machines.first() {
                play.expect("told", play.told_once("Retained").await.contains(machine), true);
            }
            play.pass(Duration::from_hours(1)).await;
            play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
            play.hold(Spare { machines, ..Spare::default() }).await;
        });
    }
}

/// The schema of the status in the CRD, for a test to change.
fn change_schema(world: &World, change: impl FnOnce(&mut Value)) {
    let mut crd = world.ask("GET", CRD, Value::Null);
    let status = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties");
    change(status.unwrap());
    world.ask("PUT", CRD, crd);
}

/// The installed CRD does not know the attempt, or this part of it, until it is upgraded. The process may die before it can take back what
/// was kept of the intent: then a person is asked.
fn older(part: &'static str, dies: bool) {
    run(1, move |world| async move {
        let play = Play::new(&world, format!("pruned: createAttempt {part}, dies {dies}"));
        let today = world.ask("GET", CRD, Value::Null)["spec"].clone();
        change_schema(&world, |status| {
            if part.is_empty() {
                status.as_object_mut().unwrap().remove("createAttempt");
            } else {
                let attempt = &mut status["createAttempt"];
                attempt["properties"].as_object_mut().unwrap().remove(part);
                attempt["required"].as_array_mut().unwrap().retain(|name| name != part);
            }
        });
        if dies {
            world.state().faults.once(Place::StatusWrite, Trouble::CrashAfter);
        }
        play.operator();
        world.apply("web", &plain());
        play.pass(Duration::from_hours(2)).await;
        play.expect("calls", play.called(CREATE), 0);
        let asked = dies && !part.is_empty();
        play.expect("reason", play.reason(), if asked { "OutcomeUnknown" } else { "InvalidSpec" });
        play.expect("stalled", is_stalled(&get(&world)), true);
        let looks = play.called(LIST);
        play.expect(&format!("no hot loop, {looks} looks"), looks < 300, true);
        // An object that cannot be read would have every list fail, and with it the work for all others.
        let lists = world.state().log.iter().filter(|line| line.contains("List paiinstances")).count();
        play.expect("lists", lists, 1 + usize::from(dies));
        world.ask("PATCH", CRD, json!({"spec": today}));
        world.annotate("web", "reconcile-requested-at", &"now".into());
        play.pass(Duration::from_mins(2)).await;
        play.rest_with(|world| answer_what_is_held(world, None)).await;
        play.expect("ready", Ready::of(&get(&world)).status, true);
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
    });
}

/// A newer version wrote fields and words that this one does not know, and was rolled back.
fn newer() {
    run(1, |world| async move {
        let play = Play::new(&world, "unknown fields and states");
        change_schema(&world, |status| {
            status["createAttempt"]["properties"]["clientToken"] = json!({"type": "string"});
            status["vouchers"] = json!({"type": "array", "items": {"type": "string"}});
        });
        spoil(&world, CREATE, Effect::Drop { commit: false });
        let slot = play.operator();
        world.apply("web", &plain());
        play.until("Uncertain", |world| attempt_state(&get(world)) == "Uncertain").await;
        let status = json!({"vouchers": ["v"], "createAttempt": {"state": "Verifying", "clientToken": "t"}});
        world.ask("PATCH", &format!("{}/status", path("web")), json!({"status": status}));
        slot.current().kill();
        play.pass(Duration::from_hours(3)).await;
        play.expect("state", attempt_state(&get(&world)).to_owned(), "Verifying");
        play.expect("calls", (play.called(CREATE), play.bought()), (1, 0));
        world.delete("web");
        play.pass(Duration::from_hours(3)).await;
        play.expect("finalizers", get(&world)["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
        play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
        play.hold(Spare::default()).await;
    });
}

#[test]
fn k12_finalizer_status_and_object_lost() {
    // Injects: finalizer removed, status wiped, a backup restored. Holds: the marker is found; the restored object has `DomainTaken`.
    for step in STEPS {
        for finalizer in [true, false] {
            for lost in [false, true] {
                run(1, move |world| async move {
                    let play = Play::new(&world, format!("after {step} ms, finalizer {finalizer}, reply lost {lost}"));
                    if lost {
                        spoil(&world, CREATE, Effect::Drop { commit: true });
                    }
                    play.operator();
                    world.apply("web", &plain());
                    play.pass(Duration::from_millis(step)).await;
                    if finalizer {
                        world.patch("web", json!({"metadata": {"finalizers": null}}));
                    } else {
                        world.lose_status("web");
                        // Nobody is told of a change of the status.
                        world.annotate("web", "reconcile-requested-at", &"now".into());
                    }
                    play.pass(Duration::from_secs(1)).await;
                    play.rest().await;
                    play.expect("bought", play.bought(), 1);
                    play.expect("finalizers", get(&world)["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
                    play.hold(Spare::default()).await;
                });
            }
        }
    }
    restored();
}

/// A backup brings the object back with another UID and without its status.
fn restored() {
    run(1, |world| async move {
        let play = Play::new(&world, "restored");
        play.create(&plain()).await;
        let machine = ids(&get(&world))[0].clone();
        world.patch("web", json!({"metadata": {"finalizers": null}}));
        world.delete("web");
        if world.get("web").is_some() {
            play.fail("the finalizer came back before the deletion");
        }
        world.apply("web", &plain());
        play.rest().await;
        play.expect("reason", play.reason(), "DomainTaken");
        play.expect("told", play.told_once("DomainTaken").await.contains(&machine), true);
        play.expect("answered", world.obey(&get(&world), "adopt", Some(&machine)), true);
        play.until_reason("Available").await;
        play.expect("adopted", play.told_once("Adopted").await.contains(&machine), true);
        play.expect("ids", ids(&get(&world)), vec![machine.clone()]);
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
        world.delete("web");
        play.rest().await;
        play.expect("calls", play.called(TERMINATE), 0);
        play.hold(Spare::default()).await;
    });
    run(1, |world| async move {
        let play = Play::new(&world, "the object is taken away by force amid the send");
        world.state().faults.once(Place::Cloud(CREATE), Trouble::SlowAnswer(Duration::from_secs(5)));
        let slot = play.operator();
        world.apply("web", &plain());
        play.pass(Duration::from_secs(1)).await;
        world.patch("web", json!({"metadata": {"finalizers": null}}));
        world.delete("web");
        play.pass(Duration::from_mins(1)).await;
        let machines = play.machines();
        slot.current().kill();
        world.apply("web", &plain());
        play.rest().await;
        play.expect("reason", play.reason(), "DomainTaken");
        play.expect("bought", play.bought(), 1);
        play.hold(Spare { machines, ..Spare::default() }).await;
    });
}
