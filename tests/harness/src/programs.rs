//! Where this repository and its own programs are. Needs cargo for the programs that the running
//! build did not make. Must not guess that a binary on disk is the current one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::Error;
use crate::process::run;
use crate::toolchain::say;

/// Longest wait for a build of our own programs, in seconds. Our choice: several times what a build
/// from nothing takes on 2 cores.
const BUILD_SECS: u64 = 1800;

/// The root of the repository.
pub fn root() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    // tests/harness -> tests -> root
    crate_folder.ancestors().nth(2).unwrap_or(crate_folder)
}

/// The operator's binary: `PAI_OPERATOR_BIN` if set; inside the root package's own tests the one that cargo built for
/// them a moment ago; else built now.
pub fn operator() -> Result<PathBuf, Error> {
    if let Some(given) = given("PAI_OPERATOR_BIN") {
        return Ok(given);
    }
    if std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == OPERATOR_PACKAGE) {
        let beside = binary_folder()?.join(OPERATOR_PACKAGE);
        if beside.is_file() {
            return Ok(beside);
        }
    }
    built(OPERATOR_PACKAGE, &OPERATOR)
}

/// The stand-in cloud's binary: `PAI_SIMULATOR_BIN` if set, else built now.
pub fn simulator() -> Result<PathBuf, Error> {
    given("PAI_SIMULATOR_BIN").map_or_else(|| built("tencentcloud-simulator", &SIMULATOR), Ok)
}

/// The root package, whose integration tests never run without its binary: cargo builds both together.
const OPERATOR_PACKAGE: &str = "pai-operator";

static OPERATOR: OnceLock<Result<PathBuf, String>> = OnceLock::new();
static SIMULATOR: OnceLock<Result<PathBuf, String>> = OnceLock::new();

fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Asks cargo once per process: it knows whether the binary on disk is the current one, and takes
/// 0.2 s to say so.
fn built(package: &str, slot: &OnceLock<Result<PathBuf, String>>) -> Result<PathBuf, Error> {
    slot.get_or_init(|| build(package).map_err(|error| error.to_string())).clone().map_err(Error::Other)
}

fn build(package: &str) -> Result<PathBuf, Error> {
    let folder = binary_folder()?;
    let binary = folder.join(package);
    if !binary.is_file() {
        say(&format!("building {package} with cargo, usually one to two minutes"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--quiet", "--package", package, "--bin", package]).current_dir(root());
    if folder.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    if let Some(target) = folder.parent() {
        command.env("CARGO_TARGET_DIR", target);
    }
    let finished = run(&command, b"", Duration::from_secs(BUILD_SECS))?;
    if finished.code == 0 && binary.is_file() {
        return Ok(binary);
    }
    Err(Error::Command {
        command: format!("cargo build --package {package}"),
        code: finished.code,
        output: finished.stderr,
    })
}

/// `target/debug` or `target/release`: where the running program comes from. Test programs lie one
/// folder deeper.
fn binary_folder() -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(Error::io("asking for our own path"))?;
    let mut folder = program.parent().unwrap_or(Path::new("."));
    if folder.file_name().is_some_and(|name| name == "deps") {
        folder = folder.parent().unwrap_or(folder);
    }
    Ok(folder.to_owned())
}
