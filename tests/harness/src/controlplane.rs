//! One control plane: etcd, kube-apiserver with RBAC, and the controllers a namespace needs. Needs
//! the tools of `toolchain` and openssl. Must not touch the user's own kubeconfig.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::ports::Port;
use crate::process::{self, Launch, Lifetime, Process};
use crate::toolchain::{self, Tool};
use crate::{Error, reaper, wait_until};

/// Longest wait for the API server to be ready. Our choice: it takes 3 s alone and 20 s beside two
/// compilers.
const READY: Duration = Duration::from_mins(2);

/// Longest run of one kubectl or helm command, `kubectl wait` included. Our choice.
pub const COMMAND: Duration = Duration::from_mins(5);

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, shortened, for messages.
    pub command: String,
    /// Exit code; -1 where a signal or the deadline ended it, 127 where it could not be started.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output, or an error with everything that was printed unless the code is 0.
    pub fn ok(self) -> Result<String, Error> {
        if self.code == 0 {
            return Ok(self.stdout);
        }
        Err(Error::Command {
            command: self.command,
            code: self.code,
            output: format!("{}{}", self.stdout, self.stderr),
        })
    }
}

/// Files and ports of a control plane.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Everything lies in here.
    pub folder: PathBuf,
    /// etcd for clients.
    pub etcd_port: u16,
    /// etcd for peers, of which there are none.
    pub peer_port: u16,
    /// The API server, TLS.
    pub api_port: u16,
}

impl Layout {
    /// The cluster administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Address of the API server.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// Writes a kubeconfig that logs in with a token.
    pub fn write_kubeconfig(&self, file: &Path, user: &str, token: &str) -> Result<(), Error> {
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "local",
            "clusters": [{"name": "local", "cluster": {
                "server": self.url(),
                "certificate-authority": self.folder.join("certs/apiserver.crt"),
            }}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "local", "context": {
                "cluster": "local", "user": user, "namespace": "default",
            }}],
        });
        fs::write(file, format!("{config:#}\n"))
            .map_err(Error::io(format!("writing {}", file.display())))
    }

    /// Keys, tokens and the administrator's kubeconfig; kept if they are there already.
    pub fn prepare(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder)
            .map_err(Error::io(format!("creating {}", self.folder.display())))?;
        if self.kubeconfig().is_file() {
            return Ok(());
        }
        let key = self.folder.join("sa.key");
        openssl(&["genrsa", "-out", &key.display().to_string(), "2048"])?;
        let public = self.folder.join("sa.pub").display().to_string();
        openssl(&[
            "rsa",
            "-in",
            &key.display().to_string(),
            "-pubout",
            "-out",
            &public,
        ])?;
        let token = openssl(&["rand", "-hex", "16"])?;
        let token = token.trim();
        fs::write(
            self.folder.join("tokens.csv"),
            format!("{token},admin,admin,system:masters\n"),
        )
        .map_err(Error::io("writing tokens.csv"))?;
        self.write_kubeconfig(&self.kubeconfig(), "admin", token)
    }

    /// Starts etcd.
    pub fn start_etcd(&self, lifetime: Lifetime) -> Result<Process, Error> {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        self.start(
            Tool::Etcd,
            lifetime,
            vec![
                format!("--data-dir={}", self.folder.join("etcd").display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls=http://127.0.0.1:{}", self.peer_port),
                "--unsafe-no-fsync".into(),
                "--log-level=warn".into(),
            ],
        )
    }

    /// Starts the API server.
    pub fn start_apiserver(&self, lifetime: Lifetime) -> Result<Process, Error> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        self.start(
            Tool::KubeApiserver,
            lifetime,
            vec![
                format!("--etcd-servers=http://127.0.0.1:{}", self.etcd_port),
                format!("--cert-dir={}", file("certs")),
                format!("--secure-port={}", self.api_port),
                "--bind-address=127.0.0.1".into(),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-signing-key-file={}", file("sa.key")),
                format!("--service-account-key-file={}", file("sa.pub")),
                format!("--token-auth-file={}", file("tokens.csv")),
                "--authorization-mode=RBAC".into(),
                "--service-cluster-ip-range=10.0.0.0/24".into(),
            ],
        )
    }

    /// Starts the controllers that namespaces, owner references and service accounts need.
    pub fn start_controllers(&self, lifetime: Lifetime) -> Result<Process, Error> {
        self.start(
            Tool::KubeControllerManager,
            lifetime,
            vec![
                format!("--kubeconfig={}", self.kubeconfig().display()),
                "--controllers=namespace-controller,garbage-collector-controller,\
                 serviceaccount-controller"
                    .into(),
                "--leader-elect=false".into(),
                format!(
                    "--service-account-private-key-file={}",
                    self.folder.join("sa.key").display()
                ),
                "--secure-port=0".into(),
            ],
        )
    }

    fn start(&self, tool: Tool, lifetime: Lifetime, args: Vec<String>) -> Result<Process, Error> {
        Process::start(&Launch {
            name: tool.name(),
            program: &toolchain::path(tool)?,
            args,
            env: None,
            log: self.folder.join(format!("{}.log", tool.name())),
            lifetime,
        })
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Output {
        self.tool(Tool::Kubectl, args, input)
    }

    /// Runs kubectl or helm as the administrator, with their own caches in our folder.
    pub fn tool(&self, tool: Tool, args: &[&str], input: &str) -> Output {
        let program = match toolchain::path(tool) {
            Ok(program) => program,
            Err(error) => return not_started(tool, args, &error),
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache"))
            .env("HELM_CACHE_HOME", self.folder.join("helm/cache"))
            .env("HELM_CONFIG_HOME", self.folder.join("helm/config"))
            .env("HELM_DATA_HOME", self.folder.join("helm/data"));
        match process::run(&command, input.as_bytes(), COMMAND) {
            Ok(finished) => Output {
                command: process::line_of(&command),
                code: finished.code,
                stdout: finished.stdout,
                stderr: finished.stderr,
            },
            Err(error) => not_started(tool, args, &error),
        }
    }

    /// Waits until the API server is ready; `alive` tells early that it never will be.
    pub fn wait_ready(&self, alive: &dyn Fn() -> Result<(), Error>) -> Result<(), Error> {
        let mut dead = None;
        let ready = wait_until("the API server to be ready", READY, || {
            if let Err(error) = alive() {
                dead = Some(error);
                return Ok(());
            }
            let output = self.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"], "");
            if output.code == 0 && output.stdout == "ok" {
                Ok(())
            } else {
                Err(format!("{}{}", output.stdout, output.stderr))
            }
        });
        dead.map_or(ready, Err)
    }
}

fn not_started(tool: Tool, args: &[&str], error: &Error) -> Output {
    Output {
        command: format!("{} {}", tool.name(), args.join(" ")),
        code: 127,
        stdout: String::new(),
        stderr: error.to_string(),
    }
}

fn openssl(args: &[&str]) -> Result<String, Error> {
    let finished = process::run(
        Command::new("openssl").args(args),
        b"",
        Duration::from_mins(1),
    )?;
    if finished.code == 0 {
        return Ok(finished.stdout);
    }
    Err(Error::Command {
        command: format!("openssl {}", args.join(" ")),
        code: finished.code,
        output: finished.stderr,
    })
}

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
            if output.code == 0 {
                Ok(())
            } else {
                Err(output.stderr)
            }
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

    /// Kills the API server and starts it again on the same port, to test an outage.
    pub fn restart_apiserver(&self) -> Result<(), Error> {
        {
            let mut apiserver = self.lock_apiserver();
            apiserver.kill();
            *apiserver = self.layout.start_apiserver(Lifetime::WithHarness)?;
        }
        self.layout
            .wait_ready(&|| self.lock_apiserver().check_alive())
    }

    /// Sends a signal to the API server: `STOP` makes it a black hole, `CONT` brings it back.
    pub fn signal_apiserver(&self, signal: &str) -> Result<(), Error> {
        self.lock_apiserver().signal(signal)
    }

    /// The process ids of the servers.
    pub fn pids(&self) -> [u32; 3] {
        [
            self.etcd.pid(),
            self.lock_apiserver().pid(),
            self.controllers.pid(),
        ]
    }

    fn lock_apiserver(&self) -> MutexGuard<'_, Process> {
        self.apiserver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
