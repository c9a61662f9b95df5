//! A stack of `make up` for pages to be tried on, and the shell in which a reader would type. Ends with the process, however that ends.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use pai_harness::Account;

use crate::alike::Ids;
use crate::background::{Background, HARNESS};
use crate::page::{Act, Step, steps};

const PRELUDE: &str = include_str!("prelude.sh");

/// How long a command may go on printing something else than the page shows: what it tells of may be under way.
const PATIENCE: Duration = Duration::from_mins(3);

pub struct Session {
    root: PathBuf,
    stack: Background,
    /// Where the reader sits.
    desk: PathBuf,
    /// What a person fills in where the page has dots: the stand-in cloud's account.
    filled_in: [(&'static str, String); 3],
}

/// What a command printed, on both channels, and whether it succeeded.
struct Printed {
    text: String,
    succeeded: bool,
}

impl Session {
    /// A folder for a stack, which the first `make up` starts.
    pub fn new(name: &str) -> Self {
        let stack = Background::new(&format!("pages-{name}"));
        let desk = stack.folder.with_extension("desk");
        fs::create_dir_all(&desk).unwrap();
        // In the place of make, which builds first what is built already here.
        let make = desk.join("make");
        fs::write(&make, format!("#!/bin/sh\nexec '{HARNESS}' \"$@\"\n")).unwrap();
        fs::set_permissions(&make, fs::Permissions::from_mode(0o755)).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        // As at the root of the repository, but nothing that a reader makes there is left in it.
        for part in ["deploy", "charts", "crds", "docs"] {
            symlink(root.join(part), desk.join(part)).unwrap();
        }
        let Account { id, key, .. } = Account::default();
        let id = format!("secretId={id}");
        let filled_in =
            [("secretId=AKID...", id.clone()), ("secretId=...", id), ("secretKey=...", format!("secretKey={key}"))];
        Self { root, stack, desk, filled_in }
    }

    /// Starts the stack, with more arguments for the operator.
    pub fn up(&self, operator_args: &str) {
        self.cause(&format!("OPERATOR_ARGS='{operator_args}' make up")).unwrap();
    }

    /// Brings something about, or says how that failed.
    pub fn cause(&self, script: &str) -> Result<(), String> {
        let printed = self.shell(script);
        if printed.succeeded { Ok(()) } else { Err(format!("{script}\n{}", printed.text)) }
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
                Act::Cause(script) => {
                    self.cause(script).map_err(|why| format!("{page}:{}: {why}\n{}", step.line, self.state()))?;
                }
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
        let command = self.filled_in.iter().fold(ids.put_into(text), |text, (dots, value)| text.replace(dots, value));
        let events = ["kubectl events ", "kubectl get events."].iter().any(|verb| command.starts_with(verb));
        let looks = events
            || ["kubectl get ", "kubectl describe ", "kubectl auth "].iter().any(|verb| command.starts_with(verb));
        let begun = Instant::now();
        loop {
            let printed = self.shell(&command);
            let alike = match shows {
                _ if printed.succeeded == shows.is_some_and(tells_of_failure) => Err(printed.ended().to_owned()),
                Some(shows) if events => ids.learn_events(shows, &printed.text),
                Some(shows) => ids.learn_all(shows, &printed.text),
                None => Ok(()),
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
        let path = std::env::var("PATH").unwrap_or_default();
        let whole = format!(
            "exec 2>&1\n{PRELUDE}\nif [ -e \"$PAI_LOCAL_FOLDER/env\" ]; then . \"$PAI_LOCAL_FOLDER/env\"; fi\n{script}\n"
        );
        let mut bash = Command::new("timeout");
        bash.args(["300", "bash", "-c", &whole])
            .current_dir(&self.desk)
            .env("PATH", format!("{}:{path}", self.desk.display()))
            .stdin(Stdio::null());
        let output = self.stack.meant_by(&mut bash).output().unwrap();
        Printed { text: String::from_utf8_lossy(&output.stdout).into_owned(), succeeded: output.status.success() }
    }
}

impl Printed {
    fn ended(&self) -> &'static str {
        if self.succeeded { "it succeeded, but the page shows a failure" } else { "it failed" }
    }
}

/// Whether what a page shows is how a command fails: kubectl's words for it, and the answer of `kubectl auth can-i`.
fn tells_of_failure(shows: &[String]) -> bool {
    let fails = |line: &String| {
        ["Error", "error:", "The PaiInstance \""].iter().any(|word| line.starts_with(word)) || line == "no"
    };
    shows.iter().any(fails)
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
        let _ = fs::remove_dir_all(&self.desk);
    }
}
