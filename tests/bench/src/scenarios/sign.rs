//! The time to sign one request: runs the criterion bench `sign` of the product and reads criterion's estimate.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{Outcome, Scenario};
use crate::progress::Progress;
use crate::statistics::rounded;
use crate::{Error, machine, while_doing};

/// The bench in `benches/sign.rs`, as criterion names its folder.
const BENCH: &str = "sign_create_request";

/// The profile of the program that is shipped.
const PROFILE: &str = "dist";

/// Runs it.
pub fn run() -> Result<Outcome, Error> {
    let mut progress = Progress::of("sign");
    progress.say("building and running the criterion bench; from nothing that takes several minutes");
    let file = target().join("criterion").join(BENCH).join("new/estimates.json");
    // An estimate of an earlier run must not be taken for this one's.
    let _ = fs::remove_file(&file);
    let args = ["bench", "--locked", "--profile", PROFILE, "--package", "pai-operator", "--bench", "sign"];
    let status = Command::new("cargo").args(args).status().map_err(while_doing("starting cargo bench"))?;
    if !status.success() {
        return Err(Error::Other(format!("cargo {} ended with {status}", args.join(" "))));
    }
    let text = fs::read_to_string(&file).map_err(while_doing(&file.display().to_string()))?;
    let estimates: Value = serde_json::from_str(&text).map_err(while_doing(&file.display().to_string()))?;
    let nanoseconds = estimates.pointer("/mean/point_estimate").and_then(Value::as_f64);
    let nanoseconds = nanoseconds.ok_or_else(|| Error::Other(format!("{} holds no mean", file.display())))?;
    let figures = json!({
        "nanoseconds": rounded(nanoseconds, 1),
        "profile": PROFILE,
        "estimate": "criterion's mean",
        "commit": machine::commit()?,
    });
    Ok(Outcome { scenario: Scenario::Sign, figures, series: None })
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .filter(|value| !value.is_empty())
        .map_or_else(|| "target".into(), PathBuf::from)
}
