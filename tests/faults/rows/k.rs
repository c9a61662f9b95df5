//! What Kubernetes does wrong: answers that are old, lost, refused or slow, and processes that die or stand still.

use std::sync::Arc;
use std::time::Duration;

use kube_apiserver_model::Verb;
use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, Play, Spare, TERMINATE, get, prepaid};
use crate::crash_points;
use crate::faults::{Place, Rule, Trouble};
use crate::oracle;
use crate::person::{Ready, attempt_state, ids, path};
use crate::process::{Options, Process, keep_running};
use crate::run::{plain, run, run_in};
use crate::scenario::{self, spoil, spoil_after};
use crate::world::{CRD, GROUP, PLURAL, World};

/// A new version of the CRD is installed, which ends all watches.
pub fn end_all_watches(world: &World) {
    world.ask("PATCH", CRD, json!({"spec": {"conversion": {"strategy": "None"}, "upgraded": world.now().to_string()}}));
}

#[test]
fn k01_death_panic_and_dropped_future() {
    // Injects: at every call of the simplest create a death, a panic, dropped passes. Holds: O1, O2, O4, O9. All scenarios: `crash_points`.
    let scenario = scenario::CREATES[0];
    let clean = crash_points::play(scenario, &Vec::new()).unwrap();
    assert!(clean.calls > 10);
    for nth in 0..clean.calls {
        for way in crash_points::ways() {
            if let Err(why) = crash_points::judge(scenario, &clean, &vec![(nth, way.clone())]) {
                panic!("{way:?} at call {nth}: {why}");
            }
        }
    }
}

#[test]
fn k02_old_lists_and_old_objects() {
    // Injects: lists and watches that lag, also after a restart, and even old reads. Holds: the intent's CAS fails, nothing is sent.
    run(1, |world| async move {
        let play = Play::new(&world, "a restart on a replica from before the create");
        let old = world.ask("GET", path("").trim_end_matches('/'), Value::Null);
        let slot = play.create(&plain()).await;
        world.state().faults.old_list = Some(old);
        world.state().faults.watch_delay = Duration::from_mins(1);
        slot.current().kill();
        play.pass(Duration::from_mins(10)).await;
        world.delete("web");
        play.until("the object is gone", |world| world.objects().is_empty()).await;
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
    });
    run(1, |world| async move {
        let play = Play::new(&world, "a replica that has not heard of the rival");
        world.apply("other", &json!({"domainName": crate::person::domain("web")}));
        let old = world.ask("GET", path("").trim_end_matches('/'), Value::Null);
        let slot = play.create(&plain()).await;
        world.state().faults.old_list = Some(old);
        world.state().faults.watch_delay = Duration::from_mins(2);
        slot.current().kill();
        play.pass(Duration::from_mins(20)).await;
        play.rest().await;
        play.expect("bought", play.bought(), 1);
        play.hold(Spare::default()).await;
    });
    for (variant, then) in [("created since", ""), ("deleted since", "delete"), ("recreated since", "again")] {
        old_reads(variant, then);
    }
}

/// Reads that are old: the compare-and-swap alone stands between them and a second machine.
fn old_reads(variant: &'static str, then: &'static str) {
    run_in(1, true, move |world| async move {
        let play = Play::new(&world, format!("old reads, {variant}"));
        spoil(&world, CREATE, Effect::Invisible { seconds: 299.0 });
        let slot = play.operator();
        world.apply("web", &plain());
        play.until("the finalizer", |world| get(world).pointer("/metadata/finalizers").is_some()).await;
        let old = get(&world);
        play.until("an id", |world| !ids(&get(world)).is_empty()).await;
        match then {
            "delete" => world.delete("web"),
            "again" => {
                world.patch("web", json!({"metadata": {"finalizers": null}}));
                world.delete("web");
                world.apply("web", &plain());
            }
            _ => {}
        }
        // The lookups show nothing, so a process that believes what it reads buys.
        spoil_after(&world, "*", 0, 8, Effect::Empty {});
        world.state().faults.old_object = Some((4, old));
        let before = world.state().seen.conflicts;
        let called = play.called(CREATE);
        slot.current().kill();
        play.until("a conflict", |world| world.state().seen.conflicts > before).await;
        play.expect("calls on an old read", play.called(CREATE), called);
        world.state().cloud.clear_faults();
        if then == "again" {
            return;
        }
        play.rest().await;
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
    });
}

/// Events are lost for half a second, then the connection breaks: the next one begins where the last event came.
fn lose_a_connection(world: &Arc<World>) {
    world.state().faults.watch_drops = 100;
    let world = Arc::clone(world);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.state().faults.watch_drops = 0;
        world.state().faults.api_down_until = world.elapsed() + Duration::from_secs(1);
        world.wake_watches();
    });
}

/// Something that disturbs the watches.
type Disturb = fn(&Arc<World>);

#[test]
fn k03_events_lost_doubled_and_reordered() {
    // Injects: events lost with their connection, doubled, reordered, late, 410, a CRD upgrade. Holds: the same end state.
    let troubles: [(&str, Disturb); 7] = [
        ("clean", |_| {}),
        ("lost with their connection", lose_a_connection),
        ("doubled", |world| world.state().faults.watch_doubles = 50),
        ("reordered", |world| {
            world.state().faults.watch_delay = Duration::from_secs(4);
            world.state().faults.watch_reversed = true;
        }),
        ("late", |world| world.state().faults.watch_delay = Duration::from_mins(1)),
        ("410", |world| {
            world.state().api.compact();
            end_all_watches(world);
            world.state().api.compact();
        }),
        ("the CRD is upgraded", |world| end_all_watches(world)),
    ];
    let mut clean = Vec::new();
    for (variant, trouble) in troubles {
        let end = run(1, move |world| async move {
            let play = Play::new(&world, variant);
            play.operator();
            for name in ["a", "b", "c"] {
                world.apply(name, &plain());
            }
            play.pass(Duration::from_millis(50)).await;
            trouble(&world);
            world.patch("a", json!({"spec": {"deletionPolicy": "Retain"}}));
            world.delete("b");
            play.pass(Duration::from_secs(3)).await;
            trouble(&world);
            world.apply("web", &plain());
            play.rest().await;
            trouble(&world);
            world.delete("c");
            world.annotate("web", "paused", &"true".into());
            play.until("the deleted ones are gone", |world| world.objects().len() == 2).await;
            world.state().faults.clear();
            world.annotate("web", "paused", &Value::Null);
            play.pass(Duration::from_mins(10)).await;
            play.rest().await;
            play.hold(Spare::default()).await;
            oracle::end_state(&world).into_iter().filter(|line| !line.starts_with('{')).collect::<Vec<_>>()
        });
        if clean.is_empty() {
            clean.clone_from(&end);
        }
        assert_eq!(end, clean, "{variant}");
    }
}

/// The lines of the log that hold a word, by their number.
fn lines(world: &World, text: &str) -> Vec<usize> {
    let state = world.state();
    let all = state.log.iter().enumerate();
    all.filter(|(_, line)| line.contains(text)).map(|(at, _)| at).collect()
}

#[test]
fn k04_storms_of_conflicts() {
    // Injects: thirty 409 in a row at the finalizer, the intent, the ids, the return. Holds: a lost intent is no call, ids land.
    let storms = [
        ("finalizer", Place::Api(Verb::Patch, "paiinstances"), 0),
        ("intent", Place::StatusWrite, 0),
        ("ids", Place::StatusWrite, 1),
        ("after the ids", Place::StatusWrite, 2),
    ];
    for (variant, at, skip) in storms {
        for spec in [plain(), prepaid()] {
            let at = at.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{variant} {spec}"));
                let trouble = Trouble::Refuse(409, "Conflict");
                world.state().faults.add(Rule { at, skip, times: 30, trouble: trouble.clone() });
                play.create(&spec).await;
                let (refused, sent) = (lines(&world, "Refuse(409"), lines(&world, CREATE));
                play.expect("refusals", refused.len(), 30);
                play.expect("calls", (sent.len(), play.called(CREATE)), (1, 1));
                if skip == 0 {
                    play.expect("sent after the storm", refused.iter().all(|line| *line < sent[0]), true);
                }
                play.expect("ids", ids(&get(&world)).len(), 1);
                world.state().faults.add(Rule { at: Place::StatusWrite, skip: 0, times: 30, trouble });
                let before = play.called(TERMINATE);
                world.delete("web");
                play.rest().await;
                play.expect("terminations", play.called(TERMINATE) - before >= 1, true);
                play.hold(Spare::default()).await;
            });
        }
    }
    conflicts_of_a_person();
}

/// Somebody writes the object all the time, so that every compare-and-swap may fail.
fn conflicts_of_a_person() {
    run(1, |world| async move {
        let play = Play::new(&world, "somebody writes every 5 ms");
        let other = Arc::clone(&world);
        tokio::spawn(async move {
            for n in 0..12_000 {
                if other.get("web").is_some() {
                    other.annotate("web", "noise", &n.to_string().into());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        play.create(&plain()).await;
        let conflicts = world.state().seen.conflicts;
        play.expect("conflicts", conflicts > 0, true);
        play.expect("calls", play.called(CREATE), 1);
        play.pass(Duration::from_mins(2)).await;
        play.hold(Spare::default()).await;
    });
}

#[test]
fn k05_written_and_the_answer_lost() {
    // Injects: each write is carried out and its answer lost, also with a death. Holds: no call on such an intent; ids written once.
    for nth in 0..5 {
        for (dies, trouble) in [(false, Trouble::LoseAnswer), (true, Trouble::CrashAfter)] {
            run(1, move |world| async move {
                let play = Play::new(&world, format!("write {nth}, dies {dies}"));
                world.state().faults.add(Rule { at: Place::StatusWrite, skip: nth, times: 1, trouble });
                play.create(&plain()).await;
                let object = get(&world);
                let expected = if nth == 0 { 2 } else { 1 };
                play.expect("attempts", object["status"]["createAttempt"]["ordinal"].clone(), json!(expected));
                play.expect("calls", play.called(CREATE), 1);
                play.expect("ids", ids(&object).len(), 1);
                play.expect("instances", object["status"]["instances"].as_array().map(Vec::len), Some(1));
                play.hold(Spare::default()).await;
            });
        }
    }
    run(1, |world| async move {
        let play = Play::new(&world, "the finalizer's answer lost");
        world.state().faults.once(Place::Api(Verb::Patch, "paiinstances"), Trouble::LoseAnswer);
        play.create(&plain()).await;
        play.expect("finalizers", get(&world)["metadata"]["finalizers"].as_array().map(Vec::len), Some(1));
        world.state().faults.once(Place::Api(Verb::Patch, "paiinstances"), Trouble::LoseAnswer);
        world.delete("web");
        play.rest().await;
        play.expect("calls", (play.called(CREATE), world.objects().len()), (1, 0));
        play.hold(Spare::default()).await;
    });
}

#[test]
fn k06_an_api_server_in_trouble() {
    // Injects: 429, 5xx, slow, silent and absent API servers, from the start and after the send. Holds: few calls, ids kept.
    let troubles = [
        ("429", 40, Trouble::Refuse(429, "TooManyRequests")),
        ("500", 40, Trouble::Refuse(500, "InternalError")),
        ("503", 40, Trouble::Refuse(503, "ServiceUnavailable")),
        ("slow", 40, Trouble::SlowAnswer(Duration::from_secs(5))),
        ("too slow", 8, Trouble::SlowAnswer(Duration::from_secs(20))),
        ("black hole", 8, Trouble::BlackHole),
    ];
    for (variant, times, trouble) in troubles {
        for skip in [0, 3, 8] {
            let trouble = trouble.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{variant} from call {skip}"));
                world.state().faults.add(Rule { at: Place::AnyApi, skip, times, trouble });
                play.create(&plain()).await;
                play.expect("bought", play.bought(), 1);
                let calls = world.state().calls;
                // 40 refused ones, those of a create, and what a search of a quarter of an hour asks.
                play.expect(&format!("few calls, not {calls}"), calls < 400, true);
                play.hold(Spare::default()).await;
            });
        }
    }
    for moment in [0, 50, 106, 130] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("away for ten minutes from {moment} ms"));
            play.operator();
            world.apply("web", &plain());
            play.pass(Duration::from_millis(moment)).await;
            world.state().faults.api_down_until = world.elapsed() + Duration::from_mins(10);
            let before = world.state().calls;
            play.pass(Duration::from_mins(10)).await;
            let calls = world.state().calls - before;
            play.expect(&format!("few calls, not {calls}"), calls < 400, true);
            play.rest().await;
            play.expect("calls", play.called(CREATE), 1);
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn k07_leaders_lost_doubled_and_frozen() {
    // Injects: the lease lost at any moment, two leaders, a freeze between signing and sending. Holds: O1; the late one sends nothing.
    for moment in [0, 1, 30, 99, 106, 110, 130, 150, 1170] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("lease lost after {moment} ms"));
            let first = Process::start(&world, "first", Options::default());
            world.apply("web", &plain());
            play.pass(Duration::from_millis(moment)).await;
            first.lose_leadership();
            first.abandon();
            keep_running(&world, "second", Options { seed: 2, ..Options::default() }, Duration::from_secs(1));
            play.rest().await;
            play.expect("bought", play.bought(), 1);
            play.hold(Spare::default()).await;
        });
    }
    let six_minutes = Trouble::Delay(Duration::from_secs(360));
    let rows: [(&str, Place, Trouble); 9] = [
        ("two leaders", Place::Nth(u64::MAX), Trouble::CrashBefore),
        ("frozen for 1 s after the intent", Place::StatusWrite, Trouble::FreezeAfter(Duration::from_secs(1))),
        ("frozen for 11 s after the intent", Place::StatusWrite, Trouble::FreezeAfter(Duration::from_secs(11))),
        ("frozen for 6 min after the intent", Place::StatusWrite, Trouble::FreezeAfter(Duration::from_mins(6))),
        ("frozen for 1 s at the send", Place::Cloud(CREATE), Trouble::Freeze(Duration::from_secs(1))),
        ("frozen for 11 s at the send", Place::Cloud(CREATE), Trouble::Freeze(Duration::from_secs(11))),
        ("frozen for 6 min at the send", Place::Cloud(CREATE), Trouble::Freeze(Duration::from_mins(6))),
        ("290 s on its way", Place::Cloud(CREATE), Trouble::Delay(Duration::from_secs(290))),
        ("6 min on its way", Place::Cloud(CREATE), six_minutes),
    ];
    for (variant, at, trouble) in rows {
        for shared_domains in [false, true] {
            let (at, trouble) = (at.clone(), trouble.clone());
            run_in(1, shared_domains, move |world| async move {
                let play = Play::new(&world, format!("{variant}, shared domains {shared_domains}"));
                world.state().faults.once(at, trouble);
                keep_running(&world, "other", Options { seed: 2, ..Options::default() }, Duration::from_secs(1));
                play.create(&plain()).await;
                play.expect("bought", play.bought(), 1);
                play.expect("ready", Ready::of(&get(&world)).status, true);
                let refused = |world: &World| {
                    let state = world.state();
                    state.cloud.calls(0).filter(|call| call.outcome == "AuthFailure.SignatureExpire").count()
                };
                play.expect("refused for its age", refused(&world), usize::from(variant == "6 min on its way"));
                play.expect("state", attempt_state(&get(&world)).to_owned(), "Created");
                // The gate stops a sender that was held up for more than ten seconds: its attempt ends, unsent, and another one buys.
                if variant.ends_with("11 s after the intent") {
                    let ordinal = get(&world)["status"]["createAttempt"]["ordinal"].clone();
                    play.expect("attempts and calls", (ordinal, play.called(CREATE)), (json!(2), 1));
                }
                world.delete("web");
                play.rest().await;
                play.expect("left", world.state().api.all(GROUP, PLURAL).len(), 0);
                play.hold(Spare::default()).await;
            });
        }
    }
}
