//! The edits: every field of the spec changed, removed and added, with what is refused. Data only.

use serde_json::{Value, json};

use crate::row::smallest;

/// Our words for a field that never changes.
const IMMUTABLE: &str =
    "must never change: put the old value back, or apply a new PaiInstance with another name and delete this one";

/// The objects that edits start from.
pub const STARTS: [&str; 3] = ["bare", "full", "spot"];

/// One edit of a spec, as a merge patch.
pub struct Edit {
    /// Unique.
    pub name: String,
    /// The object it starts from: one of `STARTS`.
    pub from: &'static str,
    /// The merge patch.
    pub spec: Value,
    /// Fields that are refused for being frozen.
    pub frozen: Vec<String>,
    /// Other refusals, in every situation.
    pub always: Vec<(&'static str, &'static str)>,
}

/// Fields that can be changed, removed and added each by itself: name, old value, new value.
fn plain_fields() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("initScript", json!({ "inline": "echo a" }), json!({ "inline": "echo b" })),
        ("zones", json!(["ap-guangzhou-2", "ap-guangzhou-3"]), json!(["ap-guangzhou-4"])),
        ("vpcId", json!("vpc-1"), json!("vpc-2")),
        ("subnetIds", json!(["subnet-1", "subnet-2"]), json!(["subnet-3"])),
        ("instanceName", json!("apple"), json!("pear")),
        ("instanceTypes", json!(["S4.SMALL2", "S5.SMALL2"]), json!(["S5.LARGE8"])),
        ("systemDisk", json!({ "diskType": "CLOUD_SSD" }), json!({ "diskType": "CLOUD_BASIC" })),
        ("loginSettings", json!({ "keyIds": ["skey-1"] }), json!({ "keyIds": ["skey-2"] })),
    ]
}

/// The spec of a start. `full` has every field, `spot` another charge type than the default.
pub fn start(name: &str) -> Value {
    let mut spec = smallest("start")["spec"].clone();
    match name {
        "bare" => {}
        "spot" => spec["instanceChargeType"] = json!("SPOTPAID"),
        _ => {
            for (field, old, _) in plain_fields() {
                spec[field] = old;
            }
            spec["internetAccessible"] = json!({ "internetMaxBandwidthOut": 1, "publicIpAssigned": true });
            spec["instanceChargeType"] = json!("PREPAID");
            spec["instanceChargePrepaid"] = json!({ "period": 1 });
            spec["deletionPolicy"] = json!("Delete");
        }
    }
    spec
}

/// All edits.
pub fn edits() -> Vec<Edit> {
    let mut edits = Vec::new();
    for (field, old, new) in plain_fields() {
        edits.push(frozen(&format!("{field} changed"), "full", json!({ field: new }), &[field]));
        edits.push(frozen(&format!("{field} removed"), "full", json!({ field: null }), &[field]));
        edits.push(frozen(&format!("{field} added"), "bare", json!({ field: old }), &[field]));
    }
    edits.extend(reshaped());
    edits.extend(internet());
    edits.extend(charges());
    edits.extend(never_frozen());
    edits.extend(immutable());
    edits
}

fn frozen(name: &str, from: &'static str, spec: Value, fields: &[&str]) -> Edit {
    Edit {
        name: name.to_owned(),
        from,
        spec,
        frozen: fields.iter().map(|field| (*field).to_owned()).collect(),
        always: Vec::new(),
    }
}

/// Smaller changes, inside a field: candidates are tried in order, so the order is frozen too.
fn reshaped() -> Vec<Edit> {
    let inside = |name, field: &str, value: Value| frozen(name, "full", json!({ field: value }), &[field]);
    vec![
        inside("zones in another order", "zones", json!(["ap-guangzhou-3", "ap-guangzhou-2"])),
        inside("one more subnet", "subnetIds", json!(["subnet-1", "subnet-2", "subnet-3"])),
        inside("one type less", "instanceTypes", json!(["S4.SMALL2"])),
        inside("diskSize added", "systemDisk", json!({ "diskSize": 50 })),
        inside("login by another way", "loginSettings", json!({ "keyIds": null, "keepImageLogin": true })),
        inside(
            "script from another place",
            "initScript",
            json!({ "inline": null, "secretKeyRef": { "name": "scripts", "key": "a" } }),
        ),
        frozen(
            "two fields at once",
            "full",
            json!({ "vpcId": "vpc-2", "instanceName": null }),
            &["vpcId", "instanceName"],
        ),
    ]
}

/// The field is required, so its parts are what can come and go.
fn internet() -> Vec<Edit> {
    let part =
        |name, from, parts: Value| frozen(name, from, json!({ "internetAccessible": parts }), &["internetAccessible"]);
    vec![
        part("internetAccessible changed", "full", json!({ "internetMaxBandwidthOut": 2 })),
        part("a part of internetAccessible removed", "full", json!({ "publicIpAssigned": null })),
        part("a part of internetAccessible added", "bare", json!({ "internetMaxBandwidthOut": 1 })),
        Edit {
            always: vec![("spec.internetAccessible", "Required value")],
            frozen: Vec::new(),
            ..part("internetAccessible removed", "full", Value::Null)
        },
    ]
}

/// The charge type has a default, and the term goes with one charge type alone.
fn charges() -> Vec<Edit> {
    let both = ["instanceChargeType", "instanceChargePrepaid"];
    let to_prepaid = json!({ "instanceChargeType": "PREPAID", "instanceChargePrepaid": { "period": 1 } });
    vec![
        frozen("instanceChargeType changed", "spot", json!({ "instanceChargeType": "POSTPAID_BY_HOUR" }), &both[..1]),
        frozen("instanceChargeType removed", "spot", json!({ "instanceChargeType": null }), &both[..1]),
        frozen("instanceChargeType added", "bare", json!({ "instanceChargeType": "SPOTPAID" }), &both[..1]),
        frozen("the default charge type written out", "bare", json!({ "instanceChargeType": "POSTPAID_BY_HOUR" }), &[]),
        frozen(
            "instanceChargePrepaid changed",
            "full",
            json!({ "instanceChargePrepaid": { "period": 2 } }),
            &both[1..],
        ),
        frozen(
            "renewFlag changed",
            "full",
            json!({ "instanceChargePrepaid": { "renewFlag": "NOTIFY_AND_AUTO_RENEW" } }),
            &both[1..],
        ),
        frozen(
            "the default renewFlag written out",
            "full",
            json!({ "instanceChargePrepaid": { "renewFlag": "NOTIFY_AND_MANUAL_RENEW" } }),
            &[],
        ),
        frozen("instanceChargePrepaid added with its type", "bare", to_prepaid, &both),
        frozen(
            "instanceChargePrepaid removed with its type",
            "full",
            json!({ "instanceChargeType": null, "instanceChargePrepaid": null }),
            &both,
        ),
        Edit {
            always: vec![("spec.instanceChargePrepaid", "must be set when instanceChargeType is PREPAID")],
            ..frozen(
                "instanceChargePrepaid removed alone",
                "full",
                json!({ "instanceChargePrepaid": null }),
                &both[1..],
            )
        },
    ]
}

fn never_frozen() -> Vec<Edit> {
    vec![
        frozen("credentialsRef changed", "full", json!({ "credentialsRef": { "name": "other" } }), &[]),
        frozen("deletionPolicy changed", "full", json!({ "deletionPolicy": "Retain" }), &[]),
        frozen("deletionPolicy removed", "full", json!({ "deletionPolicy": null }), &[]),
        frozen("deletionPolicy added", "bare", json!({ "deletionPolicy": "Delete" }), &[]),
        frozen("the same spec again", "full", start("full"), &[]),
    ]
}

fn immutable() -> Vec<Edit> {
    let always = |name, spec, always| Edit { always, ..frozen(name, "bare", spec, &[]) };
    vec![
        always("region changed", json!({ "region": "ap-shanghai" }), vec![("spec.region", IMMUTABLE)]),
        always("domainName changed", json!({ "domainName": "pear.example.com" }), vec![("spec.domainName", IMMUTABLE)]),
        always("region removed", json!({ "region": null }), vec![("spec.region", "Required value")]),
        always("domainName removed", json!({ "domainName": null }), vec![("spec.domainName", "Required value")]),
        always(
            "credentialsRef removed",
            json!({ "credentialsRef": null }),
            vec![("spec.credentialsRef", "Required value")],
        ),
    ]
}
