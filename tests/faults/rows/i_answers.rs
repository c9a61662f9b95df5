//! Answers of people that answer nothing: stale, foreign, early.

use std::time::Duration;

use serde_json::Value;
use tencentcloud_simulator::Effect;

use super::{CREATE, Play, Spare, get, outside};
use crate::person::{attempt_state, ids};
use crate::run::{plain, run};
use crate::scenario::{spoil, spoil_after};

#[test]
fn i06_answers_to_nothing() {
    // Injects: resolve annotations that are stale, foreign or early, or no answers at all. Holds: ignored, with one Event each.
    for (when, prepare) in [("available", None), ("uncertain", Some(Effect::Drop { commit: true }))] {
        for answer in [
            "retry:{id}",
            "retry:0123456789abcdef",
            "adopt:{theirs}",
            "adopt:ins-00000000",
            "recreate:0123456789abcdef",
            "destroy:{id}",
            "yes",
        ] {
            let prepare = prepare.clone();
            run(1, move |world| async move {
                let play = Play::new(&world, format!("{when}: {answer}"));
                let theirs = outside::buy(&world, "theirs.example.com", "theirs").await;
                play.operator();
                if let Some(effect) = prepare {
                    spoil(&world, CREATE, effect);
                    spoil(&world, CREATE, Effect::Invisible { seconds: 200.0 });
                    world.apply("web", &plain());
                    play.until("Uncertain", |world| attempt_state(&get(world)) == "Uncertain").await;
                } else {
                    world.apply("web", &plain());
                    play.rest().await;
                }
                let id = get(&world)["status"]["createAttempt"]["id"].as_str().unwrap_or_default().to_owned();
                let text = answer.replace("{id}", &id).replace("{theirs}", &theirs);
                world.annotate("web", "resolve-create", &text.into());
                play.pass(Duration::from_mins(30)).await;
                play.rest().await;
                play.told_once("AnswerIgnored").await;
                play.expect("bought", play.called(CREATE), 2);
                play.expect("ours", ids(&get(&world)).contains(&theirs), false);
                play.expect("ids", ids(&get(&world)).len(), 1);
                play.hold(Spare { machines: vec![theirs], ..Spare::default() }).await;
            });
        }
    }
    stale();
    early();
}

/// An answer that came before the question is not acted on when the question comes, also by a process that did not see it come.
fn early() {
    for restart in [false, true] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("early, restart {restart}"));
            spoil(&world, CREATE, Effect::Drop { commit: false });
            let slot = play.operator();
            world.apply("web", &super::prepaid());
            play.until("Uncertain", |world| attempt_state(&get(world)) == "Uncertain").await;
            let id = get(&world)["status"]["createAttempt"]["id"].as_str().unwrap_or_default().to_owned();
            world.annotate("web", "resolve-create", &format!("retry:{id}").into());
            play.told_once("AnswerIgnored").await;
            if restart {
                slot.current().kill();
            }
            play.until("Held", |world| attempt_state(&get(world)) == "Held").await;
            play.pass(Duration::from_hours(1)).await;
            play.expect("calls", play.called(CREATE), 1);
            play.expect("told", play.told("AnswerIgnored").len(), 1);
            // As the Event says: it is taken away first.
            world.annotate("web", "resolve-create", &Value::Null);
            play.pass(Duration::from_mins(2)).await;
            play.expect("answered", world.obey(&get(&world), "retry", None), true);
            play.until_reason("Available").await;
            play.expect("bought", play.bought(), 1);
            world.annotate("web", "resolve-create", &Value::Null);
            play.hold(Spare::default()).await;
        });
    }
}

/// An answer to a question of yesterday: it stands on the object when the next one is asked, and is given once more.
fn stale() {
    run(1, |world| async move {
        let play = Play::new(&world, "stale");
        spoil_after(&world, CREATE, 0, 2, Effect::Drop { commit: false });
        play.create(&super::prepaid()).await;
        let first = get(&world)["status"]["createAttempt"]["id"].clone();
        play.expect("answered", world.obey(&get(&world), "retry", None), true);
        play.until("the second attempt", |world| {
            get(world)["status"]["createAttempt"]["id"] != first && attempt_state(&get(world)) == "Held"
        })
        .await;
        play.pass(Duration::from_hours(1)).await;
        let again = format!("retry:{}", first.as_str().unwrap_or_default());
        world.annotate("web", "resolve-create", &Value::Null);
        play.pass(Duration::from_secs(5)).await;
        world.annotate("web", "resolve-create", &again.into());
        play.told_once("AnswerIgnored").await;
        play.pass(Duration::from_hours(1)).await;
        play.expect("calls", (play.called(CREATE), play.bought()), (2, 0));
        play.expect("state", attempt_state(&get(&world)).to_owned(), "Held");
        play.expect("answered", world.obey(&get(&world), "retry", None), true);
        play.until_reason("Available").await;
        play.expect("bought", play.bought(), 1);
        play.hold(Spare::default()).await;
    });
}
