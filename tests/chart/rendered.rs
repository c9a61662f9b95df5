//! `helm template` as a list of JSON objects, and the generated files that come from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pai_harness::toolchain::{Tool, path};
use serde_json::Value;

pub const NAMESPACE: &str = "pai-system";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> PathBuf {
    root().join("charts/pai-operator")
}

/// The kustomize overlays, named for the values file that each is made with.
pub const OVERLAYS: [&str; 3] = ["ha", "namespaced", "restricted"];

/// The values files of the chart's `ci` folder.
pub fn ci_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(chart().join("ci")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files
}

/// The rendered YAML, or helm's complaint.
pub fn template(more: &[&str]) -> Result<String, String> {
    let output = Command::new(path(Tool::Helm).unwrap())
        .args(["template", "pai-operator"])
        .arg(chart())
        .args(["--namespace", NAMESPACE])
        .args(more)
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// The rendered objects for values given as JSON.
pub fn render(values: &Value) -> Result<Vec<Value>, String> {
    let folder = std::env::temp_dir().join(format!("pai-chart-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let thread = format!("{:?}", std::thread::current().id());
    let file = folder.join(format!("{thread}.json"));
    fs::write(&file, values.to_string()).unwrap();
    let text = template(&["--values", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    text.map(|text| objects(&text))
}

/// The objects of a YAML text; empty documents are left out.
pub fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

pub fn text_of<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// All objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| text_of(object, "/kind") == kind).collect()
}

#[test]
fn chart_app_and_crate_have_one_version() {
    let text = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(text_of(&chart, "/version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text_of(&chart, "/appVersion"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn generated_files_are_up_to_date() {
    let crd = "pai.tencentcloud.io_paiinstances.yaml";
    let source = fs::read(root().join("crds").join(crd)).unwrap();
    let copy = fs::read(chart().join("files/crds").join(crd)).unwrap();
    assert!(source == copy, "the chart's CRD differs from crds/{crd}: run `make gen`");
    let committed = fs::read_to_string(root().join("deploy/operator.yaml")).unwrap();
    let now = template(&[]).unwrap();
    assert!(committed == now, "deploy/operator.yaml differs from the chart: run `make gen`");
    let overlays = OVERLAYS.map(|overlay| (overlay, format!("deploy/overlays/{overlay}/operator.yaml")));
    for (name, file) in overlays.into_iter().chain([("full", "tests/chart/golden/full.yaml".to_owned())]) {
        let values = chart().join(format!("ci/{name}-values.yaml"));
        let committed = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let now = template(&["--values", values.to_str().unwrap()]).unwrap();
        assert!(committed == now, "{file} differs from the chart: run `make gen`");
    }
}
