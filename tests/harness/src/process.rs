//! Servers and commands as child processes. Needs `/bin/sh`. Must not start anything that the
//! guard (`reaper`) does not know of, unless it was asked for a process that survives us.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, reaper, wait_until};

/// Waits for the word before it becomes the program. The guard is told first, so there is no moment
/// in which the program runs and nobody would end it: if we die in between, `read` fails.
const GATED: &str = r#"read -r go || exit 125; exec "$@""#;

/// The same for a process that outlives us and the terminal it was started from.
const GATED_DETACHED: &str = r#"trap '' HUP; read -r go || exit 125; exec "$@""#;

/// Longest time until all threads of a stopped process stand still. Our choice: far beyond what a busy machine takes.
const STOPS: Duration = Duration::from_secs(30);

/// Whether a process ends with the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It dies with us, also if we are killed.
    WithHarness,
    /// It stays, for `make up`.
    Detached,
}

/// What to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// The executable.
    pub program: &'a Path,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment, or nothing to hand on ours.
    pub env: Option<Vec<(String, String)>>,
    /// Where its output is appended.
    pub log: PathBuf,
    /// Whether it ends with us.
    pub lifetime: Lifetime,
}

/// A running server; dropping it kills it, unless it is detached.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    lifetime: Lifetime,
    guarded: AtomicBool,
    child: Mutex<Child>,
}

impl Process {
    /// Starts a server; returns at once.
    pub fn start(launch: &Launch<'_>) -> Result<Self, Error> {
        let what = format!("starting {} ({})", launch.name, launch.program.display());
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .map_err(Error::io(format!("opening {}", launch.log.display())))?;
        let errors = log.try_clone().map_err(Error::io(what.clone()))?;
        let mut plain = Command::new(launch.program);
        plain.args(&launch.args);
        let mut command = gate(&plain, launch.lifetime);
        if let Some(env) = &launch.env {
            command.env_clear().envs(env.iter().cloned());
        }
        command.stdout(log).stderr(errors);
        let child = open_gate(&mut command, launch.lifetime, b"", &what)?;
        Ok(Self {
            name: launch.name.to_owned(),
            pid: child.id(),
            log: launch.log.clone(),
            lifetime: launch.lifetime,
            guarded: AtomicBool::new(launch.lifetime == Lifetime::WithHarness),
            child: Mutex::new(child),
        })
    }

    /// The process id, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.lock().try_wait().ok().flatten()
    }

    /// An error that tells how it ended and what it printed last, if it has ended.
    pub fn check_alive(&self) -> Result<(), Error> {
        match self.exited() {
            None => Ok(()),
            Some(status) => Err(Error::Other(format!(
                "{} ended by itself ({status}); its last lines:\n{}",
                self.name,
                tail(&self.log, 30)
            ))),
        }
    }

    /// Sends a signal by name, such as `TERM`, `STOP` or `CONT`. After `STOP` it returns when every thread stands still: on a busy machine
    /// some run on for a moment, and may answer a request meanwhile.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        let mut child = self.lock();
        if child.try_wait().ok().flatten().is_some() {
            return Err(Error::Other(format!("{} runs no more", self.name)));
        }
        signal(self.pid, name)?;
        if name == "STOP" {
            wait_until(&format!("{} to stand still", self.name), STOPS, || stands_still(self.pid))?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill(&self) -> ExitStatus {
        let mut child = self.lock();
        if child.try_wait().ok().flatten().is_none() {
            // The group: a server may have started helpers of its own.
            let _ = signal_group(self.pid, "KILL");
            let _ = child.kill();
        }
        let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(9));
        // Once only: the number may be another process of ours by the second time.
        if self.guarded.swap(false, Ordering::Relaxed) {
            let _ = reaper::forget(self.pid);
        }
        status
    }

    /// Asks it to end (SIGTERM) and waits at most `patience`; then it is killed, which is an error.
    pub fn terminate(&self, patience: Duration) -> Result<ExitStatus, Error> {
        self.signal("TERM")?;
        let started = Instant::now();
        while started.elapsed() < patience {
            if let Some(status) = self.exited() {
                self.kill();
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        Err(Error::Other(format!(
            "{} was still running {} s after SIGTERM and was killed",
            self.name,
            patience.as_secs()
        )))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::WithHarness {
            self.kill();
        }
    }
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Exit code; -1 where a signal ended it, 127 where it could not be started.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end, at most `deadline`, with `input` as its standard input.
///
/// It is guarded like a server: nothing goes on when we are killed in the middle.
pub fn run(command: &Command, input: &[u8], deadline: Duration) -> Result<Finished, Error> {
    let what = format!("running {}", line_of(command));
    let mut wrapped = gate(command, Lifetime::WithHarness);
    wrapped.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = open_gate(&mut wrapped, Lifetime::WithHarness, input, &what)?;
    let stdout = reading(child.stdout.take());
    let stderr = reading(child.stderr.take());
    let status = wait(&mut child, deadline);
    let _ = reaper::forget(child.id());
    let stdout = stdout.join().unwrap_or_default();
    let mut stderr = stderr.join().unwrap_or_default();
    if status.is_none() {
        let seconds = deadline.as_secs();
        stderr = format!("{stderr}\nended after its deadline of {seconds} s");
    }
    Ok(Finished { code: status.and_then(|status| status.code()).unwrap_or(-1), stdout, stderr })
}

/// The command line for messages, cut to one readable line.
pub fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    if let Some((_, name)) = line.rsplit_once('/') {
        line = name.to_owned();
    }
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line.chars().take(300).collect()
}

/// Whether all threads of a process are stopped; the error says in which state one is. Source: proc(5), the third field of `stat`.
fn stands_still(pid: u32) -> Result<(), String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
    for thread in threads.flatten() {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or("T");
        if state != "T" {
            return Err(format!("a thread is in state {state}"));
        }
    }
    Ok(())
}

/// Sends a signal to one process. The shell does it, as std cannot and `unsafe` is forbidden.
pub fn signal(pid: u32, name: &str) -> Result<(), Error> {
    send(name, &pid.to_string())
}

/// Sends a signal to a whole process group.
pub fn signal_group(pid: u32, name: &str) -> Result<(), Error> {
    send(name, &format!("-{pid}"))
}

fn send(name: &str, target: &str) -> Result<(), Error> {
    let status = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "sh", name, target])
        .stderr(Stdio::null())
        .status()
        .map_err(Error::io("running kill"))?;
    if status.success() { Ok(()) } else { Err(Error::Other(format!("signal {name} did not reach {target}"))) }
}

/// The last lines of a file, for messages.
pub fn tail(file: &Path, lines: usize) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(file) {
        let _ = file.read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let skip = text.lines().count().saturating_sub(lines);
    text.lines().skip(skip).collect::<Vec<_>>().join("\n")
}

/// The same command behind the waiting shell. Standard output and error are still to be set.
pub fn gate(plain: &Command, lifetime: Lifetime) -> Command {
    let script = match lifetime {
        Lifetime::WithHarness => GATED,
        Lifetime::Detached => GATED_DETACHED,
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .stdin(Stdio::piped())
        .process_group(0);
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// Spawns the waiting shell, tells the guard, and only then lets the program start.
pub fn open_gate(command: &mut Command, lifetime: Lifetime, input: &[u8], what: &str) -> Result<Child, Error> {
    let mut child = command.spawn().map_err(Error::io(what))?;
    let gate = child.stdin.take();
    if lifetime == Lifetime::WithHarness {
        reaper::watch(child.id())?;
    }
    if let Some(mut gate) = gate {
        // Written by a thread, as a large input would wait for a program that waits for us to
        // read. A broken pipe is no failure: the exit code tells more.
        let bytes = [b"go\n", input].concat();
        thread::spawn(move || {
            let _ = gate.write_all(&bytes);
        });
    }
    Ok(child)
}

fn reading(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if started.elapsed() > deadline {
            let _ = signal_group(child.id(), "KILL");
            let _ = child.wait();
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
