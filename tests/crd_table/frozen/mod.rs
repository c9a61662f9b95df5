//! Which fields may be edited when: every field, changed, removed and added, against every status. The table is the cross
//! product, so no pair can be forgotten. Needs the server. Edits are dry runs, so that each meets the object untouched.

mod edits;

use pai_operator::api::crd;
use serde_json::{Value, json};

use self::edits::{STARTS, edits, start};
use crate::row::{check, report, smallest};
use crate::server::Server;

/// Our words for a field that is frozen.
const FROZEN: &str = "must stay as it is, because a create was sent or a machine exists: put the old value back, or apply a new \
    PaiInstance with another name and domain and delete this one";

/// A status, by the words of the table, and whether it freezes the spec.
struct Situation {
    name: &'static str,
    status: Value,
    freezes: bool,
}

fn attempt(state: &str) -> Value {
    json!({
        "id": "3f1c", "ordinal": 1, "state": state, "signedAt": "2025-11-03T10:00:00Z", "secretId": "AKIDexample",
        "region": "ap-guangzhou", "domainName": "apple.pai.tcloudbase.com", "instanceName": "apple", "nameOrigin": "Generated",
        "chargeType": "POSTPAID_BY_HOUR",
    })
}

fn situations() -> Vec<Situation> {
    let situation = |name, freezes, status| Situation { name, status, freezes };
    let with_attempt =
        |name, freezes| situation(name, freezes, json!({ "observedGeneration": 1, "createAttempt": attempt(name) }));
    let ids = json!(["ins-bmmk7d75"]);
    vec![
        situation("never visited", false, json!({})),
        situation("visited, nothing sent", false, json!({ "observedGeneration": 1 })),
        situation("an empty list of ids", false, json!({ "observedGeneration": 1, "instanceIds": [] })),
        with_attempt("Sending", true),
        with_attempt("Uncertain", true),
        with_attempt("Held", true),
        with_attempt("Verifying", true),
        with_attempt("rejected", true),
        with_attempt("Rejected", false),
        with_attempt("Lapsed", false),
        with_attempt("Abandoned", false),
        with_attempt("Created", true),
        situation("Created with ids", true, json!({ "createAttempt": attempt("Created"), "instanceIds": ids })),
        situation("Rejected with ids", true, json!({ "createAttempt": attempt("Rejected"), "instanceIds": ids })),
        situation("Lapsed with ids", true, json!({ "createAttempt": attempt("Lapsed"), "instanceIds": ids })),
        situation("Abandoned with ids", true, json!({ "createAttempt": attempt("Abandoned"), "instanceIds": ids })),
        situation("ids without an attempt", true, json!({ "instanceIds": ids })),
    ]
}

/// Stores one object for each start and situation, with a finalizer as the operator sets it.
fn store(server: &Server, number: usize, situation: &Situation) {
    for from in STARTS {
        let name = format!("{from}-{number}");
        let mut object = smallest(&name);
        object["metadata"]["finalizers"] = json!(["pai.tencentcloud.io/instance"]);
        object["spec"] = start(from);
        server.create(&object);
        server.set_status(&name, &situation.status);
    }
}

#[test]
fn every_edit_in_every_situation() {
    let server = Server::connect();
    let edits = edits();
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    let mut judge = |name: String, answer, refused: &[(&str, &str)]| {
        if let Err(difference) = check(&answer, refused) {
            wrong.push(format!("{name}: {difference}"));
        }
        names.push(name);
    };
    for (number, situation) in situations().iter().enumerate() {
        store(&server, number, situation);
        for edit in &edits {
            let name = format!("{}, {}", edit.name, situation.name);
            let answer = server.try_patch(&format!("{}-{number}", edit.from), &json!({ "spec": edit.spec }));
            let fields: Vec<String> = edit.frozen.iter().map(|field| format!("spec.{field}")).collect();
            let mut refused = edit.always.clone();
            if situation.freezes {
                refused.extend(fields.iter().map(|field| (field.as_str(), FROZEN)));
            }
            judge(name, answer, &refused);
        }
        let object = format!("full-{number}");
        for (what, patch) in besides_the_spec() {
            judge(format!("{what}, {}", situation.name), server.try_patch(&object, &patch), &[]);
        }
        for (what, status) in status_writes() {
            judge(format!("{what}, {}", situation.name), server.try_status(&object, &status), &[]);
        }
        judge(format!("deletion, {}", situation.name), server.try_delete(&object), &[]);
        let forged = json!({ "spec": { "vpcId": "vpc-2" }, "status": { "createAttempt": null, "instanceIds": null } });
        let refused = if situation.freezes { vec![("spec.vpcId", FROZEN)] } else { vec![] };
        judge(
            format!("an edit with a forged status, {}", situation.name),
            server.try_patch(&object, &forged),
            &refused,
        );
    }
    report("edits", &names, 600, &wrong);
}

/// So that a new field cannot be forgotten.
#[test]
fn every_field_of_the_spec_is_changed_removed_and_added() {
    let crd = serde_json::to_value(crd::crd().unwrap()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let required: Vec<&str> = spec["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let edits = edits();
    for field in spec["properties"].as_object().unwrap().keys() {
        for operation in ["changed", "removed", "added"] {
            // A required field is always there.
            let possible = operation != "added" || !required.contains(&field.as_str());
            let tested = edits.iter().any(|edit| edit.name.starts_with(&format!("{field} {operation}")));
            assert!(tested || !possible, "no edit: {field} {operation}");
        }
    }
}

/// Edits of the metadata, which stay possible whatever the status says.
fn besides_the_spec() -> [(&'static str, Value); 5] {
    [
        ("a label added", json!({ "metadata": { "labels": { "team": "a" } } })),
        ("paused", json!({ "metadata": { "annotations": { "pai.tencentcloud.io/paused": "true" } } })),
        (
            "a person's answer",
            json!({ "metadata": { "annotations": { "pai.tencentcloud.io/resolve-create": "retry:3f1c" } } }),
        ),
        ("the finalizer removed", json!({ "metadata": { "finalizers": null } })),
        (
            "another finalizer added",
            json!({ "metadata": { "finalizers": ["pai.tencentcloud.io/instance", "example.com/other"] } }),
        ),
    ]
}

/// Writes of the status, which the operator must be able to make whatever the status says.
fn status_writes() -> [(&'static str, Value); 4] {
    [
        ("the next state recorded", json!({ "createAttempt": attempt("Uncertain") })),
        ("ids recorded", json!({ "instanceIds": ["ins-1"], "createAttempt": attempt("Created") })),
        ("the attempt taken away", json!({ "createAttempt": null })),
        ("the ids taken away", json!({ "instanceIds": null })),
    ]
}
