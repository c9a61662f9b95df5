//! `TerminateInstances` and the states on the way out, by charge type and from outside.

use crate::client::{World, example, with};
use serde_json::{Value, json};

fn terminate(world: &mut World, ids: &[&str]) -> String {
    world.wait(1);
    world.code("TerminateInstances", &json!({ "InstanceIds": ids }))
}

fn prepaid(world: &mut World) -> String {
    let prepaid = json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 1}});
    let response = world.call("CreatePaiInstance", &with(example(), &prepaid));
    world.wait(5);
    response["InstanceIdSet"][0].as_str().unwrap().to_owned()
}

fn set(world: &mut World, id: &str, fields: &Value) {
    world.cloud.change(id, fields.as_object().unwrap()).unwrap().unwrap();
}

#[test]
fn an_hourly_machine_is_destroyed_at_once() {
    let mut world = World::new();
    let id = world.running("a.test");
    assert_eq!(terminate(&mut world, &[&id]), "ok");
    let shown = world.describe(&id);
    assert_eq!(shown["InstanceState"], "TERMINATING");
    assert_eq!(shown["LatestOperation"], "TerminateInstances");
    assert_eq!(shown["LatestOperationState"], "OPERATING");
    assert_eq!(terminate(&mut world, &[&id]), "UnsupportedOperation.InstanceStateTerminating");
    world.wait(5);
    assert_eq!(world.state(&id), "gone");
    assert_eq!(terminate(&mut world, &[&id]), "InvalidInstanceId.NotFound");
    assert_eq!(world.cloud.state()["history"], json!({"created": 1, "terminated": 1, "launchFailed": 0}));
}

#[test]
fn a_prepaid_machine_goes_to_the_recycle_bin_first() {
    let mut world = World::new();
    let id = prepaid(&mut world);
    assert_eq!(terminate(&mut world, &[&id]), "ok");
    assert_eq!(world.state(&id), "SHUTDOWN");
    assert_eq!(world.describe(&id)["LatestOperationState"], "OPERATING");
    assert_eq!(terminate(&mut world, &[&id]), "OperationDenied.InstanceOperationInProgress");
    world.wait(3600);
    assert_eq!(world.describe(&id)["LatestOperationState"], "SUCCESS");
    assert_eq!(world.billed(), 1);
    assert_eq!(terminate(&mut world, &[&id]), "ok");
    assert_eq!(world.state(&id), "TERMINATING");
    world.wait(5);
    assert_eq!(world.state(&id), "gone");
    assert_eq!(world.billed(), 0);
}

#[test]
fn each_state_answers_with_its_code() {
    for (state, expected) in [
        ("RUNNING", "ok"),
        ("STOPPED", "ok"),
        ("PENDING", "UnsupportedOperation.InstanceStatePending"),
        ("STOPPING", "UnsupportedOperation.InstanceStateStopping"),
        ("REBOOTING", "UnsupportedOperation.InstanceStateRebooting"),
        ("LAUNCH_FAILED", "UnsupportedOperation.InstanceStateLaunchFailed"),
        ("ENTER_RESCUE_MODE", "UnsupportedOperation.InstanceStateEnterRescueMode"),
        ("TERMINATING", "UnsupportedOperation.InstanceStateTerminating"),
    ] {
        let mut world = World::new();
        let id = world.running("a.test");
        set(&mut world, &id, &json!({ "InstanceState": state }));
        assert_eq!(terminate(&mut world, &[&id]), expected);
    }
    let mut world = World::new();
    let id = world.buy("a.test");
    assert_eq!(terminate(&mut world, &[&id]), "UnsupportedOperation.InstanceStatePending");
}

#[test]
fn a_protected_machine_stays() {
    let mut world = World::new();
    let id = world.running("a.test");
    set(&mut world, &id, &json!({"DisableApiTermination": true}));
    assert_eq!(terminate(&mut world, &[&id]), "UnsupportedOperation.InstancesProtected");
    set(&mut world, &id, &json!({"DisableApiTermination": false, "LatestOperationState": "OPERATING"}));
    assert_eq!(terminate(&mut world, &[&id]), "OperationDenied.InstanceOperationInProgress");
}

#[test]
fn a_batch_fails_as_a_whole() {
    let mut world = World::new();
    let a = world.running("a.test");
    let b = world.running("b.test");
    let monthly = prepaid(&mut world);
    assert_eq!(terminate(&mut world, &[&a, "ins-00000000"]), "InvalidInstanceId.NotFound");
    assert_eq!(terminate(&mut world, &[&a, &monthly]), "UnsupportedOperation.InstanceMixedPricingModel");
    assert_eq!(world.state(&a), "RUNNING");
    assert_eq!(terminate(&mut world, &[&a, &b, &a]), "ok");
    world.wait(5);
    assert_eq!((world.state(&a), world.state(&b)), ("gone".to_owned(), "gone".to_owned()));
}

#[test]
fn a_failed_launch_vanishes_by_itself_and_costs_nothing() {
    let mut world = World::new();
    world.spoil("CreatePaiInstance", &json!({"kind": "launch-failed"}));
    let id = world.buy("a.test");
    assert_eq!(world.state(&id), "PENDING");
    world.wait(5);
    let shown = world.describe(&id);
    assert_eq!(shown["InstanceState"], "LAUNCH_FAILED");
    assert!(shown["LatestOperationErrorMsg"].is_string());
    assert_eq!(world.billed(), 0);
    assert_eq!(terminate(&mut world, &[&id]), "UnsupportedOperation.InstanceStateLaunchFailed");
    world.wait(120);
    assert_eq!(world.state(&id), "gone");
    assert_eq!(world.cloud.state()["history"], json!({"created": 1, "terminated": 0, "launchFailed": 1}));
}

#[test]
fn from_outside_anything_can_be_destroyed() {
    let mut world = World::new();
    let id = world.buy("a.test");
    assert!(world.cloud.destroy(&id));
    assert_eq!(world.state(&id), "TERMINATING");
    world.wait(5);
    assert_eq!(world.state(&id), "gone");
    assert!(!world.cloud.destroy(&id));
}
