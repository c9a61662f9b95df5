//! RBAC: exactly the rights that the operator uses, in every way of installing it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rendered::{ci_files, objects, of_kind, render, template, text_of};

/// Rules by `Kind namespace/name`.
fn rules(objects: &[Value]) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for kind in ["Role", "ClusterRole"] {
        for role in of_kind(objects, kind) {
            let namespace = text_of(role, "/metadata/namespace");
            let key = format!("{kind} {namespace}/{}", text_of(role, "/metadata/name"));
            assert!(found.insert(key, role["rules"].clone()).is_none());
        }
    }
    found
}

fn operator_rules() -> Vec<Value> {
    let group = "pai.tencentcloud.io";
    vec![
        json!({"apiGroups": [group], "resources": ["paiinstances"],
               "verbs": ["get", "list", "watch", "patch"]}),
        json!({"apiGroups": [group], "resources": ["paiinstances/status"], "verbs": ["update"]}),
        json!({"apiGroups": ["events.k8s.io"], "resources": ["events"],
               "verbs": ["create"]}),
    ]
}

fn lease_rules() -> Value {
    json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
         "resourceNames": ["pai-operator"], "verbs": ["get", "update"]},
    ])
}

fn reference_rules() -> Value {
    json!([{"apiGroups": [""], "resources": ["secrets"],
            "resourceNames": ["tencentcloud-credentials"], "verbs": ["get"]}])
}

#[test]
fn a_plain_install_gives_exactly_these_rights() {
    let mut own = operator_rules();
    own.push(json!({"apiGroups": ["apiextensions.k8s.io"],
                    "resources": ["customresourcedefinitions"],
                    "resourceNames": ["paiinstances.pai.tencentcloud.io"], "verbs": ["get"]}));
    let group = ["pai.tencentcloud.io"];
    let expected = BTreeMap::from([
        ("ClusterRole /pai-operator".to_owned(), json!(own)),
        (
            "ClusterRole /pai-operator-view".to_owned(),
            json!([{"apiGroups": group, "resources": ["paiinstances"],
                    "verbs": ["get", "list", "watch"]}]),
        ),
        (
            "ClusterRole /pai-operator-edit".to_owned(),
            json!([{"apiGroups": group, "resources": ["paiinstances"],
                    "verbs": ["create", "update", "patch", "delete", "deletecollection"]}]),
        ),
        ("Role pai-system/pai-operator-lease".to_owned(), lease_rules()),
        ("Role pai-system/pai-operator-ref".to_owned(), reference_rules()),
    ]);
    assert_eq!(rules(&render(&json!({})).unwrap()), expected);
}

#[test]
fn a_list_of_namespaces_gives_roles_only() {
    let objects = render(&json!({"watch": {"namespaces": ["a", "b"]}})).unwrap();
    let expected = BTreeMap::from([
        ("Role a/pai-operator".to_owned(), json!(operator_rules())),
        ("Role b/pai-operator".to_owned(), json!(operator_rules())),
        ("Role a/pai-operator-ref".to_owned(), reference_rules()),
        ("Role b/pai-operator-ref".to_owned(), reference_rules()),
        ("Role pai-system/pai-operator-lease".to_owned(), lease_rules()),
    ]);
    assert_eq!(rules(&objects), expected);
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
}

#[test]
fn no_rule_has_a_wildcard_and_secrets_are_read_by_name_only() {
    for file in ci_files() {
        let text = template(&["--values", file.to_str().unwrap()]).unwrap();
        let all = rules(&objects(&text));
        assert!(!all.is_empty());
        for (role, rules) in all {
            for rule in rules.as_array().unwrap() {
                assert!(!rule.to_string().contains('*'), "{role}: {rule}");
                if rule["nonResourceURLs"] == json!(["/metrics"]) {
                    assert_eq!(
                        (&role, &rule["verbs"]),
                        (&"ClusterRole /pai-operator-metrics-reader".to_owned(), &json!(["get"]))
                    );
                    continue;
                }
                let resources = rule["resources"].as_array().unwrap();
                if resources.contains(&json!("secrets")) || resources.contains(&json!("configmaps")) {
                    assert_eq!(rule["verbs"], json!(["get"]), "{role}");
                    let names = rule["resourceNames"].as_array();
                    assert!(names.is_some_and(|names| !names.is_empty()), "{role}: {rule}");
                }
            }
        }
    }
}

#[test]
fn empty_lists_of_names_give_no_right_instead_of_all() {
    let objects = render(&json!({"references": {"secretNames": [], "configMapNames": []}}));
    let text = json!(rules(&objects.unwrap())).to_string();
    assert!(!text.contains("secrets") && !text.contains("configmaps"), "{text}");
}

#[test]
fn every_binding_binds_the_service_account_and_nobody_else() {
    let objects = render(&json!({})).unwrap();
    let bindings = [of_kind(&objects, "RoleBinding"), of_kind(&objects, "ClusterRoleBinding")].concat();
    assert_eq!(bindings.len(), 3);
    let expected = json!([{"kind": "ServiceAccount", "name": "pai-operator",
                           "namespace": "pai-system"}]);
    for binding in bindings {
        assert_eq!(binding["subjects"], expected);
    }
}
