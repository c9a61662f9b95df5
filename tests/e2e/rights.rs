//! Rights: what the chart grants is exactly what the operator uses, in every mode, by the API server's own audit log.

use std::collections::BTreeSet;

use pai_harness::{Options, Stack, wait_until};
use serde_json::{Value, json};

use crate::scene::{PASSWORD, PATIENCE, condition, example};

/// What is granted, or what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: String,
    /// `group/resource`.
    resource: String,
    /// Empty: of any name.
    name: String,
    /// Empty: all over the cluster.
    namespace: String,
}

const SCRIPT: &str = "#!/bin/bash\necho hello\n";

/// A mode of the chart: its values, and the namespaces in which an object lives through everything.
struct Mode {
    name: &'static str,
    values: Value,
    namespaces: &'static [&'static str],
}

fn modes() -> [Mode; 4] {
    let names = json!({"secretNames": ["tencentcloud-credentials", "login"], "configMapNames": ["script"]});
    let with = |more: Value| {
        let mut references = names.clone();
        references.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        references
    };
    [
        Mode {
            name: "cluster-wide",
            values: json!({"references": with(json!({"namespaces": ["default"]}))}),
            namespaces: &["default"],
        },
        Mode {
            name: "references in all namespaces",
            values: json!({"references": with(json!({"namespaces": [], "clusterWide": true}))}),
            namespaces: &["default", "team-b"],
        },
        Mode {
            name: "one namespace",
            values: json!({"watch": {"namespaces": ["default"]}, "references": with(json!({"namespaces": []}))}),
            namespaces: &["default"],
        },
        Mode {
            name: "a list of namespaces",
            values: json!({"watch": {"namespaces": ["default", "team-b"]}, "references": with(json!({"namespaces": []}))}),
            namespaces: &["default", "team-b"],
        },
    ]
}

#[test]
fn nothing_is_denied_and_nothing_is_granted_in_vain() {
    for mode in modes() {
        let stack = stack(&mode);
        for namespace in mode.namespaces {
            live_and_die(&stack, namespace);
        }
        let user = stack.operator_user().unwrap();
        let (taken, denied) = asked(&stack, &user);
        let denied: Vec<_> = denied.iter().filter(|right| !is_expected(&mode, &right.resource)).collect();
        assert!(denied.is_empty(), "{}: the API server denied {denied:?}", mode.name);
        let granted = granted(&stack);
        assert!(granted.len() > 10, "{}: {granted:?}", mode.name);
        let in_vain: Vec<_> = granted.iter().filter(|right| !taken.iter().any(|one| covers(right, one))).collect();
        assert!(in_vain.is_empty(), "{}: granted, but never used: {in_vain:?}", mode.name);
        let beyond: Vec<_> = taken.iter().filter(|one| !granted.iter().any(|right| covers(right, one))).collect();
        assert!(beyond.is_empty(), "{}: used by rights from elsewhere: {beyond:?}", mode.name);
    }
}

/// With Roles alone nobody may read the CRD, which is a resource of the cluster: the operator asks and goes by what it knows.
fn is_expected(mode: &Mode, resource: &str) -> bool {
    mode.values.get("watch").is_some() && resource == "apiextensions.k8s.io/customresourcedefinitions"
}

fn stack(mode: &Mode) -> Stack {
    let stack = Stack::start(Options {
        audited: true,
        start_operator: false,
        helm_values: json!({"leaderElection": {"leaseDurationSeconds": 60}}),
        ..Options::default()
    })
    .unwrap();
    for namespace in mode.namespaces.iter().filter(|name| **name != "default") {
        stack.create_namespace(namespace).unwrap();
    }
    stack.upgrade(&mode.values).unwrap();
    for namespace in mode.namespaces {
        let (space, password) = (format!("--namespace={namespace}"), format!("--from-literal=password={PASSWORD}"));
        stack.kubectl(&["create", "secret", "generic", "login", &password, &space]).ok().unwrap();
        let script = format!("--from-literal=run.sh={SCRIPT}");
        stack.kubectl(&["create", "configmap", "script", &script, &space]).ok().unwrap();
    }
    stack.operator().start().unwrap();
    stack.operator().wait_ready().unwrap();
    stack
}

/// One object from its creation to its end, with every kind of reference.
fn live_and_die(stack: &Stack, namespace: &str) {
    let name = format!("apple-{namespace}");
    let mut object = example(&name);
    object["metadata"]["namespace"] = json!(namespace);
    object["spec"]["domainName"] = json!(format!("{name}.pai.tcloudbase.com"));
    object["spec"]["loginSettings"] = json!({"passwordSecretRef": {"name": "login", "key": "password"}});
    object["spec"]["initScript"] = json!({"configMapKeyRef": {"name": "script", "key": "run.sh"}});
    stack.apply(&object.to_string()).ok().unwrap();
    let space = format!("--namespace={namespace}");
    wait_until("the object to be ready", PATIENCE, || {
        let object = stack.get(&[&space, "pai", &name]).map_err(|error| error.to_string())?;
        let ready = condition(&object, "Ready").unwrap_or_default();
        if ready["status"] == "True" { Ok(()) } else { Err(object["status"].to_string()) }
    })
    .unwrap();
    stack.kubectl(&["delete", "pai", &name, &space, "--timeout=180s"]).ok().unwrap();
}

/// What the operator was allowed, and what it was denied.
fn asked(stack: &Stack, user: &str) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let (mut taken, mut denied) = (BTreeSet::new(), BTreeSet::new());
    for event in stack.control_plane().audit_log().unwrap() {
        if event.pointer("/user/username").and_then(Value::as_str) != Some(user) {
            continue;
        }
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let sub = Some(text("/objectRef/subresource")).filter(|sub| !sub.is_empty());
        let resource =
            sub.map_or_else(|| text("/objectRef/resource"), |sub| format!("{}/{sub}", text("/objectRef/resource")));
        let right = Right {
            verb: text("/verb"),
            resource: format!("{}/{resource}", text("/objectRef/apiGroup")),
            name: text("/objectRef/name"),
            namespace: text("/objectRef/namespace"),
        };
        if event.pointer("/responseStatus/code") == Some(&json!(403)) {
            denied.insert(right)
        } else {
            taken.insert(right)
        };
    }
    assert!(taken.len() > 8, "{taken:?}");
    (taken, denied)
}

/// What the chart's Roles and ClusterRoles grant to the operator; what every account may do is not among it.
fn granted(stack: &Stack) -> BTreeSet<Right> {
    let list = |args: &[&str]| stack.get(args).unwrap()["items"].as_array().cloned().unwrap();
    let bindings = [list(&["rolebindings", "-A"]), list(&["clusterrolebindings"])].concat();
    let roles = [list(&["roles", "-A"]), list(&["clusterroles"])].concat();
    let ours = bindings.iter().filter(|binding| binding["subjects"].to_string().contains("\"pai-operator\""));
    let mut granted = BTreeSet::new();
    for binding in ours {
        let role = roles.iter().find(|role| {
            role["kind"] == binding["roleRef"]["kind"]
                && role["metadata"]["name"] == binding["roleRef"]["name"]
                && (role["kind"] == "ClusterRole" || role["metadata"]["namespace"] == binding["metadata"]["namespace"])
        });
        let namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role.unwrap()["rules"].as_array().unwrap() {
            let words = |key: &str| -> Vec<String> {
                let all = rule[key].as_array().into_iter().flatten();
                all.map(|word| word.as_str().unwrap().to_owned()).collect()
            };
            let names =
                Some(words("resourceNames")).filter(|names| !names.is_empty()).unwrap_or_else(|| vec![String::new()]);
            for (verb, (resource, name)) in words("verbs").iter().flat_map(|verb| {
                let pairs = words("resources")
                    .into_iter()
                    .flat_map(|resource| names.iter().map(move |name| (resource.clone(), name)));
                pairs.map(move |pair| (verb, pair)).collect::<Vec<_>>()
            }) {
                let group = rule["apiGroups"][0].as_str().unwrap();
                granted.insert(Right {
                    verb: verb.clone(),
                    resource: format!("{group}/{resource}"),
                    name: name.clone(),
                    namespace: namespace.to_owned(),
                });
            }
        }
    }
    granted
}

fn covers(granted: &Right, used: &Right) -> bool {
    let reaches = |granted: &str, used: &str| granted.is_empty() || granted == used;
    (&granted.verb, &granted.resource) == (&used.verb, &used.resource)
        && reaches(&granted.name, &used.name)
        && reaches(&granted.namespace, &used.namespace)
}
