//! The pinned Go tools (servers, kubectl, helm, linters): finds them or builds them once.
//! Needs Go, a C compiler and a module proxy on first use. Must not build inside `target/`, so that
//! `cargo clean` does not cost five minutes, and must notice when a `go.mod` changes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::process::{self, Lifetime};
use crate::{Error, programs, reaper};

/// Of promtool's hundreds of packages the service discoveries are most, and checking rules needs none. The others do not know the tag.
const TAGS: &str = "remove_all_sd";

/// A pinned program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// Its store.
    Etcd,
    /// The command line client.
    Kubectl,
    /// Namespace deletion, garbage collection, service accounts.
    KubeControllerManager,
    /// The chart's installer.
    Helm,
    /// Checks of rendered manifests.
    KubeScore,
    /// Checks and unit tests of alerts.
    Promtool,
    /// Checks of the forge's workflow files.
    Actionlint,
}

/// What the local stack needs, in the order of building.
pub const STACK: [Tool; 5] = [Tool::KubeApiserver, Tool::Etcd, Tool::Kubectl, Tool::KubeControllerManager, Tool::Helm];

/// What `make lint` needs.
pub const LINT: [Tool; 4] = [Tool::Helm, Tool::KubeScore, Tool::Promtool, Tool::Actionlint];

impl Tool {
    /// The program's usual name, also on our command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::Etcd => "etcd",
            Self::Kubectl => "kubectl",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Helm => "helm",
            Self::KubeScore => "kube-score",
            Self::Promtool => "promtool",
            Self::Actionlint => "actionlint",
        }
    }

    /// The tool of that name.
    pub fn named(name: &str) -> Option<Self> {
        [&STACK[..], &LINT[..]].concat().into_iter().find(|tool| tool.name() == name)
    }

    fn recipe(self) -> Recipe {
        let (folder, package, minutes) = match self {
            Self::KubeApiserver => (server_folder(), "k8s.io/kubernetes/cmd/kube-apiserver", "4 minutes"),
            Self::Etcd => ("kubernetes", "go.etcd.io/etcd/server/v3", "20 seconds"),
            Self::Kubectl => ("kubernetes", "k8s.io/kubernetes/cmd/kubectl", "30 seconds"),
            Self::KubeControllerManager => {
                ("kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", "80 seconds")
            }
            Self::Helm => ("chart", "helm.sh/helm/v4/cmd/helm", "90 seconds"),
            Self::KubeScore => ("lint", "github.com/zegl/kube-score/cmd/kube-score", "15 seconds"),
            Self::Promtool => ("alerts", "github.com/prometheus/prometheus/cmd/promtool", "2 minutes"),
            Self::Actionlint => ("workflows", "github.com/rhysd/actionlint/cmd/actionlint", "10 seconds"),
        };
        Recipe { folder, package, minutes }
    }

    /// The file that `go install` writes: the last part of the package that is no version.
    fn built_name(self) -> &'static str {
        match self {
            Self::Etcd => "server",
            other => other.name(),
        }
    }
}

/// How a tool is built.
#[derive(Debug)]
struct Recipe {
    /// Folder below `tests/controlplane` with the pinning `go.mod`.
    folder: &'static str,
    /// Package path for `go install`.
    package: &'static str,
    /// How long it usually takes on 2 cores, from nothing.
    minutes: &'static str,
}

/// The folder that pins the API server: the newest version, or the oldest that we serve where `PAI_KUBERNETES` says `oldest`.
fn server_folder() -> &'static str {
    if std::env::var_os("PAI_KUBERNETES").is_some_and(|wish| wish == "oldest") {
        "kubernetes-oldest"
    } else {
        "kubernetes"
    }
}

/// The path of a tool; builds it first where needed, with progress lines on standard error.
///
/// `KUBEBUILDER_ASSETS` is honoured for kube-apiserver, etcd and kubectl, the three programs that
/// such a folder holds.
pub fn path(tool: Tool) -> Result<PathBuf, Error> {
    if let Some(asset) = asset(tool)? {
        return Ok(asset);
    }
    let recipe = tool.recipe();
    let module = programs::root().join("tests/controlplane").join(recipe.folder);
    let flags = linker_flags(&module)?;
    let folder = bin_folder(&module, recipe.folder, &flags)?;
    let wanted = folder.join(tool.name());
    if !wanted.is_file() {
        build(tool, &recipe, &module, &flags, &folder)?;
    }
    Ok(wanted)
}

/// The cache folder: `PAI_OPERATOR_CACHE`, or `pai-operator` in the user's cache folder.
pub fn cache() -> Result<PathBuf, Error> {
    if let Some(folder) = non_empty("PAI_OPERATOR_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let base = match (non_empty("XDG_CACHE_HOME"), non_empty("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => {
            return Err(Error::Other("set HOME or PAI_OPERATOR_CACHE: the built servers need a folder".into()));
        }
    };
    Ok(base.join("pai-operator"))
}

fn non_empty(variable: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}

fn asset(tool: Tool) -> Result<Option<PathBuf>, Error> {
    let Some(folder) = non_empty("KUBEBUILDER_ASSETS") else {
        return Ok(None);
    };
    if !matches!(tool, Tool::KubeApiserver | Tool::Etcd | Tool::Kubectl) {
        return Ok(None);
    }
    let file = Path::new(&folder).join(tool.name());
    if file.is_file() {
        Ok(Some(file))
    } else {
        Err(Error::Other(format!("KUBEBUILDER_ASSETS is set, but {} does not exist", file.display())))
    }
}

/// `-s -w`, and for Kubernetes the version it shall report: without it the server calls itself
/// v0.0.0-master and Helm refuses the chart's `kubeVersion`. Read from `go.mod`, the one place.
fn linker_flags(module: &Path) -> Result<String, Error> {
    let version = module_version(module, "k8s.io/kubernetes")?;
    let Some(version) = version else {
        return Ok("-s -w".into());
    };
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
    let prefix = "-X k8s.io/component-base/version";
    Ok(format!(
        "-s -w {prefix}.gitVersion={version} {prefix}.gitMajor={major} {prefix}.gitMinor={minor} \
         {prefix}.gitTreeState=clean"
    ))
}

fn module_version(module: &Path, wanted: &str) -> Result<Option<String>, Error> {
    let file = module.join("go.mod");
    let text = fs::read_to_string(&file).map_err(Error::io(format!("reading {}", file.display())))?;
    Ok(text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(wanted)).then(|| words.next().map(str::to_owned)).flatten()
    }))
}

/// A folder named for what it was built from, so that a changed pin is a new folder.
fn bin_folder(module: &Path, name: &str, flags: &str) -> Result<PathBuf, Error> {
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        let bytes = fs::read(&path).map_err(Error::io(format!("reading {}", path.display())))?;
        digest.update(&bytes);
    }
    digest.update(flags.as_bytes());
    let hash = digest.finalize().iter().take(6).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    Ok(cache()?.join("bin").join(format!("{name}-{hash}")))
}

fn build(tool: Tool, recipe: &Recipe, module: &Path, flags: &str, folder: &Path) -> Result<(), Error> {
    let partial = folder.join("partial");
    fs::create_dir_all(&partial).map_err(Error::io(format!("creating {}", folder.display())))?;
    let _lock = lock(&folder.join("lock"))?;
    let wanted = folder.join(tool.name());
    if wanted.is_file() {
        return Ok(()); // Another process built it while we waited for the lock.
    }
    say(&format!(
        "building {} once, usually {} on 2 cores; it is kept in {}",
        tool.name(),
        recipe.minutes,
        folder.display()
    ));
    let started = Instant::now();
    go_install(tool, recipe, module, flags, &partial)?;
    fs::rename(partial.join(tool.built_name()), &wanted)
        .map_err(Error::io(format!("moving {} into place", tool.name())))?;
    say(&format!("{} is built ({} s)", tool.name(), started.elapsed().as_secs()));
    Ok(())
}

/// Waits for a lock file. The system unlocks it when its holder ends, however it ends.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io(format!("creating {}", path.display())))?;
    if file.try_lock().is_err() {
        say(&format!("waiting for another process that holds {}", path.display()));
        file.lock().map_err(Error::io(format!("locking {}", path.display())))?;
    }
    Ok(file)
}

fn go_install(tool: Tool, recipe: &Recipe, module: &Path, flags: &str, target: &Path) -> Result<(), Error> {
    let mut plain = Command::new("go");
    plain
        .arg("-C")
        .arg(module)
        .args(["install", "-v", "-trimpath", "-tags", TAGS, "-ldflags", flags, recipe.package])
        .env("GOBIN", target)
        .env_remove("GOFLAGS");
    let mut command = process::gate(&plain, Lifetime::WithHarness);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let what = "starting go; Go 1.26 or newer must be on the PATH";
    let mut child = process::open_gate(&mut command, Lifetime::WithHarness, b"", what)?;
    let compiled = Arc::new(AtomicUsize::new(0));
    let reader = child.stderr.take().map(|pipe| {
        let compiled = Arc::clone(&compiled);
        thread::spawn(move || read_progress(BufReader::new(pipe), &compiled))
    });
    let mut said = Instant::now();
    let started = said;
    let status = loop {
        match child.try_wait().map_err(Error::io("waiting for go"))? {
            Some(status) => break status,
            None if said.elapsed() > Duration::from_secs(15) => {
                said = Instant::now();
                say(&format!(
                    "  {}: {} packages compiled after {} s",
                    tool.name(),
                    compiled.load(Ordering::Relaxed),
                    started.elapsed().as_secs()
                ));
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    };
    let _ = reaper::forget(child.id());
    let printed = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    Err(Error::Command {
        command: format!("go install {}", recipe.package),
        code: status.code().unwrap_or(-1),
        output: printed.join("\n"),
    })
}

/// Counts the packages that `-v` names and keeps the last other lines, which hold the reason of a
/// failure.
fn read_progress(lines: impl BufRead, compiled: &AtomicUsize) -> Vec<String> {
    let mut kept = Vec::new();
    for line in lines.lines().map_while(Result::ok) {
        if line.contains(' ') {
            kept.push(line);
            if kept.len() > 40 {
                kept.remove(0);
            }
        } else {
            compiled.fetch_add(1, Ordering::Relaxed);
        }
    }
    kept
}

/// A progress line. Written past the test runner's capture, as a silent five minutes look like a
/// hang.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "pai-harness: {text}");
}

/// The version of Kubernetes that the stack runs, without `v`.
pub fn kubernetes_version() -> Result<String, Error> {
    static VERSION: OnceLock<String> = OnceLock::new();
    if let Some(version) = VERSION.get() {
        return Ok(version.clone());
    }
    let finished =
        process::run(Command::new(path(Tool::KubeApiserver)?).arg("--version"), b"", Duration::from_secs(20))?;
    let version = finished.stdout.trim().trim_start_matches("Kubernetes v").to_owned();
    Ok(VERSION.get_or_init(|| version).clone())
}
