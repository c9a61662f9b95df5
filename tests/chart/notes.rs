//! What the chart says after an installation: above all, in which order to remove what could otherwise leave machines that nobody ends.

use std::process::Command;

use pai_harness::toolchain::{Tool, path};

use crate::rendered::{NAMESPACE, chart};

/// The notes of an installation with these values, without a cluster.
fn notes(values: &[&str]) -> String {
    let output = Command::new(path(Tool::Helm).unwrap())
        .args(["install", "pai-operator"])
        .arg(chart())
        .args(["--namespace", NAMESPACE, "--dry-run=client"])
        .args(values.iter().flat_map(|value| ["--set", value]))
        .env("KUBECONFIG", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("\nNOTES:\n").unwrap().1.to_owned()
}

/// Whether the parts stand in the text, one after the other.
fn in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[test]
fn machines_go_before_the_operator_and_the_operator_before_the_crd() {
    let ours = notes(&[]);
    let all = ["kubectl delete pai --all --all-namespaces", "helm uninstall pai-operator", "kubectl delete crd"];
    assert!(in_order(&ours, &all), "{ours}");
    assert!(!in_order(&ours, &[all[1], all[0]]), "{ours}");

    let of_some = notes(&["watch.namespaces={a,b}"]);
    let each = ["kubectl delete pai --all --namespace a", "kubectl delete pai --all --namespace b", "helm uninstall"];
    assert!(in_order(&of_some, &each), "{of_some}");

    let without = notes(&["crds.install=false"]);
    assert!(in_order(&without, &["helm uninstall", "whoever installed it removes it"]), "{without}");
    assert!(!without.contains("kubectl delete crd"), "{without}");

    let gone = notes(&["crds.keep=false"]);
    assert!(in_order(&gone, &["helm uninstall", "gone already: crds.keep is false"]), "{gone}");
}

#[test]
fn the_credentials_go_where_the_operator_may_read_them() {
    for (values, namespace) in [
        (vec![], NAMESPACE),
        (vec!["watch.namespaces={a,b}"], "a"),
        (vec!["watch.namespaces={a,b}", "references.namespaces={b}"], "b"),
    ] {
        let notes = notes(&values);
        let command = format!("create secret generic tencentcloud-credentials --namespace {namespace} ");
        assert!(notes.contains(&command), "{values:?}: {notes}");
    }
}
