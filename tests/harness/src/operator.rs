//! The operator as a process of its own: with the arguments and environment of the Deployment in
//! the API server, as the chart's service account. Needs an installed release. Must not give it
//! rights or options that the chart does not.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::controlplane::Layout;
use crate::ports::Port;
use crate::process::{Launch, Lifetime, Process, tail};
use crate::release::{Outside, Release};
use crate::{Error, http, programs, wait_until};

/// Longest wait for readiness and leadership. Our choice: a killed leader's Lease lasts 15 s by
/// default, and the machine may be busy.
const LEADS: Duration = Duration::from_secs(90);

/// How long a clean stop may take: the chart's default `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_secs(60);

/// One operator process; dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    layout: Layout,
    release: Release,
    name: String,
    metrics: Port,
    health: Port,
    starts: AtomicU32,
    running: Mutex<Option<Running>>,
}

/// What runs now.
#[derive(Debug)]
pub(crate) struct Running {
    pub process: Process,
    pub pod_name: String,
    pub args: Vec<String>,
}

/// Everything that one start needs; shared with the stack of `make up`.
pub(crate) fn launch(
    layout: &Layout,
    release: &Release,
    pod_name: &str,
    ports: (u16, u16),
    log: PathBuf,
    lifetime: Lifetime,
) -> Result<Running, Error> {
    let pod = release.pod(layout)?;
    let kubeconfig = layout
        .folder
        .join(format!("{}-operator.kubeconfig", release.name));
    release.write_kubeconfig(layout, &pod, &kubeconfig)?;
    let (args, env) = pod.outside(&Outside {
        pod_name,
        namespace: &release.namespace,
        kubeconfig: &kubeconfig,
        metrics_port: ports.0,
        health_port: ports.1,
    });
    let process = Process::start(&Launch {
        name: "pai-operator",
        program: &programs::operator()?,
        args: args.clone(),
        env: Some(env),
        log,
        lifetime,
    })?;
    Ok(Running {
        process,
        pod_name: pod_name.to_owned(),
        args,
    })
}

/// Whether `/readyz` answers 200; the error says what it answered.
pub(crate) fn probe_ready(health_port: u16) -> Result<(), String> {
    let answer = http::request(health_port, "GET", "/readyz", "")?;
    if answer.status == 200 {
        Ok(())
    } else {
        Err(format!("/readyz: {} {}", answer.status, answer.body.trim()))
    }
}

/// Whether the Lease that the arguments name is held by this pod; the error says who holds it.
pub(crate) fn probe_leads(layout: &Layout, args: &[String], pod_name: &str) -> Result<(), String> {
    let option = |name: &str| {
        args.iter()
            .find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or("pai-operator")
    };
    let namespace = format!("--namespace={}", option("--lease-namespace"));
    let holder = "jsonpath={.spec.holderIdentity}";
    let lease = option("--lease-name");
    let output = layout.kubectl(&["get", "lease", lease, &namespace, "-o", holder], "");
    if output.code == 0 && output.stdout.contains(pod_name) {
        return Ok(());
    }
    Err(format!(
        "ready, but the lease {lease} is held by '{}' {}",
        output.stdout,
        output.stderr.trim()
    ))
}

impl Operator {
    pub(crate) fn new(layout: &Layout, release: &Release, name: &str) -> Result<Self, Error> {
        Ok(Self {
            layout: layout.clone(),
            release: release.clone(),
            name: name.to_owned(),
            metrics: Port::reserve()?,
            health: Port::reserve()?,
            starts: AtomicU32::new(0),
            running: Mutex::new(None),
        })
    }

    /// Starts it, or starts it again as a new pod would; returns at once. The Deployment is read
    /// anew, so a `helm upgrade` before it counts.
    pub fn start(&self) -> Result<(), Error> {
        let mut slot = self.slot();
        if let Some(running) = slot.take() {
            running.process.kill();
        }
        let pod_name = format!(
            "{}-{}",
            self.name,
            self.starts.fetch_add(1, Ordering::Relaxed)
        );
        *slot = Some(launch(
            &self.layout,
            &self.release,
            &pod_name,
            (self.metrics.number(), self.health.number()),
            self.log_file(),
            Lifetime::WithHarness,
        )?);
        Ok(())
    }

    /// Waits until it is ready and holds the Lease.
    pub fn wait_ready(&self) -> Result<(), Error> {
        self.wait("the operator to be ready and to lead", |pod_name, args| {
            probe_ready(self.health.number())?;
            probe_leads(&self.layout, args, pod_name)
        })
    }

    /// Waits until it is ready, leading or not.
    pub fn wait_standby(&self) -> Result<(), Error> {
        self.wait("the operator to be ready", |_, _| {
            probe_ready(self.health.number())
        })
    }

    fn wait(
        &self,
        what: &str,
        probe: impl Fn(&str, &[String]) -> Result<(), String>,
    ) -> Result<(), Error> {
        let (pod_name, args) = match self.slot().as_ref() {
            Some(running) => (running.pod_name.clone(), running.args.clone()),
            None => return Err(Error::Other("the operator was not started".into())),
        };
        let mut dead = None;
        let result = wait_until(what, LEADS, || {
            match self
                .slot()
                .as_ref()
                .map(|running| running.process.check_alive())
            {
                Some(Err(error)) => {
                    dead = Some(error);
                    Ok(())
                }
                _ => probe(&pod_name, &args),
            }
        });
        let log = || tail(&self.log_file(), 20);
        dead.map_or(result, Err).map_err(|error| {
            Error::Other(format!("{error}\nthe operator's last lines:\n{}", log()))
        })
    }

    /// Kills it with SIGKILL; true if it was running.
    pub fn kill9(&self) -> bool {
        self.slot().take().is_some_and(|running| {
            let was_running = running.process.exited().is_none();
            running.process.kill();
            was_running
        })
    }

    /// Asks it to end and waits for it, at most the grace period of the chart.
    pub fn terminate(&self) -> Result<ExitStatus, Error> {
        match self.slot().take() {
            Some(running) => running.process.terminate(GRACE),
            None => Err(Error::Other("the operator was not started".into())),
        }
    }

    /// How it ended, if it ended by itself.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.slot().as_ref()?.process.exited()
    }

    /// Sends a signal, such as `STOP` and `CONT` for a freeze.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        self.slot()
            .as_ref()
            .map_or(Ok(()), |running| running.process.signal(name))
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        Some(self.slot().as_ref()?.process.pid())
    }

    /// The pod name it runs under, which its Lease identity contains.
    pub fn pod_name(&self) -> Option<String> {
        Some(self.slot().as_ref()?.pod_name.clone())
    }

    /// The arguments it runs with.
    pub fn args(&self) -> Vec<String> {
        self.slot()
            .as_ref()
            .map(|running| running.args.clone())
            .unwrap_or_default()
    }

    /// Everything it logged, over all starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The log as JSON objects; lines that are none are left out.
    pub fn log_records(&self) -> Vec<Value> {
        self.log()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The metrics page.
    pub fn metrics(&self) -> Result<String, Error> {
        let answer = http::request(self.metrics.number(), "GET", "/metrics", "")?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Error::Other(format!("/metrics: {status} {}", answer.body))),
        }
    }

    /// One sample of the metrics page, by its name with labels as printed there.
    pub fn metric(&self, series: &str) -> Result<Option<f64>, Error> {
        let page = self.metrics()?;
        Ok(page.lines().find_map(|line| {
            let value = line.strip_prefix(series)?.strip_prefix(' ')?;
            value.split(' ').next()?.parse().ok()
        }))
    }

    /// Status and body of a page of the health server, such as `/livez`.
    pub fn health(&self, path: &str) -> Result<(u16, String), Error> {
        let answer = http::request(self.health.number(), "GET", path, "")?;
        Ok((answer.status, answer.body))
    }

    fn log_file(&self) -> PathBuf {
        self.layout.folder.join(format!("{}.log", self.name))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
