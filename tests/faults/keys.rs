//! Keys: a Secret that goes, comes back, holds a wrong key or one that may do nothing, and two Secrets with one key.

use std::collections::BTreeSet;
use std::time::Duration;

use kube_apiserver_model::Verb;
use serde_json::json;
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{SECRET_ID, SECRET_KEY};
use crate::rows::code;
use crate::run::run;
use crate::scale::{SWEEP, at_rest, batches, change, id_of, name, ready, settle, start};
use crate::scenario::spoil_after;
use crate::world::World;

fn reasons(world: &World, names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    names.into_iter().map(|name| ready(world, &name).reason).collect()
}

fn only(reason: &str) -> BTreeSet<String> {
    BTreeSet::from([reason.to_owned()])
}

#[test]
fn a_secret_that_goes_and_comes_back_is_seen_within_a_minute_by_all() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 30).await;
        world.delete_core("secrets", crate::person::SECRET);
        sleep(SWEEP + Duration::from_secs(30)).await;
        assert_eq!(reasons(&world, (0..30).map(name)), only("CredentialsNotFound"));
        world.write_secret(SECRET_ID);
        sleep(Duration::from_secs(70)).await;
        assert_eq!(reasons(&world, (0..30).map(name)), only("Available"));
        // Rotated to another key of the account: each status learns under which it was seen.
        world.write_secret(crate::person::OTHER_ID);
        sleep(SWEEP + Duration::from_secs(30)).await;
        let seen_under = |nth: usize| world.get(&name(nth)).unwrap()["status"]["instances"][0]["secretId"].clone();
        assert!((0..30).all(|nth| seen_under(nth) == crate::person::OTHER_ID));
    });
}

/// The API server is in trouble just when a sweep begins.
#[test]
fn a_secret_that_cannot_be_read_for_a_moment_costs_no_sweep() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 30).await;
        sleep(SWEEP).await;
        change(&world, &id_of(&world, &name(7)), "STOPPED");
        let at = Place::Api(Verb::Get, "secrets");
        world.state().faults.add(Rule { at, skip: 0, times: 3, trouble: Trouble::Refuse(500, "InternalError") });
        sleep(SWEEP + Duration::from_mins(1)).await;
        assert_eq!(ready(&world, &name(7)).reason, "Stopped");
    });
}

/// Somebody takes a permission away in the cloud's console and gives it back: no Secret changes.
#[test]
fn a_permission_that_is_given_back_is_seen_within_a_minute_by_all() {
    run(1, |world| async move {
        start(&world);
        settle(&world, 30).await;
        spoil_after(&world, "DescribeInstances", 0, 100_000, code("UnauthorizedOperation", false));
        sleep(SWEEP + Duration::from_secs(30)).await;
        assert_eq!(reasons(&world, (0..30).map(name)), only("CredentialsInvalid"));
        let writes = world.state().writes;
        // That a call gets no answer says nothing of the key.
        world.state().faults.once(Place::Cloud("DescribeInstances"), Trouble::LoseRequest);
        sleep(Duration::from_mins(10)).await;
        assert_eq!(world.state().writes, writes, "it is told once");
        // Nor do a sweep and three of the looks that are made once a minute, at the first object for all.
        let at = Place::CloudNaming(id_of(&world, &name(0)));
        world.state().faults.add(Rule { at, skip: 0, times: 3, trouble: Trouble::NoConnection });
        sleep(Duration::from_mins(10)).await;
        let told = world.state().writes - writes;
        assert!(told <= 4, "at most those are told who asked together with the first one: {told}");
        world.state().cloud.clear_faults();
        sleep(Duration::from_secs(70)).await;
        assert_eq!(reasons(&world, (0..30).map(name)), only("Available"));
    });
}

#[test]
fn objects_of_two_secrets_with_one_key_are_looked_at_together() {
    run(1, |world| async move {
        world.put_key("same", SECRET_ID, SECRET_KEY);
        start(&world);
        settle(&world, 40).await;
        for nth in 40..80 {
            world.apply(&name(nth), &json!({"credentialsRef": {"name": "same"}}));
        }
        at_rest(&world).await;
        sleep(2 * SWEEP).await;
        let asked = batches(&world).len();
        sleep(4 * SWEEP).await;
        let sweeps = batches(&world).split_off(asked);
        assert!((4..=5).contains(&sweeps.len()) && sweeps.iter().all(|sweep| *sweep == 80), "{sweeps:?}");
    });
}

/// Two Secrets with one id, one of them with a wrong key: whoever holds that one learns nothing through the other, neither of a new
/// object nor of one whose machine is known.
#[test]
fn a_wrong_key_learns_nothing_through_a_right_one() {
    run(1, |world| async move {
        world.put_key("guess", SECRET_ID, "guessed");
        start(&world);
        settle(&world, 20).await;
        for nth in 0..20 {
            world.apply(&name(20 + nth), &json!({}));
            world.apply(&format!("thief-{nth}"), &json!({"credentialsRef": {"name": "guess"}}));
        }
        for nth in 0..10 {
            assert!(world.patch(&name(nth), json!({"spec": {"credentialsRef": {"name": "guess"}}})));
        }
        sleep(Duration::from_mins(30)).await;
        // Both ask at one moment, and what is asked at one moment is asked together.
        for nth in 0..20 {
            world.annotate(&name(nth), "reconcile-requested-at", &"now".into());
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(reasons(&world, (0..20).map(|nth| format!("thief-{nth}"))), only("CredentialsInvalid"));
        assert_eq!(reasons(&world, (0..10).map(name)), only("CredentialsInvalid"));
        assert_eq!(reasons(&world, (10..40).map(name)), only("Available"), "and the right one works");
    });
}
