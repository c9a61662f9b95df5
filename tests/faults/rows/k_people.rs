//! What people and other controllers do to objects, Secrets, namespaces and the CRD.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::{Account, Effect};

use super::{CREATE, LIST, Play, Spare, TERMINATE, get, prepaid};
use crate::draw::apply_again_once_gone;
use crate::faults::{Place, Trouble};
use crate::person::{OTHER_ID, Ready, SECRET, SECRET_ID, SECRET_KEY, attempt_state, ids, is_stalled, path};
use crate::run::{plain, run};
use crate::scenario::{answer_what_is_held, spoil};
use crate::world::World;

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/paiinstances.pai.tencentcloud.io";
const HOME: &str = "/api/v1/namespaces/default";

/// A Secret key of an account that has none of our machines.
const STRANGER: &str = "AKIDstranger";

/// Milliseconds after the first step: before the finalizer, amid the lookup, before the intent, before and amid the send, before the ids
/// are written, while it boots, long after.
const STEPS: [u64; 8] = [0, 30, 99, 106, 130, 150, 1170, 60_000];

#[test]
fn k08_deleted_or_recreated_at_each_step() {
    // Injects: the object deleted, or recreated under its name, at each step. Holds: the old attempt settles, the new UID waits.
    for step in STEPS {
        for (again, lost) in [(false, None), (true, None), (false, Some(true)), (true, Some(true)), (true, Some(false))]
        {
            run(1, move |world| async move {
                let play = Play::new(&world, format!("after {step} ms, again {again}, reply lost {lost:?}"));
                if let Some(commit) = lost {
                    spoil(&world, CREATE, Effect::Drop { commit });
                }
                play.operator();
                world.apply("web", &plain());
                play.pass(Duration::from_millis(step)).await;
                let old = get(&world)["metadata"]["uid"].clone();
                world.delete("web");
                if again {
                    apply_again_once_gone(&world, "web", plain());
                    play.until("the new one", |world| {
                        world.get("web").is_some_and(|object| object["metadata"]["uid"] != old)
                    })
                    .await;
                }
                play.rest().await;
                play.expect("objects", world.objects().len(), usize::from(again));
                play.hold(Spare::default()).await;
            });
        }
        forced(step);
    }
}

/// Somebody takes the finalizer away and applies the same again: the machine of the old UID is not the new one's.
fn forced(step: u64) {
    run(1, move |world| async move {
        let play = Play::new(&world, format!("by force after {step} ms"));
        play.operator();
        world.apply("web", &plain());
        play.pass(Duration::from_millis(step)).await;
        world.patch("web", json!({"metadata": {"finalizers": null}}));
        world.delete("web");
        if world.get("web").is_none() {
            world.apply("web", &plain());
        }
        play.pass(Duration::from_mins(30)).await;
        let machines: Vec<String> = world.state().cloud.instances().map(|one| one.id.clone()).collect();
        play.expect("machines", machines.len() <= 1, true);
        if ids(&get(&world)).is_empty() && !machines.is_empty() && world.get("web").is_some() {
            play.expect("reason", play.reason(), "DomainTaken");
        }
        play.hold(Spare { machines, ..Spare::default() }).await;
    });
}

#[test]
fn k09_secrets_missing_malformed_and_of_others() {
    // Injects: the Secret missing, empty, with a line end, rotated, of another account, deleted first. Holds: no evidence; a condition.
    let encoded = |id: &str| json!({"data": {"secretId": id, "secretKey": "cGxhbnRlZC1zZWNyZXQta2V5"}});
    let rows = [
        ("missing", Value::Null, "CredentialsNotFound"),
        ("empty", json!({"data": null}), "CredentialsNotFound"),
        ("an empty id", encoded(""), "CredentialsNotFound"),
        // `AKIDsimulated` and a line end.
        ("a line end", encoded("QUtJRHNpbXVsYXRlZAo="), "CredentialsInvalid"),
        // `AKIDnobody`
        ("an unknown id", encoded("QUtJRG5vYm9keQ=="), "CredentialsInvalid"),
    ];
    for (variant, secret, reason) in rows {
        run(1, move |world| async move {
            let play = Play::new(&world, variant);
            world.delete_core("secrets", SECRET);
            if !secret.is_null() {
                world.put_core("secrets", SECRET, &secret);
            }
            play.create(&plain()).await;
            play.expect("reason", play.reason(), reason);
            play.expect("a command", play.message().contains("kubectl create secret generic"), true);
            play.pass(Duration::from_mins(30)).await;
            let asked = play.called(LIST);
            play.expect("calls without a key", if variant == "an unknown id" { asked < 100 } else { asked == 0 }, true);
            world.write_secret(SECRET_ID);
            play.within(Duration::from_mins(3), "ready", |world| Ready::of(&get(world)).status).await;
            play.expect("calls", play.called(CREATE), 1);
            play.hold(Spare::default()).await;
        });
    }
    rotated_mid_attempt();
    another_account_afterwards();
    deleted_first();
}

fn strange_account(world: &World) {
    world.state().cloud.add_account(Account::new(STRANGER, SECRET_KEY).owner("another-account"));
}

/// An attempt is open, and the Secret holds another key: of the same account, of another one, or none at all.
fn rotated_mid_attempt() {
    for (variant, id) in [("rotated", Some(OTHER_ID)), ("another account", Some(STRANGER)), ("gone", None)] {
        for commit in [true, false] {
            for back_after in [Duration::from_mins(9), Duration::from_mins(40)] {
                run(1, move |world| async move {
                    let play =
                        Play::new(&world, format!("{variant} mid-attempt, bought {commit}, back {back_after:?}"));
                    strange_account(&world);
                    spoil(&world, CREATE, Effect::Drop { commit });
                    // Longer than a key that was read is used again.
                    spoil(&world, CREATE, Effect::Invisible { seconds: 10.0 });
                    play.operator();
                    world.apply("web", &plain());
                    play.pass(Duration::from_millis(108)).await;
                    match id {
                        Some(id) => world.write_secret(id),
                        None => world.delete_core("secrets", SECRET),
                    }
                    play.pass(back_after).await;
                    let held = back_after > Duration::from_mins(15);
                    if commit && ids(&get(&world)).len() == 1 {
                        play.fail("it was found under another key");
                    }
                    let state = attempt_state(&get(&world)).to_owned();
                    play.expect("state", state, if held { "Held" } else { "Uncertain" });
                    if id.is_some() {
                        play.expect("reason", play.reason(), "CredentialsChanged");
                    }
                    play.expect("calls", play.called(CREATE), 1);
                    world.write_secret(SECRET_ID);
                    play.pass(Duration::from_mins(2)).await;
                    play.rest_with(|world| answer_what_is_held(world, None)).await;
                    play.expect("bought", play.bought(), 1);
                    play.expect("ready", Ready::of(&get(&world)).status, true);
                    play.hold(Spare::default()).await;
                });
            }
        }
    }
}

/// What another account does not list is neither gone nor to be bought again.
fn another_account_afterwards() {
    for deleting in [false, true] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("another account later, deleting {deleting}"));
            strange_account(&world);
            play.create(&plain()).await;
            world.write_secret(STRANGER);
            play.pass(Duration::from_secs(10)).await;
            if deleting {
                world.delete("web");
            }
            play.until_reason("CredentialsChanged").await;
            play.pass(Duration::from_hours(2)).await;
            play.expect("reason", play.reason(), "CredentialsChanged");
            play.expect("stalled", is_stalled(&get(&world)), true);
            play.expect("a command", play.message().contains("kubectl "), true);
            play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
            world.write_secret(SECRET_ID);
            play.pass(Duration::from_mins(7)).await;
            play.rest().await;
            play.expect("left", world.state().cloud.instances().count(), usize::from(!deleting));
            play.hold(Spare::default()).await;
        });
    }
}

/// The Secret goes before the object: the last good key serves, until a restart.
fn deleted_first() {
    for restart in [false, true] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("Secret deleted first, restart {restart}"));
            let slot = play.create(&plain()).await;
            world.delete_core("secrets", SECRET);
            play.pass(Duration::from_secs(10)).await;
            if restart {
                slot.current().kill();
                play.pass(Duration::from_secs(5)).await;
            }
            world.delete("web");
            play.rest().await;
            if restart {
                play.expect("reason", play.reason(), "CredentialsNotFound");
                play.expect("the way out", play.message().contains("deletionPolicy\":\"Retain"), true);
                play.expect("finalizers", get(&world)["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
                world.write_secret(SECRET_ID);
                play.until("the object is gone", |world| world.get("web").is_none()).await;
            }
            play.expect("left", world.state().cloud.instances().count(), 0);
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn k10_the_namespace_deleted_in_every_order() {
    // Injects: the namespace deleted at each step, its content in every order. Holds: machine and objects gone; after a restart held.
    for step in STEPS {
        for order in [["secret", "object"], ["object", "secret"]] {
            for gap in [0, 20_000] {
                run(1, move |world| async move {
                    let play = Play::new(&world, format!("after {step} ms, {order:?}, {gap} ms apart"));
                    play.operator();
                    world.apply("web", &plain());
                    play.pass(Duration::from_millis(step)).await;
                    world.ask("DELETE", HOME, Value::Null);
                    for what in order {
                        if what == "secret" {
                            world.delete_core("secrets", SECRET);
                        } else {
                            world.delete("web");
                        }
                        play.pass(Duration::from_millis(gap)).await;
                    }
                    play.until("the object is gone", |world| world.objects().is_empty()).await;
                    play.pass(Duration::from_mins(20)).await;
                    play.expect("left", world.state().cloud.instances().count(), 0);
                    play.hold(Spare::default()).await;
                });
            }
        }
    }
    run(1, |world| async move {
        let play = Play::new(&world, "a restart in between");
        let slot = play.create(&plain()).await;
        world.ask("DELETE", HOME, Value::Null);
        world.delete_core("secrets", SECRET);
        slot.current().kill();
        play.pass(Duration::from_secs(20)).await;
        world.delete("web");
        play.rest().await;
        play.expect("reason", play.reason(), "CredentialsNotFound");
        let message = play.message();
        play.expect("the way out", message.contains("kubectl patch pai web -n default --type=merge"), true);
        play.pass(Duration::from_hours(2)).await;
        play.expect("it is kept", (world.objects().len(), play.called(TERMINATE)), (1, 0));
        world.patch("web", json!({"spec": {"deletionPolicy": "Retain"}}));
        play.until("the object is gone", |world| world.objects().is_empty()).await;
        play.hold(Spare::default()).await;
    });
}

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
                        world.ask("PATCH", &format!("{}/status", path("web")), json!({"status": null}));
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
        let machines: Vec<String> = world.state().cloud.instances().map(|one| one.id.clone()).collect();
        slot.current().kill();
        world.apply("web", &plain());
        play.rest().await;
        play.expect("reason", play.reason(), "DomainTaken");
        play.expect("bought", play.bought(), 1);
        play.hold(Spare { machines, ..Spare::default() }).await;
    });
}
