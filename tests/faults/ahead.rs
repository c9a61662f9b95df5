//! What is asked of the cloud for a new or a deleted object before its pass has read it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{domain, ids};
use crate::run::run;
use crate::scale::{SWEEP, at_rest, calls, id_of, name, settle, start};
use crate::world::World;

/// Whether a look has named it.
fn is_asked_for(world: &World, wanted: &str) -> bool {
    calls(world, "DescribeInstances").iter().any(|(sent, _)| sent.to_string().contains(wanted))
}

/// A read that takes longer than a look.
const SLOW: Duration = Duration::from_secs(2);

/// The next reads of an object take that long each, and looks none.
fn slow_to_read(world: &World, times: u32, each: Duration) {
    let at = Place::Api(kube_apiserver_model::Verb::Get, "paiinstances");
    world.state().faults.add(Rule { at, skip: 0, times, trouble: Trouble::Delay(each) });
}

/// Starts, and waits for the first listing: what that shows is not looked for ahead.
async fn start_and_list(world: &Arc<World>) {
    start(world);
    sleep(Duration::from_secs(5)).await;
}

#[test]
fn a_new_object_is_looked_for_while_it_is_read() {
    run(1, |world| async move {
        start_and_list(&world).await;
        slow_to_read(&world, 1, SLOW);
        world.apply("web", &json!({}));
        sleep(Duration::from_secs(1)).await;
        let looks =
            || calls(&world, "DescribeInstances").iter().filter(|(sent, _)| sent.get("Filters").is_some()).count();
        assert_eq!(looks(), 1, "for its name");
        assert!(world.get("web").unwrap().pointer("/metadata/finalizers").is_none());
        sleep(Duration::from_secs(3)).await;
        assert_eq!(ids(&world.get("web").unwrap()).len(), 1);
        assert_eq!(looks(), 1, "and what was found is used");
    });
}

/// The other one's look must not be older than what the first one buys.
#[test]
fn of_two_new_objects_with_one_domain_one_is_looked_for() {
    run(1, |world| async move {
        start_and_list(&world).await;
        slow_to_read(&world, 2, SLOW);
        world.apply("web", &json!({}));
        world.apply("twin", &json!({"domainName": domain("web")}));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(calls(&world, "DescribeInstances").len(), 1);
    });
}

#[test]
fn the_machine_of_a_deleted_object_is_looked_at_while_it_is_read() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 1).await;
        slow_to_read(&world, 1, SLOW);
        let looks = || calls(&world, "DescribeInstances").len();
        let before = looks();
        world.delete(&name(0));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((looks() - before, calls(&world, "TerminateInstances").len()), (1, 0), "it is looked at, no more");
        sleep(Duration::from_millis(1500)).await;
        assert_eq!((looks() - before, calls(&world, "TerminateInstances").len()), (1, 1), "what was seen is used");
    });
}

/// It goes before five hundred that are older.
#[test]
fn amid_a_flood_of_the_same_account_a_new_object_is_looked_for_at_once() {
    run(1, |world| async move {
        start_and_list(&world).await;
        for nth in 0..500 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(5)).await;
        for nth in 0..5 {
            let new = format!("new-{nth}");
            world.apply(&new, &json!({}));
            sleep(Duration::from_millis(200)).await;
            assert!(is_asked_for(&world, &new), "{new}");
        }
        assert!(calls(&world, "CreatePaiInstance").len() < 200, "the flood is under way");
    });
}

/// Forty looks for the first of the flood stand in line, for a second.
#[test]
fn as_a_flood_begins_a_deleted_object_is_looked_at_at_once() {
    run(1, |world| async move {
        start(&world);
        world.apply("old", &json!({}));
        at_rest(&world).await;
        let old = id_of(&world, "old");
        for nth in 0..200 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_millis(200)).await;
        let before = calls(&world, "DescribeInstances").len();
        world.delete("old");
        sleep(Duration::from_millis(200)).await;
        let calls = calls(&world, "DescribeInstances");
        assert!(calls[before..].iter().any(|(sent, _)| sent.to_string().contains(&old)));
    });
}

/// The watch's event says less than the object does by then: a look ahead only reads.
#[test]
fn what_is_paused_while_it_is_read_is_not_terminated() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 1).await;
        slow_to_read(&world, 1, SLOW);
        world.delete(&name(0));
        sleep(Duration::from_secs(1)).await;
        world.annotate(&name(0), "paused", &"true".into());
        sleep(SWEEP).await;
        assert_eq!(calls(&world, "TerminateInstances").len(), 0);
    });
}

/// All passes are taken by others, whose reads take long.
#[test]
fn who_waits_for_a_pass_is_looked_for_meanwhile() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 1).await;
        slow_to_read(&world, 1000, SLOW);
        for nth in 1..21 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(1)).await;
        world.apply("last", &json!({}));
        sleep(Duration::from_millis(200)).await;
        assert!(is_asked_for(&world, "last"));
    });
}

/// Forty wait for a pass for long after they were looked for.
#[test]
fn finished_looks_leave_room_for_others() {
    run(1, |world| async move {
        start_and_list(&world).await;
        slow_to_read(&world, 1000, Duration::from_mins(1));
        for nth in 0..60 {
            world.apply(&name(nth), &json!({}));
            sleep(Duration::from_millis(150)).await;
        }
        assert!((0..60).all(|nth| is_asked_for(&world, &name(nth))));
    });
}
