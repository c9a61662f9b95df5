//! The table of inputs: each field missing, empty, too long, in the wrong form and of the wrong type, and every rule that
//! ties fields together. Needs the server. Defaults and dropped values are checked on what the server gives back.

mod basics;
mod machine;
mod terms;

use pai_operator::api::crd;
use serde_json::{Value, json};

use crate::row::{Row, check, object_of, report, smallest};
use crate::server::{Answer, Server};

#[test]
fn every_input_gets_its_answer() {
    let server = Server::connect();
    let rows = rows();
    let mut wrong = Vec::new();
    for row in &rows {
        let answer = server.try_create(&object_of(row));
        if let Err(difference) = check(&answer, &row.refused) {
            wrong.push(format!("{}: {difference}", row.name));
        }
    }
    let names: Vec<String> = rows.iter().map(|row| row.name.to_owned()).collect();
    report("inputs", &names, 60, &wrong);
}

/// So that a new field cannot be forgotten.
#[test]
fn every_field_of_the_spec_is_refused_in_some_row() {
    let refused: Vec<String> = rows()
        .iter()
        .flat_map(|row| row.refused.clone())
        .map(|(field, _)| field.replace("[0]", "[]").replace("[1]", "[]"))
        .collect();
    let crd = serde_json::to_value(crd::crd().unwrap()).unwrap();
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut values = Vec::new();
    leaves("spec", &root["properties"]["spec"], &mut values);
    assert!(values.len() > 25, "the walk found only {values:?}");
    let untested: Vec<&String> = values.iter().filter(|value| !refused.contains(value)).collect();
    assert!(untested.is_empty(), "no row has the server refuse {untested:?}");
}

/// The paths of all values below `schema` that are no objects.
fn leaves(path: &str, schema: &Value, found: &mut Vec<String>) {
    if schema["type"] != "object" {
        found.push(path.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        leaves(&format!("{path}.{name}"), property, found);
    }
    if let Some(items) = schema.get("items") {
        leaves(&format!("{path}[]"), items, found);
    }
}

fn rows() -> Vec<Row> {
    [basics::rows(), machine::rows(), terms::rows()].into_iter().flatten().collect()
}

#[test]
fn a_null_is_as_if_the_field_were_left_out() {
    let server = Server::connect();
    let optional = [
        "initScript",
        "zones",
        "vpcId",
        "subnetIds",
        "instanceName",
        "instanceTypes",
        "systemDisk",
        "loginSettings",
        "instanceChargePrepaid",
        "deletionPolicy",
    ];
    for field in optional {
        let mut object = smallest("null");
        object["spec"][field] = Value::Null;
        let spec = stored_spec(server.try_create(&object));
        assert_eq!(spec.get(field), None, "{field}");
    }
    let mut object = smallest("null");
    object["spec"]["instanceChargeType"] = Value::Null;
    let spec = stored_spec(server.try_create(&object));
    assert_eq!(spec["instanceChargeType"], "POSTPAID_BY_HOUR");
    for field in ["internetChargeType", "internetMaxBandwidthOut", "publicIpAssigned", "bandwidthPackageId"] {
        let mut object = smallest("null");
        object["spec"]["internetAccessible"][field] = Value::Null;
        let spec = stored_spec(server.try_create(&object));
        assert_eq!(spec["internetAccessible"], json!({}), "{field}");
    }
}

#[test]
fn defaults_are_filled_in_and_nothing_else() {
    let server = Server::connect();
    let mut expected = smallest("defaults")["spec"].clone();
    expected["instanceChargeType"] = json!("POSTPAID_BY_HOUR");
    let spec = stored_spec(server.try_create(&smallest("defaults")));
    assert_eq!(spec, expected);

    let mut object = smallest("defaults");
    object["spec"]["instanceChargeType"] = json!("PREPAID");
    object["spec"]["instanceChargePrepaid"] = json!({ "period": 1 });
    let spec = stored_spec(server.try_create(&object));
    let prepaid = json!({ "period": 1, "renewFlag": "NOTIFY_AND_MANUAL_RENEW" });
    assert_eq!(spec["instanceChargePrepaid"], prepaid);
}

#[test]
fn a_new_object_is_in_progress_whatever_status_it_brings() {
    let server = Server::connect();
    let mut object = smallest("forged-at-birth");
    object["status"] = json!({ "observedGeneration": 1, "instanceIds": ["ins-forged"] });
    server.create(&object);
    assert_eq!(server.get("forged-at-birth")["status"], json!({ "observedGeneration": -1 }));
}

#[test]
fn a_field_that_the_schema_does_not_know_is_never_stored() {
    let server = Server::connect();
    let mut object = smallest("unknown");
    object["spec"]["loginSettings"] = json!({ "keepImageLogin": true, "password": "Abcd1234" });
    object["spec"]["credentialsRef"] = json!({ "name": "cloud", "namespace": "elsewhere" });
    object["spec"]["userData"] = json!("x");
    let spec = stored_spec(server.try_create(&object));
    assert_eq!(spec["loginSettings"], json!({ "keepImageLogin": true }));
    assert_eq!(spec["credentialsRef"], json!({ "name": "cloud" }));
    assert_eq!(spec.get("userData"), None);
}

fn stored_spec(answer: Answer) -> Value {
    match answer {
        Answer::Accepted(object) => object["spec"].clone(),
        Answer::Refused(causes) => panic!("refused: {causes:#?}"),
    }
}
