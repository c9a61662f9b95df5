//! What people and other controllers do to objects, Secrets, namespaces and the CRD.

use std::time::Duration;

use kube_apiserver_model::Verb;
use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::k::end_all_watches;
use super::{CREATE, LIST, Play, STEPS, Spare, TERMINATE, get};
use crate::draw::apply_again_once_gone;
use crate::faults::{Place, Rule, Trouble};
use crate::person::{HOME, NAMESPACE, OTHER_ID, Ready, SECRET, SECRET_ID, STRANGER, attempt_state, ids, is_stalled};
use crate::process::{Options, keep_running};
use crate::run::{plain, run};
use crate::scenario::{answer_what_is_held, references, spoil, with_references};
use crate::world::{PLURAL, World};

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
        let machines = play.machines();
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
    another_account_after_a_lost_status();
    deleted_first();
}

/// An attempt is open, and the Secret holds another key: of the same account, of another one, or none at all.
fn rotated_mid_attempt() {
    for (variant, id) in [("rotated", Some(OTHER_ID)), ("another account", Some(STRANGER)), ("gone", None)] {
        for commit in [true, false] {
            for back_after in [Duration::from_mins(9), Duration::from_mins(40)] {
                run(1, move |world| async move {
                    let play =
                        Play::new(&world, format!("{variant} mid-attempt, bought {commit}, back {back_after:?}"));
                    world.open_strange_account();
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
            world.open_strange_account();
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

/// The status was lost and the machine found again, and then the Secret holds the key of another account: it is remembered whose it is.
fn another_account_after_a_lost_status() {
    run(1, |world| async move {
        let play = Play::new(&world, "another account after a lost status");
        world.open_strange_account();
        play.create(&plain()).await;
        world.lose_status("web");
        world.annotate("web", "reconcile-requested-at", &"now".into());
        play.until("it is found again", |world| !ids(&get(world)).is_empty()).await;
        play.expect("found under", get(&world)["status"]["instances"][0]["secretId"].clone(), json!(SECRET_ID));
        world.write_secret(STRANGER);
        // Longer than a key that was read is used again.
        play.pass(Duration::from_secs(10)).await;
        world.delete("web");
        play.pass(Duration::from_hours(2)).await;
        play.expect("reason", play.reason(), "CredentialsChanged");
        play.expect("calls", play.called(TERMINATE), 0);
        world.write_secret(SECRET_ID);
        play.until("the object is gone", |world| world.get("web").is_none()).await;
        play.expect("left", world.state().cloud.instances().count(), 0);
    });
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

/// In which order the content of a namespace goes.
const ORDERS: [[&str; 2]; 6] = [
    ["secret", "object"],
    ["object", "secret"],
    ["the Role for it", "object"],
    ["object", "the Role for it"],
    [SOURCES, "object"],
    ["object", SOURCES],
];

/// What the spec names.
const SOURCES: &str = "script and password";

fn take_away(world: &World, what: &str) {
    match what {
        "secret" => world.delete_core("secrets", SECRET),
        "object" => world.delete("web"),
        SOURCES => {
            world.delete_core("configmaps", "script");
            world.delete_core("secrets", "login");
        }
        _ => forbid(world, Place::Api(Verb::Get, "secrets")),
    }
}

/// The API server refuses these calls from now on.
fn forbid(world: &World, at: Place) {
    let trouble = Trouble::Refuse(403, "Forbidden");
    world.state().faults.add(Rule { at, skip: 0, times: 1_000_000, trouble });
}

#[test]
fn k10_the_namespace_deleted_in_every_order() {
    // Injects: the namespace deleted at each step, its content in every order. Holds: machine and objects gone; after a restart held.
    for step in STEPS {
        for [first, second] in ORDERS {
            for gap in [0, 20_000] {
                run(1, move |world| async move {
                    let play = Play::new(&world, format!("after {step} ms, {first}, {second}, {gap} ms apart"));
                    play.operator();
                    if [first, second].contains(&SOURCES) {
                        references(&world);
                        with_references(&world);
                    } else {
                        world.apply("web", &plain());
                    }
                    play.pass(Duration::from_millis(step)).await;
                    world.ask("DELETE", HOME, Value::Null);
                    for what in [first, second] {
                        take_away(&world, what);
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
    every_right_goes_first();
    the_others_are_swept();
}

/// A Role in the namespace was all that let the operator work there: nothing is lost but time, and it ends once there is another, by the
/// key that the process still has.
fn every_right_goes_first() {
    run(1, |world| async move {
        let play = Play::new(&world, "every right goes first");
        play.create(&plain()).await;
        world.ask("DELETE", HOME, Value::Null);
        world.delete_core("secrets", SECRET);
        world.delete("web");
        forbid(&world, Place::AnyApi);
        forbid(&world, Place::Api(Verb::Watch, PLURAL));
        end_all_watches(&world);
        let before = world.state().calls;
        play.pass(Duration::from_hours(2)).await;
        let calls = world.state().calls - before;
        play.expect(&format!("no hot loop, {calls} calls"), calls < 1000, true);
        play.expect("it is kept", (world.objects().len(), play.called(TERMINATE)), (1, 0));
        world.state().faults.clear();
        play.until("the object is gone", |world| world.objects().is_empty()).await;
        play.expect("left", world.state().cloud.instances().count(), 0);
        play.hold(Spare::default()).await;
    });
}

/// One of the watched namespaces took our rights there with it, and the operator is started anew: in the others it sees what becomes of a
/// machine, which at rest only the sweep over all objects tells.
fn the_others_are_swept() {
    run(1, |world| async move {
        let play = Play::new(&world, "one namespace of two may not be read");
        forbid(&world, Place::Within("gone"));
        let namespaces = &[NAMESPACE, "gone"];
        keep_running(&world, "operator", Options { namespaces, ..Options::default() }, Duration::from_secs(1));
        world.apply("web", &plain());
        play.until_reason("Available").await;
        play.pass(Duration::from_mins(20)).await;
        let stopped = json!({"InstanceState": "STOPPED"});
        let machine = ids(&get(&world)).remove(0);
        world.state().cloud.change(&machine, stopped.as_object().unwrap());
        play.within(Duration::from_mins(6), "it is told of", |world| !Ready::of(&get(world)).status).await;
    });
}
