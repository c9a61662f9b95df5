//! What one account, or one object, may take from the others: passes, calls and time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Account;
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{SECRET_KEY, condition, ids};
use crate::run::run;
use crate::scale::{SWEEP, at_rest, calls, id_of, name, ready, settle, start, traffic};
use crate::world::World;

/// Another account, and a Secret of its name with its key.
fn neighbour(world: &World, name: &str) {
    let id = format!("AKID{name}");
    world.state().cloud.add_account(Account::new(&id, SECRET_KEY).owner(name));
    world.put_key(name, &id, SECRET_KEY);
}

fn of(account: &str) -> Value {
    json!({"credentialsRef": {"name": account}})
}

async fn bought(world: &World, count: usize) {
    while calls(world, "CreatePaiInstance").len() < count {
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_flood_in_one_account_delays_nobody_in_another_and_no_deletion() {
    run(1, |world| async move {
        neighbour(&world, "neighbour");
        start(&world);
        world.apply("old", &json!({}));
        at_rest(&world).await;
        for nth in 0..500 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(5)).await;
        assert!(calls(&world, "CreatePaiInstance").len() < 200, "the flood is under way");
        world.apply("other", &of("neighbour"));
        world.delete("old");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(ids(&world.get("other").unwrap()).len(), 1, "the neighbour's is bought");
        assert_eq!(calls(&world, "TerminateInstances").len(), 1, "and the old one is on its way out");
    });
}

/// More of them would want a pass at a time than there are.
#[test]
fn floods_in_two_accounts_delay_nobody_in_a_third_and_no_deletion() {
    run(1, |world| async move {
        for account in ["left", "right", "third"] {
            neighbour(&world, account);
        }
        start(&world);
        world.apply("old", &of("third"));
        at_rest(&world).await;
        for nth in 0..400 {
            world.apply(&format!("left-{nth}"), &of("left"));
            world.apply(&format!("right-{nth}"), &of("right"));
        }
        sleep(Duration::from_secs(10)).await;
        let bought = calls(&world, "CreatePaiInstance").len();
        assert!((300..600).contains(&bought), "both floods are under way, at their full rates: {bought}");
        world.apply("other", &of("third"));
        world.delete("old");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(ids(&world.get("other").unwrap()).len(), 1, "the third one's is bought");
        assert_eq!(calls(&world, "TerminateInstances").len(), 1, "and the old one is on its way out");
    });
}

/// From now on calls to the cloud in Beijing hang for as long as a call may.
fn silence_beijing(world: &World) {
    let at = Place::CloudOf("ap-beijing");
    world.state().faults.add(Rule { at, skip: 0, times: 100_000, trouble: Trouble::BlackHole });
}

/// The name and the spec of an object in Beijing.
fn far(nth: usize) -> (String, Value) {
    (format!("far-{nth}"), json!({"region": "ap-beijing"}))
}

/// Two hundred objects in Beijing are at rest when it falls silent.
async fn silence_beijing_at_rest(world: &Arc<World>) {
    for (name, spec) in (0..200).map(far) {
        world.apply(&name, &spec);
    }
    at_rest(world).await;
    silence_beijing(world);
}

/// Applies a new object elsewhere and sees that it is bought at once.
async fn buys_at_once(world: &World, name: &str) {
    world.apply(name, &json!({}));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(ids(&world.get(name).unwrap()).len(), 1, "{name}");
}

#[test]
fn new_objects_in_a_region_that_never_answers_delay_nobody_elsewhere() {
    run(1, |world| async move {
        let operator = start(&world);
        sleep(Duration::from_secs(5)).await;
        silence_beijing(&world);
        for (name, spec) in (0..200).map(far) {
            world.apply(&name, &spec);
        }
        for nth in 0..20 {
            sleep(Duration::from_secs(7)).await;
            buys_at_once(&world, &name(nth)).await;
            let waiting = *operator.context().turns.idling().borrow();
            assert!(waiting <= 48, "few of them wait at a time: {waiting}");
        }
        let before = traffic(&world).0;
        sleep(Duration::from_mins(4)).await;
        let reads = traffic(&world).0 - before;
        assert!(reads <= 200 * 5, "in an outage each is read about once a minute: {reads}");
        world.state().faults.clear();
        at_rest(&world).await;
        assert!((0..200).map(far).all(|(name, _)| ids(&world.get(&name).unwrap()).len() == 1), "they come in the end");
    });
}

#[test]
fn deletions_in_a_region_that_never_answers_delay_nobody_elsewhere() {
    run(1, |world| async move {
        start(&world);
        silence_beijing_at_rest(&world).await;
        let before = world.state().writes;
        for (name, _) in (0..200).map(far) {
            world.delete(&name);
        }
        for nth in 0..20 {
            sleep(Duration::from_secs(7)).await;
            buys_at_once(&world, &name(nth)).await;
        }
        let writes = world.state().writes - before - 4 * 20;
        assert!(writes <= 3 * 200, "each tells of it once or twice: {writes}");
        world.state().faults.clear();
        at_rest(&world).await;
        assert!((0..200).map(far).all(|(name, _)| world.get(&name).is_none()), "they go in the end");
    });
}

/// Its calls hang for as long as a call may, and each of its objects has something to find out.
#[test]
fn a_region_that_never_answers_delays_nobody_elsewhere() {
    run(1, |world| async move {
        let operator = start(&world);
        silence_beijing_at_rest(&world).await;
        for nth in 0..40 {
            sleep(Duration::from_secs(20)).await;
            buys_at_once(&world, &name(nth)).await;
            let waiting = *operator.context().turns.idling().borrow();
            assert_eq!(waiting, 0, "nobody waits there: those who were told ask nothing, {nth}");
        }
        let synced = |nth: usize| {
            let object = world.get(&format!("far-{nth}")).unwrap();
            condition(&object, "Synced").unwrap()["status"].clone()
        };
        assert!((0..200).all(|nth| synced(nth) == "False"), "they say that nobody sees them");
        world.state().faults = crate::faults::Faults::default();
        sleep(Duration::from_mins(1)).await;
        assert!((0..200).all(|nth| synced(nth) == "True"), "and that it is over");
    });
}

/// Two hundred machines were bought while the list of domains takes its time; then one list answers for all of them and for a new object.
#[test]
fn checks_of_what_was_bought_do_not_hold_up_the_next_create() {
    run(1, |world| async move {
        start(&world);
        for nth in 0..200 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(2)).await;
        let forever = |at, trouble| Rule { at, skip: 0, times: 100_000, trouble };
        let slow_list = Trouble::SlowAnswer(Duration::from_secs(4));
        world.state().faults.add(forever(Place::Cloud("DescribePaiInstances"), slow_list));
        bought(&world, 200).await;
        // Each pass takes a while from now on, so that sixteen of them are soon too few.
        world.state().faults.add(forever(Place::AnyApi, Trouble::SlowAnswer(Duration::from_millis(100))));
        let checked = || (0..200).filter(|nth| ready(&world, &name(*nth)).reason == "Available").count();
        let before = checked();
        world.apply("zz-last", &json!({}));
        bought(&world, 201).await;
        let checked = checked() - before;
        assert!(checked < 120, "{checked} were checked before the next one was bought");
    });
}

/// The cloud breaks at each request that names one machine, whatever else it names.
#[test]
fn one_at_which_the_cloud_breaks_blinds_no_other_and_is_told() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 90).await;
        let breaks = Trouble::Refuse(502, "");
        let at = Place::CloudNaming(id_of(&world, &name(80)));
        world.state().faults.add(Rule { at, skip: 0, times: 10_000, trouble: breaks });
        let gone = id_of(&world, &name(85));
        world.state().cloud.destroy(&gone);
        sleep(SWEEP + Duration::from_mins(4)).await;
        assert!(!ready(&world, &name(85)).status, "that its machine is gone is seen");
        let synced = |nth: usize| condition(&world.get(&name(nth)).unwrap(), "Synced").unwrap()["status"].clone();
        let not_synced = || (0..90).filter(|nth| synced(*nth) == "False").collect::<Vec<_>>();
        assert_eq!(not_synced(), [80], "it alone cannot be seen");
        world.state().faults.clear();
        sleep(SWEEP).await;
        assert!(not_synced().is_empty());
    });
}

#[test]
fn one_whose_every_pass_fails_delays_nobody() {
    run(1, |world| async move {
        start(&world);
        let black_hole = Rule {
            at: Place::Api(kube_apiserver_model::Verb::Get, "configmaps"),
            skip: 0,
            times: 10_000,
            trouble: Trouble::BlackHole,
        };
        world.state().faults.add(black_hole);
        let script = json!({"initScript": {"configMapKeyRef": {"name": "script", "key": "run.sh"}}});
        for nth in 0..40 {
            world.apply(&format!("poison-{nth}"), &script);
        }
        sleep(Duration::from_mins(10)).await;
        for nth in 0..5 {
            world.apply(&name(nth), &json!({}));
        }
        sleep(Duration::from_secs(3)).await;
        assert!((0..5).all(|nth| ids(&world.get(&name(nth)).unwrap()).len() == 1));
    });
}

/// However it came to that: both are shown the same, and neither takes the other's answer for an absence.
#[test]
fn two_objects_that_name_one_machine_do_not_write_for_ever() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 2).await;
        let path = format!("{}/status", crate::person::path("web-001"));
        world.ask("PATCH", &path, json!({"status": {"instanceIds": [id_of(&world, "web-000")]}}));
        sleep(12 * SWEEP).await;
        let before = traffic(&world).1;
        sleep(Duration::from_hours(1)).await;
        assert_eq!(traffic(&world).1, before, "no write in an hour of sweeps");
        assert_eq!(ready(&world, "web-000").reason, "Available");
    });
}

/// The room that the first listing took is given back while the second one, which somebody waits for, is under way.
#[test]
fn who_waits_for_a_listing_is_called_when_it_is_there() {
    run(1, |world| async move {
        let slow = Trouble::SlowAnswer(Duration::from_secs(5));
        world.state().faults.add(Rule { at: Place::Cloud("DescribePaiInstances"), skip: 0, times: 100, trouble: slow });
        start(&world);
        world.apply("first", &json!({}));
        sleep(Duration::from_secs(47)).await;
        world.apply("second", &json!({}));
        sleep(Duration::from_secs(10)).await;
        assert_eq!(ids(&world.get("second").unwrap()).len(), 1, "it is bought as soon as it was looked for");
    });
}
