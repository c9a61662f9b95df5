//! Every sample of `deploy/samples` is taken by the server as it stands, with strict validation, and read by the operator's
//! own types. Needs the server. Nothing is stored.

use std::fs;
use std::path::{Path, PathBuf};

use pai_operator::api::PaiInstance;
use serde_json::Value;

use crate::server::Server;

#[test]
fn every_sample_is_accepted() {
    let server = Server::connect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples");
    let mut instances = 0;
    for file in yaml_files(&folder) {
        let text = fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(&folder).unwrap().display().to_string();
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        // kustomize reads this one itself; no API server knows the kind.
        if documents.iter().any(|document| document["kind"] == "Kustomization") {
            continue;
        }
        for document in documents.into_iter().filter(|document| document["kind"] == "PaiInstance") {
            serde_json::from_value::<PaiInstance>(document).unwrap_or_else(|error| panic!("{shown}: {error}"));
            instances += 1;
        }
        let args = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = server.plane().kubectl_with_input(&args, &text);
        assert_eq!(output.code, 0, "{shown}: {}{}", output.stdout, output.stderr);
    }
    println!("samples: {instances} PaiInstances");
    assert!(instances > 0, "deploy/samples has no PaiInstance");
}

/// The YAML files under a folder; none if the folder does not exist.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    files.sort();
    files
}
