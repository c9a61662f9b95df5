//! Many objects: what each costs at rest, amid a flood, and in trouble. Counted in the cloud and the API server, never in the operator.

use std::sync::Arc;
use std::time::Duration;

use pai_operator::controller::memory::Recollection;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{Ready, condition, domain, ids};
use crate::process::{Options, Process};
use crate::rows::code;
use crate::run::{rest, run};
use crate::scenario::spoil;
use crate::world::World;

pub const SWEEP: Duration = Duration::from_mins(5);

pub fn start(world: &Arc<World>) -> Arc<Process> {
    Process::start(world, "operator", Options { concurrency: 16, ..Options::default() })
}

pub fn name(nth: usize) -> String {
    format!("web-{nth:03}")
}

/// Applies so many objects and waits until all are ready.
pub async fn settle(world: &Arc<World>, count: usize) {
    for nth in 0..count {
        world.apply(&name(nth), &json!({}));
    }
    at_rest(world).await;
}

pub async fn at_rest(world: &Arc<World>) {
    rest(world, Duration::from_mins(30), |_| false).await.unwrap();
    // The last conditions may still be on their way.
    sleep(Duration::from_secs(10)).await;
}

/// The calls of an action so far: their parameters and outcomes.
pub fn calls(world: &World, action: &str) -> Vec<(Value, String)> {
    let state = world.state();
    let calls = state.cloud.calls(0).filter(|call| call.action == action);
    calls.map(|call| (call.parameters.clone(), call.outcome.clone())).collect()
}

/// How many machines each call of `DescribeInstances` asked for by id.
pub fn batches(world: &World) -> Vec<usize> {
    let sizes = calls(world, "DescribeInstances").into_iter();
    sizes.filter_map(|(parameters, _)| Some(parameters.get("InstanceIds")?.as_array()?.len())).collect()
}

/// Reads and writes of objects by the operator so far.
pub fn traffic(world: &World) -> (u64, u64) {
    let state = world.state();
    (state.seen.reads, state.writes)
}

fn all_calls(world: &World) -> usize {
    world.state().cloud.calls(0).count()
}

pub fn change(world: &World, id: &str, state: &str) {
    let fields = json!({"InstanceState": state});
    world.state().cloud.change(id, fields.as_object().unwrap()).unwrap().unwrap();
}

pub fn id_of(world: &World, name: &str) -> String {
    ids(&world.get(name).unwrap()).remove(0)
}

pub fn ready(world: &World, name: &str) -> Ready {
    Ready::of(&world.get(name).unwrap())
}

#[test]
fn objects_at_rest_cost_a_hundredth_of_a_call_a_sweep_and_nothing_else() {
    run(1, |world| async move {
        let operator = start(&world);
        settle(&world, 250).await;
        sleep(2 * SWEEP).await;
        let (before, asked) = (traffic(&world), batches(&world).len());
        let others = all_calls(&world) - asked;
        sleep(Duration::from_hours(1)).await;
        let sweeps: Vec<usize> = batches(&world).split_off(asked);
        // 12 would be an hour of 5 minutes each, which no jitter has made shorter.
        assert!((13 * 3..=16 * 3).contains(&sweeps.len()), "an hour of sweeps at 4 to 5 minutes: {sweeps:?}");
        assert!(sweeps.chunks(3).all(|sweep| sweep.iter().sum::<usize>() == 250), "each asks for all once: {sweeps:?}");
        assert_eq!(all_calls(&world) - batches(&world).len(), others, "and nothing else is asked");
        assert_eq!(traffic(&world), before, "no read and no write");
        // A restart costs one sweep, and no pass.
        operator.kill();
        let asked = batches(&world).len();
        start(&world);
        sleep(Duration::from_mins(1)).await;
        assert_eq!(batches(&world).split_off(asked).into_iter().sum::<usize>(), 250);
        assert_eq!(traffic(&world), before, "no read and no write");
    });
}

#[test]
fn who_asks_to_look_again_is_not_shown_what_was_before() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 2).await;
        for (request, state, reason) in [("1", "STOPPED", "Stopped"), ("2", "RUNNING", "Available")] {
            world.annotate("web-000", "reconcile-requested-at", &request.into());
            sleep(Duration::from_secs(1)).await;
            // A moment after a look, somebody changes something and asks anew.
            change(&world, &id_of(&world, "web-000"), state);
            world.annotate("web-000", "reconcile-requested-at", &format!("{request} again").into());
            sleep(Duration::from_secs(2)).await;
            assert_eq!(ready(&world, "web-000").reason, reason);
        }
    });
}

/// What its own pass saw of a machine is newer than what the watch saw a moment before: no later pass goes back to that.
#[test]
fn a_new_look_is_not_dropped_for_an_older_one() {
    run(1, |world| async move {
        start(&world);
        world.apply("web", &json!({}));
        while world.get("web").is_none_or(|object| Ready::of(&object).reason != "Available") {
            sleep(Duration::from_millis(50)).await;
        }
        let first = id_of(&world, "web");
        world.state().cloud.destroy(&first);
        world.annotate("web", "reconcile-requested-at", &"now".into());
        sleep(Duration::from_millis(300)).await;
        assert_eq!(ready(&world, "web").reason, "ExternallyDeleted");
        // The answer that the message asks for.
        let attempt = world.get("web").unwrap()["status"]["createAttempt"]["id"].as_str().unwrap().to_owned();
        world.annotate("web", "resolve-create", &format!("recreate:{attempt}").into());
        sleep(Duration::from_millis(300)).await;
        assert_eq!(ready(&world, "web").reason, "ExternallyDeleted");
        sleep(Duration::from_mins(5)).await;
        assert_eq!(ready(&world, "web").reason, "Available");
        assert_ne!(id_of(&world, "web"), first);
    });
}

#[test]
fn only_the_object_whose_machine_changed_is_woken() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 120).await;
        let reads = world.state().seen.reads;
        change(&world, &id_of(&world, "web-007"), "STOPPED");
        sleep(SWEEP + Duration::from_secs(5)).await;
        assert_eq!(ready(&world, "web-007").reason, "Stopped");
        assert_eq!(world.state().seen.reads - reads, 1, "one pass in all");
        change(&world, &id_of(&world, "web-007"), "RUNNING");
        sleep(SWEEP + Duration::from_secs(5)).await;
        assert_eq!(ready(&world, "web-007").reason, "Available");
        let reads = world.state().seen.reads;
        let id = id_of(&world, "web-008");
        world.state().cloud.destroy(&id);
        sleep(SWEEP + Duration::from_mins(2)).await;
        assert_eq!(ready(&world, "web-008").reason, "ExternallyDeleted");
        assert!(world.state().seen.reads - reads <= 3, "its passes alone");
    });
}

#[test]
fn a_status_that_somebody_else_wrote_is_mended() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 2).await;
        let before = world.get("web-000").unwrap();
        let path = format!("{}/status", crate::person::path("web-000"));
        for lie in [
            json!({"instances": [{"id": id_of(&world, "web-000"), "state": "STOPPED", "domainName": domain("web-000")}]}),
            json!({"conditions": []}),
        ] {
            world.ask("PATCH", &path, json!({"status": lie}));
            sleep(SWEEP + Duration::from_secs(30)).await;
            let after = world.get("web-000").unwrap();
            assert_eq!(after["status"]["instances"], before["status"]["instances"], "{lie}");
            assert_eq!(Ready::of(&after).reason, "Available", "{lie}");
        }
    });
}

#[test]
fn one_bad_id_blinds_nobody() {
    run(1, |world| async move {
        let operator = start(&world);
        settle(&world, 120).await;
        operator.kill();
        let path = format!("{}/status", crate::person::path("web-003"));
        world.ask("PATCH", &path, json!({"status": {"instanceIds": ["not an id"]}}));
        start(&world);
        sleep(Duration::from_mins(1)).await;
        for nth in [0, 2, 4, 99, 119] {
            change(&world, &id_of(&world, &name(nth)), "STOPPED");
        }
        sleep(SWEEP + Duration::from_secs(30)).await;
        for nth in [0, 2, 4, 99, 119] {
            assert_eq!(ready(&world, &name(nth)).reason, "Stopped", "{nth}");
        }
        let synced = world.get("web-003").unwrap();
        assert_eq!(condition(&synced, "Synced").unwrap()["status"], "False", "and its own object says so");
    });
}

#[test]
fn a_refused_batch_is_asked_again_and_blinds_nobody() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 220).await;
        for nth in [0, 219] {
            change(&world, &id_of(&world, &name(nth)), "STOPPED");
        }
        let before = batches(&world).len();
        spoil(&world, "DescribeInstances", code("InternalServerError", false));
        let writes = world.state().writes;
        sleep(SWEEP + Duration::from_secs(30)).await;
        assert!(batches(&world).split_off(before).len() >= 4, "three batches, one of them twice");
        for nth in [0, 219] {
            assert_eq!(ready(&world, &name(nth)).reason, "Stopped", "{nth}");
        }
        assert_eq!(world.state().writes - writes, 2, "a failure that passes is not told to everybody");
    });
}

#[test]
fn an_outage_is_told_once_and_its_end_once() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 30).await;
        let writes = world.state().writes;
        let unreachable = Trouble::NoConnection;
        world.state().faults.add(Rule { at: Place::AnyCloud, skip: 0, times: 10_000, trouble: unreachable });
        sleep(Duration::from_hours(2)).await;
        let synced = |nth: usize| {
            let object = world.get(&name(nth)).unwrap();
            condition(&object, "Synced").unwrap()["status"].clone()
        };
        assert!((0..30).all(|nth| synced(nth) == "False" && ready(&world, &name(nth)).status));
        assert_eq!(world.state().writes - writes, 30, "each object is written once");
        world.state().faults = crate::faults::Faults::default();
        sleep(Duration::from_mins(1)).await;
        assert!((0..30).all(|nth| synced(nth) == "True"), "well again within a minute");
        assert_eq!(world.state().writes - writes, 60);
    });
}

#[test]
fn a_flood_of_creates_asks_once_for_each_and_is_never_refused() {
    run(1, |world| async move {
        let operator = start(&world);
        for nth in 0..300 {
            world.apply(&name(nth), &json!({}));
        }
        at_rest(&world).await;
        for action in ["CreatePaiInstance", "DescribePaiInstances", "DescribeInstances"] {
            let refused: Vec<_> = calls(&world, action).into_iter().filter(|(_, outcome)| outcome != "ok").collect();
            assert!(refused.is_empty(), "{action}: {refused:?}");
        }
        assert_eq!(calls(&world, "CreatePaiInstance").len(), 300);
        let names = calls(&world, "DescribeInstances").into_iter().filter(|(asked, _)| asked.get("Filters").is_some());
        assert_eq!(names.count(), 300, "one look for each");
        let writes = world.state().writes;
        assert!(writes <= 4 * 300, "finalizer, intent, ids, ready: {writes}");
        assert_eq!(operator.context().turns.waiting(), 0);
    });
}

#[test]
fn what_is_remembered_goes_with_the_last_object() {
    run(1, |world| async move {
        let operator = start(&world);
        settle(&world, 20).await;
        assert_eq!(operator.context().cloud_watch.followed(), 20);
        for nth in 0..20 {
            world.delete(&name(nth));
        }
        at_rest(&world).await;
        let context = operator.context();
        assert_eq!((context.objects.count(), context.cloud_watch.followed(), context.queue.waiting()), (0, 0, 0));
        sleep(SWEEP).await;
        let everywhere = std::collections::BTreeSet::from(["default".into()]);
        assert_eq!(context.credentials.keep_only(&everywhere), 0, "no key is kept");
        let before = all_calls(&world);
        sleep(Duration::from_hours(1)).await;
        assert_eq!(all_calls(&world), before, "nobody is asked about");
    });
}

/// It is gone before it has a finalizer, and before its first look has an answer.
#[test]
fn nothing_is_remembered_of_one_that_goes_at_once() {
    run(1, |world| async move {
        let operator = start(&world);
        // What the first listing shows is not looked for ahead.
        sleep(Duration::from_secs(5)).await;
        world.state().faults.once(Place::Cloud("DescribeInstances"), Trouble::SlowAnswer(Duration::from_secs(2)));
        world.apply("web", &json!({}));
        let uid = world.get("web").unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
        sleep(Duration::from_millis(500)).await;
        world.delete("web");
        assert!(world.get("web").is_none(), "it had no finalizer");
        assert_eq!(calls(&world, "DescribeInstances").len(), 1, "it was looked for");
        at_rest(&world).await;
        assert_eq!(operator.context().memory.recall(&uid), Recollection::default());
    });
}

/// A look is kept for a create that waits, and for nobody else.
#[test]
fn who_asks_for_a_fresh_look_gets_one() {
    run(1, |world| async move {
        let taken = crate::rows::outside::buy(&world, &domain("web"), "somebody's").await;
        start(&world);
        world.apply("web", &json!({}));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(ready(&world, "web").reason, "DomainTaken");
        world.state().cloud.destroy(&taken);
        sleep(Duration::from_secs(5)).await;
        world.annotate("web", "reconcile-requested-at", &"now".into());
        sleep(Duration::from_secs(5)).await;
        assert_eq!(ids(&world.get("web").unwrap()).len(), 1);
    });
}

/// A machine that starts, reboots or is made is looked at every three seconds together with all others like it, and its object gets no
/// pass for that.
#[test]
fn machines_on_their_way_are_looked_at_together_every_few_seconds() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 30).await;
        for nth in 0..30 {
            change(&world, &id_of(&world, &name(nth)), "STARTING");
        }
        sleep(SWEEP + Duration::from_secs(30)).await;
        assert_eq!(ready(&world, &name(7)).reason, "Provisioning");
        let (asked, reads) = (batches(&world).len(), traffic(&world).0);
        sleep(Duration::from_mins(1)).await;
        let looks = batches(&world).split_off(asked);
        let of_all = looks.iter().filter(|look| **look == 30).count();
        assert!((18..=22).contains(&of_all), "at all of them every three seconds: {looks:?}");
        assert!(looks.len() <= 24, "and hardly at one alone: {looks:?}");
        assert!(traffic(&world).0 - reads <= 5 * 30, "a pass every fifteen seconds at most");
        change(&world, &id_of(&world, &name(7)), "RUNNING");
        sleep(Duration::from_secs(4)).await;
        assert_eq!(ready(&world, &name(7)).reason, "Available");
    });
}

#[test]
fn what_many_ask_at_one_moment_is_asked_together() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 16).await;
        let asked = batches(&world).len();
        for nth in 0..16 {
            world.annotate(&name(nth), "reconcile-requested-at", &"now".into());
        }
        sleep(Duration::from_secs(1)).await;
        let looks = batches(&world).split_off(asked);
        assert_eq!(looks.iter().sum::<usize>(), 16, "each is looked at: {looks:?}");
        assert!(looks.len() <= 2, "in one call, or in two: {looks:?}");
    });
}
