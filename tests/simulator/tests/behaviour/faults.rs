//! Each effect in the core: what is carried out, what is answered, and how it is delivered.

use crate::client::{World, code, minimal, response};
use serde_json::{Value, json};
use std::time::Duration;
use tencentcloud_simulator::{Delivery, Handling};

fn create(world: &mut World) -> Handling {
    let request = world.client.post("CreatePaiInstance", &minimal("a.test"), world.now);
    world.send(&request)
}

fn spoiled(effect: &Value) -> (World, Handling) {
    let mut world = World::new();
    world.spoil("CreatePaiInstance", effect);
    let handling = create(&mut world);
    (world, handling)
}

#[test]
fn commit_says_whether_the_action_was_carried_out() {
    let second = Duration::from_secs(1);
    for (effect, with, without) in [
        (json!({"kind": "error", "code": "InternalError.CallCnsError"}), Delivery::Send, Delivery::Send),
        (json!({"kind": "drop"}), Delivery::Close, Delivery::Close),
        (json!({"kind": "stall", "seconds": 1}), Delivery::SendAfter(second), Delivery::CloseAfter(second)),
        (json!({"kind": "status", "status": 502, "body": "<html>"}), Delivery::Send, Delivery::Send),
    ] {
        for (commit, delivery) in [(true, with), (false, without)] {
            let mut effect = effect.clone();
            effect["commit"] = commit.into();
            let (world, handling) = spoiled(&effect);
            assert_eq!(world.billed(), usize::from(commit), "{effect}");
            assert_eq!(handling.delivery, delivery, "{effect}");
            let call = world.cloud.calls(0).next().unwrap();
            assert_eq!(call.created.len(), usize::from(commit), "{effect}");
            let kind = effect["code"].as_str().or(effect["kind"].as_str());
            assert_eq!(Some(call.outcome.as_str()), kind);
        }
    }
}

#[test]
fn an_error_is_answered_with_its_text() {
    let effect = json!({"kind": "error", "code": "ResourceInsufficient", "message": "sold out", "commit": false});
    let (mut world, handling) = spoiled(&effect);
    let error = response(&handling)["Error"].clone();
    assert_eq!(error, json!({"Code": "ResourceInsufficient", "Message": "sold out"}));
    assert_eq!(code(&response(&create(&mut world))), "ok");
    let counts = world.cloud.state()["calls"].clone();
    assert_eq!(counts, json!({"CreatePaiInstance": {"ResourceInsufficient": 1, "ok": 1}}));
}

#[test]
fn a_status_has_the_body_it_was_given() {
    let (_, handling) = spoiled(&json!({"kind": "status", "status": 504, "body": "<html>", "commit": true}));
    assert_eq!((handling.response.status, handling.response.body), (504, b"<html>".to_vec()));
}

#[test]
fn a_cut_answer_is_no_json() {
    for commit in [true, false] {
        let (world, handling) = spoiled(&json!({"kind": "truncate", "commit": commit}));
        assert_eq!(world.billed(), usize::from(commit));
        let Delivery::Truncate(at) = handling.delivery else {
            panic!("{:?}", handling.delivery);
        };
        assert!(serde_json::from_slice::<Value>(&handling.response.body[..at]).is_err());
    }
}

#[test]
fn a_dripping_answer_is_whole() {
    let (_, handling) = spoiled(&json!({"kind": "drip", "seconds": 3}));
    assert_eq!(handling.delivery, Delivery::Drip(Duration::from_secs(3)));
    assert_eq!(code(&response(&handling)), "ok");
}

#[test]
fn an_invisible_machine_costs_money_before_it_is_listed() {
    let mut world = World::new();
    world.spoil("CreatePaiInstance", &json!({"kind": "invisible", "seconds": 60}));
    world.spoil("CreatePaiInstance", &json!({"kind": "drop", "commit": true}));
    assert_eq!(create(&mut world).delivery, Delivery::Close);
    let id = world.cloud.calls(0).next().unwrap().created[0].clone();
    world.wait(59);
    assert_eq!(world.billed(), 1);
    assert_eq!(world.state(&id), "gone");
    assert_eq!(world.call("DescribePaiInstances", &json!({}))["TotalCount"], 0);
    let terminated = world.code("TerminateInstances", &json!({"InstanceIds": [id]}));
    assert_eq!(terminated, "InvalidInstanceId.NotFound");
    world.wait(1);
    assert_eq!(world.state(&id), "RUNNING");
}

#[test]
fn several_ids_or_none() {
    for count in [0, 1, 3] {
        let (world, handling) = spoiled(&json!({"kind": "ids", "count": count}));
        let ids = response(&handling)["InstanceIdSet"].clone();
        assert_eq!(ids.as_array().unwrap().len(), count);
        assert_eq!(world.billed(), count);
    }
}

#[test]
fn a_machine_without_its_domain_is_not_listed_as_pai() {
    let (mut world, handling) = spoiled(&json!({"kind": "no-domain"}));
    let id = response(&handling)["InstanceIdSet"][0].as_str().unwrap().to_owned();
    assert_eq!(world.state(&id), "PENDING");
    assert_eq!(world.call("DescribePaiInstances", &json!({}))["TotalCount"], 0);
    assert_eq!(world.cloud.state()["instances"][0]["DomainName"], "");
}

#[test]
fn listings_lie() {
    let mut world = World::new();
    let ids: Vec<_> = (0..5).map(|n| world.buy(&format!("d{n}.test"))).collect();
    let list = |world: &mut World, parameters: Value| {
        let response = world.call("DescribeInstances", &parameters);
        let set = response["InstanceSet"].as_array().unwrap().clone();
        let ids: Vec<_> = set.iter().map(|item| item["InstanceId"].as_str().unwrap().to_owned()).collect();
        (response["TotalCount"].as_u64().unwrap(), ids)
    };
    world.spoil("DescribeInstances", &json!({"kind": "empty"}));
    assert_eq!(list(&mut world, json!({})), (0, vec![]));
    assert_eq!(list(&mut world, json!({})), (5, ids.clone()));

    let filter = json!({"Filters": [{"Name": "instance-name", "Values": ["nobody"]}]});
    world.spoil("DescribeInstances", &json!({"kind": "ignore-filter"}));
    assert_eq!(list(&mut world, filter.clone()), (5, ids.clone()));
    assert_eq!(list(&mut world, filter), (0, vec![]));

    let second = json!({"Offset": 2, "Limit": 2});
    world.spoil("DescribeInstances", &json!({"kind": "shift-pages"}));
    assert_eq!(list(&mut world, second.clone()), (5, ids[3..5].to_vec()));
    assert_eq!(list(&mut world, second), (5, ids[2..4].to_vec()));
}

#[test]
fn a_late_request_is_carried_out_while_its_signature_holds() {
    for (seconds, expected) in [(30, 1), (300, 1), (301, 0)] {
        let (mut world, handling) = spoiled(&json!({"kind": "late", "seconds": seconds}));
        assert_eq!(handling.delivery, Delivery::Close);
        world.wait(seconds - 1);
        world.cloud.advance(world.now);
        assert_eq!(world.billed(), 0);
        world.wait(1);
        world.cloud.advance(world.now);
        assert_eq!(world.billed(), expected, "{seconds}");
        let call = world.cloud.calls(0).next().unwrap();
        assert_eq!((call.outcome.as_str(), call.created.len()), ("late", expected));
    }
}

#[test]
fn a_refused_call_uses_no_rule_up() {
    let mut world = World::new();
    world.spoil("*", &json!({"kind": "drop"}));
    let mut request = world.client.post("DescribeInstances", &json!({}), world.now);
    request.body.push(b' ');
    assert_eq!(code(&response(&world.send(&request))), "AuthFailure.SignatureFailure");
    assert_eq!(create(&mut world).delivery, Delivery::Close);
    assert!(world.cloud.faults().is_empty());
}
