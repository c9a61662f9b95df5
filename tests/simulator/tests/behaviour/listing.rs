//! `DescribeInstances` and `DescribePaiInstances`: ids, filters, pages and their limits.

use crate::client::{World, account, first_id, minimal, with};
use serde_json::{Value, json};
use tencentcloud_simulator::Config;

fn many(count: usize) -> (World, Vec<String>) {
    let mut world = World::with(Config { rate_limits: false, ..Config::default().account(account()) });
    let ids = (0..count).map(|n| world.buy(&format!("d{n}.test"))).collect();
    (world, ids)
}

fn shown(response: &Value, set: &str) -> Vec<String> {
    let set = response[set].as_array().unwrap();
    set.iter().map(|item| item["InstanceId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn pages_follow_each_other_and_end_with_an_empty_one() {
    let (mut world, ids) = many(45);
    for (action, set) in [("DescribeInstances", "InstanceSet"), ("DescribePaiInstances", "PaiInstanceSet")] {
        let page = |world: &mut World, parameters: Value| {
            let response = world.call(action, &parameters);
            assert_eq!(response["TotalCount"], 45);
            shown(&response, set)
        };
        assert_eq!(page(&mut world, json!({})), ids[..20]);
        assert_eq!(page(&mut world, json!({"Offset": 40, "Limit": 100})), ids[40..]);
        assert!(page(&mut world, json!({"Offset": 45})).is_empty());
        assert!(page(&mut world, json!({"Offset": u64::MAX})).is_empty());
    }
}

#[test]
fn unknown_ids_are_left_out_without_an_error() {
    let (mut world, ids) = many(3);
    let sent = json!({"InstanceIds": [ids[2], "ins-00000000", ids[0], ids[0]]});
    for (action, set) in [("DescribeInstances", "InstanceSet"), ("DescribePaiInstances", "PaiInstanceSet")] {
        let response = world.call(action, &sent);
        assert_eq!(response["TotalCount"], 2, "{action}");
        assert_eq!(shown(&response, set), [ids[0].clone(), ids[2].clone()]);
    }
}

fn hundred_and_one() -> Vec<String> {
    (0..101).map(|n| format!("ins-{n:08}")).collect()
}

#[test]
fn limits_and_malformed_ids_of_the_machine_list() {
    let ids = |count: usize| (0..count).map(|n| format!("ins-{n:08}")).collect::<Vec<_>>();
    let filter = |name: &str, values: Value| json!({"Filters": [{"Name": name, "Values": values}]});
    let both = with(filter("zone", json!(["ap-guangzhou-1"])), &json!({"InstanceIds": ids(1)}));
    let eleven: Vec<_> = (0..11).map(|_| json!({"Name": "vpc-id", "Values": ["vpc-1"]})).collect();
    for (action, parameters, expected) in [
        ("DescribeInstances", json!({"InstanceIds": ids(100)}), "ok"),
        ("DescribeInstances", json!({"InstanceIds": ids(101)}), "InvalidParameterValue.LimitExceeded"),
        ("DescribeInstances", json!({"Limit": 101}), "InvalidParameterValue.LimitExceeded"),
        ("DescribeInstances", json!({"Limit": 0}), "InvalidParameterValue"),
        ("DescribeInstances", json!({"InstanceIds": ["i-1"]}), "InvalidInstanceId.Malformed"),
        ("DescribeInstances", filter("instance-id", json!(["i-1"])), "InvalidParameterValue.InstanceIdMalformed"),
        ("DescribeInstances", both, "InvalidParameter"),
        ("DescribeInstances", filter("colour", json!(["red"])), "InvalidFilter"),
        ("DescribeInstances", filter("zone", json!([])), "InvalidFilter"),
        ("DescribeInstances", filter("zone", json!(["ap-beijing-1"])), "InvalidZone.MismatchRegion"),
        ("DescribeInstances", filter("tag:a", json!(["b"])), "ok"),
        (
            "DescribeInstances",
            filter("vpc-id", json!(["1", "2", "3", "4", "5", "6"])),
            "InvalidFilterValue.LimitExceeded",
        ),
        ("DescribeInstances", json!({"Filters": eleven}), "InvalidParameterValue.LimitExceeded"),
        ("DescribeInstances", filter("creation-start-time", json!(["yesterday"])), "InvalidParameterValue"),
    ] {
        assert_eq!(World::new().code(action, &parameters), expected, "{parameters}");
    }
}

#[test]
fn limits_and_malformed_ids_elsewhere() {
    let ids = hundred_and_one();
    let filter = json!([{"Name": "domain-name", "Values": ["a"]}]);
    for (action, parameters, expected) in [
        ("DescribePaiInstances", json!({"InstanceIds": ids}), "InvalidParameterValue.LimitExceeded"),
        ("DescribePaiInstances", json!({"Limit": 101}), "InvalidParameterValue.LimitExceeded"),
        ("DescribePaiInstances", json!({"InstanceIds": ["i-1"]}), "InvalidParameterValue.InvalidInstanceId"),
        ("DescribePaiInstances", json!({"Filters": filter}), "InvalidParameterValue.InvalidFilter"),
        ("TerminateInstances", json!({"InstanceIds": ids}), "InvalidParameterValue.LimitExceeded"),
        ("TerminateInstances", json!({"InstanceIds": ["i-1"]}), "InvalidInstanceId.Malformed"),
    ] {
        assert_eq!(World::new().code(action, &parameters), expected, "{parameters}");
    }
}

#[test]
fn filters_are_anded_and_their_values_ored() {
    let mut world = World::new();
    let mut buy = |domain: &str, changes: Value| {
        let parameters = with(minimal(domain), &changes);
        let response = world.call("CreatePaiInstance", &parameters);
        first_id(&response)
    };
    let a = buy("a.test", json!({"InstanceName": "one", "Zones": ["ap-guangzhou-2"], "VpcId": "vpc-1"}));
    let b = buy("b.test", json!({"InstanceName": "one", "SubnetIds": ["subnet-1"], "InstanceChargeType": "SPOTPAID"}));
    let c = buy("c.test", json!({"InstanceName": "one more"}));
    world.wait(3);
    let address = world.describe(&c)["PublicIpAddresses"][0].as_str().unwrap().to_owned();
    for (filters, expected) in [
        (json!([{"Name": "instance-name", "Values": ["one"]}]), vec![&a, &b]),
        (json!([{"Name": "instance-name", "Values": ["one", "one more"]}]), vec![&a, &b, &c]),
        (
            json!([{"Name": "instance-name", "Values": ["one"]}, {"Name": "zone", "Values": ["ap-guangzhou-2"]}]),
            vec![&a],
        ),
        (json!([{"Name": "instance-id", "Values": [b, c]}]), vec![&b, &c]),
        (json!([{"Name": "instance-state", "Values": ["RUNNING"]}]), vec![&a, &b, &c]),
        (json!([{"Name": "instance-state", "Values": ["STOPPED"]}]), vec![]),
        (json!([{"Name": "instance-charge-type", "Values": ["SPOTPAID"]}]), vec![&b]),
        (json!([{"Name": "vpc-id", "Values": ["vpc-1"]}]), vec![&a]),
        (json!([{"Name": "subnet-id", "Values": ["subnet-1"]}]), vec![&b]),
        (json!([{"Name": "public-ip-address", "Values": [address]}]), vec![&c]),
        (json!([{"Name": "tag-key", "Values": ["owner"]}]), vec![]),
        (json!([{"Name": "creation-start-time", "Values": ["2023-11-14 22:13:20"]}]), vec![&a, &b, &c]),
        (json!([{"Name": "creation-end-time", "Values": ["2023-11-14 22:13:19"]}]), vec![]),
    ] {
        let response = world.call("DescribeInstances", &json!({"Filters": filters}));
        assert_eq!(shown(&response, "InstanceSet").iter().collect::<Vec<_>>(), expected, "{filters}");
        world.wait(1);
    }
}

#[test]
fn a_pai_entry_has_its_domain_and_its_page() {
    let (mut world, ids) = many(1);
    let entry = world.call("DescribePaiInstances", &json!({}))["PaiInstanceSet"][0].clone();
    let expected = json!({"InstanceId": ids[0], "DomainName": "d0.test", "PaiMateUrl": "https://d0.test:5523"});
    assert_eq!(entry, expected);
}
