//! The image: what is in it, that it says the same as the Dockerfile, and that the program runs from its unpacked root.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may stop

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use pai_harness::image::Image;
use serde_json::Value;

/// The shipped program if `make test-image` names it, else the one that cargo built for the tests.
fn program() -> PathBuf {
    std::env::var_os("PAI_IMAGE_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_pai-operator").into(), PathBuf::from)
}

fn layout(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pai-image-{}-{name}", std::process::id()));
    let image = Image { program: program(), architecture: "amd64".to_owned(), revision: "0123abc".to_owned() };
    image.write(&folder).unwrap();
    folder
}

fn blob(folder: &Path, descriptor: &Value) -> PathBuf {
    folder.join("blobs/sha256").join(descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap())
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Configuration and layer of the one image in a layout.
fn parts(folder: &Path) -> (Value, PathBuf) {
    let manifest = json(&blob(folder, &json(&folder.join("index.json"))["manifests"][0]));
    (json(&blob(folder, &manifest["config"])), blob(folder, &manifest["layers"][0]))
}

#[test]
fn the_image_holds_the_program_and_nothing_that_others_may_write() {
    let folder = layout("files");
    let (_, layer) = parts(&folder);
    let mut archive = tar::Archive::new(File::open(&layer).unwrap());
    let mut paths = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let (mode, path) = (entry.header().mode().unwrap(), entry.path().unwrap().display().to_string());
        assert_eq!(mode & 0o6022, 0, "{path} has mode {mode:o}");
        assert_eq!(entry.header().uid().unwrap(), 0, "{path}");
        paths.push(path);
    }
    let known = ["pai-operator", "etc/", "licenses/"];
    let odd: Vec<_> = paths.iter().filter(|path| !known.iter().any(|start| path.starts_with(start))).collect();
    assert!(odd.is_empty(), "a shell, a library? {odd:?}");
    assert!(paths.contains(&"etc/ssl/certs/ca-certificates.crt".to_owned()));
    let licences = paths.iter().filter(|path| path.starts_with("licenses/") && !path.ends_with('/')).count();
    assert!(licences > 100, "{licences} licence files");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_program_runs_from_the_unpacked_root() {
    let folder = layout("run");
    let (config, layer) = parts(&folder);
    let root = folder.join("root");
    tar::Archive::new(File::open(&layer).unwrap()).unpack(&root).unwrap();
    let entry = config["config"]["Entrypoint"][0].as_str().unwrap().trim_start_matches('/');
    let run = |argument: &str| {
        let output = Command::new(root.join(entry)).arg(argument).env_clear().output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("version"), format!("pai-operator {}\n", env!("CARGO_PKG_VERSION")));
    assert!(run("crd").contains("kind: CustomResourceDefinition"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, other) = (layout("one"), layout("other"));
    assert_eq!(fs::read(one.join("index.json")).unwrap(), fs::read(other.join("index.json")).unwrap());
    fs::remove_dir_all(one).unwrap();
    fs::remove_dir_all(other).unwrap();
}

/// Who has an engine builds the same image with the Dockerfile.
#[test]
fn the_dockerfile_says_the_same() {
    let folder = layout("same");
    let (config, _) = parts(&folder);
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let text = text.replace("\\\n", " ");
    let instruction = |word: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(&format!("{word} ")));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let config = &config["config"];
    assert_eq!(instruction("USER"), [config["User"].as_str().unwrap()]);
    assert_eq!(instruction("ENTRYPOINT"), [config["Entrypoint"].to_string()]);
    assert_eq!(instruction("CMD"), [config["Cmd"].to_string()]);
    let ports: Vec<&str> = config["ExposedPorts"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(instruction("EXPOSE"), [ports.join(" ")]);
    let labels = instruction("LABEL")
        .join(" ")
        .replace("${VERSION}", env!("CARGO_PKG_VERSION"))
        .replace("${REVISION}", "0123abc");
    for (label, value) in config["Labels"].as_object().unwrap() {
        assert!(labels.contains(&format!("{label}={value}")), "{label}={value} in {labels}");
    }
    let copied: Vec<String> =
        instruction("COPY").iter().map(|copy| copy.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(copied, ["/etc/ssl/certs/ca-certificates.crt", "/licenses", "/pai-operator"]);
    fs::remove_dir_all(folder).unwrap();
}
