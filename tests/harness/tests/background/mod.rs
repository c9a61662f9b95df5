//! A stack of `pai-harness up` of its own, which ends with the process of the test, however that ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program behind `make up`.
pub const HARNESS: &str = env!("CARGO_BIN_EXE_pai-harness");

/// A folder for a stack in the background.
pub struct Background {
    pub folder: PathBuf,
    guard: Child,
}

impl Background {
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        // The stack outlives a harness by design, so a shell waits for the end of this process, however it ends.
        let guard = Command::new("/bin/sh")
            .args(["-c", r#"trap '' HUP INT TERM; cat; exec "$1" down"#, "sh", HARNESS])
            .env("PAI_LOCAL_FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { folder, guard }
    }

    /// Makes a command act on this stack, without the wishes of whoever runs the tests.
    pub fn meant_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in ["CLOUD", "CLOUD_ACCOUNT", "OPERATOR_ARGS", "SIMULATOR_ARGS"] {
            command.env_remove(name);
        }
        command.env("PAI_LOCAL_FOLDER", &self.folder)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        let mut lock = self.folder.clone().into_os_string();
        lock.push(".lock");
        let _ = fs::remove_file(lock);
    }
}
