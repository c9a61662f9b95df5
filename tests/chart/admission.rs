//! The admission policy on a real API server: who names a Secret in a PaiInstance must be allowed to read it.

use std::time::Duration;

use pai_harness::{ControlPlane, wait_until};
use serde_json::{Value, json};

use crate::rendered::{NAMESPACE, chart};

const TENANT: &str = "--as=tenant";

/// A PaiInstance of the tenant that names these Secrets, and one label.
fn object(name: &str, label: &str, credentials: &str, password: Option<&str>, script: Option<&str>) -> String {
    let mut spec = json!({
        "region": "ap-guangzhou", "credentialsRef": {"name": credentials}, "domainName": format!("{name}.pai.tcloudbase.com"),
        "instanceTypes": ["S4.SMALL2"], "internetAccessible": {"internetMaxBandwidthOut": 1},
    });
    if let Some(password) = password {
        spec["loginSettings"] = json!({"passwordSecretRef": {"name": password, "key": "password"}});
    }
    if let Some(script) = script {
        spec["initScript"] = json!({"secretKeyRef": {"name": script, "key": "script"}});
    }
    let object: Value = json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
        "metadata": {"name": name, "namespace": "default", "labels": {"a": label}}, "spec": spec,
    });
    object.to_string()
}

/// What the API server says to the tenant, or to somebody else.
fn apply(plane: &ControlPlane, user: &str, object: &str) -> Result<(), String> {
    let output = plane.kubectl_with_input(&["apply", "--server-side", "-f", "-", user], object);
    if output.code == 0 { Ok(()) } else { Err(output.stderr) }
}

fn may_read(plane: &ControlPlane, secret: &str) {
    let role = format!("read-{secret}");
    let name = format!("--resource-name={secret}");
    plane.kubectl(&["create", "role", &role, "--verb=get", "--resource=secrets", &name]).ok().unwrap();
    plane.kubectl(&["create", "rolebinding", &role, &format!("--role={role}"), "--user=tenant"]).ok().unwrap();
}

#[test]
fn who_names_a_secret_must_be_allowed_to_read_it() {
    let plane = ControlPlane::start().unwrap();
    let (folder, namespace) = (chart(), format!("--namespace={NAMESPACE}"));
    let install = ["install", "pai-operator", folder.to_str().unwrap(), &namespace, "--create-namespace"];
    plane.helm(&[&install[..], &["--set", "admissionPolicy.enabled=true"]].concat()).ok().unwrap();
    plane.wait_for_crd("paiinstances.pai.tencentcloud.io").unwrap();
    for user in ["tenant", "other"] {
        let (name, user) = (format!("edit-{user}"), format!("--user={user}"));
        let verbs =
            ["create", "role", &name, "--verb=get,create,patch,update", "--resource=paiinstances.pai.tencentcloud.io"];
        plane.kubectl(&verbs).ok().unwrap();
        plane.kubectl(&["create", "rolebinding", &name, &format!("--role={name}"), &user]).ok().unwrap();
    }
    // The API server takes a policy into force after a moment.
    wait_until("the policy to be in force", Duration::from_mins(1), || {
        match apply(&plane, TENANT, &object("probe", "1", "theirs", None, None)) {
            Err(said) if said.contains("must be allowed to get the Secret theirs in the namespace default") => Ok(()),
            said => {
                let _ = plane.kubectl(&["delete", "pai", "probe", "--ignore-not-found"]);
                Err(format!("{said:?}"))
            }
        }
    })
    .unwrap();
    may_read(&plane, "ours");
    let table = [
        ("credentials", object("a", "1", "theirs", None, None), false),
        ("credentials that may be read", object("a", "1", "ours", None, None), true),
        ("a password", object("b", "1", "ours", Some("theirs"), None), false),
        ("a script", object("c", "1", "ours", None, Some("theirs")), false),
        ("password and script that may be read", object("d", "1", "ours", Some("ours"), Some("ours")), true),
        ("a change of the credentials", object("a", "1", "theirs", None, None), false),
    ];
    for (what, object, allowed) in table {
        let said = apply(&plane, TENANT, &object);
        assert_eq!(said.is_ok(), allowed, "{what}: {said:?}");
    }
    // Another field may be changed by whoever may change the object: the Secret was named before. So may the operator's finalizer.
    let other = plane.kubectl(&["label", "pai", "a", "a=2", "--overwrite", "--as=other"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    let operator = format!("--as=system:serviceaccount:{NAMESPACE}:pai-operator");
    let finalizer = r#"{"metadata":{"finalizers":["pai.tencentcloud.io/instance"]}}"#;
    let patched = plane.kubectl(&["patch", "pai", "a", "--type=merge", "-p", finalizer, &operator]);
    assert_eq!(patched.code, 0, "{}", patched.stderr);
}
