//! `make up` and `make down`: the stack in the background, under `target/local` or where
//! `PAI_LOCAL_FOLDER` says. The one place where processes survive the harness. Must not touch what already runs well, and must not signal
//! a process that merely got the number of one of ours.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::layout::Layout;
use crate::ports::Port;
use crate::process::{self, Lifetime, Process, tail};
use crate::release::Release;
use crate::simulator::Account;
use crate::stack::{SECRET_NAME, values_for_cloud};
use crate::toolchain::{self, Tool, say};
use crate::{Error, operator, programs, simulator, wait_until};

mod state;

pub use state::Wishes;
use state::{Known, State, born};

const ETCD: &str = "etcd";
const APISERVER: &str = "kube-apiserver";
const CONTROLLERS: &str = "kube-controller-manager";
const SIMULATOR: &str = "simulator";
const OPERATOR: &str = "operator";

/// Longest wait for readiness and leadership after a start, as in the tests.
const LEADS: Duration = Duration::from_mins(3);

/// How long `down` lets the operator finish: the chart's grace period.
const GRACE: Duration = Duration::from_mins(1);

struct Local {
    folder: PathBuf,
    state: State,
    _lock: File,
}

/// Starts what is not running, writes `target/local/env`, and returns its path once the operator is
/// ready and leads.
pub fn up(wishes: Wishes) -> Result<PathBuf, Error> {
    let mut local = Local::open()?;
    local.state.wishes = wishes.or(std::mem::take(&mut local.state.wishes));
    // Ours until the servers listen on them.
    let _held = local.reserve_ports()?;
    let layout = local.layout();
    local.control_plane(&layout)?;
    local.cloud()?;
    let release = release();
    local.install(&layout, &release)?;
    local.operator(&layout, &release)?;
    local.write_env(&layout)
}

/// Ends everything that `up` started and removes its files.
pub fn down() -> Result<(), Error> {
    let local = Local::open()?;
    local.stop(OPERATOR, GRACE)?;
    for name in [SIMULATOR, CONTROLLERS, APISERVER, ETCD] {
        local.stop(name, Duration::ZERO)?;
    }
    fs::remove_dir_all(&local.folder).map_err(Error::io(format!("removing {}", local.folder.display())))?;
    say("the local stack is down");
    Ok(())
}

fn release() -> Release {
    Release { name: "pai-operator".into(), namespace: "pai-system".into() }
}

impl Local {
    fn open() -> Result<Self, Error> {
        let given = std::env::var_os("PAI_LOCAL_FOLDER").filter(|folder| !folder.is_empty());
        let folder = given.map_or_else(|| programs::root().join("target/local"), PathBuf::from);
        fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
        // Beside the folder, which `down` removes.
        let mut lock = folder.clone().into_os_string();
        lock.push(".lock");
        let lock = toolchain::lock(Path::new(&lock))?;
        let file = folder.join("state.json");
        let state = match fs::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| Error::Other(format!("{}: {error}", file.display())))?
            }
            Err(_) => State::default(),
        };
        Ok(Self { folder, state, _lock: lock })
    }

    fn save(&self) -> Result<(), Error> {
        let file = self.folder.join("state.json");
        fs::write(&file, format!("{:#}\n", json!(self.state))).map_err(Error::io(format!("writing {}", file.display())))
    }

    /// Ports are kept from one `up` to the next, so that addresses in `env` stay true.
    fn reserve_ports(&mut self) -> Result<Vec<Port>, Error> {
        let mut held = Vec::new();
        for name in [ETCD, "etcd-peer", APISERVER, SIMULATOR, "metrics", "health"] {
            if !self.state.ports.contains_key(name) {
                let port = Port::reserve()?;
                self.state.ports.insert(name.into(), port.number());
                held.push(port);
            }
        }
        self.save()?;
        Ok(held)
    }

    fn port(&self, name: &str) -> u16 {
        self.state.ports.get(name).copied().unwrap_or_default()
    }

    fn layout(&self) -> Layout {
        Layout {
            audited: false,
            folder: self.folder.join("cluster"),
            etcd_port: self.port(ETCD),
            peer_port: self.port("etcd-peer"),
            api_port: self.port(APISERVER),
        }
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn pid(&self, name: &str) -> Option<u32> {
        let known = self.state.processes.get(name)?;
        (born(known.pid).as_ref() == Some(&known.born)).then_some(known.pid)
    }

    fn remember(&mut self, name: &str, process: &Process) -> Result<(), Error> {
        let pid = process.pid();
        let born = born(pid).ok_or_else(|| Error::Other(format!("{name} ended at once")))?;
        self.state.processes.insert(name.into(), Known { pid, born });
        self.save()
    }

    /// Starts what is missing of the control plane. Once more if a server that seemed to run was
    /// gone a moment later: a killed process is listed until the system has taken it apart.
    fn control_plane(&mut self, layout: &Layout) -> Result<(), Error> {
        layout.prepare()?;
        self.start_servers(layout)?;
        if let Err(error) = self.wait_for_servers(layout) {
            if self.pid(ETCD).is_some() && self.pid(APISERVER).is_some() {
                return Err(error);
            }
            self.start_servers(layout)?;
            self.wait_for_servers(layout)?;
        }
        if self.pid(CONTROLLERS).is_none() {
            say("starting kube-controller-manager");
            let controllers = layout.start_controllers(Lifetime::Detached)?;
            self.remember(CONTROLLERS, &controllers)?;
        }
        Ok(())
    }

    fn start_servers(&mut self, layout: &Layout) -> Result<(), Error> {
        if self.pid(ETCD).is_none() {
            say("starting etcd");
            let etcd = layout.start_etcd(Lifetime::Detached)?;
            self.remember(ETCD, &etcd)?;
        }
        if self.pid(APISERVER).is_none() {
            say("starting kube-apiserver");
            let apiserver = layout.start_apiserver(Lifetime::Detached)?;
            self.remember(APISERVER, &apiserver)?;
        }
        Ok(())
    }

    fn wait_for_servers(&self, layout: &Layout) -> Result<(), Error> {
        layout.wait_ready(&|| {
            for name in [ETCD, APISERVER] {
                if self.pid(name).is_none() {
                    let log = tail(&layout.folder.join(format!("{name}.log")), 20);
                    return Err(Error::Other(format!("{name} ended; its last lines:\n{log}")));
                }
            }
            Ok(())
        })
    }

    fn own_cloud(&self) -> bool {
        self.state.wishes.cloud.as_deref().unwrap_or_default().is_empty()
    }

    fn simulator_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port(SIMULATOR))
    }

    /// The account in the Secret. The stand-in cloud knows it, also if it was started before it was named, and the default one.
    fn account(&self) -> Result<Account, Error> {
        match self.state.wishes.account.as_deref() {
            None | Some("") => Ok(Account::default()),
            Some(text) => Account::parse(text),
        }
    }

    /// Starts the stand-in cloud unless another one is to be used. One that runs stays: the other
    /// address may well be a proxy in front of it.
    fn cloud(&mut self) -> Result<(), Error> {
        if !self.own_cloud() {
            return Ok(());
        }
        let account = self.account()?;
        if self.pid(SIMULATOR).is_some() {
            return simulator::add_account(self.port(SIMULATOR), &account);
        }
        say("starting the stand-in cloud");
        let mut accounts = vec![Account::default()];
        accounts.retain(|known| known.id != account.id);
        accounts.push(account);
        let extra = words(self.state.wishes.simulator_args.as_deref());
        let process =
            simulator::launch(self.port(SIMULATOR), &accounts, &extra, &self.log_of(SIMULATOR), Lifetime::Detached)?;
        self.remember(SIMULATOR, &process)
    }

    fn install(&self, layout: &Layout, release: &Release) -> Result<(), Error> {
        say("installing the chart");
        let cloud = match &self.state.wishes.cloud {
            Some(cloud) if !cloud.is_empty() => cloud.clone(),
            _ => self.simulator_url(),
        };
        let more = json!({
            "extraArgs": words(self.state.wishes.operator_args.as_deref()),
            "references": {"namespaces": ["default"], "secretNames": SECRETS, "configMapNames": CONFIG_MAPS},
        });
        release.install(layout, &[values_for_cloud(&cloud), more])?;
        let secret = self.account()?.secret("default", SECRET_NAME).to_string();
        layout.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &secret).ok().map(drop)
    }

    /// Starts the operator if it does not run, or runs with other arguments than the installed
    /// Deployment says.
    fn operator(&mut self, layout: &Layout, release: &Release) -> Result<(), Error> {
        let deployed = release.pod(layout)?.args;
        if self.pid(OPERATOR).is_some() {
            match &self.state.leader {
                Some(leader) if deployed == self.state.operator_args => {
                    match self.wait_for_operator(&|| operator::probe_leads(layout, leader)) {
                        // It may have been killed a moment ago: then it is started below.
                        Err(error) if self.pid(OPERATOR).is_some() => return Err(error),
                        Err(_) => {}
                        Ok(()) => return Ok(()),
                    }
                }
                _ => {
                    say("restarting the operator with its new arguments");
                    self.stop(OPERATOR, GRACE)?;
                }
            }
        }
        say("starting the operator");
        let started = operator::launch(
            layout,
            release,
            &format!("{}-local", release.name),
            (self.port("metrics"), self.port("health")),
            &operator::More::default(),
            self.log_of(OPERATOR),
            Lifetime::Detached,
        )?;
        self.state.operator_args = deployed;
        self.state.leader = Some(started.leader.clone());
        self.remember(OPERATOR, &started.process)?;
        self.wait_for_operator(&|| operator::probe_leads(layout, &started.leader))
    }

    /// Waits until the operator is ready and `leads` holds, or until it ends.
    fn wait_for_operator(&self, leads: &dyn Fn() -> Result<(), String>) -> Result<(), Error> {
        let mut alive = true;
        let result = wait_until("the operator to be ready and to lead", LEADS, || {
            alive = self.pid(OPERATOR).is_some();
            if !alive {
                return Ok(());
            }
            operator::probe_ready(self.port("health"))?;
            leads()
        });
        let log = || tail(&self.log_of(OPERATOR), 20);
        match result {
            Ok(()) if alive => Ok(()),
            Ok(()) => Err(Error::Other(format!("the operator ended by itself:\n{}", log()))),
            Err(error) => Err(Error::Other(format!("{error}\nits last lines:\n{}", log()))),
        }
    }

    fn stop(&self, name: &str, patience: Duration) -> Result<(), Error> {
        let Some(pid) = self.pid(name) else {
            return Ok(());
        };
        let gone = || match self.pid(name) {
            None => Ok(()),
            Some(pid) => Err(format!("process {pid}")),
        };
        if !patience.is_zero() {
            process::signal(pid, "TERM")?;
            if wait_until(name, patience, gone).is_ok() {
                return Ok(());
            }
            say(&format!("{name} did not end within {} s; killing it", patience.as_secs()));
        }
        let _ = process::signal_group(pid, "KILL");
        wait_until(&format!("the end of {name}"), Duration::from_secs(20), gone)
    }

    fn write_env(&self, layout: &Layout) -> Result<PathBuf, Error> {
        let bin = self.folder.join("bin");
        fs::create_dir_all(&bin).map_err(Error::io(format!("creating {}", bin.display())))?;
        for tool in [Tool::Kubectl, Tool::Helm] {
            let link = bin.join(tool.name());
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(toolchain::path(tool)?, &link)
                .map_err(Error::io(format!("linking {}", tool.name())))?;
        }
        let simulator = if self.pid(SIMULATOR).is_some() { self.simulator_url() } else { String::new() };
        let pid = self.pid(OPERATOR).unwrap_or_default();
        let text = format!(
            "# Written by `make up`, to be read by a shell.\n\
             export KUBECONFIG={}\n\
             export SIMULATOR_URL={simulator}\n\
             export OPERATOR_PID={pid}\n\
             export OPERATOR_LOG={}\n\
             export OPERATOR_METRICS_URL=http://127.0.0.1:{}/metrics\n\
             export OPERATOR_HEALTH_URL=http://127.0.0.1:{}\n\
             export PATH={}:\"$PATH\"\n",
            quote(&layout.kubeconfig().display()),
            quote(&self.log_of(OPERATOR).display()),
            self.port("metrics"),
            self.port("health"),
            quote(&bin.display()),
        );
        let file = self.folder.join("env");
        fs::write(&file, text).map_err(Error::io(format!("writing {}", file.display())))?;
        say(&format!("the local stack is up; `. {}` sets KUBECONFIG and PATH", file.display()));
        Ok(file)
    }
}

/// Secrets of namespace `default` that the local operator may read: those of `deploy/samples`.
pub(crate) const SECRETS: [&str; 3] = [SECRET_NAME, "pai-test-login", "pai-init-script"];

/// `ConfigMaps` likewise.
pub(crate) const CONFIG_MAPS: [&str; 1] = ["pai-init-script"];

fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// A text as one word for a shell.
pub(crate) fn quote(text: &dyn Display) -> String {
    format!("'{}'", text.to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_shell() {
        assert_eq!(quote(&Path::new("/a b/c'd").display()), "'/a b/c'\\''d'");
    }
}
