//! The rendered chart, the plain manifests and the samples against a real API server.

use std::fs;
use std::sync::Once;
use std::time::Duration;

use pai_harness::{ControlPlane, wait_until};

use crate::monitoring;
use crate::rendered::{NAMESPACE, OVERLAYS, chart, ci_files, root, template};

/// Once for all tests that share the control plane.
static MONITORING: Once = Once::new();

/// The shared control plane with the chart's namespaces. The API server warns about each pod
/// template that does not meet the restricted profile, and a warning fails these tests.
fn plane() -> &'static ControlPlane {
    let plane = ControlPlane::shared().unwrap();
    for name in [NAMESPACE, "team-a", "team-b"] {
        let namespace = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{\
             pod-security.kubernetes.io/enforce: restricted, \
             pod-security.kubernetes.io/warn: restricted}}}}}}"
        );
        plane.apply(&namespace).ok().unwrap();
    }
    MONITORING.call_once(|| monitoring::install(plane));
    plane
}

fn dry_run(plane: &ControlPlane, what: &str, yaml: &str) {
    let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
    let output = plane.kubectl_with_input(&args, yaml);
    assert_eq!(output.code, 0, "{what}: {}", output.stderr);
    let warnings: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("Warning:")).collect();
    assert!(warnings.is_empty(), "{what}: the API server warns: {warnings:#?}");
}

#[test]
fn the_api_server_takes_the_chart_with_every_values_file() {
    let plane = plane();
    for file in ci_files() {
        let text = template(&["--values", file.to_str().unwrap()]).unwrap();
        dry_run(plane, &file.display().to_string(), &text);
    }
}

#[test]
fn the_api_server_takes_the_plain_manifests() {
    let plane = plane();
    let overlays = OVERLAYS.map(|overlay| root().join("deploy/overlays").join(overlay));
    for folder in [root().join("deploy")].iter().chain(&overlays) {
        let yaml = plane.kubectl(&["kustomize", folder.to_str().unwrap()]).ok().unwrap();
        dry_run(plane, &folder.display().to_string(), &yaml);
    }
}

/// On a control plane of its own, as the release changes what all namespaces share.
#[test]
fn install_use_and_uninstall() {
    let plane = ControlPlane::start().unwrap();
    let folder = chart();
    let chart = folder.to_str().unwrap();
    let namespace = format!("--namespace={NAMESPACE}");
    let install = ["install", "pai-operator", chart, &namespace, "--create-namespace"];
    let notes = plane.helm(&install).ok().unwrap();
    for step in ["delete pai --all", "helm uninstall pai-operator", "delete crd"] {
        assert!(notes.contains(step), "the notes lack '{step}':\n{notes}");
    }
    plane.wait_for_crd("paiinstances.pai.tencentcloud.io").unwrap();
    samples_are_valid(&plane);
    rights_are_as_small_as_they_look(&plane);
    plane.helm(&["uninstall", "pai-operator", &namespace]).ok().unwrap();
    let kept = plane.kubectl(&["get", "crd", "paiinstances.pai.tencentcloud.io"]);
    assert_eq!(kept.code, 0, "an uninstall must not take every PaiInstance with it");
    let gone = plane.kubectl(&["get", "deployments", "--all-namespaces", "-o", "name"]);
    assert_eq!(gone.ok().unwrap(), "");
    // And once more over the kept CRD.
    plane.helm(&install).ok().unwrap();
}

fn samples_are_valid(plane: &ControlPlane) {
    let folder = root().join("deploy/samples");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .chain(fs::read_dir(folder.join("demo")).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        let yaml = fs::read_to_string(&file).unwrap();
        dry_run(plane, &file.display().to_string(), &yaml);
    }
}

/// What RBAC itself says about the service account, and about a person with the role `edit`.
fn rights_are_as_small_as_they_look(plane: &ControlPlane) {
    let operator = "--as=system:serviceaccount:pai-system:pai-operator";
    let table = [
        ("get", "secrets/tencentcloud-credentials", NAMESPACE, "yes"),
        ("get", "secrets/other", NAMESPACE, "no"),
        ("list", "secrets", NAMESPACE, "no"),
        ("watch", "secrets", NAMESPACE, "no"),
        ("get", "secrets/tencentcloud-credentials", "default", "no"),
        ("patch", "paiinstances.pai.tencentcloud.io", "default", "yes"),
        ("update", "paiinstances.pai.tencentcloud.io/status", "default", "yes"),
        ("update", "paiinstances.pai.tencentcloud.io", "default", "no"),
        ("delete", "paiinstances.pai.tencentcloud.io", "default", "no"),
        ("create", "leases.coordination.k8s.io", NAMESPACE, "yes"),
        ("create", "leases.coordination.k8s.io", "default", "no"),
        ("update", "leases.coordination.k8s.io/pai-operator", NAMESPACE, "yes"),
        ("update", "leases.coordination.k8s.io/other", NAMESPACE, "no"),
        ("create", "events.events.k8s.io", "default", "yes"),
        ("create", "pods", NAMESPACE, "no"),
    ];
    for (verb, resource, namespace, expected) in table {
        let (resource, subresource) = match resource.strip_suffix("/status") {
            Some(resource) => (resource, "--subresource=status"),
            None => (resource, "--subresource="),
        };
        let namespace = format!("--namespace={namespace}");
        let output = plane.kubectl(&["auth", "can-i", verb, resource, subresource, &namespace, operator]);
        assert_eq!(output.stdout.trim(), expected, "{verb} {resource} {subresource} {namespace}");
    }
    let bind = ["create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor"];
    plane.kubectl(&bind).ok().unwrap();
    let may = |subresource: &str| {
        let resource = "paiinstances.pai.tencentcloud.io";
        let output = plane.kubectl(&["auth", "can-i", "update", resource, subresource, "--as=editor"]);
        output.stdout.trim().to_owned()
    };
    wait_until("the role edit to contain ours", Duration::from_mins(1), || {
        let answer = may("--subresource=");
        if answer == "yes" { Ok(()) } else { Err(answer) }
    })
    .unwrap();
    assert_eq!(may("--subresource=status"), "no", "nobody but the operator writes the status");
}
