//! A person deletes the Lease.

use pai_harness::wait_until;

use crate::scene::{PATIENCE, Scene, assert_not_both, leads, wait_leads};

#[test]
fn a_deleted_lease_is_made_again_by_its_leader() {
    let scene = Scene::start();
    let (leader, standby) = scene.leader_and_standby();
    let pids = (leader.pid(), standby.pid());
    for _ in 0..5 {
        scene.delete_lease();
        wait_until("the Lease to be there again", PATIENCE, || {
            assert_not_both(&leader, &standby);
            assert!(!leads(&standby), "the standby leads though its leader never let go");
            scene.lease().ok_or_else(|| "there is none".to_owned())
        })
        .unwrap();
        assert_eq!(scene.lease().unwrap().holder, leader.pod_name().unwrap());
    }
    for operator in [&leader, &standby] {
        operator.check_alive().unwrap();
    }
    assert_eq!((leader.pid(), standby.pid()), pids);
    assert!(leads(&leader));
    scene.apply("after");
    scene.wait_object_ready("after");
    scene.assert_bought(1);
}

#[test]
fn a_deleted_lease_of_a_dead_leader_is_made_by_the_standby() {
    let scene = Scene::start();
    let (leader, standby) = scene.leader_and_standby();
    leader.kill9();
    scene.delete_lease();
    wait_leads(&standby, &leader);
    assert_eq!(scene.lease().unwrap().holder, standby.pod_name().unwrap());
}
