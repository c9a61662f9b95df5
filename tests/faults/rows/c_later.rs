//! What the cloud does otherwise than expected, and what becomes of a machine later.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, DESCRIBE, LIST, LONGEST, Play, Spare, TERMINATE, code, get, prepaid};
use crate::faults::{Place, Rule, Trouble};
use crate::person::{Ready, attempt_state, condition, ids, is_stalled};
use crate::process::{Options, Process, keep_running};
use crate::run::{plain, run, run_in};
use crate::scenario::{spoil, spoil_after};
use crate::world::World;

/// Something that goes wrong.
type Spoil = fn(&World);

#[test]
fn c10_a_domain_asked_for_twice() {
    // Injects: every way to ask twice, where a second domain is accepted (A), or refused with an unlisted code (B). Holds: O1 in both.
    let troubles: [(&str, Spoil); 7] = [
        ("reply lost", |world| spoil(world, CREATE, Effect::Drop { commit: true })),
        ("carried out late", |world| spoil(world, CREATE, Effect::Late { seconds: 290.0 })),
        ("too late to be carried out", |world| spoil(world, CREATE, Effect::Late { seconds: 310.0 })),
        ("listed late", |world| {
            spoil(world, CREATE, Effect::Invisible { seconds: 299.0 });
            spoil(world, CREATE, Effect::Drop { commit: true });
        }),
        ("death after it", |world| world.state().faults.once(Place::Cloud(CREATE), Trouble::CrashAfter)),
        ("death amid it", |world| {
            let late = Trouble::CrashInFlight(Duration::from_secs(100));
            world.state().faults.once(Place::Cloud(CREATE), late);
        }),
        ("two objects", |world| {
            world.apply("other", &json!({"domainName": crate::person::domain("web")}));
        }),
    ];
    for (variant, trouble) in troubles {
        for (letter, accepted) in [('A', true), ('B', false)] {
            run_in(1, accepted, move |world| async move {
                let play = Play::new(&world, format!("{variant}, world {letter}"));
                let options = Options { seed: 2, ..Options::default() };
                keep_running(&world, "second", options, Duration::from_secs(1));
                trouble(&world);
                play.create(&plain()).await;
                play.expect("bought", play.bought(), 1);
                play.hold(Spare::default()).await;
            });
        }
    }
    run_in(1, false, |world| async move {
        let play = Play::new(&world, "B, and the lookup did not show it");
        super::outside::buy(&world, &crate::person::domain("web"), "theirs").await;
        let theirs = play.machines();
        spoil(&world, LIST, Effect::Empty {});
        play.operator();
        world.apply("web", &plain());
        play.until("the unlisted code", |world| !attempt_state(&get(world)).is_empty()).await;
        play.rest().await;
        play.expect("bought", play.bought(), 1);
        play.expect("told", play.told("OutcomeUnknown").is_empty(), false);
        play.hold(Spare { machines: theirs, ..Spare::default() }).await;
    });
}

#[test]
fn c11_changed_outside() {
    // Injects: the machine is stopped, terminated, recycled or in arrears by another hand. Holds: it is told, and nothing is bought.
    let rows: [(&str, Value, Value, &str); 6] = [
        ("stopped", plain(), json!({"InstanceState": "STOPPED"}), "Stopped"),
        ("terminated", plain(), Value::Null, "ExternallyDeleted"),
        ("recycled", prepaid(), Value::Null, "ExternallyDeleted"),
        ("in arrears", plain(), json!({"RestrictState": "PROTECTIVELY_ISOLATED"}), "InsufficientBalance"),
        ("expired", prepaid(), json!({"RestrictState": "EXPIRED"}), "InsufficientBalance"),
        ("in a state of tomorrow", plain(), json!({"InstanceState": "HIBERNATED"}), "Stopped"),
    ];
    for (variant, spec, change, reason) in rows {
        run(1, move |world| async move {
            let play = Play::new(&world, variant);
            play.create(&spec).await;
            let id = ids(&get(&world))[0].clone();
            match change.as_object() {
                Some(change) => assert!(world.state().cloud.change(&id, change).is_some()),
                None => assert!(world.state().cloud.destroy(&id)),
            }
            play.until_reason(reason).await;
            play.pass(Duration::from_hours(3)).await;
            play.expect("reason", play.reason(), reason);
            play.expect("told", play.told(reason).len(), 1);
            play.expect("names it", play.message().contains(&id), true);
            play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
            play.expect("stalled", is_stalled(&get(&world)), reason == "ExternallyDeleted");
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn c12_a_clock_ten_minutes_off() {
    // Injects: the process's clock is ten minutes fast or slow, then mended. Holds: SignatureExpire buys nothing; the next one works.
    for ahead in [600, -600] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("{ahead} s ahead"));
            let wrong = Process::start(&world, "wrong", Options { clock_ahead: ahead, ..Options::default() });
            world.apply("web", &plain());
            play.until_reason("CloudUnavailable").await;
            play.expect("what to mend", play.message().contains("mend the node's clock"), true);
            play.pass(Duration::from_hours(1)).await;
            play.expect("bought", play.bought(), 0);
            play.expect("no hot loop", play.called(LIST) < 500, true);
            wrong.kill();
            play.operator();
            play.rest().await;
            play.expect("calls", play.called(CREATE), 1);
            play.hold(Spare::default()).await;
        });
    }
    run(1, |world| async move {
        let play = Play::new(&world, "the clock steps between lookup and create");
        spoil(&world, CREATE, code("AuthFailure.SignatureExpire", false));
        play.operator();
        world.apply("web", &plain());
        play.until("Rejected", |world| attempt_state(&get(world)) == "Rejected").await;
        play.expect("reason", play.reason(), "CloudUnavailable");
        play.rest().await;
        play.expect("calls", (play.called(CREATE), play.bought()), (2, 1));
        play.hold(Spare::default()).await;
    });
}

#[test]
fn c13_an_action_removed() {
    // Injects: the cloud knows the create no more, or only the list. Holds: a terminal reason and no loop; the path by CVM alone.
    for word in ["InvalidAction", "ActionOffline"] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("create: {word}"));
            spoil_after(&world, CREATE, 0, 1000, code(word, false));
            play.create(&plain()).await;
            play.expect("reason", play.reason(), "ApiRetired");
            play.expect("stalled", is_stalled(&get(&world)), true);
            play.expect("a command", play.message().contains("kubectl "), true);
            play.pass(Duration::from_mins(50)).await;
            play.expect("calls in 50 minutes", play.called(CREATE), 1);
            play.pass(Duration::from_hours(5)).await;
            play.expect("one call an hour", play.called(CREATE) <= 8, true);
            world.delete("web");
            play.rest().await;
            play.expect("objects", world.objects().len(), 0);
            play.hold(Spare::default()).await;
        });
        for lost in [None, Some(true), Some(false)] {
            run(1, move |world| async move {
                let play = Play::new(&world, format!("list: {word}, reply lost {lost:?}"));
                spoil_after(&world, LIST, 0, 100_000, code(word, false));
                if let Some(commit) = lost {
                    spoil(&world, CREATE, Effect::Drop { commit });
                }
                play.create(&plain()).await;
                play.expect("reason", play.reason(), "Available");
                play.expect("bought", play.bought(), 1);
                play.hold(Spare::default()).await;
                world.delete("web");
                play.rest().await;
                play.hold(Spare::default()).await;
            });
        }
    }
    without_the_list_a_name_proves_nothing();
}

/// CVM alone shows a machine with the user's name: whose it is, a person says, and it stays when its object goes.
fn without_the_list_a_name_proves_nothing() {
    run(1, move |world| async move {
        let play = Play::new(&world, "list gone, a name of one's own, reply lost");
        spoil_after(&world, LIST, 0, 100_000, code("ActionOffline", false));
        spoil(&world, CREATE, Effect::Drop { commit: true });
        play.create(&json!({"instanceName": "my-machine"})).await;
        let machines = play.machines();
        play.expect("state", attempt_state(&get(&world)).to_owned(), "Held");
        play.expect("ids", ids(&get(&world)).len(), 0);
        play.expect("answered", world.obey(&get(&world), "adopt", Some(&machines[0])), true);
        play.until_reason("Available").await;
        play.expect("ids", ids(&get(&world)), machines.clone());
        world.delete("web");
        play.until("the object is gone", |world| world.objects().is_empty()).await;
        play.expect("calls", (play.called(CREATE), play.called(TERMINATE)), (1, 0));
        play.hold(Spare { machines, ..Spare::default() }).await;
    });
}

#[test]
fn c14_sold_out_for_a_while() {
    // Injects: no stock, no quota, no money, then there is. Holds: it is told, and tried again without an edit.
    let words = [
        ("ResourceInsufficient", "OutOfStock"),
        ("ResourcesSoldOut.SpecifiedInstanceType", "OutOfStock"),
        ("LimitExceeded.QuotaNotEnough", "QuotaExceeded"),
        ("InvalidAccount.InsufficientBalance", "InsufficientBalance"),
    ];
    for (word, reason) in words {
        run(1, move |world| async move {
            let play = Play::new(&world, word);
            spoil_after(&world, CREATE, 0, 3, code(word, false));
            play.operator();
            world.apply("web", &plain());
            play.until_reason(reason).await;
            play.expect("in the cloud's word", play.message().contains(word), true);
            let retried = condition(&get(&world), "Reconciling").map(|found| found["reason"].clone());
            play.expect("is tried again", retried, Some(json!("ProgressingWithRetry")));
            play.told_once(reason).await;
            play.rest().await;
            play.expect("calls", (play.called(CREATE), play.bought()), (4, 1));
            play.expect("generation", get(&world)["metadata"]["generation"].clone(), json!(1));
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn c15_a_termination_refused() {
    // Injects: every refusal of a termination. Holds: a condition that says what to do, and no second call that destroys.
    protected();
    in_progress();
    for word in
        ["FailedOperation.Unreturnable", "LimitExceeded.UserReturnQuota", "InvalidInstanceNotSupportedPrepaidInstance"]
    {
        run(1, move |world| async move {
            let play = Play::new(&world, word);
            play.create(&prepaid()).await;
            spoil(&world, TERMINATE, code(word, false));
            world.delete("web");
            play.rest().await;
            play.expect("reason", play.reason(), "NotReturnable");
            play.expect("a command", play.message().contains("kubectl patch pai web"), true);
            play.until("the object is gone", |world| world.get("web").is_none()).await;
            play.expect("calls", play.called(TERMINATE), 2);
            play.expect("recycled, not destroyed", state_of_the_only_one(&world), "SHUTDOWN");
            play.told_once("Recycled").await;
        });
    }
    refused_and_not_written();
    for (commit, word) in
        [(true, "InternalError.TradeUnknownError"), (false, "InternalError.TradeUnknownError"), (true, "")]
    {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("{word:?}, carried out {commit}"));
            play.create(&prepaid()).await;
            let lost = Effect::Drop { commit };
            spoil(&world, TERMINATE, if word.is_empty() { lost } else { code(word, commit) });
            world.delete("web");
            if !commit {
                play.until("a person is asked", |world| is_stalled(&get(world))).await;
                play.expect("reason", play.reason(), "NotReturnable");
                play.expect("a command", play.message().contains("kubectl patch pai web"), true);
                play.pass(LONGEST).await;
                play.expect("it runs", state_of_the_only_one(&world), "RUNNING");
                play.expect("calls", play.called(TERMINATE), 1);
                play.hold(Spare::default()).await;
                return;
            }
            play.within(Duration::from_secs(60), "gone", |world| world.get("web").is_none()).await;
            play.expect("calls", play.called(TERMINATE), 1);
            play.told_once("Recycled").await;
        });
    }
}

/// A definite refusal opens the way for another call, also where the API server does not take the news at once.
fn refused_and_not_written() {
    let troubles =
        [(2, Trouble::Refuse(409, "Conflict")), (2, Trouble::Refuse(500, "InternalError")), (1, Trouble::LoseAnswer)];
    for (times, trouble) in troubles {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("refused, and the status write as well: {trouble:?}"));
            play.create(&prepaid()).await;
            spoil(&world, TERMINATE, code("LimitExceeded.UserReturnQuota", false));
            // The first write says that it is asked for, the next ones that it was refused.
            world.state().faults.add(Rule { at: Place::StatusWrite, skip: 1, times, trouble });
            world.delete("web");
            play.until("the object is gone", |world| world.get("web").is_none()).await;
            play.expect("calls", play.called(TERMINATE), 2);
            play.expect("recycled, not destroyed", state_of_the_only_one(&world), "SHUTDOWN");
        });
    }
}

fn state_of_the_only_one(world: &World) -> String {
    world.state().cloud.instances().map(|one| one.state.clone()).collect()
}

/// Its protection is never lifted by us.
fn protected() {
    for spec in [plain(), prepaid()] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("protected {spec}"));
            play.create(&spec).await;
            let id = ids(&get(&world))[0].clone();
            let protect = |on: bool| {
                let change = json!({"DisableApiTermination": on});
                world.state().cloud.change(&id, change.as_object().unwrap());
            };
            protect(true);
            world.delete("web");
            play.rest().await;
            play.expect("reason", play.reason(), "DeleteProtected");
            play.expect("a command", play.message().contains("kubectl patch pai web"), true);
            play.pass(Duration::from_hours(1)).await;
            play.expect("it runs", state_of_the_only_one(&world), "RUNNING");
            play.expect("slowly", play.called(TERMINATE) <= 14, true);
            protect(false);
            play.until("the object is gone", |world| world.get("web").is_none()).await;
            play.expect("bought", play.bought(), 1);
        });
    }
}

fn in_progress() {
    let words = [
        "OperationDenied.InstanceOperationInProgress",
        "MutexOperation.TaskRunning",
        "UnsupportedOperation.InstanceStateStarting",
    ];
    for word in words {
        for spec in [plain(), prepaid()] {
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{word} {spec}"));
                play.create(&spec).await;
                spoil_after(&world, TERMINATE, 0, 2, code(word, false));
                world.delete("web");
                play.until("told", |world| {
                    let object = get(world);
                    Ready::of(&object).message.contains("still billed") || object.is_null()
                })
                .await;
                play.expect("reason", play.reason(), "Deleting");
                play.until("the object is gone", |world| world.get("web").is_none()).await;
                let accepted = |world: &World| {
                    let state = world.state();
                    state.cloud.calls(0).filter(|call| call.action == TERMINATE && call.outcome == "ok").count()
                };
                play.expect("accepted calls", accepted(&world), 1);
                play.expect("reads go on", play.called(DESCRIBE) > 2, true);
            });
        }
    }
}
