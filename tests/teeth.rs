//! The guards of the protocol and the patches that take them away: that every patch still applies, and that the list in docs/guards.md is
//! the one of the patches. What the patches do is shown by `make teeth`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may stop

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn patches() -> Vec<PathBuf> {
    let all = fs::read_dir(root().join("tests/teeth")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

#[test]
fn every_patch_applies() {
    for patch in patches() {
        let output = Command::new("git").arg("apply").arg("--check").arg(&patch).current_dir(root()).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: make it anew: {why}", patch.display());
    }
}

/// A test that is renamed would leave its guard without one.
#[test]
fn every_patch_names_a_test_that_is_there() {
    let sources: Vec<String> = ["src", "tests"].iter().flat_map(|place| sources(&root().join(place))).collect();
    for patch in patches() {
        let text = fs::read_to_string(&patch).unwrap();
        let name =
            text.lines().find_map(|line| line.strip_prefix("# test: ")).and_then(|test| test.rsplit("::").next());
        let name = name.and_then(|test| test.rsplit(' ').next()).unwrap_or_else(|| panic!("{}", patch.display()));
        let is_there = sources.iter().any(|source| source.contains(&format!("fn {name}(")));
        assert!(is_there, "{}: there is no test {name}", patch.display());
    }
}

fn sources(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let here = files.map(|path| fs::read_to_string(path).unwrap());
    here.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

#[test]
fn the_list_is_the_one_of_the_patches() {
    let output = Command::new(root().join("tests/teeth/run")).arg("--list").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).unwrap();
    let page = fs::read_to_string(root().join("docs/guards.md")).unwrap();
    assert!(page.contains(&list), "put the output of `tests/teeth/run --list` into docs/guards.md:\n{list}");
}
