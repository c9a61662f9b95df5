//! Kill -9 at each point where it hurts, found by what was written, called or logged, never by a sleep; then restart and see the truth.

use pai_harness::wait_until;
use serde_json::{Value, json};

use crate::gate::{Gate, Way};
use crate::scene::{PATIENCE, Scene, condition, text};

impl Scene {
    /// Waits until the object satisfies `probe`, kills the operator at once, and returns the object as it was left.
    fn kill_when(&self, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        self.until(what, || {
            let object = self.object("victim");
            if probe(&object) { Ok(()) } else { Err(object["status"].to_string()) }
        });
        self.kill9();
        self.object("victim")
    }

    fn restart(&self) {
        self.stack.operator().start().unwrap();
        self.stack.operator().wait_ready().unwrap();
    }

    fn wait_for_log(&self, message: &str) {
        self.until(&format!("the log to say {message:?}"), || {
            let records = self.stack.operator().log_records();
            let said = records.iter().any(|record| text(&record["message"]).starts_with(message));
            if said { Ok(()) } else { Err(format!("{} records", records.len())) }
        });
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
    }
}

fn has_finalizer(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

fn attempt_state(object: &Value) -> String {
    text(&object["status"]["createAttempt"]["state"])
}

#[test]
fn after_the_finalizer() {
    let scene = Scene::start(&[]);
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

/// Whether the request has left the operator by then or not: it never gets to the cloud.
#[test]
fn after_the_intent() {
    let gate = Gate::start();
    gate.close(Way::There);
    let scene = Scene::behind(&gate, true);
    scene.instance("victim", |_| ());
    let left = scene.kill_when("the intent", |object| attempt_state(object) == "Sending");
    assert_eq!(attempt_state(&left), "Sending");
    assert!(scene.creates().is_empty());
    gate.lose();
    scene.restart();
    scene.wait_reason("victim", "OutcomeUnknown");
    scene.assert_truth();
    assert!(scene.creates().is_empty(), "nothing is sent again");
}

#[test]
fn after_the_request_has_left() {
    for (way, arrives, reason) in
        [(Way::There, false, "OutcomeUnknown"), (Way::There, true, "Available"), (Way::Back, true, "Available")]
    {
        let gate = Gate::start();
        gate.close(way);
        let scene = Scene::behind(&gate, true);
        scene.instance("victim", |_| ());
        scene.until("the create to stand at the gate", || gate.holds());
        scene.kill9();
        assert_eq!(attempt_state(&scene.object("victim")), "Sending");
        assert_eq!(scene.creates().len(), usize::from(way == Way::Back), "{way:?}");
        // What was on its way arrives after the death of its sender, or never.
        if arrives {
            gate.open();
            scene.stack.simulator().wait_for_calls("CreatePaiInstance", 1, PATIENCE).unwrap();
        } else {
            gate.lose();
        }
        scene.restart();
        // A machine that the lookup finds and can prove is taken at once; an absence takes longer than this test waits.
        scene.wait_reason("victim", reason);
        assert_eq!(scene.stack.simulator().instances().unwrap().len(), usize::from(arrives), "{way:?}");
        scene.assert_truth();
    }
}

/// The operator has read the answer and has had no way to write it down: the API server stands still.
#[test]
fn after_the_answer_of_the_cloud() {
    let gate = Gate::start();
    gate.close(Way::Back);
    let scene = Scene::behind(&gate, false);
    scene.instance("victim", |_| ());
    scene.until("the answer to stand at the gate", || gate.holds());
    scene.stack.control_plane().signal_apiserver("STOP").unwrap();
    gate.open();
    scene.wait_for_log("create answered");
    scene.kill9();
    scene.stack.control_plane().signal_apiserver("CONT").unwrap();
    assert_eq!(attempt_state(&scene.object("victim")), "Sending");
    scene.restart();
    scene.wait_ready("victim");
    assert_eq!(scene.stack.simulator().instances().unwrap().len(), 1);
    scene.assert_truth();
}

#[test]
fn after_the_ids_were_persisted() {
    let scene = Scene::start(&["--boot-time=8s"]);
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
    let gate = Gate::start();
    gate.close(Way::Back);
    let scene = Scene::behind(&gate, true);
    scene.instance("victim", |_| ());
    scene.until("the answer to stand at the gate", || gate.holds());
    scene.assert_metrics_hide();
    scene.stack.operator().signal("TERM").unwrap();
    scene.wait_for_log("stopping: passes and purchases under way");
    gate.open();
    let status = wait_until("the operator to end", PATIENCE, || {
        scene.stack.operator().exited().ok_or_else(|| "it runs".to_owned())
    });
    assert!(status.unwrap().success());
    let object = scene.object("victim");
    assert_eq!(attempt_state(&object), "Created");
    assert_eq!(object["status"]["instanceIds"], json!(scene.creates()[0]["created"]));
}
