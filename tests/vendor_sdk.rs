//! Proof that the stand-in cloud speaks the real protocol: the vendor's unchanged Python SDK works against it.
//! Needs Python 3 with venv and, the first time, the package index; never skips.

// Always true here; it lets clippy treat the functions beside the test as test code.
#![cfg(test)]

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tencentcloud_simulator::{Account, Config, Server, ServerHandle};

/// Every case of `drive.py`, by name: one that it leaves out fails here.
const CASES: &[&str] = &[
    "typed_create",
    "typed_describe_pai",
    "typed_preview",
    "typed_describe_instances",
    "typed_terminate",
    "signed_get",
    "signed_post",
    "unsigned_payload",
    "temporary_key",
    "wrong_token",
    "wrong_key",
    "skewed_clock",
    "unknown_region",
    "missing_parameter",
    "unknown_parameter",
    "page_beyond_the_end",
    "more_than_100_ids",
    "rate_limit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vendors_sdk_works_unchanged() {
    let python = sdk_python();
    let server = Server::start(Config {
        boot_time: Duration::from_millis(200),
        terminate_time: Duration::from_millis(200),
        ..Config::default()
            .account(Account::new("AKIDsdkpermanent", "sdk-permanent-key"))
            .account(Account::new("AKIDsdktemporary", "sdk-temporary-key").token("sdk/token+with==signs"))
    })
    .await
    .unwrap();
    let mut drive = Command::new(&python);
    drive.arg(here().join("drive.py")).arg(server.address().port().to_string());
    // The SDK would send loopback calls through a proxy of the environment.
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        drive.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || drive.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    for case in CASES {
        let expected = format!("case {case} ok");
        assert!(lines.contains(&expected.as_str()), "{case} did not pass\n{text}{errors}");
    }
    assert_eq!(lines.len(), CASES.len(), "cases not named here:\n{text}");
    assert!(output.status.success(), "{text}{errors}");
    creates_are_limited_by_the_second(&server);
    server.shutdown().await;
}

/// At most 20 creates of an account in a second of the clock, and none is refused in a second that had fewer.
fn creates_are_limited_by_the_second(server: &ServerHandle) {
    let mut seconds: BTreeMap<(String, String, i64), (usize, usize)> = BTreeMap::new();
    let cloud = server.cloud();
    // A call that fails at the door is not counted by the cloud either.
    let at_the_door = |outcome: &str| outcome.starts_with("AuthFailure.") || outcome == "UnsupportedRegion";
    for call in cloud.calls(0).filter(|call| call.action == "CreatePaiInstance" && !at_the_door(&call.outcome)) {
        let second = (call.secret_id.clone(), call.region.clone(), call.time.as_second());
        let (passed, refused) = seconds.entry(second).or_default();
        *(if call.outcome == "RequestLimitExceeded" { refused } else { passed }) += 1;
    }
    assert!(seconds.values().any(|(_, refused)| *refused > 0), "{seconds:?}");
    for (second, (passed, refused)) in &seconds {
        assert!(*passed <= 20, "{passed} in {second:?}");
        assert!(*refused == 0 || *passed == 20, "{refused} refused after {passed} in {second:?}");
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor_sdk")
}

/// Python of a virtual environment with the pinned SDK, made once per Python and pin.
fn sdk_python() -> PathBuf {
    let requirements = here().join("requirements.txt");
    let probe = run(
        Command::new("python3").args(["-c", "import ensurepip, sys, venv; print(sys.version, sys.executable)"]),
        "Python 3 with venv is missing: install python3 and python3-venv",
    );
    let mut key = Sha256::new();
    key.update(fs::read(&requirements).unwrap());
    key.update(&probe.stdout);
    let key = u64::from_be_bytes(*key.finalize().first_chunk().unwrap());
    let cache = cache();
    fs::create_dir_all(&cache).unwrap();
    let venv = cache.join(format!("venv-sdk-3.0.524-{key:016x}"));
    // Two test processes may want it at once; the lock ends with the file.
    let lock = File::create(cache.join(format!("venv-sdk-3.0.524-{key:016x}.lock"))).unwrap();
    lock.lock().unwrap();
    let python = venv.join("bin/python");
    let complete = venv.join("complete");
    if !complete.exists() {
        progress(&format!("installing the vendor's SDK once (about a minute) into {}", venv.display()));
        let install = "cannot install the vendor's SDK: is the package index reachable?";
        let clear: [&OsStr; 4] = ["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), venv.as_ref()];
        run(Command::new("python3").args(clear), "cannot make a virtual environment");
        run(
            Command::new(&python)
                .args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r"])
                .arg(&requirements),
            install,
        );
        File::create(complete).unwrap();
        progress("installed the vendor's SDK");
    }
    python
}

/// Says at once what takes long: the test runner holds back what `eprintln!` prints.
fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The project's cache outside `target/`.
fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PAI_OPERATOR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("pai-operator")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/pai-operator")))
        .expect("HOME or PAI_OPERATOR_CACHE is set")
}

/// Runs a step to its end; fails with `otherwise` and what the step printed.
fn run(command: &mut Command, otherwise: &str) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{otherwise} ({error})"));
    assert!(
        output.status.success(),
        "{otherwise}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
