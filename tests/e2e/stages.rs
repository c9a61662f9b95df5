//! At every stage of a life, as the API server shows it to watchers: the other tools never take it for done too early, nor for failed
//! while it is tried again.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use pai_harness::toolchain::{Tool, path};
use serde_json::{Value, json};

use crate::judges::{argo_health, kstatus};
use crate::scene::{Scene, condition};

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
    match reason.as_str() {
        Some("Available") => ("Current", "Healthy"),
        Some("Stopped") => ("InProgress", "Suspended"),
        _ => ("InProgress", "Progressing"),
    }
}

#[test]
fn flux_and_argo_cd_judge_right_at_every_stage() {
    let scene = Scene::start(&[]);
    let recorder = Recorder::start(&scene);
    scene.instance("apple", |spec| spec["credentialsRef"]["name"] = json!("secret-missing"));
    scene.wait_reason("apple", "CredentialsNotFound");
    let account = pai_harness::Account::default();
    scene.secret("secret-missing", &[("secretId", &account.id), ("secretKey", &account.key)]);
    scene.look_again("apple");
    scene.wait_ready("apple");
    let id = scene.object("apple")["status"]["instanceIds"][0].as_str().unwrap().to_owned();
    scene.stack.simulator().change_instance(&id, &json!({"InstanceState": "STOPPED"})).unwrap();
    scene.look_again("apple");
    scene.wait_reason("apple", "Stopped");
    scene.stack.simulator().change_instance(&id, &json!({"InstanceState": "RUNNING"})).unwrap();
    scene.look_again("apple");
    scene.wait_reason("apple", "Available");
    scene.patch_spec("apple", &json!({"deletionPolicy": "Retain"}));
    scene.until("the edit to be seen", || {
        let object = scene.object("apple");
        (object["status"]["observedGeneration"] == object["metadata"]["generation"])
            .then_some(())
            .ok_or_else(|| object.to_string())
    });
    scene.patch_spec("apple", &json!({"deletionPolicy": "Delete"}));
    scene.stack.simulator().terminate_instance(&id).unwrap();
    scene.look_again("apple");
    scene.wait_reason("apple", "ExternallyDeleted");
    scene.delete("apple");

    let versions = scene.until("the watch to show the end", || {
        let versions = recorder.versions();
        let over = versions.last().is_some_and(|last| !last["metadata"]["deletionTimestamp"].is_null());
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
        ("Failed", "Degraded"),
        ("InProgress", "Progressing"),
        ("InProgress", "Suspended"),
        ("Terminating", "Progressing"),
    ];
    assert_eq!(met, all.into(), "a stage was not met");
}
