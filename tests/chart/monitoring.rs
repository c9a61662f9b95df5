//! Kinds of the Prometheus operator, by its own CRDs on a real API server: a mistake in ours is refused there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pai_harness::ControlPlane;
use serde_json::Value;

const MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
const VERSION: &str = "v0.85.0";
/// What `go.sum` would hold of it.
const SUM: &str = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=";
const KINDS: [&str; 3] = ["servicemonitors", "podmonitors", "prometheusrules"];

/// The folder of the CRDs in Go's module cache, downloaded once and held against its checksum.
fn crds() -> PathBuf {
    let download = Command::new("go")
        .args(["mod", "download", "-json", &format!("{MODULE}@{VERSION}")])
        .env("GOFLAGS", "-mod=mod")
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&download.stdout).unwrap();
    assert_eq!(said["Sum"], SUM, "{said}");
    PathBuf::from(said["Dir"].as_str().unwrap()).join("example/prometheus-operator-crd")
}

/// Installs the CRDs of the kinds that the chart may render.
pub fn install(plane: &ControlPlane) {
    let folder = crds();
    for kind in KINDS {
        let yaml = fs::read_to_string(folder.join(format!("monitoring.coreos.com_{kind}.yaml"))).unwrap();
        // Applied by the server: the client's annotation would be larger than it may be.
        plane.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &yaml).ok().unwrap();
        plane.wait_for_crd(&format!("{kind}.monitoring.coreos.com")).unwrap();
    }
}
