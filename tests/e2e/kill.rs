//! Kill -9 at each point where it hurts, found by what was written or called, never by a sleep; then restart and see the truth.

use std::time::Duration;

use pai_harness::wait_until;
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, condition, text};

impl Scene {
    /// Waits until the object satisfies `probe`, kills the operator at once, and returns the object as it was left.
    fn kill_when(&self, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, PATIENCE, || {
            let object = self.object("victim");
            if probe(&object) { Ok(()) } else { Err(object["status"].to_string()) }
        })
        .unwrap();
        assert!(self.stack.operator().kill9(), "the operator was not running");
        self.object("victim")
    }

    fn restart(&self) {
        self.stack.operator().start().unwrap();
        self.stack.operator().wait_ready().unwrap();
    }

    /// At most one machine, and the status names exactly what exists.
    fn assert_truth(&self) {
        let machines = self.stack.simulator().instances().unwrap();
        assert!(machines.len() <= 1, "{machines:?}");
        assert!(self.creates().len() <= 1, "{:?}", self.creates());
        let object = self.object("victim");
        let known = object["status"]["instanceIds"].as_array().cloned().unwrap_or_default();
        let ready = condition(&object, "Ready").unwrap();
        match (text(&ready["reason"]).as_str(), machines.as_slice()) {
            ("Available", [machine]) => assert_eq!(known, [machine["InstanceId"].clone()]),
            ("OutcomeUnknown", _) => {
                assert!(known.is_empty());
                assert_eq!(object["status"]["createAttempt"]["state"], "Uncertain");
                assert!(text(&ready["message"]).contains("No other create is sent"), "{ready}");
            }
            (reason, machines) => panic!("{reason} with {machines:?}"),
        }
        self.assert_no_secret_shown();
    }
}

/// A stall on the API of the cloud, so that the request is on its way while the operator dies.
fn stall(seconds: u64, commit: bool) -> Value {
    json!({"action": "CreatePaiInstance", "after": 0, "times": 1, "effect": {"kind": "stall", "seconds": seconds, "commit": commit}})
}

fn has_finalizer(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

fn attempt_state(object: &Value) -> String {
    text(&object["status"]["createAttempt"]["state"])
}

#[test]
fn after_the_finalizer() {
    let scene = Scene::start(&[], &[]);
    // Without its Secret the operator gets as far as the finalizer and no further.
    scene.kubectl(&["delete", "secret", "tencentcloud-credentials"]);
    scene.instance("victim", |_| ());
    let left = scene.kill_when("the finalizer", has_finalizer);
    assert_eq!(left["status"]["createAttempt"], Value::Null);
    let account = pai_harness::Account::default();
    scene.secret("tencentcloud-credentials", &[("secretId", &account.id), ("secretKey", &account.key)]);
    scene.restart();
    scene.wait_ready("victim");
    assert_eq!(scene.creates().len(), 1);
    scene.assert_truth();
}

#[test]
fn after_the_intent() {
    let scene = Scene::start(&[], &[]);
    // Whether the call has reached the cloud by then or not: it is held there and never carried out.
    scene.stack.simulator().add_fault(&stall(15, false)).unwrap();
    scene.instance("victim", |_| ());
    let left = scene.kill_when("the intent", |object| attempt_state(object) == "Sending");
    assert_eq!(attempt_state(&left), "Sending");
    scene.restart();
    scene.wait_reason("victim", "OutcomeUnknown");
    assert!(scene.stack.simulator().instances().unwrap().is_empty());
    scene.assert_truth();
}

#[test]
fn after_the_first_byte_of_the_request() {
    for commit in [false, true] {
        let scene = Scene::start(&[], &[]);
        scene.stack.simulator().add_fault(&stall(15, commit)).unwrap();
        scene.instance("victim", |_| ());
        if commit {
            // The machine exists; the answer is held back.
            wait_until("the machine", PATIENCE, || {
                let machines = scene.stack.simulator().instances().unwrap();
                if machines.is_empty() { Err("none".to_owned()) } else { Ok(()) }
            })
            .unwrap();
        } else {
            scene.stack.simulator().wait_for_calls("CreatePaiInstance", 1, PATIENCE).unwrap();
        }
        assert!(scene.stack.operator().kill9());
        assert_eq!(attempt_state(&scene.object("victim")), "Sending");
        scene.restart();
        // A machine that the lookup finds and can prove is taken at once; an absence takes longer than this test waits.
        scene.wait_reason("victim", if commit { "Available" } else { "OutcomeUnknown" });
        assert_eq!(scene.stack.simulator().instances().unwrap().len(), usize::from(commit));
        scene.assert_truth();
    }
}

#[test]
fn after_the_answer_of_the_cloud() {
    let scene = Scene::start(&[], &[]);
    scene.instance("victim", |_| ());
    // The call is in the cloud's list once it is answered; the ids may or may not have come as far as the status.
    scene.stack.simulator().wait_for_calls("CreatePaiInstance", 1, PATIENCE).unwrap();
    assert!(scene.stack.operator().kill9());
    scene.restart();
    scene.wait_ready("victim");
    assert_eq!(scene.stack.simulator().instances().unwrap().len(), 1);
    scene.assert_truth();
}

#[test]
fn after_the_ids_were_persisted() {
    let scene = Scene::start(&["--boot-time=8s"], &[]);
    scene.instance("victim", |_| ());
    let left = scene
        .kill_when("the ids", |object| object["status"]["instanceIds"].as_array().is_some_and(|ids| !ids.is_empty()));
    scene.restart();
    scene.wait_ready("victim");
    assert_eq!(scene.object("victim")["status"]["instanceIds"], left["status"]["instanceIds"]);
    scene.assert_truth();
}

#[test]
fn a_purchase_under_way_is_finished_before_the_operator_stops() {
    let scene = Scene::start(&[], &[]);
    scene.stack.simulator().add_fault(&stall(5, true)).unwrap();
    scene.instance("victim", |_| ());
    wait_until("the machine", Duration::from_secs(30), || {
        let machines = scene.stack.simulator().instances().unwrap();
        if machines.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .unwrap();
    let status = scene.stack.operator().terminate().unwrap();
    assert!(status.success(), "{status}");
    let object = scene.object("victim");
    assert_eq!(attempt_state(&object), "Created");
    assert_eq!(object["status"]["instanceIds"].as_array().map(Vec::len), Some(1));
    scene.assert_no_secret_shown();
}
