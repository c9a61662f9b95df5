//! Nothing of a stack outlives its harness, however that ends; and stacks do not disturb each
//! other. Needs the pinned servers. Must not leave processes behind when it fails either.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, in its helper functions too"
)]

use std::io::{BufRead, BufReader};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pai_harness::{ControlPlane, wait_until};

/// Long beside the milliseconds that it takes, as the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// A harness of its own that holds a control plane.
struct Holder {
    child: Child,
    pids: Vec<u32>,
    folder: PathBuf,
}

fn hold() -> Holder {
    // Whoever started the tests in the background may have had Ctrl-C ignored, and that is handed down.
    let mut child = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_pai-harness"), "control-plane"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let second = lines.next().unwrap().unwrap();
    let pids = first.split(' ').skip(1).map(|pid| pid.parse().unwrap()).collect();
    let kubeconfig = second.strip_prefix("export KUBECONFIG=").unwrap();
    let folder = Path::new(kubeconfig).parent().unwrap().to_owned();
    Holder { child, pids, folder }
}

/// A process that has ended but was not yet collected by its parent counts as gone.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}

fn wait_for_nothing(pids: &[u32], folder: &Path) {
    wait_until("the servers to be gone and their folder removed", PATIENCE, || {
        let left: Vec<u32> = pids.iter().copied().filter(|&pid| runs(pid)).collect();
        if left.is_empty() && !folder.exists() {
            return Ok(());
        }
        Err(format!("processes {left:?}, folder exists: {}", folder.exists()))
    })
    .unwrap();
}

#[test]
fn a_signal_that_ends_the_harness_ends_its_servers() {
    for signal in ["KILL", "TERM", "INT"] {
        let mut holder = hold();
        assert_eq!(holder.pids.len(), 3);
        assert!(holder.pids.iter().all(|&pid| runs(pid)), "{signal}: all run before");
        let pid = holder.child.id().to_string();
        let sent = Command::new("/bin/sh").args(["-c", r#"kill -s "$1" "$2""#, "sh", signal, &pid]).status().unwrap();
        assert!(sent.success());
        wait_until(&format!("the end of the harness after {signal}"), PATIENCE, || match holder.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .unwrap();
        wait_for_nothing(&holder.pids, &holder.folder);
    }
}

#[test]
fn a_panic_ends_the_servers_of_its_test() {
    let mut seen = None;
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let plane = ControlPlane::start().unwrap();
        seen = Some((plane.pids(), plane.folder().to_owned()));
        panic!("a failed assertion");
    }));
    assert!(result.is_err());
    let (pids, folder) = seen.unwrap();
    wait_for_nothing(&pids, &folder);
}

#[test]
fn two_control_planes_side_by_side_know_nothing_of_each_other() {
    let first = ControlPlane::start().unwrap();
    let second = ControlPlane::start().unwrap();
    first.kubectl(&["create", "namespace", "only-here"]).ok().unwrap();
    assert_eq!(first.kubectl(&["get", "namespace", "only-here"]).code, 0);
    let missing = second.kubectl(&["get", "namespace", "only-here"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("NotFound"), "{}", missing.stderr);
}

#[test]
fn an_outage_of_the_api_server_can_be_played_and_a_namespace_is_deleted_to_its_end() {
    let plane = ControlPlane::start().unwrap();
    plane.kubectl(&["create", "namespace", "short-lived"]).ok().unwrap();
    plane.restart_apiserver().unwrap();
    plane.kubectl(&["get", "namespace", "short-lived"]).ok().unwrap();
    plane.kubectl(&["delete", "namespace", "short-lived", "--timeout=60s"]).ok().unwrap();
}
