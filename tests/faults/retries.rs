//! How failures are tried again: later each time, not all at one moment, from the beginning after a success; and what a shutdown leaves.

use std::time::Duration;

use kube_apiserver_model::Verb;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{attempt_state, ids};
use crate::rows::code;
use crate::run::run;
use crate::scale::{at_rest, calls, name, start, traffic};
use crate::scenario::spoil_after;
use crate::world::World;

/// The API server gives no ConfigMap from now on: each pass of an object with a script of one fails.
fn break_config_maps(world: &World) {
    let at = Place::Api(Verb::Get, "configmaps");
    world.state().faults.add(Rule { at, skip: 0, times: 100_000, trouble: Trouble::Refuse(500, "InternalError") });
}

/// How many passes there are in that time.
async fn passes_within(world: &World, span: Duration) -> u64 {
    let before = traffic(world).0;
    sleep(span).await;
    traffic(world).0 - before
}

#[test]
fn a_failing_pass_is_repeated_later_each_time_and_soon_again_after_a_success() {
    run(1, |world| async move {
        start(&world);
        sleep(Duration::from_secs(5)).await;
        break_config_maps(&world);
        world.apply("web", &json!({"initScript": {"configMapKeyRef": {"name": "script", "key": "run.sh"}}}));
        let first = passes_within(&world, Duration::from_secs(20)).await;
        assert!((4..=7).contains(&first), "after 1, 2, 4 and 8 s: {first}");
        sleep(Duration::from_mins(20)).await;
        let later = passes_within(&world, Duration::from_mins(20)).await;
        assert!((3..=5).contains(&later), "every five minutes: {later}");
        world.state().faults.clear();
        sleep(Duration::from_mins(6)).await;
        assert_eq!(crate::scale::ready(&world, "web").reason, "ReferenceNotFound", "a pass came to its end");
        break_config_maps(&world);
        while passes_within(&world, Duration::from_millis(100)).await == 0 {}
        let again = passes_within(&world, Duration::from_secs(20)).await;
        assert!((3..=6).contains(&again), "after 1, 2, 4 and 8 s: {again}");
    });
}

/// Those who were refused together do not come back together: at 20 creates a second that would be a flood each time.
#[test]
fn refused_creates_are_spread_out() {
    run(1, |world| async move {
        start(&world);
        sleep(Duration::from_secs(5)).await;
        spoil_after(&world, "CreatePaiInstance", 0, 100_000, code("ResourceInsufficient", false));
        for nth in 0..40 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(90)).await;
        let sent: Vec<_> = {
            let state = world.state();
            let creates = state.cloud.calls(0).filter(|call| call.action == "CreatePaiInstance");
            creates.map(|call| call.time).collect()
        };
        assert_eq!(sent.len(), 80, "each was tried twice");
        let span = |of: &[jiff::Timestamp]| of[of.len() - 1].duration_since(of[0]).as_secs_f64();
        let (first, second) = (span(&sent[..40]), span(&sent[40..]));
        assert!(first < 4.0, "all at once: {first} s");
        assert!(second > 2.0 * first, "and then spread out: {second} s after {first} s");
    });
}

/// It is told to stop while hundreds are being bought: what it sent is written down, and nobody has to be searched for.
#[test]
fn a_shutdown_amid_a_flood_leaves_nothing_open() {
    run(1, |world| async move {
        let operator = start(&world);
        for nth in 0..300 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(5)).await;
        operator.stop().await;
        let bought = calls(&world, "CreatePaiInstance").len();
        assert!((20..200).contains(&bought), "it was in the middle of it: {bought}");
        let with_ids = |world: &World| (0..300).filter(|nth| !ids(&world.get(&name(*nth)).unwrap()).is_empty()).count();
        assert_eq!(with_ids(&world), bought, "what was bought is written down");
        let open = |object: &Value| attempt_state(object) == "Sending" || attempt_state(object) == "Uncertain";
        assert!(!world.objects().iter().any(open), "and no outcome is unknown");
        sleep(Duration::from_mins(1)).await;
        assert_eq!(calls(&world, "CreatePaiInstance").len(), bought, "nothing is sent any more");
        start(&world);
        at_rest(&world).await;
        assert_eq!((with_ids(&world), calls(&world, "CreatePaiInstance").len()), (300, 300));
    });
}
