//! Hand-overs: given back, left behind by a dead process, and taken up again by the same pod.

use std::thread;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use pai_harness::Operator;

use crate::scene::{PATIENCE, Scene, leads, position, wait_leads};

/// Pause between two looks while a hand-over is timed.
const LOOK: Duration = Duration::from_millis(5);

/// Milliseconds until it leads.
fn time_to_lead(operator: &Operator) -> u128 {
    let began = Instant::now();
    while !leads(operator) {
        operator.check_alive().unwrap();
        assert!(began.elapsed() < PATIENCE, "it does not lead");
        thread::sleep(LOOK);
    }
    began.elapsed().as_millis()
}

/// As in a rolling update: the new pod is ready before the old one is asked to end. Whoever did not give its lease back would be
/// waited for longer than this test has patience.
#[test]
fn a_leader_that_is_asked_to_end_gives_its_lease_back() {
    let scene = Scene::with_endless_lease();
    let (first, second) = scene.leader_and_standby();
    let mut pair = [&first, &second];
    let mut times = Vec::new();
    for _ in 0..10 {
        let [old, new] = pair;
        let before = scene.lease().unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| time_to_lead(new));
            assert!(old.terminate().unwrap().success());
            times.push(waiting.join().unwrap());
        });
        let lease = scene.lease().unwrap();
        assert_eq!((lease.holder, lease.transitions), (new.pod_name().unwrap(), before.transitions + 1));
        assert!(position(old, "released").is_some());
        new.wait_ready().unwrap();
        old.start_new_pod().unwrap();
        old.wait_standby().unwrap();
        pair = [new, old];
    }
    times.sort_unstable();
    println!("from SIGTERM until the standby leads, in ms: {times:?}");
}

#[test]
fn a_killed_leader_is_followed_when_its_lease_has_run_out() {
    let scene = Scene::start();
    let (first, second) = scene.leader_and_standby();
    let mut pair = [&first, &second];
    let mut times = Vec::new();
    for _ in 0..3 {
        let [old, new] = pair;
        assert!(old.kill9());
        let last = scene.lease().unwrap();
        times.push(time_to_lead(new));
        let lease = scene.lease().unwrap();
        assert_eq!(lease.transitions, last.transitions + 1);
        // Both times come from this machine's clock.
        let after = lease.acquired.unwrap().duration_since(last.renewed.unwrap());
        assert!(after >= SignedDuration::from_secs(15), "taken {after} after its last renewal");
        old.start_new_pod().unwrap();
        old.wait_standby().unwrap();
        assert!(leads(new) && !leads(old));
        pair = [new, old];
    }
    println!("from kill -9 until the standby leads, lease of 15 s, in ms: {times:?}");
}

/// The lease has an hour to go: only who knows it for its own takes it within this test's patience.
#[test]
fn a_restarted_container_knows_its_own_lease() {
    let scene = Scene::with_endless_lease();
    let (leader, standby) = scene.leader_and_standby();
    let before = scene.lease().unwrap();
    assert!(leader.kill9());
    let began = Instant::now();
    leader.start().unwrap();
    wait_leads(&leader, &standby);
    println!("from kill -9 until the same pod leads again: {} ms", began.elapsed().as_millis());
    leader.wait_ready().unwrap();
    let after = scene.lease().unwrap();
    assert_eq!(
        (&after.holder, after.transitions, after.acquired),
        (&before.holder, before.transitions, before.acquired)
    );
    assert!(after.renewed > before.renewed);
    assert!(!leads(&standby));
}

#[test]
fn a_standby_is_ready_and_a_frozen_process_is_not_alive() {
    let scene = Scene::start();
    let (leader, standby) = scene.leader_and_standby();
    for (operator, shown) in [(&leader, "pai_operator_leader 1"), (&standby, "pai_operator_leader 0")] {
        assert!(operator.metrics().unwrap().lines().any(|line| line == shown), "{shown}");
        for page in ["/readyz", "/livez"] {
            assert_eq!(operator.health(page).unwrap(), (200, "ok\n".to_owned()), "{page}");
        }
    }
    standby.signal("STOP").unwrap();
    assert!(standby.health("/livez").is_err());
    standby.signal("CONT").unwrap();
    standby.wait_standby().unwrap();
    assert!(leads(&leader) && !leads(&standby));
}
