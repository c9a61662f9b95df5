//! At every stage of a life, as the API server shows it to watchers: the other tools never take it for done too early, nor for failed
//! while it is tried again.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use pai_harness::toolchain::{Tool, path};
use serde_json::{Value, json};

use crate::judges::{argo_health, kstatus};
use crate::scene::{Scene, condition, example, text};

/// Writes down every version of the objects in a namespace.
struct Recorder {
    kubectl: Child,
    file: std::path::PathBuf,
}

impl Recorder {
    fn start(scene: &Scene) -> Self {
        let file = scene.stack.control_plane().folder().join(format!("watch-{}.json", scene.stack.namespace()));
        let kubectl = Command::new(path(Tool::Kubectl).unwrap())
            .args([
                "get",
                "pai",
                "--watch",
                "--output-watch-events",
                "-o",
                "json",
                "--namespace",
                scene.stack.namespace(),
            ])
            .env("KUBECONFIG", scene.stack.kubeconfig())
            .stdout(Stdio::from(File::create(&file).unwrap()))
            .spawn()
            .unwrap();
        Self { kubectl, file }
    }

    /// All versions so far, the deleted one included.
    fn versions(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok);
        events.map(|event| event["object"].clone()).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

/// What is expected of both tools, from what the object says; the first line that fits counts.
fn expected(object: &Value) -> (&'static str, &'static str) {
    let says = |kind: &str, status: &str| condition(object, kind).is_some_and(|one| one["status"] == status);
    let reason = condition(object, "Ready").unwrap_or_default()["reason"].clone();
    let (meta, status) = (&object["metadata"], &object["status"]);
    let seen = status["observedGeneration"] == meta["generation"];
    if !meta["deletionTimestamp"].is_null() {
        return ("Terminating", if seen && says("Stalled", "True") { "Degraded" } else { "Progressing" });
    }
    if !seen {
        return ("InProgress", "Progressing");
    }
    if says("Stalled", "True") {
        return ("Failed", "Degraded");
    }
    let paused = condition(object, "Synced").unwrap_or_default()["reason"] == "Paused";
    match reason.as_str() {
        Some("Available") if paused => ("Current", "Suspended"),
        Some("Available") => ("Current", "Healthy"),
        _ if paused => ("InProgress", "Suspended"),
        Some("Stopped") => ("InProgress", "Suspended"),
        _ => ("InProgress", "Progressing"),
    }
}

/// From a missing Secret over a stop, an edit and a machine that somebody destroyed to the end.
fn a_life_with_mishaps(scene: &Scene, name: &str) {
    scene.instance(name, |spec| spec["credentialsRef"]["name"] = json!("secret-missing"));
    scene.wait_reason(name, "CredentialsNotFound");
    let account = pai_harness::Account::default();
    scene.secret("secret-missing", &[("secretId", &account.id), ("secretKey", &account.key)]);
    scene.look_again(name);
    scene.wait_ready(name);
    let id = machine(scene, name);
    scene.stack.simulator().change_instance(&id, &json!({"InstanceState": "STOPPED"})).unwrap();
    scene.look_again(name);
    scene.wait_reason(name, "Stopped");
    scene.stack.simulator().change_instance(&id, &json!({"InstanceState": "RUNNING"})).unwrap();
    scene.look_again(name);
    scene.wait_reason(name, "Available");
    scene.patch_spec(name, &json!({"deletionPolicy": "Retain"}));
    scene.until("the edit to be seen", || {
        let object = scene.object(name);
        (object["status"]["observedGeneration"] == object["metadata"]["generation"])
            .then_some(())
            .ok_or_else(|| object.to_string())
    });
    scene.patch_spec(name, &json!({"deletionPolicy": "Delete"}));
    scene.stack.simulator().terminate_instance(&id).unwrap();
    scene.look_again(name);
    scene.wait_reason(name, "ExternallyDeleted");
    scene.delete(name);
}

/// Paused before and after the purchase, and with a machine that the cloud does not give back at first.
fn a_life_with_holds(scene: &Scene, name: &str) {
    let pause = |word: &str| scene.kubectl(&["annotate", "pai", name, "--overwrite", word]);
    let says_paused = || {
        scene.until("the pause to be shown", || {
            let synced = condition(&scene.object(name), "Synced").unwrap_or_default();
            if synced["reason"] == "Paused" { Ok(()) } else { Err(synced.to_string()) }
        });
    };
    let mut object = example(name);
    object["metadata"]["annotations"] = json!({"pai.tencentcloud.io/paused": "true"});
    scene.apply(&object);
    says_paused();
    pause("pai.tencentcloud.io/paused-");
    scene.wait_ready(name);
    pause("pai.tencentcloud.io/paused=true");
    says_paused();
    pause("pai.tencentcloud.io/paused-");
    let protection = |on: bool| {
        let change = json!({"DisableApiTermination": on});
        scene.stack.simulator().change_instance(&machine(scene, name), &change).unwrap();
    };
    protection(true);
    scene.kubectl(&["delete", "pai", name, "--wait=false"]);
    scene.wait_reason(name, "DeleteProtected");
    protection(false);
    scene.look_again(name);
    scene.wait_gone(name);
}

fn machine(scene: &Scene, name: &str) -> String {
    text(&scene.object(name)["status"]["instanceIds"][0])
}

#[test]
fn flux_and_argo_cd_judge_right_at_every_stage() {
    let scene = Scene::start(&[]);
    let recorder = Recorder::start(&scene);
    a_life_with_holds(&scene, "pear");
    a_life_with_mishaps(&scene, "apple");

    let versions = scene.until("the watch to show the end", || {
        let versions = recorder.versions();
        let is_end =
            |last: &Value| last["metadata"]["name"] == "apple" && !last["metadata"]["deletionTimestamp"].is_null();
        let over = versions.last().is_some_and(is_end);
        if over { Ok(versions) } else { Err(format!("{} versions", versions.len())) }
    });
    let words = argo_health(&versions);
    let mut met = std::collections::BTreeSet::new();
    for (object, argo) in versions.iter().zip(&words) {
        let judged = (kstatus(object), argo.as_str());
        assert_eq!(judged, expected(object), "{object:#}");
        met.insert(judged);
    }
    let all = [
        ("Current", "Healthy"),
        ("Current", "Suspended"),
        ("Failed", "Degraded"),
        ("InProgress", "Progressing"),
        ("InProgress", "Suspended"),
        ("Terminating", "Degraded"),
        ("Terminating", "Progressing"),
    ];
    assert_eq!(met, all.into(), "a stage was not met");
}

/// A chart with one machine, as somebody keeps it in a repository.
fn chart_of(scene: &Scene, object: &Value) -> String {
    let folder = scene.stack.control_plane().folder().join(format!("chart-{}", scene.stack.namespace()));
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    std::fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: fleet\nversion: 1.0.0\n").unwrap();
    std::fs::write(folder.join("templates/machine.yaml"), object.to_string()).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// The kstatus that Helm 4 brings, not our reading of its rules.
#[test]
fn helm_waits_until_the_machine_runs_and_does_not_take_a_failure_for_success() {
    let scene = Scene::start(&["--boot-time=5s"]);
    let namespace = format!("--namespace={}", scene.stack.namespace());
    let helm = |args: &[&str]| scene.stack.control_plane().helm(&[args, &[&namespace]].concat()).ok();
    helm(&["install", "fleet", &chart_of(&scene, &example("apple")), "--wait", "--timeout=3m"]).unwrap();
    let apple = scene.object("apple");
    assert_eq!(condition(&apple, "Ready").unwrap()["status"], "True", "{apple:#}");
    assert_eq!(scene.creates().len(), 1);

    let refusal = json!({"kind": "error", "code": "InvalidParameterValue.Range", "message": "too small"});
    let fault = json!({"action": "CreatePaiInstance", "after": 0, "times": 1, "effect": refusal});
    scene.stack.simulator().add_fault(&fault).unwrap();
    let refused = helm(&["upgrade", "fleet", &chart_of(&scene, &example("pear")), "--wait", "--timeout=20s"]);
    let complaint = refused.unwrap_err().to_string();
    assert!(complaint.contains("pear"), "{complaint}");
    scene.wait_reason("pear", "InvalidSpec");
    // The machine that the new version of the chart does not name any more was given back meanwhile.
    scene.wait_gone("apple");
    helm(&["uninstall", "fleet", "--wait", "--timeout=2m"]).unwrap();
    assert_eq!(scene.creates().len(), 2);
}
