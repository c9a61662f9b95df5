//! `CreatePaiInstance`: each rule about values, what a machine looks like, and the two policies about domains.

use crate::client::{Client, World, account, code, example, first_id, minimal, with};
use serde_json::{Value, json};
use tencentcloud_simulator::{Config, DomainPolicy, SystemDiskPolicy};

/// Rows: what is changed in the example, and the code that it gets.
fn place_and_network() -> Vec<(Value, &'static str)> {
    let script = |bytes: usize| "AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3];
    vec![
        (json!({}), "ok"),
        (json!({"DomainName": null}), "MissingParameter"),
        (json!({"DomainName": ""}), "InvalidParameterValue"),
        (json!({"InternetAccessible": null}), "MissingParameter"),
        (json!({"InternetAccessible": {}}), "ok"),
        (json!({"InternetAccessible": {"InternetChargeType": "FREE"}}), "InvalidParameterValue"),
        (json!({"InternetAccessible": {"PublicIpAssigned": true}}), "InvalidParameter.InvalidCombination"),
        (json!({"InternetAccessible": {"PublicIpAssigned": false, "InternetMaxBandwidthOut": 5}}), "ok"),
        (json!({"InternetAccessible": {"IPv6": true}}), "UnknownParameter"),
        (json!({"InternetAccessible": {"PublicIpAssigned": "True"}}), "InvalidParameter"),
        (json!({"InitScript": "not base64!"}), "InvalidParameterValue.UserDataFormatError"),
        (json!({"InitScript": script(16 * 1024)}), "ok"),
        (json!({"InitScript": script(16 * 1024 + 1)}), "InvalidParameterValue.UserDataSizeExceeded"),
        (json!({"Zones": []}), "InvalidParameterValue"),
        (json!({"Zones": ["ap-guangzhou-2", "ap-beijing-1"]}), "InvalidParameterValue.ZoneMismatchRegion"),
        (json!({"VpcId": "vpc-1a2b3c4d", "SubnetIds": ["subnet-1a2b3c4d"]}), "ok"),
        (json!({"VpcId": "network"}), "InvalidParameterValue"),
        (json!({"SubnetIds": ["Subnet"]}), "InvalidParameterValue.InvalidSubnetId"),
        (json!({"InstanceName": "n".repeat(60)}), "ok"),
        (json!({"InstanceName": "n".repeat(61)}), "InvalidParameterValue.InstanceNameIllegal"),
        (json!({"InstanceName": "支".repeat(21)}), "InvalidParameterValue.InstanceNameIllegal"),
        (json!({"InstanceTypes": []}), "InvalidParameterValue"),
        (json!({"InstanceTypes": ["small"]}), "InvalidParameterValue.InvalidInstanceType"),
        (json!({"InstanceTypes": vec!["S4.SMALL2"; 11]}), "InvalidParameterValue.LimitExceeded"),
    ]
}

/// As above, for the login, the charge type and what the page does not define.
fn login_and_charge() -> Vec<(Value, &'static str)> {
    let prepaid = |inner: Value| json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": inner});
    vec![
        (json!({"LoginSettings": {}}), "ok"),
        (json!({"LoginSettings": {"KeyIds": ["skey-1a2b3c4d"]}}), "ok"),
        (json!({"LoginSettings": {"KeyIds": ["skey-1a2b3c4d", "skey-2"]}}), "InvalidParameterValue"),
        (json!({"LoginSettings": {"KeyIds": ["key"]}}), "InvalidParameterValue"),
        (json!({"LoginSettings": {"KeepImageLogin": true}}), "ok"),
        (json!({"LoginSettings": {"Password": "short1"}}), "InvalidParameterValue"),
        (json!({"LoginSettings": {"Password": "lettersonly"}}), "InvalidParameterValue"),
        (
            json!({"LoginSettings": {"Password": "PAI@Test123", "KeepImageLogin": false}}),
            "InvalidParameter.InvalidCombination",
        ),
        (json!({"InstanceChargeType": "FREE"}), "InvalidParameterValue"),
        (json!({"InstanceChargeType": "SPOTPAID"}), "ok"),
        (json!({"InstanceChargeType": "PREPAID"}), "MissingParameter"),
        (json!({"InstanceChargePrepaid": {"Period": 1}}), "InvalidParameter.InvalidCombination"),
        (prepaid(json!({})), "MissingParameter"),
        (prepaid(json!({"Period": 1})), "ok"),
        (prepaid(json!({"Period": 13})), "InvalidParameterValue"),
        (prepaid(json!({"Period": "1"})), "InvalidParameter"),
        (prepaid(json!({"Period": 36, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"})), "ok"),
        (prepaid(json!({"Period": 1, "RenewFlag": "ALWAYS"})), "InvalidParameterValue"),
        (json!({"ImageId": "img-1"}), "UnknownParameter"),
        (json!({"ClientToken": "1"}), "UnknownParameter"),
        (json!({"SystemDisk": {"DiskType": "CLOUD_BASIC", "DiskSize": 50}}), "ok"),
        (json!({"SystemDisk": {"DiskType": "CLOUD_BASIC", "DiskSize": "50"}}), "InvalidParameter"),
    ]
}

#[test]
fn each_rule_has_its_code_and_buys_only_when_it_holds() {
    for (changes, expected) in place_and_network().into_iter().chain(login_and_charge()) {
        let mut world = World::new();
        let code = world.code("CreatePaiInstance", &with(example(), &changes));
        assert_eq!(code, expected, "{changes}");
        assert_eq!(world.billed(), usize::from(expected == "ok"), "{changes}");
    }
}

#[test]
fn a_refused_system_disk_is_named() {
    let mut world =
        World::with(Config { system_disk: SystemDiskPolicy::Refuse, ..Config::default().account(account()) });
    let disk = json!({"SystemDisk": {"DiskType": "CLOUD_BASIC", "DiskSize": 50}});
    let response = world.call("CreatePaiInstance", &with(example(), &disk));
    assert_eq!(code(&response), "UnknownParameter");
    assert!(response["Error"]["Message"].as_str().unwrap().contains("`SystemDisk`"));
}

#[test]
fn messages_never_repeat_a_secret() {
    for changes in [
        json!({"LoginSettings": {"Password": "hunter2"}}),
        json!({"LoginSettings": {"Password": ["hunter2"]}}),
        json!({"InitScript": "hunter2!"}),
    ] {
        let response = World::new().call("CreatePaiInstance", &with(example(), &changes));
        assert_ne!(code(&response), "ok");
        assert!(!response.to_string().contains("hunter2"));
    }
}

#[test]
fn a_machine_shows_what_was_asked_for_and_starts_by_itself() {
    let mut world = World::new();
    let id = first_id(&world.call("CreatePaiInstance", &example()));
    let shown = world.describe(&id);
    assert_eq!(shown["InstanceState"], "PENDING");
    for absent in ["PublicIpAddresses", "LatestOperation", "LatestOperationState", "RenewFlag", "ExpiredTime"] {
        assert_eq!(shown[absent], Value::Null, "{absent}");
    }
    assert_eq!(shown["InstanceName"], "PAI-TEST");
    assert_eq!(shown["Placement"]["Zone"], "ap-guangzhou-2");
    assert_eq!(shown["CreatedTime"], "2023-11-14T22:13:20Z");
    assert_eq!(shown["RestrictState"], "NORMAL");
    world.wait(2);
    let shown = world.describe(&id);
    assert_eq!(shown["InstanceState"], "RUNNING");
    assert_eq!(shown["PublicIpAddresses"].as_array().unwrap().len(), 1);
    assert_eq!(shown["LatestOperationState"], "SUCCESS");
    assert!(!shown.to_string().contains("PAI@Test123"));
}

#[test]
fn no_public_address_without_bandwidth() {
    let mut world = World::new();
    let none = json!({"DomainName": "a.test", "InternetAccessible": {"InternetMaxBandwidthOut": 0}});
    let id = first_id(&world.call("CreatePaiInstance", &none));
    world.wait(5);
    let shown = world.describe(&id);
    assert_eq!(shown["PublicIpAddresses"], Value::Null);
    assert_eq!(shown["InternetAccessible"]["PublicIpAssigned"], false);
}

#[test]
fn a_prepaid_machine_expires() {
    let mut world = World::new();
    let prepaid = json!({"InstanceChargeType": "PREPAID", "InstanceChargePrepaid": {"Period": 3}});
    let id = first_id(&world.call("CreatePaiInstance", &with(example(), &prepaid)));
    let shown = world.describe(&id);
    assert_eq!(shown["ExpiredTime"], "2024-02-14T22:13:20Z");
    assert_eq!(shown["RenewFlag"], "NOTIFY_AND_MANUAL_RENEW");
}

#[test]
fn a_domain_in_use_is_refused_until_its_machine_is_gone() {
    let mut world = World::new();
    let id = world.running("a.test");
    world.client.region = Some("ap-beijing".to_owned());
    assert_eq!(world.code("CreatePaiInstance", &minimal("A.test")), "FailedOperation.DomainNameInUse");
    world.client = Client::default();
    assert_eq!(world.code("TerminateInstances", &json!({"InstanceIds": [id]})), "ok");
    assert_eq!(world.code("CreatePaiInstance", &minimal("a.test")), "FailedOperation.DomainNameInUse");
    world.wait(5);
    assert_eq!(world.code("CreatePaiInstance", &minimal("a.test")), "ok");
}

#[test]
fn a_shared_domain_is_bought_twice() {
    let mut world = World::with(Config { domain_policy: DomainPolicy::Shared, ..Config::default().account(account()) });
    world.buy("a.test");
    world.buy("a.test");
    assert_eq!(world.billed(), 2);
}

#[test]
fn a_previewed_name_has_the_documented_form() {
    let mut world = World::new();
    let name = world.call("PreviewPaiDomainName", &json!({"DomainNameType": "tcb"}))["DomainName"].clone();
    assert!(name.as_str().unwrap().ends_with(".pai.tcloudbase.com"));
    let other = world.code("PreviewPaiDomainName", &json!({"DomainNameType": "com"}));
    assert_eq!(other, "InvalidParameterValue.InvalidPaiDomainNameType");
}
