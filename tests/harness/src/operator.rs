//! The operator as a process of its own: with the arguments and environment of the Deployment in
//! the API server, as the chart's service account. Needs an installed release. Must not give it
//! rights or options that the chart does not, save arguments and variables that a test names.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layout::{Layout, Output};
use crate::ports::Port;
use crate::process::{Launch, Lifetime, Process, tail};
use crate::release::{Outside, Release};
use crate::{Error, http, programs, wait_until};

/// Longest wait for readiness and leadership. Our choice: a killed leader's Lease lasts 15 s by
/// default, a minute in the end-to-end tests, and the machine may be busy.
const LEADS: Duration = Duration::from_mins(3);

/// How long a clean stop may take: the chart's default `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_mins(1);

/// One operator process; dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    layout: Layout,
    release: Release,
    name: String,
    metrics: Port,
    health: Port,
    pods: AtomicU32,
    more: More,
    running: Mutex<Option<Running>>,
}

/// What an operator is given beyond the Deployment.
#[derive(Debug, Default)]
pub(crate) struct More {
    args: Vec<String>,
    env: Vec<(String, String)>,
}

/// What runs now.
#[derive(Debug)]
pub(crate) struct Running {
    pub process: Process,
    pub leader: Leader,
    /// When the process was about to be started.
    pub started: SystemTime,
}

/// By what a leader is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leader {
    pub pod_name: String,
    pub args: Vec<String>,
    /// Version of its Lease before it started: a Lease that still has it was not renewed since,
    /// so it is the one of a predecessor under the same name.
    pub lease_before: String,
}

/// Everything that one start needs; shared with the stack of `make up`.
pub(crate) fn launch(
    layout: &Layout,
    release: &Release,
    pod_name: &str,
    ports: (u16, u16),
    more: &More,
    log: PathBuf,
    lifetime: Lifetime,
) -> Result<Running, Error> {
    let pod = release.pod(layout)?;
    // One for each pod: two that start at once would otherwise read what the other is just writing.
    let kubeconfig = layout.folder.join(format!("{}-{pod_name}.kubeconfig", release.name));
    release.write_kubeconfig(layout, &pod, &kubeconfig)?;
    let (mut args, mut env) = pod.outside(&Outside {
        pod_name,
        namespace: &release.namespace,
        kubeconfig: &kubeconfig,
        metrics_port: ports.0,
        health_port: ports.1,
    });
    args.extend_from_slice(&more.args);
    env.extend_from_slice(&more.env);
    let lease_before = lease(layout, &args).stdout;
    let started = SystemTime::now();
    let process = Process::start(&Launch {
        name: "pai-operator",
        program: &programs::operator()?,
        args: args.clone(),
        env: Some(env),
        log,
        lifetime,
    })?;
    Ok(Running { process, leader: Leader { pod_name: pod_name.to_owned(), args, lease_before }, started })
}

/// Whether `/readyz` answers 200; the error says what it answered.
pub(crate) fn probe_ready(health_port: u16) -> Result<(), String> {
    let answer = http::request(health_port, "GET", "/readyz", "")?;
    if answer.status == 200 { Ok(()) } else { Err(format!("/readyz: {} {}", answer.status, answer.body.trim())) }
}

/// Whether this process holds the Lease that its arguments name; the error says who holds it.
pub(crate) fn probe_leads(layout: &Layout, running: &Leader) -> Result<(), String> {
    let output = lease(layout, &running.args);
    let holder = output.stdout.split(' ').next().unwrap_or_default();
    if output.code != 0 || !holder.contains(&running.pod_name) {
        return Err(format!("ready, but its lease is held by '{holder}' {}", output.stderr.trim()));
    }
    if output.stdout == running.lease_before {
        return Err(format!("ready, but the lease of '{holder}' was not renewed yet"));
    }
    Ok(())
}

/// Holder and resource version of the Lease that the arguments name.
fn lease(layout: &Layout, args: &[String]) -> Output {
    // Of an option that is given twice the operator takes the last.
    let given = |name: &str| args.iter().rev().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    let option = |name: &str| given(name).unwrap_or("pai-operator");
    let namespace = format!("--namespace={}", option("--lease-namespace"));
    let fields = "jsonpath={.spec.holderIdentity} {.metadata.resourceVersion}";
    let name = option("--lease-name");
    layout.kubectl(&["get", "lease", name, &namespace, "-o", fields], "")
}

impl Operator {
    pub(crate) fn new(layout: &Layout, release: &Release, name: &str) -> Result<Self, Error> {
        Ok(Self {
            layout: layout.clone(),
            release: release.clone(),
            name: name.to_owned(),
            metrics: Port::reserve()?,
            health: Port::reserve()?,
            pods: AtomicU32::new(0),
            more: More::default(),
            running: Mutex::new(None),
        })
    }

    /// The same operator with arguments after those of the Deployment, for what two operators of one release must not share.
    #[must_use]
    pub fn with_args(mut self, args: &[&str]) -> Self {
        self.more.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// The same operator with a variable in its environment beside those of the Deployment.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.more.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, or starts it again as the kubelet does with a container that ended: in the same
    /// pod, under the same name. Returns at once. The Deployment is read anew, so a `helm upgrade`
    /// before it counts.
    pub fn start(&self) -> Result<(), Error> {
        let mut slot = self.slot();
        if let Some(running) = slot.take() {
            running.process.kill();
        }
        let pod_name = format!("{}-{}", self.name, self.pods.load(Ordering::Relaxed));
        *slot = Some(launch(
            &self.layout,
            &self.release,
            &pod_name,
            (self.metrics.number(), self.health.number()),
            &self.more,
            self.log_file(),
            Lifetime::WithHarness,
        )?);
        Ok(())
    }

    /// Starts it as a new pod, which is a stranger to the Lease of the one before.
    pub fn start_new_pod(&self) -> Result<(), Error> {
        self.pods.fetch_add(1, Ordering::Relaxed);
        self.start()
    }

    /// Waits until it is ready and holds the Lease.
    pub fn wait_ready(&self) -> Result<(), Error> {
        self.wait("the operator to be ready and to lead", |leader| {
            probe_ready(self.health.number())?;
            probe_leads(&self.layout, leader)
        })
    }

    /// Waits until it is ready, leading or not.
    pub fn wait_standby(&self) -> Result<(), Error> {
        self.wait("the operator to be ready", |_| probe_ready(self.health.number()))
    }

    fn wait(&self, what: &str, probe: impl Fn(&Leader) -> Result<(), String>) -> Result<(), Error> {
        let Some(leader) = self.slot().as_ref().map(|running| running.leader.clone()) else {
            return Err(Error::Other("the operator was not started".into()));
        };
        let mut dead = None;
        let result =
            wait_until(what, LEADS, || match self.slot().as_ref().map(|running| running.process.check_alive()) {
                Some(Err(error)) => {
                    dead = Some(error);
                    Ok(())
                }
                _ => probe(&leader),
            });
        let log = || tail(&self.log_file(), 20);
        dead.map_or(result, Err)
            .map_err(|error| Error::Other(format!("{error}\nthe operator's last lines:\n{}", log())))
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

    /// An error that tells how it ended and what it logged last, if it ended by itself.
    pub fn check_alive(&self) -> Result<(), Error> {
        self.slot().as_ref().map_or(Ok(()), |running| running.process.check_alive())
    }

    /// Sends a signal, such as `STOP` and `CONT` for a freeze.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        self.slot().as_ref().map_or(Ok(()), |running| running.process.signal(name))
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        Some(self.slot().as_ref()?.process.pid())
    }

    /// When its process was started, while it runs: just before that, after all preparations.
    pub fn started(&self) -> Option<SystemTime> {
        Some(self.slot().as_ref()?.started)
    }

    /// The pod name it runs under, which its Lease identity contains.
    pub fn pod_name(&self) -> Option<String> {
        Some(self.slot().as_ref()?.leader.pod_name.clone())
    }

    /// The arguments it runs with.
    pub fn args(&self) -> Vec<String> {
        self.slot().as_ref().map(|running| running.leader.args.clone()).unwrap_or_default()
    }

    /// Everything it logged, over all starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The log as JSON objects; lines that are none are left out.
    pub fn log_records(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The metrics page.
    pub fn metrics(&self) -> Result<String, Error> {
        let answer = http::request(self.metrics.number(), "GET", "/metrics", "")?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Error::Other(format!("/metrics: {status} {}", answer.body))),
        }
    }

    /// The port of the metrics, for who reads them in another way.
    pub fn metrics_port(&self) -> u16 {
        self.metrics.number()
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
