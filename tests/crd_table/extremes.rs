//! The ends of the range: the largest object that the schema allows must be served within the cost limits of the rules, and
//! the status must take what the operator may have to write. Needs the server.

use serde_json::{Value, json};

use crate::row::{check, report, smallest};
use crate::server::Server;

/// Every list full, every text as long as it may be, in the characters that take most bytes.
fn largest(name: &str) -> Value {
    let region = format!("ap-{}-{}", "r".repeat(20), "s".repeat(16));
    let long_name = "n".repeat(253);
    let entries = |make: &dyn Fn(usize) -> String| (0..10).map(make).collect::<Vec<_>>();
    let mut object = smallest(name);
    object["spec"] = json!({
        "credentialsRef": { "name": long_name },
        "domainName": format!("{0}.{0}.{0}.{1}", "d".repeat(63), "e".repeat(61)),
        "internetAccessible": {
            "internetChargeType": "BANDWIDTH_PACKAGE", "internetMaxBandwidthOut": 65535, "publicIpAssigned": true,
            "bandwidthPackageId": format!("bwp-{}", "b".repeat(32)),
        },
        "initScript": { "inline": "🚀".repeat(4096) },
        "zones": entries(&|number| format!("{region}-z00000{number}")),
        "vpcId": format!("vpc-{}", "v".repeat(32)),
        "subnetIds": entries(&|number| format!("subnet-{}{number}", "s".repeat(31))),
        "instanceName": "🚀".repeat(15),
        "instanceTypes": entries(&|number| format!("S4.{}{number}", "T".repeat(60))),
        "systemDisk": { "diskType": "D".repeat(64), "diskSize": 32000 },
        "loginSettings": { "passwordSecretRef": { "name": long_name, "key": "k".repeat(253) } },
        "instanceChargeType": "PREPAID",
        "instanceChargePrepaid": { "period": 36, "renewFlag": "DISABLE_NOTIFY_AND_MANUAL_RENEW" },
        "deletionPolicy": "Retain",
        "region": region,
    });
    object
}

#[test]
fn the_largest_object_is_served_and_edited() {
    let server = Server::connect();
    server.create(&largest("largest"));
    let script = json!({ "spec": { "initScript": { "inline": "🎈".repeat(4096) } } });
    server.patch("largest", &script);
    server.set_status("largest", &json!({ "instanceIds": ["ins-1"] }));
    server.patch("largest", &json!({ "metadata": { "labels": { "team": "a" } } }));
    server.patch("largest", &json!({ "spec": { "deletionPolicy": "Delete" } }));
}

/// A status with everything in it that the types can hold.
fn status() -> Value {
    let instance = |number: usize| {
        json!({
            "id": format!("ins-{number}"), "state": "RUNNING", "zone": "ap-guangzhou-2", "instanceType": "S4.SMALL2",
            "chargeType": "PREPAID", "publicIpAddresses": ["203.0.113.5"], "privateIpAddresses": ["10.0.0.5"],
            "createdTime": "2025-11-03T10:00:00Z", "expiredTime": "2025-12-03T10:00:00Z", "latestOperation": "StartInstances",
            "latestOperationState": "SUCCESS", "restrictState": "NORMAL", "secretId": "AKIDexample",
            "terminateSentAt": "2025-11-03T10:00:00.123456789Z", "domainName": "d".repeat(253),
        })
    };
    let lapsed = json!({
        "signedAt": "2025-11-03T10:00:00.123456789Z", "instanceName": "🚀".repeat(15), "nameOrigin": "Generated"
    });
    json!({
        "observedGeneration": 7,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "OutcomeUnknown", "message": "m".repeat(32768),
            "observedGeneration": 7, "lastTransitionTime": "2025-11-03T10:00:00Z",
        }],
        "instanceIds": (0..100).map(|number| format!("ins-{number}")).collect::<Vec<_>>(),
        "requestId": "r".repeat(128),
        "createAttempt": {
            "id": "i".repeat(64), "ordinal": 1, "state": "Sending", "signedAt": "2025-11-03T10:00:00.123456789Z",
            "secretId": "AKIDexample", "region": "ap-guangzhou", "domainName": "apple.pai.tcloudbase.com",
            "instanceName": "🚀".repeat(15), "nameOrigin": "Generated", "chargeType": "POSTPAID_BY_HOUR",
            "requestId": "r".repeat(128), "reason": "w".repeat(1024),
        },
        "instances": (0..100).map(instance).collect::<Vec<_>>(),
        "lapsedAttempts": vec![lapsed; 8],
        "duplicateInstanceIds": (100..200).map(|number| format!("ins-{number}")).collect::<Vec<_>>(),
        "paiMateUrl": format!("https://{}", "u".repeat(504)),
    })
}

/// One write of the status: a name, the place that differs from the full status with its value, and the faults.
type StatusRow = (&'static str, &'static str, Value, &'static [(&'static str, &'static str)]);

fn status_rows() -> Vec<StatusRow> {
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Available", "message": "", "lastTransitionTime": "2025-11-03T10:00:00Z"
        })
    };
    vec![
        ("status in full", "", Value::Null, &[]),
        ("status -1", "/observedGeneration", json!(-1), &[]),
        (
            "a hundred and one ids",
            "/instanceIds",
            json!((0..101).map(|number| format!("ins-{number}")).collect::<Vec<_>>()),
            &[("status.instanceIds", "must have at most 100 items")],
        ),
        ("an id empty", "/instanceIds", json!([""]), &[("status.instanceIds[0]", "should be at least 1 chars long")]),
        (
            "an instance twice",
            "/instances",
            json!([{ "id": "ins-1" }, { "id": "ins-1" }]),
            &[("status.instances[1]", "Duplicate value")],
        ),
        (
            "a condition twice",
            "/conditions",
            json!([condition("Ready"), condition("Ready")]),
            &[("status.conditions[1]", "Duplicate value")],
        ),
        (
            "a condition of an unknown status",
            "/conditions/0/status",
            json!("Maybe"),
            &[("status.conditions[0].status", "Unsupported value")],
        ),
        (
            "a message too long",
            "/conditions/0/message",
            json!("m".repeat(32769)),
            &[("status.conditions[0].message", "may not be more than 32768")],
        ),
        (
            "an attempt without a state",
            "/createAttempt/state",
            json!(""),
            &[("status.createAttempt.state", "should be at least 1 chars long")],
        ),
        (
            "attempt number 0",
            "/createAttempt/ordinal",
            json!(0),
            &[("status.createAttempt.ordinal", "should be greater than or equal to 1")],
        ),
        (
            "an attempt signed at no time",
            "/createAttempt/signedAt",
            json!("yesterday"),
            &[("status.createAttempt.signedAt", "must be of type date-time")],
        ),
        (
            "nine lapsed attempts",
            "/lapsedAttempts",
            json!(vec![json!({"signedAt": "2025-11-03T10:00:00Z", "instanceName": "n", "nameOrigin": "User"}); 9]),
            &[("status.lapsedAttempts", "must have at most 8 items")],
        ),
        (
            "a second machine without an id",
            "/duplicateInstanceIds",
            json!([""]),
            &[("status.duplicateInstanceIds[0]", "should be at least 1 chars long")],
        ),
        (
            "a reason too long",
            "/createAttempt/reason",
            json!("w".repeat(1025)),
            &[("status.createAttempt.reason", "may not be more than 1024")],
        ),
    ]
}

#[test]
fn every_status_gets_its_answer() {
    let server = Server::connect();
    server.create(&smallest("status"));
    let rows = status_rows();
    let mut wrong = Vec::new();
    for (name, place, value, refused) in &rows {
        let mut status = status();
        if !place.is_empty() {
            *status.pointer_mut(place).unwrap() = value.clone();
        }
        if let Err(difference) = check(&server.try_status("status", &status), refused) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    let names: Vec<String> = rows.iter().map(|row| row.0.to_owned()).collect();
    report("statuses", &names, 14, &wrong);
}
