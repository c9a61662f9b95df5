//! The admin pages, through the pure function behind them, and the seed.

use crate::client::{KEY, World, account, minimal};
use serde_json::{Value, json};
use tencentcloud_simulator::{Config, HttpRequest, handle_admin};

fn ask(world: &mut World, method: &str, page: &str, body: &Value) -> (u16, Value) {
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let request = HttpRequest {
        method: method.to_owned(),
        path: format!("/_simulator/{path}"),
        query: query.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let response = handle_admin(&mut world.cloud, &request, world.now);
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

#[test]
fn the_state_has_the_documented_members() {
    let mut world = World::new();
    let id = world.buy("a.test");
    let (status, state) = ask(&mut world, "GET", "state", &Value::Null);
    assert_eq!(status, 200);
    assert_eq!(
        state,
        json!({
            "now": "2023-11-14T22:13:20Z",
            "instances": [{
                "InstanceId": id,
                "InstanceName": "未命名",
                "DomainName": "a.test",
                "InstanceState": "PENDING",
                "Region": "ap-guangzhou",
                "Zone": "ap-guangzhou-1",
                "InstanceType": "S4.SMALL2",
                "InstanceChargeType": "POSTPAID_BY_HOUR",
                "CreatedTime": "2023-11-14T22:13:20Z",
                "account": "AKIDtest",
            }],
            "history": {"created": 1, "terminated": 0, "launchFailed": 0},
            "calls": {"CreatePaiInstance": {"ok": 1}},
        })
    );
}

#[test]
fn calls_are_kept_in_order_with_parameters_as_received() {
    let mut world = World::new();
    let id = world.buy("a.test");
    world.code("TerminateInstances", &json!({"InstanceIds": [id], "ReleaseAddress": "yes"}));
    let (_, calls) = ask(&mut world, "GET", "calls", &Value::Null);
    let first = &calls[0];
    assert_eq!((&first["seq"], &first["outcome"]), (&json!(1), &json!("ok")));
    assert_eq!(first["service"], "as");
    assert_eq!(first["version"], "2018-04-19");
    assert_eq!(first["secretId"], "AKIDtest");
    assert_eq!(first["parameters"], minimal("a.test"));
    assert_eq!(first["created"], json!([id]));
    assert!(first["requestId"].is_string() && first["time"].is_string());
    let (_, rest) = ask(&mut world, "GET", "calls?since=1", &Value::Null);
    assert_eq!(rest.as_array().unwrap().len(), 1);
    assert_eq!(rest[0]["outcome"], "InvalidParameter");
    assert_eq!(rest[0]["parameters"], json!({"InstanceIds": [id], "ReleaseAddress": "yes"}));
    assert_eq!(ask(&mut world, "GET", "calls?since=2", &Value::Null).1, json!([]));
    assert_eq!(ask(&mut world, "GET", "calls?since=x", &Value::Null).0, 400);
}

#[test]
fn faults_come_and_go() {
    let mut world = World::new();
    let rule =
        json!({"action": "CreatePaiInstance", "after": 0, "times": 2, "effect": {"kind": "drop", "commit": true}});
    assert_eq!(ask(&mut world, "POST", "faults", &rule), (200, json!([rule])));
    assert_eq!(ask(&mut world, "DELETE", "faults", &Value::Null).0, 200);
    assert_eq!(ask(&mut world, "GET", "faults", &Value::Null).1, json!([]));
    for wrong in [
        json!({"action": "A"}),
        json!({"action": "A", "effect": {"kind": "explode"}}),
        json!({"action": "A", "effect": {"kind": "drop", "comit": true}}),
        json!({"action": "A", "effect": {"kind": "launch-failed", "seconds": 1}}),
        json!({"action": "A", "effect": {"kind": "stall", "seconds": -1}}),
        json!({"action": "A", "effect": {"kind": "status", "status": 99}}),
        json!({"action": "A", "time": 1, "effect": {"kind": "drop"}}),
    ] {
        assert_eq!(ask(&mut world, "POST", "faults", &wrong).0, 400, "{wrong}");
    }
}

#[test]
fn machines_are_changed_and_terminated_from_outside() {
    let mut world = World::new();
    let id = world.running("a.test");
    let page = format!("instances/{id}");
    let change = json!({"InstanceState": "STOPPED", "RestrictState": "EXPIRED", "IsolatedSource": "ARREAR"});
    let (status, shown) = ask(&mut world, "POST", &page, &change);
    assert_eq!((status, &shown["InstanceState"]), (200, &json!("STOPPED")));
    assert_eq!(world.describe(&id)["RestrictState"], "EXPIRED");
    for wrong in [json!({"InstanceId": "ins-1"}), json!({"InstanceState": 1}), json!([])] {
        assert_eq!(ask(&mut world, "POST", &page, &wrong).0, 400);
    }
    assert_eq!(ask(&mut world, "DELETE", &page, &Value::Null).0, 200);
    world.wait(5);
    assert_eq!(ask(&mut world, "DELETE", &page, &Value::Null).0, 404);
    assert_eq!(ask(&mut world, "GET", "nothing", &Value::Null).0, 404);
}

#[test]
fn a_reset_leaves_an_empty_cloud_that_gives_no_id_twice() {
    let mut world = World::new();
    let before = world.buy("a.test");
    world.spoil("*", &json!({"kind": "drop"}));
    assert_eq!(ask(&mut world, "POST", "reset", &Value::Null).0, 200);
    assert_eq!(world.cloud.calls(0).count(), 0);
    assert_eq!(world.billed(), 0);
    assert_ne!(world.buy("a.test"), before);
}

#[test]
fn equal_seeds_give_equal_answers() {
    let run = |seed| {
        let mut world = World::with(Config { seed, ..Config::default().account(account()) });
        (world.call("CreatePaiInstance", &minimal("a.test")), world.call("PreviewPaiDomainName", &json!({})))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_key_can_become_known_later_and_replaces_one_with_its_id() {
    let mut world = World::new();
    let id = world.buy("a.test");
    let listed = |world: &mut World| world.code("DescribeInstances", &json!({"InstanceIds": [id]}));
    assert_eq!(listed(&mut world), "ok");
    let key = |key: &str| json!({"id": "AKIDtest", "key": key});
    assert_eq!(ask(&mut world, "POST", "accounts", &key("another")), (200, json!({})));
    assert_eq!(listed(&mut world), "AuthFailure.SignatureFailure");
    assert_eq!(ask(&mut world, "POST", "accounts", &key(KEY)), (200, json!({})));
    assert_eq!(listed(&mut world), "ok");
    assert_eq!(ask(&mut world, "POST", "accounts", &json!({"id": "AKIDtest"})).0, 400);
}

/// A machine as the page `instances` takes it.
fn stocked(id: &str, domain: &str) -> Value {
    json!({
        "InstanceId": id,
        "InstanceName": format!("name of {domain}"),
        "DomainName": domain,
        "Region": "ap-guangzhou",
        "Zone": "ap-guangzhou-2",
        "InstanceType": "S4.SMALL2",
        "PublicIpAddresses": ["198.18.0.9"],
        "account": "AKIDtest",
    })
}

#[test]
fn machines_put_in_from_outside_are_like_bought_ones() {
    let mut world = World::new();
    let bought = world.running("bought.test");
    let two = json!([stocked("ins-00000001", "a.test"), stocked("ins-00000002", "b.test")]);
    assert_eq!(ask(&mut world, "POST", "instances", &two), (200, json!({"added": 2})));
    let shown = world.describe("ins-00000002");
    for (field, value) in [
        ("InstanceName", json!("name of b.test")),
        ("InstanceState", json!("RUNNING")),
        ("InstanceChargeType", json!("POSTPAID_BY_HOUR")),
        ("PublicIpAddresses", json!(["198.18.0.9"])),
        ("LatestOperationState", json!("SUCCESS")),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert_eq!(shown["Placement"]["Zone"], "ap-guangzhou-2");
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&shown), fields(&world.describe(&bought)));
    assert_eq!(world.call("DescribePaiInstances", &json!({}))["TotalCount"], 3);
    assert_eq!(world.code("CreatePaiInstance", &minimal("a.test")), "FailedOperation.DomainNameInUse");
    assert_eq!(world.code("TerminateInstances", &json!({"InstanceIds": ["ins-00000001"]})), "ok");
    world.wait(5);
    assert_eq!(world.state("ins-00000001"), "gone");
    let (_, state) = ask(&mut world, "GET", "state", &Value::Null);
    assert_eq!(state["history"], json!({"created": 3, "terminated": 1, "launchFailed": 0}));
}

#[test]
fn of_a_list_with_one_wrong_machine_none_is_put_in() {
    let mut world = World::new();
    let good = stocked("ins-00000001", "a.test");
    let changed = |field: &str, value: Value| {
        let mut machine = stocked("ins-00000002", "b.test");
        machine[field] = value;
        machine
    };
    for wrong in [
        changed("InstanceId", json!("ins-1")),
        changed("InstanceId", json!("ins-00000001")),
        changed("account", json!("AKIDother")),
        changed("Region", Value::Null),
        changed("Zone", json!(2)),
        changed("Colour", json!("red")),
    ] {
        let (status, body) = ask(&mut world, "POST", "instances", &json!([good, wrong]));
        assert_eq!((status, body["error"].is_string()), (400, true), "{wrong}");
        assert_eq!(world.billed(), 0, "{wrong}");
    }
    assert_eq!(ask(&mut world, "POST", "instances", &json!({"InstanceId": "ins-00000001"})).0, 400);
    assert_eq!(ask(&mut world, "POST", "instances", &json!([good])).0, 200);
    assert_eq!(ask(&mut world, "POST", "instances", &json!([good])).0, 400);
}
