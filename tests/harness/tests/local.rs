//! `pai-harness up` and `down`, the programs behind `make up` and `make down`, as a person uses them. Needs the pinned servers, our own
//! programs and curl. Must not touch the stack of whoever runs the tests, and must leave nothing running when it fails either.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, in its helper functions too"
)]

mod background;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use background::{Background, HARNESS};
use pai_harness::wait_until;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(3);

/// A stack in the background.
struct Local {
    background: Background,
}

impl Local {
    fn new() -> Self {
        Self { background: Background::new("local") }
    }

    fn run(&self, command: &str, wishes: &[(&str, &str)]) {
        let mut harness = Command::new(HARNESS);
        self.background.meant_by(harness.arg(command));
        let output = harness.envs(wishes.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a shell that has read the file has in its environment.
    fn up(&self, wishes: &[(&str, &str)]) -> BTreeMap<String, String> {
        self.run("up", wishes);
        let read = r#". "$1/env" && env"#;
        let shell = Command::new("/bin/sh").args(["-c", read, "sh"]).arg(&self.background.folder).output().unwrap();
        assert!(shell.status.success(), "{shell:?}");
        let text = String::from_utf8(shell.stdout).unwrap();
        text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
    }

    /// The processes of the stack by name.
    fn pids(&self) -> BTreeMap<String, u32> {
        let state: Value =
            serde_json::from_slice(&fs::read(self.background.folder.join("state.json")).unwrap()).unwrap();
        let pid = |known: &Value| u32::try_from(known["pid"].as_u64().unwrap()).unwrap();
        state["processes"].as_object().unwrap().iter().map(|(name, known)| (name.clone(), pid(known))).collect()
    }
}

/// A process that has ended but was not yet collected by its parent counts as gone.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn command_line(pid: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8(bytes).unwrap().split('\0').map(str::to_owned).collect()
}

fn kill(signal: &str, pid: &str) {
    let sent = Command::new("/bin/sh").args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, pid]).status().unwrap();
    assert!(sent.success());
}

fn page(env: &BTreeMap<String, String>, name: &str) -> Value {
    let url = format!("{}/_simulator/{name}", env["SIMULATOR_URL"]);
    let output = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", &url]).output().unwrap();
    assert!(output.status.success(), "{url}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Buys a machine with the kubectl of the stack, and returns the secret id that the create was signed with.
fn buy(env: &BTreeMap<String, String>, name: &str) -> String {
    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/samples/hourly.yaml")).unwrap();
    let script = r#"echo "$1" | kubectl apply -f - && kubectl wait --for=condition=Ready "pai/$2" --timeout=180s"#;
    let manifest = sample.replace("hourly", name);
    let output = Command::new("/bin/sh").args(["-c", script, "sh", &manifest, name]).envs(env).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = page(env, "calls");
    let mut creates = calls.as_array().unwrap().iter().filter(|call| call["action"] == "CreatePaiInstance");
    creates.next_back().unwrap()["secretId"].as_str().unwrap().to_owned()
}

#[test]
fn up_starts_what_does_not_run_and_down_ends_all() {
    let local = Local::new();
    let first = local.up(&[("OPERATOR_ARGS", "--sweep-interval=90s")]);
    let before = local.pids();
    assert_eq!(before.len(), 5, "{before:?}");
    assert_eq!(before["operator"].to_string(), first["OPERATOR_PID"]);
    assert!(command_line(&first["OPERATOR_PID"]).contains(&"--sweep-interval=90s".to_owned()));
    assert_eq!(buy(&first, "one"), "AKIDlocal");

    // What runs well is left alone.
    assert_eq!(local.up(&[])["OPERATOR_PID"], first["OPERATOR_PID"]);
    assert_eq!(local.pids(), before);

    // A new account is known to a stand-in cloud that runs, which keeps what it has; the operator alone is started again.
    kill("KILL", &first["OPERATOR_PID"]);
    let second = local.up(&[("CLOUD_ACCOUNT", "AKIDother:another-key")]);
    assert_ne!(second["OPERATOR_PID"], first["OPERATOR_PID"]);
    assert!(command_line(&second["OPERATOR_PID"]).contains(&"--sweep-interval=90s".to_owned()), "remembered");
    assert_eq!(second["SIMULATOR_URL"], first["SIMULATOR_URL"]);
    assert_eq!(local.pids()["simulator"], before["simulator"]);
    assert_eq!(page(&second, "state")["history"]["created"], 1);
    assert_eq!(buy(&second, "two"), "AKIDother");

    let pids: Vec<u32> = local.pids().into_values().collect();
    local.run("down", &[]);
    wait_until("the end of all processes", PATIENCE, || {
        let left: Vec<u32> = pids.iter().copied().filter(|&pid| runs(pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .unwrap();
    assert!(!local.background.folder.exists());

    // With another cloud there is no stand-in; nothing listens here, which only a purchase would notice.
    let elsewhere = local.up(&[("CLOUD", "http://127.0.0.1:9")]);
    assert_eq!(elsewhere["SIMULATOR_URL"], "");
    assert!(!local.pids().contains_key("simulator"));
    let cloud = "--endpoint=as=http://127.0.0.1:9".to_owned();
    assert!(command_line(&elsewhere["OPERATOR_PID"]).contains(&cloud));
    local.run("down", &[]);
}
