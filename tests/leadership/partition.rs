//! A leader that stands still, or whose lease is taken, at the worst moments: what it wakes up to, and what becomes of its purchase.

use serde_json::json;

use crate::scene::{PATIENCE, Scene, leads, position, wait_failed, wait_leads, wait_logged};

const SENDING: &str = "sending the create";
const ANSWERED: &str = "create answered";

#[test]
fn a_frozen_leader_wakes_up_and_starts_nothing() {
    let scene = Scene::start();
    let (frozen, standby) = scene.leader_and_standby();
    let before = scene.lease().unwrap();
    frozen.signal("STOP").unwrap();
    scene.apply("meanwhile");
    scene.wait_object_ready("meanwhile");
    scene.assert_bought(1);
    assert!(leads(&standby));
    frozen.signal("CONT").unwrap();
    // What it knows at the moment of waking is its own clock; the object lies in its watch.
    while frozen.exited().is_none() {
        assert!(!leads(&frozen), "it says that it leads after its lease has run out");
    }
    wait_failed(&frozen);
    assert_eq!(position(&frozen, SENDING), None);
    assert!(position(&standby, SENDING).is_some());
    let lease = scene.lease().unwrap();
    assert_eq!((lease.holder, lease.transitions), (standby.pod_name().unwrap(), before.transitions + 1));
    frozen.start().unwrap();
    frozen.wait_standby().unwrap();
    assert!(leads(&standby) && !leads(&frozen));
    scene.assert_bought(1);
}

/// Seconds that the cloud takes over a create: longer than a leader needs to see another's name in the Lease, and within the deadline.
const LONG_CREATE: f64 = 15.0;

#[test]
fn a_purchase_in_flight_is_finished_by_who_lost_the_lease() {
    let scene = Scene::start();
    let (loser, standby) = scene.leader_and_standby();
    let stall = json!({"action": "CreatePaiInstance", "effect": {"kind": "stall", "seconds": LONG_CREATE}});
    scene.stack.simulator().add_fault(&stall).unwrap();
    scene.apply("in-flight");
    wait_logged(&loser, SENDING);
    scene.give_lease_to("a-stranger");
    wait_failed(&loser);
    let [sent, lost, answered] = [SENDING, "leadership is lost", ANSWERED].map(|text| position(&loser, text).unwrap());
    assert!(sent < lost && lost < answered, "{sent} {lost} {answered}");
    let object = scene.object("in-flight");
    assert_eq!(object["status"]["createAttempt"]["state"], "Created");
    assert_eq!(object["status"]["instanceIds"], json!(scene.creates()[0]["created"]));
    // The stranger never renews: the standby waits for it as for anybody.
    wait_leads(&standby, &loser);
    scene.wait_object_ready("in-flight");
    scene.assert_bought(1);
}

#[test]
fn a_leader_frozen_in_a_purchase_is_followed_by_one_who_finds_the_machine() {
    let scene = Scene::start();
    let (frozen, standby) = scene.leader_and_standby();
    let stall = json!({"action": "CreatePaiInstance", "effect": {"kind": "stall", "seconds": LONG_CREATE}});
    scene.stack.simulator().add_fault(&stall).unwrap();
    scene.apply("frozen");
    wait_logged(&frozen, SENDING);
    scene.stack.simulator().wait_for_calls("CreatePaiInstance", 1, PATIENCE).unwrap();
    frozen.signal("STOP").unwrap();
    let found = scene.wait_object_ready("frozen");
    assert!(leads(&standby));
    frozen.signal("CONT").unwrap();
    wait_failed(&frozen);
    assert!(position(&frozen, ANSWERED).is_some(), "its purchase was cut");
    assert_eq!(scene.wait_object_ready("frozen")["status"]["instanceIds"], found["status"]["instanceIds"]);
    assert_eq!(position(&standby, SENDING), None);
    scene.assert_bought(1);
}
