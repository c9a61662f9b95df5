//! What the figures were taken on: the machine, and the versions of all that ran. Needs Linux, git and the pinned tools.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pai_harness::toolchain::{self, Tool};
use serde_json::{Value, json};

use crate::Error;

/// The report's `machine`.
pub fn machine() -> Value {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kib = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_mib": kib.map(|kib| kib / 1024),
        "cpu": field(&cpu, "model name"),
    })
}

/// The report's `versions`.
pub fn versions() -> Result<Value, Error> {
    let etcd = printed(&toolchain::path(Tool::Etcd)?, &["--version"])?;
    Ok(json!({
        "operator": commit()?,
        "kubernetes": toolchain::kubernetes_version()?,
        "etcd": field(&etcd, "etcd Version"),
    }))
}

/// The commit that was built, with `-dirty` where the working tree differs from it.
pub fn commit() -> Result<String, Error> {
    let hash = printed(&PathBuf::from("git"), &["rev-parse", "HEAD"])?;
    // The figures and the page about them are written by this very program.
    let changed = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"];
    let dirty = !printed(&PathBuf::from("git"), &changed)?.is_empty();
    Ok(format!("{}{}", hash.trim(), if dirty { "-dirty" } else { "" }))
}

fn printed(program: &PathBuf, args: &[&str]) -> Result<String, Error> {
    let failed = |why: String| Error::Other(format!("{} {}: {why}", program.display(), args.join(" ")));
    let output = Command::new(program).args(args).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_kernels_pages() {
        assert_eq!(field("model name\t: Some CPU @ 2 GHz\n", "model name").as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(field("etcd Version: 3.6.1\nGit SHA: x\n", "etcd Version").as_deref(), Some("3.6.1"));
        assert_eq!(field("a: b", "c"), None);
    }
}
