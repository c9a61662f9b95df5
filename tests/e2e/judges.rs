//! What other tools make of an object: kstatus (Flux, `helm --wait` of Helm 4) by its published rules, Argo CD by our health check.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::scene::condition;

/// The word of kstatus for an object. Source: the README of kstatus in sigs.k8s.io/cli-utils: deletion first, then the generation, then the
/// conditions `Reconciling`, `Stalled` and `Ready` in this order; an object that says nothing is current.
pub fn kstatus(object: &Value) -> &'static str {
    let is = |kind: &str, status: &str| condition(object, kind).is_some_and(|condition| condition["status"] == status);
    let (meta, status) = (&object["metadata"], &object["status"]);
    if !meta["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    if !status["observedGeneration"].is_null() && status["observedGeneration"] != meta["generation"] {
        return "InProgress";
    }
    match () {
        () if is("Reconciling", "True") => "InProgress",
        () if is("Stalled", "True") => "Failed",
        () if is("Ready", "False") || is("Ready", "Unknown") => "InProgress",
        () => "Current",
    }
}

/// The words of Argo CD's health check for objects, by the interpreter that Argo CD itself uses.
pub fn argo_health(objects: &[Value]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/argocd/argocd-cm.yaml")).unwrap();
    let map: Value = serde_saphyr::from_str(&text).unwrap();
    let check = map["data"]["resource.customizations.health.pai.tencentcloud.io_PaiInstance"].as_str().unwrap();
    let mut program = format!("local function check(obj)\n{check}\nend\n");
    for object in objects {
        writeln!(program, "print(check({}).status)", lua(object)).unwrap();
    }
    let file =
        std::env::temp_dir().join(format!("pai-health-{}-{:?}.lua", std::process::id(), std::thread::current().id()));
    fs::write(&file, program).unwrap();
    let run =
        Command::new("go").args(["tool", "glua"]).arg(&file).current_dir(root.join("tests/argocd")).output().unwrap();
    fs::remove_file(&file).unwrap();
    let (said, complained) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    let words: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(words.len(), objects.len(), "{said}{complained}");
    words
}

/// A JSON value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => {
            let bytes = text.bytes().fold(String::new(), |mut all, byte| {
                let _ = write!(all, "\\{byte:03}");
                all
            });
            format!("\"{bytes}\"")
        }
        Value::Array(items) => format!("{{{}}}", items.iter().map(lua).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("[{}]={}", lua(&Value::from(key.as_str())), lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
    }
}
