//! A stack of `make up` for pages to be tried on, and the shell in which a reader would type. Ends with the process, however that ends.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::alike::Ids;
use crate::page::{Act, Step, steps};

const HARNESS: &str = env!("CARGO_BIN_EXE_pai-harness");
const PRELUDE: &str = include_str!("prelude.sh");

/// How long a command may go on printing something else than the page shows: what it tells of may be under way.
const PATIENCE: Duration = Duration::from_mins(3);

/// What a person fills in where the page has dots: the stand-in cloud's account.
const FILLED_IN: [(&str, &str); 3] = [
    ("secretId=AKID...", "secretId=AKIDlocal"),
    ("secretId=...", "secretId=AKIDlocal"),
    ("secretKey=...", "secretKey=local-stack-key"),
];

pub struct Session {
    root: PathBuf,
    folder: PathBuf,
    guard: Child,
}

/// What a command printed, on both channels, and whether it succeeded.
struct Printed {
    text: String,
    succeeded: bool,
}

impl Session {
    /// A folder for a stack, which the first `make up` starts; `wishes` as for that.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pages-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // In the place of make, which builds first what is built already here.
        let make = folder.join("make");
        fs::write(&make, format!("#!/bin/sh\nexec '{HARNESS}' \"$@\"\n")).unwrap();
        let status = Command::new("chmod").arg("+x").arg(&make).status().unwrap();
        assert!(status.success());
        // The stack outlives a harness by design, so a shell waits for the end of this process, however it ends.
        let guard = Command::new("/bin/sh")
            .args(["-c", r#"trap '' HUP INT TERM; cat; "$1" down; rm -rf "$2""#, "sh", HARNESS])
            .arg(&folder)
            .env("PAI_LOCAL_FOLDER", folder.join("local"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        // As at the root of the repository, but nothing that a reader makes there is left in it.
        for part in ["deploy", "charts", "crds", "docs"] {
            symlink(root.join(part), folder.join(part)).unwrap();
        }
        Self { root, folder, guard }
    }

    /// Starts the stack, with more arguments for the operator.
    pub fn up(&self, operator_args: &str) {
        self.cause(&format!("OPERATOR_ARGS='{operator_args}' make up"));
    }

    /// Brings something about; it must succeed.
    pub fn cause(&self, script: &str) {
        let printed = self.shell(script);
        assert!(printed.succeeded, "{script}\n{}", printed.text);
    }

    /// The text of a page.
    pub fn read(&self, page: &str) -> String {
        fs::read_to_string(self.root.join(page)).unwrap()
    }

    /// Tries a page to the letter. Says where it is wrong.
    pub fn follow(&self, page: &str) -> Result<(), String> {
        let text = self.read(page);
        let mut ids = Ids::default();
        for step in without_repetitions(steps(&text)) {
            let begun = Instant::now();
            match &step.act {
                Act::Cause(script) => self.cause(script),
                Act::NotRun(why) => eprintln!("{page}:{}: not run: {why}", step.line),
                Act::Command { text, shows } => {
                    self.type_in(text, shows.as_deref(), &mut ids)
                        .map_err(|why| format!("{page}:{}: $ {text}\n{why}\n{}", step.line, self.state()))?;
                }
            }
            eprintln!("{page}:{}: {:.1} s", step.line, begun.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Types a command until it prints what the page shows; one that changes something only once.
    fn type_in(&self, text: &str, shows: Option<&[String]>, ids: &mut Ids) -> Result<(), String> {
        // Each command reads it already.
        if text == ". target/local/env" {
            return Ok(());
        }
        let command = FILLED_IN.iter().fold(ids.put_into(text), |text, (dots, value)| text.replace(dots, value));
        let events = ["kubectl events ", "kubectl get events."].iter().any(|verb| command.starts_with(verb));
        let looks = events
            || ["kubectl get ", "kubectl describe ", "kubectl auth "].iter().any(|verb| command.starts_with(verb));
        let begun = Instant::now();
        loop {
            let printed = self.shell(&command);
            let alike = match shows {
                Some(shows) => ids.learn_all(shows, &printed.text, events),
                None if printed.succeeded => Ok(()),
                None => Err("it failed".to_owned()),
            };
            match alike {
                Ok(()) => return Ok(()),
                Err(why) if !looks || begun.elapsed() > PATIENCE => {
                    return Err(format!("{why}\nprinted was:\n{}", printed.text));
                }
                Err(_) => thread::sleep(Duration::from_millis(200)),
            }
        }
    }

    /// Everything that may tell why.
    fn state(&self) -> String {
        self.shell("kubectl get pai -A -o wide; tail -n 20 \"$OPERATOR_LOG\"").text
    }

    fn shell(&self, script: &str) -> Printed {
        let local = self.folder.join("local");
        let path = std::env::var("PATH").unwrap_or_default();
        let whole = format!(
            "exec 2>&1\n{PRELUDE}\nif [ -e \"$PAI_LOCAL_FOLDER/env\" ]; then . \"$PAI_LOCAL_FOLDER/env\"; fi\n{script}\n"
        );
        let output = Command::new("timeout")
            .args(["2400", "bash", "-c", &whole])
            .current_dir(&self.folder)
            .env("PAI_LOCAL_FOLDER", &local)
            .env("PATH", format!("{}:{path}", self.folder.display()))
            .env_remove("CLOUD")
            .env_remove("CLOUD_ACCOUNT")
            .env_remove("OPERATOR_ARGS")
            .env_remove("SIMULATOR_ARGS")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Printed { text: String::from_utf8_lossy(&output.stdout).into_owned(), succeeded: output.status.success() }
    }
}

/// The steps without the commands that are shown alone and, further down, with what they print.
fn without_repetitions(steps: Vec<Step>) -> Vec<Step> {
    let shown: BTreeSet<String> = steps
        .iter()
        .filter_map(|step| match &step.act {
            Act::Command { text, shows: Some(_) } => Some(text.clone()),
            _ => None,
        })
        .collect();
    let repeats = |step: &Step| matches!(&step.act, Act::Command { text, shows: None } if shown.contains(text));
    steps.into_iter().filter(|step| !repeats(step)).collect()
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
