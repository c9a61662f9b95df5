//! Files, ports and command lines of a control plane: what the stack of a test and the one of
//! `make up` have in common. Needs the tools of `toolchain` and openssl. Must not decide how long a
//! server lives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Launch, Lifetime, Process};
use crate::toolchain::{self, Tool};
use crate::{Error, wait_until};

/// Longest wait for the API server to be ready. Our choice: it takes 3 s alone and 20 s beside two
/// compilers.
pub const READY: Duration = Duration::from_mins(2);

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
    /// Whether the API server writes down what service accounts ask of it, see [`Layout::audit_log`].
    pub audited: bool,
}

/// What is audited: who asked for what with which verb and answer, of service accounts alone; no bodies.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ['system:serviceaccounts']
  - level: None
";

impl Layout {
    /// The cluster administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Address of the API server.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// One JSON object a line for each request of a service account.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
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
        fs::write(file, format!("{config:#}\n")).map_err(Error::io(format!("writing {}", file.display())))
    }

    /// Keys, tokens and the administrator's kubeconfig; kept if they are there already.
    pub fn prepare(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.folder).map_err(Error::io(format!("creating {}", self.folder.display())))?;
        if self.kubeconfig().is_file() {
            return Ok(());
        }
        let key = self.folder.join("sa.key");
        openssl(&["genrsa", "-out", &key.display().to_string(), "2048"])?;
        let public = self.folder.join("sa.pub").display().to_string();
        openssl(&["rsa", "-in", &key.display().to_string(), "-pubout", "-out", &public])?;
        let token = openssl(&["rand", "-hex", "16"])?;
        let token = token.trim();
        fs::write(self.folder.join("tokens.csv"), format!("{token},admin,admin,system:masters\n"))
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
        let mut args = vec![
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
        ];
        if self.audited {
            let policy = file("audit-policy.yaml");
            fs::write(&policy, AUDIT_POLICY).map_err(Error::io("writing the audit policy"))?;
            args.push(format!("--audit-policy-file={policy}"));
            args.push(format!("--audit-log-path={}", self.audit_log().display()));
        }
        self.start(Tool::KubeApiserver, lifetime, args)
    }

    /// Starts the controllers that namespaces, owner references and service accounts need.
    pub fn start_controllers(&self, lifetime: Lifetime) -> Result<Process, Error> {
        self.start(
            Tool::KubeControllerManager,
            lifetime,
            vec![
                format!("--kubeconfig={}", self.kubeconfig().display()),
                // Namespace deletion, owner references, service accounts, aggregated roles.
                "--controllers=namespace-controller,garbage-collector-controller,\
                 serviceaccount-controller,clusterrole-aggregation-controller"
                    .into(),
                "--leader-elect=false".into(),
                format!("--service-account-private-key-file={}", self.folder.join("sa.key").display()),
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

    /// Waits until a CRD, named `plural.group`, is served to everybody: `Established` is set a moment before its objects can be
    /// listed, and the documentation for `kubectl explain` comes later still.
    pub fn wait_for_crd(&self, name: &str) -> Result<(), Error> {
        let steps = [
            &["wait", "--for=condition=Established", "--timeout=10s", "crd", name][..],
            &["get", name, "--all-namespaces", "--output=name"],
            &["explain", name],
        ];
        for step in steps {
            wait_until(&format!("the CRD {name} to be served"), READY, || {
                let output = self.kubectl(step, "");
                output.ok().map(drop).map_err(|error| error.to_string())
            })?;
        }
        Ok(())
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
    let finished = process::run(Command::new("openssl").args(args), b"", Duration::from_mins(1))?;
    if finished.code == 0 {
        return Ok(finished.stdout);
    }
    Err(Error::Command { command: format!("openssl {}", args.join(" ")), code: finished.code, output: finished.stderr })
}
