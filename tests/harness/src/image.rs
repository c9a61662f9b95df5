//! The container image as an OCI layout, written without an engine: one layer of plain files, the same bytes for the same input.
//! Must not decide what is in the program; `Dockerfile` describes the same image for those who have an engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Error, programs};

/// User and group of the process, in numbers, so that `runAsNonRoot` can be checked without a list of users.
pub const USER: &str = "65532:65532";

/// Where a system keeps the certificates that it trusts, first come. Source: Debian, Fedora, Alpine.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What goes into an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The program, static for the architecture.
    pub program: PathBuf,
    /// `amd64` or `arm64`.
    pub architecture: String,
    /// The commit, for the label.
    pub revision: String,
}

/// A file of the layer, with its mode.
type Files = BTreeMap<String, (u32, Vec<u8>)>;

impl Image {
    /// Writes the layout into a new folder, under the name `pai-operator`. Replaces what lay there.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::io(format!("removing {}", folder.display())))?;
        }
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::io(format!("creating {}", blobs.display())))?;
        let layer = layer(&self.files()?)?;
        let layer_digest = put(&blobs, &layer)?;
        let config =
            serde_json::to_vec(&self.config(&layer_digest)).map_err(|error| Error::Other(error.to_string()))?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": put(&blobs, &config)?, "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len()}],
        });
        let manifest = manifest.to_string().into_bytes();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": put(&blobs, &manifest)?, "size": manifest.len(),
                "platform": {"os": "linux", "architecture": self.architecture},
                "annotations": {"org.opencontainers.image.ref.name": "pai-operator"},
            }],
        });
        write(&folder.join("index.json"), index.to_string().as_bytes())?;
        write(&folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    /// Source of the form: OCI image specification 1.1, image configuration.
    fn config(&self, layer: &str) -> Value {
        json!({
            "os": "linux",
            "architecture": self.architecture,
            "config": {
                "User": USER,
                "Entrypoint": ["/pai-operator"],
                "Cmd": ["run"],
                "ExposedPorts": {"8080": {}, "8081": {}},
                "Labels": {
                    "org.opencontainers.image.title": "pai-operator",
                    "org.opencontainers.image.description":
                        "Kubernetes operator for Tencent Cloud PAI instances that creates each paid machine exactly once",
                    "org.opencontainers.image.licenses": "Apache-2.0",
                    "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                    "org.opencontainers.image.revision": self.revision,
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [layer]},
        })
    }

    fn files(&self) -> Result<Files, Error> {
        let certificates = CERTIFICATES.iter().find(|file| Path::new(file).is_file());
        let certificates = certificates.ok_or_else(|| {
            Error::Other(format!("no certificates at {}: install ca-certificates", CERTIFICATES.join(", ")))
        })?;
        let mut files = Files::from([
            ("pai-operator".to_owned(), (0o755, read(&self.program)?)),
            ("etc/ssl/certs/ca-certificates.crt".to_owned(), (0o644, read(Path::new(certificates))?)),
            ("licenses/LICENSE".to_owned(), (0o644, read(&programs::root().join("LICENSE"))?)),
        ]);
        for (name, folder) in dependencies()? {
            for entry in fs::read_dir(&folder).map_err(Error::io(format!("reading {}", folder.display())))?.flatten() {
                let file = entry.file_name().to_string_lossy().into_owned();
                if is_licence(&file) && entry.path().is_file() {
                    files.insert(format!("licenses/{name}/{file}"), (0o644, read(&entry.path())?));
                }
            }
        }
        Ok(files)
    }
}

fn is_licence(file: &str) -> bool {
    let file = file.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"].iter().any(|word| file.starts_with(word))
}

/// The crates that are in the program, each with its folder.
fn dependencies() -> Result<BTreeMap<String, PathBuf>, Error> {
    let root = programs::root();
    let tree =
        ["tree", "--locked", "--package", "pai-operator", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let names = output(Command::new("cargo").args(tree).current_dir(root))?;
    let metadata =
        output(Command::new("cargo").args(["metadata", "--locked", "--format-version", "1"]).current_dir(root))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| Error::Other(format!("cargo metadata: {error}")))?;
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let folders: BTreeMap<String, PathBuf> = packages
        .filter_map(|package| {
            let folder = PathBuf::from(text(package, "manifest_path")).parent()?.to_owned();
            Some((format!("{}-{}", text(package, "name"), text(package, "version")), folder))
        })
        .collect();
    let wanted = names.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{}-{}", words.next()?, words.next()?.trim_start_matches('v')))
    });
    let ours = |name: &String| !name.starts_with("pai-operator-");
    Ok(wanted.filter(ours).filter_map(|name| Some((name.clone(), folders.get(&name)?.clone()))).collect())
}

fn output(command: &mut Command) -> Result<String, Error> {
    let output = command.output().map_err(Error::io("running cargo"))?;
    if !output.status.success() {
        return Err(Error::Other(format!("cargo: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The files as a tar archive, all of root, of no date: only root may write, and the same files give the same bytes.
fn layer(files: &Files) -> Result<Vec<u8>, Error> {
    let packing = || Error::io("packing the layer");
    let mut archive = tar::Builder::new(Vec::new());
    let mut append = |path: &str, kind: tar::EntryType, mode: u32, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, path, bytes)
    };
    let mut folders: Vec<String> = Vec::new();
    for (path, (mode, bytes)) in files {
        for (at, _) in path.match_indices('/') {
            let folder = path.get(..at).unwrap_or_default().to_owned();
            if !folders.contains(&folder) {
                append(&format!("{folder}/"), tar::EntryType::Directory, 0o755, &[]).map_err(packing())?;
                folders.push(folder);
            }
        }
        append(path, tar::EntryType::Regular, *mode, bytes).map_err(packing())?;
    }
    archive.into_inner().map_err(packing())
}

/// Puts a blob down under its digest, which is returned.
fn put(blobs: &Path, bytes: &[u8]) -> Result<String, Error> {
    let hex = Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    write(&blobs.join(&hex), bytes)?;
    Ok(format!("sha256:{hex}"))
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(Error::io(format!("reading {}", file.display())))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(file, bytes).map_err(Error::io(format!("writing {}", file.display())))
}
