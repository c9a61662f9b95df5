//! A whole stack for one test: control plane, stand-in cloud, installed chart, running operator.
//! Must not leave anything behind, and must not disturb a stack beside it.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::Error;
use crate::controlplane::ControlPlane;
use crate::layout::Output;
use crate::operator::Operator;
use crate::release::Release;
use crate::simulator::{Account, Simulator};

/// Name of the credentials Secret, the chart's default.
pub const SECRET_NAME: &str = "tencentcloud-credentials";

/// How a stack shall be. `Options::default()` is a control plane of its own with the operator
/// watching every namespace.
#[derive(Clone, Debug)]
pub struct Options {
    /// Share one control plane with the other tests of this process. The operator then watches one
    /// new namespace only, and the chart gives it Roles only.
    pub shared: bool,
    /// Whether the control plane, one of its own, writes down what the operator asks of it.
    pub audited: bool,
    /// Added to the operator's arguments, through the chart's `extraArgs`.
    pub operator_args: Vec<String>,
    /// Added to the stand-in cloud's arguments.
    pub simulator_args: Vec<String>,
    /// Chart values that win over the harness's own.
    pub helm_values: Value,
    /// Secrets that the operator may read in the test's namespace, beside the credentials.
    pub secret_names: Vec<String>,
    /// `ConfigMaps` that the operator may read in the test's namespace.
    pub config_map_names: Vec<String>,
    /// Whether to start the operator and to wait until it leads.
    pub start_operator: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shared: false,
            audited: false,
            operator_args: Vec::new(),
            simulator_args: Vec::new(),
            helm_values: json!({}),
            secret_names: Vec::new(),
            config_map_names: Vec::new(),
            start_operator: true,
        }
    }
}

#[derive(Debug)]
enum Plane {
    Own(Box<ControlPlane>),
    Shared(&'static ControlPlane),
}

/// A running stack; dropping it ends it.
#[derive(Debug)]
pub struct Stack {
    // Dropped in this order: the operator first, while its servers still answer.
    operator: Operator,
    simulator: Simulator,
    plane: Plane,
    release: Release,
    namespace: String,
    account: Account,
    options: Options,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Stack {
    /// Starts everything; returns when the operator leads, or at once after the installation if
    /// the operator is not to be started.
    pub fn start(options: Options) -> Result<Self, Error> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (plane, release, namespace) = if options.shared {
            let name = format!("pai-{number}");
            let release = Release { namespace: format!("{name}-system"), name };
            let plane = Plane::Shared(ControlPlane::shared()?);
            (plane, release, format!("test-{number}"))
        } else {
            let release = Release { name: "pai-operator".into(), namespace: "pai-system".into() };
            let plane = if options.audited { ControlPlane::audited() } else { ControlPlane::start() };
            let plane = Plane::Own(Box::new(plane?));
            (plane, release, "default".into())
        };
        let layout = plane.get().layout();
        let account = Account::default();
        let simulator = Simulator::new(&layout.folder, vec![account.clone()], options.simulator_args.clone())?;
        let operator = Operator::new(layout, &release, &release.name)?;
        let stack = Self { operator, simulator, plane, release, namespace, account, options };
        stack.set_up()?;
        Ok(stack)
    }

    fn set_up(&self) -> Result<(), Error> {
        if self.options.shared {
            self.kubectl(&["create", "namespace", &self.namespace]).ok()?;
        }
        self.upgrade(&json!({}))?;
        self.apply(&self.account.secret(&self.namespace, SECRET_NAME).to_string()).ok()?;
        if self.options.start_operator {
            self.operator.start()?;
            self.operator.wait_ready()?;
        }
        Ok(())
    }

    /// Installs the chart again with more values. A running operator goes on with its old ones
    /// until `operator().start()`.
    pub fn upgrade(&self, more: &Value) -> Result<(), Error> {
        let mut secrets = vec![SECRET_NAME.to_owned()];
        secrets.extend_from_slice(&self.options.secret_names);
        let mut values = values_for_cloud(&self.simulator.url());
        merge(
            &mut values,
            &json!({
                "extraArgs": self.options.operator_args,
                "references": {
                    "namespaces": [self.namespace],
                    "secretNames": secrets,
                    "configMapNames": self.options.config_map_names,
                },
            }),
        );
        if self.options.shared {
            merge(&mut values, &json!({"watch": {"namespaces": [self.namespace]}}));
        }
        let all = [values, self.options.helm_values.clone(), more.clone()];
        self.release.install_on(self.plane.get(), &all)
    }

    /// A second operator of the same release: a standby with its own ports. Not started yet. Its pod name begins with the
    /// release's, so that stacks beside this one do not meet it.
    pub fn another_operator(&self, name: &str) -> Result<Operator, Error> {
        Operator::new(self.plane.get().layout(), &self.release, &format!("{}-{name}", self.release.name))
    }

    /// What every operator of this release has logged: file name and text.
    pub fn operator_logs(&self) -> Result<Vec<(String, String)>, Error> {
        let folder = &self.plane.get().layout().folder;
        let reading = || Error::io(format!("reading the logs in {}", folder.display()));
        let mut logs = Vec::new();
        for entry in fs::read_dir(folder).map_err(reading())? {
            let entry = entry.map_err(reading())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let of_release = name.strip_prefix(&self.release.name).and_then(|rest| rest.strip_suffix(".log"));
            if of_release.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
                logs.push((name, fs::read_to_string(entry.path()).map_err(reading())?));
            }
        }
        Ok(logs)
    }

    /// The namespace for the test's objects; the credentials Secret lies there.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The operator's own namespace, where its Lease is.
    pub fn system_namespace(&self) -> &str {
        &self.release.namespace
    }

    /// The user name of the operator's service account, for `kubectl auth can-i --as`.
    pub fn operator_user(&self) -> Result<String, Error> {
        let pod = self.release.pod(self.plane.get().layout())?;
        Ok(format!("system:serviceaccount:{}:{}", self.release.namespace, pod.service_account))
    }

    /// Creates another namespace with a credentials Secret in it; the operator may read neither
    /// yet, see [`Stack::allow`].
    pub fn create_namespace(&self, name: &str) -> Result<(), Error> {
        self.kubectl(&["create", "namespace", name]).ok()?;
        self.apply(&self.account.secret(name, SECRET_NAME).to_string()).ok().map(drop)
    }

    /// Lets the operator read Secrets or `ConfigMaps` (`kind` in the plural) by name, as the owner
    /// of the namespace would.
    pub fn allow(&self, namespace: &str, kind: &str, names: &[&str]) -> Result<(), Error> {
        let user = self.operator_user()?;
        let role = format!("pai-operator-{kind}");
        let namespace = format!("--namespace={namespace}");
        let mut args = vec!["create", "role", &role, &namespace, "--verb=get"];
        let resource = format!("--resource={kind}");
        args.push(&resource);
        let names: Vec<String> = names.iter().map(|name| format!("--resource-name={name}")).collect();
        args.extend(names.iter().map(String::as_str));
        self.kubectl(&args).ok()?;
        let (role_ref, user) = (format!("--role={role}"), format!("--user={user}"));
        self.kubectl(&["create", "rolebinding", &role, &namespace, &role_ref, &user]).ok().map(drop)
    }

    /// Runs kubectl as the administrator. Without `--namespace` it acts on `default`.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.plane.get().kubectl(args)
    }

    /// Server-side apply of YAML or JSON text.
    pub fn apply(&self, yaml: &str) -> Output {
        self.plane.get().apply(yaml)
    }

    /// Objects as JSON: the arguments of `kubectl get`.
    pub fn get(&self, args: &[&str]) -> Result<Value, Error> {
        self.plane.get().get(args)
    }

    /// The cluster administrator's kubeconfig.
    pub fn kubeconfig(&self) -> std::path::PathBuf {
        self.plane.get().kubeconfig()
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        self.plane.get()
    }

    /// The stand-in cloud.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The operator.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }
}

impl Plane {
    fn get(&self) -> &ControlPlane {
        match self {
            Self::Own(plane) => plane,
            Self::Shared(plane) => plane,
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A failed test's best hint, and the folder is about to go.
        if thread::panicking() {
            let log = self.operator.log();
            let skip = log.lines().count().saturating_sub(40);
            eprintln!("the operator's last lines:");
            log.lines().skip(skip).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Chart values that point every service at one address.
pub(crate) fn values_for_cloud(url: &str) -> Value {
    json!({"tencentcloud": {
        "endpoints": {"as": url, "cvm": url},
        "allowInsecureEndpoints": url.starts_with("http://"),
    }})
}

/// Lays `over` upon `base`, object by object; lists are replaced, as helm does.
pub(crate) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
