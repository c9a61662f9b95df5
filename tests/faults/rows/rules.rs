//! What a real API server checks beyond the schema's bounds: the CRD's patterns and CEL rules, by kube's own CEL.

use kube::core::cel::{Validator, compile_schema};
use serde_json::{Value, json};

use crate::world::{GROUP, PLURAL, World};

/// The schema of our CRD.
pub fn schema() -> Value {
    let crd = serde_json::to_value(pai_operator::api::crd::crd().unwrap()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// From now on objects are checked as a real API server checks them.
pub fn enforce(world: &World) {
    let mut schema = schema();
    patterns_as_rules(&mut schema);
    let compiled = compile_schema(&schema);
    assert!(!compiled.has_errors(), "{:?}", compiled.compilation_errors());
    let rules = move |new: &Value, old: Option<&Value>| match Validator::new().validate_compiled(&compiled, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().iter().map(ToString::to_string).collect(),
    };
    world.state().api.set_rules(GROUP, PLURAL, Box::new(rules));
}

/// CEL has the same regular expressions as the schema, so a pattern is one rule more.
fn patterns_as_rules(schema: &mut Value) {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let rule = json!({"rule": format!("self.matches(r'{pattern}')"), "message": "should match"});
        match schema["x-kubernetes-validations"].as_array_mut() {
            Some(rules) => rules.push(rule),
            None => schema["x-kubernetes-validations"] = json!([rule]),
        }
    }
    for key in ["properties", "items"] {
        match schema.get_mut(key) {
            Some(Value::Object(below)) if key == "properties" => below.values_mut().for_each(patterns_as_rules),
            Some(below) => patterns_as_rules(below),
            None => {}
        }
    }
}
