//! One control plane: etcd, kube-apiserver with RBAC, and the controllers a namespace needs. Needs
//! the tools of `toolchain` and openssl. Must not touch the user's own kubeconfig.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::layout::{Layout, Output, READY};
use crate::ports::Port;
use crate::process::{Lifetime, Process};
use crate::toolchain::Tool;
use crate::{Error, http, reaper, wait_until};

/// A running control plane; dropping it ends its servers and removes its folder.
#[derive(Debug)]
pub struct ControlPlane {
    layout: Layout,
    controllers: Process,
    apiserver: Mutex<Process>,
    etcd: Process,
    _ports: Vec<Port>,
    install: Mutex<()>,
}

static COUNT: AtomicU32 = AtomicU32::new(0);
static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();

impl ControlPlane {
    /// Starts one; returns when it is ready and has the namespace `default`.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(false)
    }

    /// The same, with an audit log of what service accounts ask, see [`ControlPlane::audit_log`].
    pub fn audited() -> Result<Self, Error> {
        Self::start_with(true)
    }

    fn start_with(audited: bool) -> Result<Self, Error> {
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let [etcd, peer, api] = &ports;
        let layout = Layout {
            folder: std::env::temp_dir().join(format!(
                "pai-stack-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            )),
            etcd_port: etcd.number(),
            peer_port: peer.number(),
            api_port: api.number(),
            audited,
        };
        if std::env::var_os("PAI_STACK_KEEP").is_none() {
            reaper::remove(&layout.folder)?;
        }
        layout.prepare()?;
        let etcd = layout.start_etcd(Lifetime::WithHarness)?;
        let apiserver = layout.start_apiserver(Lifetime::WithHarness)?;
        layout.wait_ready(&|| etcd.check_alive().and_then(|()| apiserver.check_alive()))?;
        let controllers = layout.start_controllers(Lifetime::WithHarness)?;
        let control_plane = Self {
            layout,
            controllers,
            apiserver: Mutex::new(apiserver),
            etcd,
            _ports: ports.into(),
            install: Mutex::new(()),
        };
        control_plane.wait_for_default_namespace()?;
        Ok(control_plane)
    }

    /// What service accounts asked for: an audit Event each, in the order of their ends.
    pub fn audit_log(&self) -> Result<Vec<Value>, Error> {
        let file = self.layout.audit_log();
        let text = fs::read_to_string(&file).map_err(Error::io(format!("reading {}", file.display())))?;
        // The last line may be half written.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The one that all tests of this process share. It ends with the process.
    pub fn shared() -> Result<&'static Self, Error> {
        SHARED
            .get_or_init(|| Self::start().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|error| Error::Other(error.clone()))
    }

    /// The service account controller makes it usable some hundred milliseconds after `/readyz`.
    fn wait_for_default_namespace(&self) -> Result<(), Error> {
        wait_until("the service account of namespace default", READY, || {
            let output = self.kubectl(&["get", "serviceaccount", "default", "-o", "name"]);
            if output.code == 0 { Ok(()) } else { Err(output.stderr) }
        })
    }

    /// The cluster administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The folder with logs and keys, removed at the end unless `PAI_STACK_KEEP` is set.
    pub fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.layout.kubectl(args, "")
    }

    /// Runs helm as the administrator.
    pub fn helm(&self, args: &[&str]) -> Output {
        self.layout.tool(Tool::Helm, args, "")
    }

    /// Server-side apply of YAML or JSON text, with strict validation.
    pub fn apply(&self, yaml: &str) -> Output {
        let args = ["apply", "--server-side", "--validate=strict", "-f", "-"];
        self.layout.kubectl(&args, yaml)
    }

    /// `kubectl ... -f -` with text as its input.
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Output {
        self.layout.kubectl(args, input)
    }

    /// One object, or a list, as JSON: the arguments of `kubectl get`.
    pub fn get(&self, args: &[&str]) -> Result<Value, Error> {
        let all = [&["get", "-o", "json"], args].concat();
        let text = self.kubectl(&all).ok()?;
        serde_json::from_str(&text).map_err(|error| Error::Other(format!("kubectl get: {error}")))
    }

    /// Waits until a CRD, named `plural.group`, is served, its documentation included.
    pub fn wait_for_crd(&self, name: &str) -> Result<(), Error> {
        self.layout.wait_for_crd(name)
    }

    /// Kills the API server and starts it again on the same port, to test an outage.
    pub fn restart_apiserver(&self) -> Result<(), Error> {
        self.kill_apiserver();
        self.start_apiserver()
    }

    /// Kills the API server: from then on connections are refused.
    pub fn kill_apiserver(&self) {
        self.lock_apiserver().kill();
    }

    /// Starts a killed API server again, on the same port and data; returns when it is ready.
    pub fn start_apiserver(&self) -> Result<(), Error> {
        *self.lock_apiserver() = self.layout.start_apiserver(Lifetime::WithHarness)?;
        self.layout.wait_ready(&|| self.lock_apiserver().check_alive())
    }

    /// Sends a signal to the API server: `STOP` makes it a black hole, `CONT` brings it back.
    pub fn signal_apiserver(&self, signal: &str) -> Result<(), Error> {
        self.lock_apiserver().signal(signal)
    }

    /// Makes etcd forget all versions but the present ones, as it does by itself every five minutes.
    pub fn compact_etcd(&self) -> Result<(), Error> {
        let ask = |path: &str, body: &Value| -> Result<Value, String> {
            let answer = http::request(self.layout.etcd_port, "POST", path, &body.to_string())?;
            if answer.status != 200 {
                return Err(format!("{path}: {} {}", answer.status, answer.body));
            }
            serde_json::from_str(&answer.body).map_err(|error| format!("{path}: {error}"))
        };
        // Any read tells the revision that the store stands at.
        let range = ask("/v3/kv/range", &json!({"key": "AA==", "count_only": true})).map_err(Error::Other)?;
        let revision = range.pointer("/header/revision");
        ask("/v3/kv/compaction", &json!({"revision": revision, "physical": true})).map_err(Error::Other)?;
        Ok(())
    }

    /// The process ids of the servers.
    pub fn pids(&self) -> [u32; 3] {
        [self.etcd.pid(), self.lock_apiserver().pid(), self.controllers.pid()]
    }

    fn lock_apiserver(&self) -> MutexGuard<'_, Process> {
        self.apiserver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn lock_install(&self) -> MutexGuard<'_, ()> {
        self.install.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The controllers and the API server would complain if their store went first.
        self.controllers.kill();
        self.lock_apiserver().kill();
        self.etcd.kill();
        if std::env::var_os("PAI_STACK_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.layout.folder);
        }
    }
}
