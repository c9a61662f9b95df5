//! Installs the chart with helm and reads back what the API server holds, so that the local
//! operator runs what a cluster would run. Must not know the operator's options: only what has to
//! differ outside a pod is replaced, and each replacement is argued in [`Pod::outside`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::controlplane::ControlPlane;
use crate::layout::Layout;
use crate::toolchain::Tool;
use crate::{Error, programs};

/// The CRD that the chart brings.
const CRD: &str = "paiinstances.pai.tencentcloud.io";

/// A helm release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name, unique in the cluster as cluster roles are named for it.
    pub name: String,
    /// The operator's own namespace.
    pub namespace: String,
}

impl Release {
    /// Installs or upgrades; later values win. Returns when the CRD is served.
    pub fn install(&self, layout: &Layout, values: &[Value]) -> Result<(), Error> {
        let mut args: Vec<String> = ["upgrade", "--install", "--create-namespace"].map(str::to_owned).into();
        args.extend([
            self.name.clone(),
            programs::root().join("charts/pai-operator").display().to_string(),
            format!("--namespace={}", self.namespace),
        ]);
        for (number, value) in values.iter().enumerate() {
            let file = layout.folder.join(format!("{}-values-{number}.json", self.name));
            fs::write(&file, value.to_string()).map_err(Error::io(format!("writing {}", file.display())))?;
            args.push(format!("--values={}", file.display()));
        }
        if !self.owns_crd(layout) {
            args.push("--set=crds.install=false".into());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        layout.tool(Tool::Helm, &args, "").ok()?;
        layout.wait_for_crd(CRD)
    }

    /// The same on a control plane that several tests use: one at a time, so that one release
    /// brings the CRD.
    pub fn install_on(&self, plane: &ControlPlane, values: &[Value]) -> Result<(), Error> {
        let _one_at_a_time = plane.lock_install();
        self.install(plane.layout(), values)
    }

    /// Whether the CRD is absent or was brought by this release; helm refuses any other.
    fn owns_crd(&self, layout: &Layout) -> bool {
        let path = "jsonpath={.metadata.annotations['meta\\.helm\\.sh/release-namespace']}/\
                    {.metadata.annotations['meta\\.helm\\.sh/release-name']}";
        let output = layout.kubectl(&["get", "crd", CRD, "-o", path], "");
        output.code != 0 || output.stdout == format!("{}/{}", self.namespace, self.name)
    }

    /// Reads the Deployment back from the API server.
    pub fn pod(&self, layout: &Layout) -> Result<Pod, Error> {
        let selector = format!("--selector=app.kubernetes.io/instance={}", self.name);
        let namespace = format!("--namespace={}", self.namespace);
        let args = ["get", "deployments", "-o", "json", &namespace, &selector];
        let text = layout.kubectl(&args, "").ok()?;
        let list: Value =
            serde_json::from_str(&text).map_err(|error| Error::Other(format!("the Deployment is no JSON: {error}")))?;
        let template = list
            .pointer("/items/0/spec/template/spec")
            .ok_or_else(|| Error::Other(format!("release {} has no Deployment", self.name)))?;
        Ok(Pod::read(template))
    }

    /// A kubeconfig for the release's service account, with a fresh token.
    ///
    /// In a pod the kubelet renews the token every hour; nobody does that here, so it lives long.
    pub fn write_kubeconfig(&self, layout: &Layout, pod: &Pod, file: &Path) -> Result<(), Error> {
        let namespace = format!("--namespace={}", self.namespace);
        let args = ["create", "token", &pod.service_account, &namespace, "--duration=168h"];
        let token = layout.kubectl(&args, "").ok()?;
        layout.write_kubeconfig(file, &pod.service_account, token.trim())
    }
}

/// The container of the rendered Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name of the service account.
    pub service_account: String,
    /// Arguments of the container.
    pub args: Vec<String>,
    /// Environment with fixed values.
    pub env: Vec<(String, String)>,
    /// Environment taken from the pod's own fields: name and field path.
    pub fields: Vec<(String, String)>,
}

/// What a process outside a pod needs instead of what the kubelet would give it.
#[derive(Clone, Debug)]
pub struct Outside<'a> {
    /// Stands for `metadata.name`: a new one for each start, as a new pod has.
    pub pod_name: &'a str,
    /// Stands for `metadata.namespace`.
    pub namespace: &'a str,
    /// Stands for the mounted service account token.
    pub kubeconfig: &'a Path,
    /// Port for metrics.
    pub metrics_port: u16,
    /// Port for the probes.
    pub health_port: u16,
}

impl Pod {
    fn read(template: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let items = |pointer: &str| {
            let found = template.pointer(pointer).and_then(Value::as_array);
            found.cloned().unwrap_or_default()
        };
        let mut pod = Self {
            service_account: text(template.get("serviceAccountName")),
            args: items("/containers/0/args").iter().map(|arg| text(Some(arg))).collect(),
            ..Self::default()
        };
        for variable in items("/containers/0/env") {
            let name = text(variable.get("name"));
            match variable.pointer("/valueFrom/fieldRef/fieldPath") {
                Some(path) => pod.fields.push((name, text(Some(path)))),
                None => pod.env.push((name, text(variable.get("value")))),
            }
        }
        pod
    }

    /// Arguments and environment for a process outside a pod. All that differs from the Deployment:
    ///
    /// - fields of the pod are filled in and `$(NAME)` is expanded, which the kubelet does;
    /// - `KUBECONFIG` is added: it stands for the token and the CA that the kubelet mounts;
    /// - the two listen addresses become free ports of 127.0.0.1, as several stacks share one
    ///   machine; an address that is `off` stays so.
    pub fn outside(&self, outside: &Outside<'_>) -> (Vec<String>, Vec<(String, String)>) {
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        for (name, path) in &self.fields {
            let value = match path.as_str() {
                "metadata.name" => outside.pod_name,
                "metadata.namespace" => outside.namespace,
                "spec.serviceAccountName" => &self.service_account,
                _ => "",
            };
            env.insert(name.clone(), value.to_owned());
        }
        for (name, value) in &self.env {
            let value = expand(value, &env);
            env.insert(name.clone(), value);
        }
        let args = self
            .args
            .iter()
            .map(|arg| {
                let arg = expand(arg, &env);
                match arg.split_once('=') {
                    Some((option @ "--metrics-address", address)) if address != "off" => {
                        format!("{option}=127.0.0.1:{}", outside.metrics_port)
                    }
                    Some((option @ "--health-address", address)) if address != "off" => {
                        format!("{option}=127.0.0.1:{}", outside.health_port)
                    }
                    _ => arg,
                }
            })
            .collect();
        env.insert("KUBECONFIG".into(), outside.kubeconfig.display().to_string());
        (args, env.into_iter().collect())
    }
}

/// `$(NAME)` as the kubelet expands it: an unknown name stays as it is.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut result = text.to_owned();
    for (name, value) in env {
        result = result.replace(&format!("$({name})"), value);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Pod {
        Pod::read(&serde_json::json!({
            "serviceAccountName": "pai",
            "containers": [{
                "args": ["run", "--metrics-address=[::]:8080", "--health-address=off",
                         "--lease-namespace=$(POD_NAMESPACE)", "--x=$(OTHER)"],
                "env": [
                    {"name": "POD_NAMESPACE",
                     "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                    {"name": "WHERE", "value": "in $(POD_NAMESPACE)"},
                ],
            }],
        }))
    }

    #[test]
    fn outside_a_pod_only_ports_fields_and_kubeconfig_differ() {
        let (args, env) = rendered().outside(&Outside {
            pod_name: "pai-0",
            namespace: "system",
            kubeconfig: Path::new("/k"),
            metrics_port: 1,
            health_port: 2,
        });
        let expected = [
            "run",
            "--metrics-address=127.0.0.1:1",
            "--health-address=off",
            "--lease-namespace=system",
            "--x=$(OTHER)",
        ];
        assert_eq!(args, expected);
        let pairs: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("KUBECONFIG", "/k"), ("POD_NAMESPACE", "system"), ("WHERE", "in system")]);
    }
}
