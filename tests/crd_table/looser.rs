//! An object from the time of a looser CRD: when the rules are tightened, the operator must still be able to work on it and to
//! let it go. Needs the server. Uses a copy of the CRD in a group of its own, so that the other tests are not disturbed.

use std::time::Duration;

use kube::core::{ApiResource, GroupVersionKind};
use pai_harness::wait_until;
use pai_operator::api::crd;
use serde_json::{Value, json};

use crate::row::smallest;
use crate::server::{Answer, Server};

const GROUP: &str = "looser.example.com";

/// Longest wait until the API server works by a changed CRD. Our choice: it takes under 2 s.
const TAKES_EFFECT: Duration = Duration::from_mins(1);

/// Today's CRD in another group.
fn copy() -> Value {
    let mut copy = serde_json::to_value(crd::crd().unwrap()).unwrap();
    copy["metadata"]["name"] = json!(format!("paiinstances.{GROUP}"));
    copy["spec"]["group"] = json!(GROUP);
    copy["spec"]["names"]["shortNames"] = json!(["loosepai"]);
    copy
}

/// The schema without its bounds, forms and rules: types and defaults alone.
fn loosen(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    map.retain(|key, _| {
        let bound = ["maxLength", "minLength", "pattern", "maxItems", "minItems", "maximum", "minimum"];
        !bound.contains(&key.as_str()) && key != "x-kubernetes-validations" && key != "enum"
    });
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(loosen);
    }
    if let Some(items) = map.get_mut("items") {
        loosen(items);
    }
}

/// An object that breaks a rule or a form in nearly every field.
fn careless(name: &str) -> Value {
    let mut object = smallest(name);
    object["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
    object["metadata"]["finalizers"] = json!(["pai.tencentcloud.io/instance"]);
    object["spec"] = json!({
        "region": "AP_GUANGZHOU",
        "credentialsRef": { "name": "My Secret" },
        "domainName": "Apple.example.com.",
        "internetAccessible": { "publicIpAssigned": true, "internetChargeType": "FREE", "bandwidthPackageId": "x" },
        "initScript": { "inline": "a".repeat(20000), "secretKeyRef": { "name": "S", "key": "a/b" } },
        "zones": ["ap-shanghai-1", "ap-shanghai-1", ""],
        "vpcId": "my network",
        "subnetIds": [],
        "instanceName": "n".repeat(80),
        "instanceTypes": (0..30).map(|_| "small").collect::<Vec<_>>(),
        "systemDisk": {},
        "loginSettings": { "keyIds": ["a", "b"], "keepImageLogin": false },
        "instanceChargeType": "SPOTPAID",
        "instanceChargePrepaid": { "period": 100 },
        "deletionPolicy": "Orphan",
    });
    object
}

#[test]
fn an_object_of_a_looser_crd_can_be_worked_on_and_let_go() {
    let kind = GroupVersionKind::gvk(GROUP, "v1alpha1", "PaiInstance");
    let server = Server::connect_to(&ApiResource::from_gvk_with_plural(&kind, "paiinstances"));
    let strict = copy();
    let mut loose = strict.clone();
    loosen(&mut loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    server.plane().apply(&loose.to_string()).ok().unwrap();
    let name = format!("paiinstances.{GROUP}");
    server.plane().wait_for_crd(&name).unwrap();
    server.create(&careless("old"));
    server.plane().apply(&strict.to_string()).ok().unwrap();
    wait_until("the strict CRD to take effect", TAKES_EFFECT, || match server.try_create(&careless("new")) {
        Answer::Refused(_) => Ok(()),
        Answer::Accepted(_) => Err("a careless object is still accepted".to_owned()),
    })
    .unwrap();

    server.patch("old", &json!({ "metadata": { "labels": { "team": "a" } } }));
    let paused = json!({ "metadata": { "annotations": { "pai.tencentcloud.io/paused": "true" } } });
    server.patch("old", &paused);
    server.set_status("old", &json!({ "observedGeneration": 1, "instanceIds": ["ins-1"] }));
    server.patch("old", &json!({ "metadata": { "labels": { "team": "b" } } }));
    server.set_status("old", &json!({ "observedGeneration": 2, "instanceIds": null }));
    server.patch("old", &json!({ "metadata": { "finalizers": null } }));
    let frozen = json!({ "spec": { "region": "ap-guangzhou" } });
    assert!(matches!(server.try_patch("old", &frozen), Answer::Refused(_)));
    assert!(matches!(server.try_delete("old"), Answer::Accepted(_)));
}
