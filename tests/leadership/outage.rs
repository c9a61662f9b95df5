//! The API server is gone for a minute: the leader steps down, the standby stands by, nothing is bought, and then the work goes on.

use std::thread;
use std::time::{Duration, Instant};

use pai_harness::{ControlPlane, Operator, wait_until};

use crate::scene::{PATIENCE, Scene, assert_not_both, leads, position, wait_failed, wait_leads, wait_logged};

const MINUTE: Duration = Duration::from_mins(1);

fn outage(begin: impl Fn(&ControlPlane), end: impl Fn(&ControlPlane)) {
    let scene = Scene::alone();
    let (leader, standby) = scene.leader_and_standby();
    scene.apply("before");
    scene.wait_object_ready("before");
    // At the last moment: how far its creation has come by then is chance.
    scene.apply("at-the-edge");
    let gone_since = Instant::now();
    begin(scene.stack.control_plane());
    // Ids that cannot be written down now keep the process until they are; without such it ends at once.
    let holds_ids = purchases_at_the_end(&leader) > 0;
    assert!(!leads(&leader), "it leads after its leadership ended");
    if !holds_ids {
        wait_failed(&leader);
    }
    let creates = scene.creates().len();
    wait_until("the standby to be unready", PATIENCE, || match standby.health("/readyz") {
        Ok((503, body)) if body.contains("no answer from the API server") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    while gone_since.elapsed() < MINUTE {
        assert!(!leads(&standby), "it leads without the API server");
        // A restart would mend nothing, so the probe that asks for one is content.
        assert_eq!(standby.health("/livez").unwrap().0, 200);
        thread::sleep(Duration::from_millis(100));
    }
    standby.check_alive().unwrap();
    assert_eq!(scene.creates().len(), creates, "bought while the API server was gone");
    end(scene.stack.control_plane());
    if holds_ids {
        wait_failed(&leader);
    }
    leader.start().unwrap();
    leader.wait_standby().unwrap();
    standby.wait_standby().unwrap();
    wait_until("one to lead", PATIENCE, || {
        assert_not_both(&leader, &standby);
        if leads(&leader) == leads(&standby) { Err("none does".to_owned()) } else { Ok(()) }
    })
    .unwrap();
    scene.apply("after");
    scene.wait_object_ready("after");
    assert_honest(&scene);
}

/// How many purchases the process still had under way when its leadership ended, which this waits for.
fn purchases_at_the_end(leader: &Operator) -> u64 {
    let message = "stopping: passes and purchases under way are finished first";
    wait_logged(leader, message);
    let record = position(leader, message).map(|at| leader.log_records().swap_remove(at)).unwrap();
    record["purchases"].as_u64().unwrap()
}

/// The object of the last moment has its one machine, or says that nobody knows: then it takes minutes until another create is sent.
fn assert_honest(scene: &Scene) {
    let machines = scene.stack.simulator().instances().unwrap();
    let count = |domain: &str| machines.iter().filter(|machine| machine["DomainName"] == domain).count();
    assert_eq!((count("before.pai.tcloudbase.com"), count("after.pai.tcloudbase.com")), (1, 1));
    assert!(scene.creates().len() <= 3, "{:#?}", scene.creates());
    if count("at-the-edge.pai.tcloudbase.com") == 1 {
        scene.wait_object_ready("at-the-edge");
    } else {
        let object = scene.object("at-the-edge");
        assert!(machines.len() == 2 && object["status"]["createAttempt"]["state"] == "Uncertain", "{object}");
    }
}

/// It takes connections and never answers; what was asked of it meanwhile it answers in the end.
#[test]
fn an_api_server_that_hangs_for_a_minute() {
    outage(|plane| plane.signal_apiserver("STOP").unwrap(), |plane| plane.signal_apiserver("CONT").unwrap());
}

#[test]
fn an_api_server_that_is_gone_for_a_minute() {
    outage(ControlPlane::kill_apiserver, |plane| plane.start_apiserver().unwrap());
}

/// An outage that is shorter than the lease costs nobody anything.
#[test]
fn an_api_server_that_is_started_again() {
    let scene = Scene::alone();
    let (leader, standby) = scene.leader_and_standby();
    let before = scene.lease().unwrap();
    scene.stack.control_plane().restart_apiserver().unwrap();
    let after = scene.wait_lease("a renewal", |lease| lease.renewed > before.renewed);
    assert_eq!((after.holder, after.transitions), (before.holder, before.transitions));
    wait_leads(&leader, &standby);
    standby.check_alive().unwrap();
}
