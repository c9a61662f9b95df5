//! The cases of `values`: for each key of `values.yaml`, values that set it and what must hold then.

use serde_json::{Value, json};

use Check::{Arg, Count, Is, NoArg};

const POD: &str = "/spec/template/spec";

/// What must hold in the rendered objects.
pub enum Check {
    /// The first object of the kind has this value there; null means that nothing is there.
    Is(&'static str, &'static str, Value),
    /// The operator gets this argument.
    Arg(&'static str),
    /// The operator gets no argument that begins so.
    NoArg(&'static str),
    /// So many objects of the kind.
    Count(&'static str, usize),
}

/// The key that the row is about, values that set it, and what must hold then.
pub type Row = (&'static str, Value, Check);

/// All cases.
pub fn rows() -> Vec<Row> {
    [naming(), image(), cluster(), operator(), monitoring(), pod(), extras()].into_iter().flatten().collect()
}

fn naming() -> Vec<Row> {
    let name_label = "/spec/selector/matchLabels/app.kubernetes.io~1name";
    vec![
        ("nameOverride", json!({"nameOverride": "x"}), Is("Deployment", name_label, json!("x"))),
        ("fullnameOverride", json!({"fullnameOverride": "x"}), Is("Deployment", "/metadata/name", json!("x"))),
        ("fullnameOverride", json!({"fullnameOverride": "x"}), Arg("--lease-name=x")),
        (
            "commonLabels",
            json!({"commonLabels": {"team": "a"}}),
            Is("CustomResourceDefinition", "/metadata/labels/team", json!("a")),
        ),
        (
            "commonLabels",
            json!({"commonLabels": {"team": "a"}}),
            Is("Deployment", "/spec/selector/matchLabels/team", Value::Null),
        ),
    ]
}

fn image() -> Vec<Row> {
    let image = |key, values, expected: &str| -> Row {
        let pointer = "/spec/template/spec/containers/0/image";
        (key, json!({"image": values}), Is("Deployment", pointer, json!(expected)))
    };
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let plain = format!("pai-operator:{}", env!("CARGO_PKG_VERSION"));
    vec![
        image("image.registry", json!({"registry": "r.example.com"}), &format!("r.example.com/{plain}")),
        image("image.repository", json!({"repository": "a/b", "tag": "1"}), "a/b:1"),
        image("image.tag", json!({"tag": "v2"}), "pai-operator:v2"),
        image("image.digest", json!({"digest": digest}), &format!("{plain}@{digest}")),
        (
            "image.pullPolicy",
            json!({"image": {"pullPolicy": "Always"}}),
            Is("Deployment", "/spec/template/spec/containers/0/imagePullPolicy", json!("Always")),
        ),
        (
            "imagePullSecrets",
            json!({"imagePullSecrets": [{"name": "p"}]}),
            Is("Deployment", "/spec/template/spec/imagePullSecrets/0/name", json!("p")),
        ),
    ]
}

fn cluster() -> Vec<Row> {
    const CRD: &str = "CustomResourceDefinition";
    let keep = "/metadata/annotations/helm.sh~1resource-policy";
    let to = |role: &str| format!("/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-{role}");
    let aggregate = |key, role: &str| -> Row {
        let pointer: &'static str = to(role).leak();
        let values = json!({"rbac": {"aggregate": {role: false}}});
        (key, values, Is("ClusterRole", pointer, Value::Null))
    };
    let account = |key, values, check| -> Row { (key, json!({"serviceAccount": values}), check) };
    let references = |key, values, check| -> Row { (key, json!({"references": values}), check) };
    vec![
        ("crds.install", json!({"crds": {"install": false}}), Count(CRD, 0)),
        ("crds.install", json!({}), Is(CRD, keep, json!("keep"))),
        ("crds.keep", json!({"crds": {"keep": false}}), Is(CRD, keep, Value::Null)),
        (
            "crds.annotations",
            json!({"crds": {"annotations": {"a": "b"}}}),
            Is(CRD, "/metadata/annotations/a", json!("b")),
        ),
        account("serviceAccount.create", json!({"create": false}), Count("ServiceAccount", 0)),
        account(
            "serviceAccount.name",
            json!({"name": "x"}),
            Is("Deployment", "/spec/template/spec/serviceAccountName", json!("x")),
        ),
        account(
            "serviceAccount.annotations",
            json!({"annotations": {"a": "b"}}),
            Is("ServiceAccount", "/metadata/annotations/a", json!("b")),
        ),
        ("rbac.create", json!({"rbac": {"create": false}}), Count("ClusterRole", 0)),
        ("rbac.create", json!({"rbac": {"create": false}}), Count("Role", 0)),
        aggregate("rbac.aggregate.view", "view"),
        aggregate("rbac.aggregate.edit", "edit"),
        aggregate("rbac.aggregate.admin", "admin"),
        ("watch.namespaces", json!({"watch": {"namespaces": ["a"]}}), Arg("--watch-namespace=a")),
        ("watch.namespaces", json!({}), NoArg("--watch-namespace")),
        references("references.namespaces", json!({"namespaces": ["a", "b"]}), Count("Role", 3)),
        references(
            "references.secretNames",
            json!({"secretNames": ["s"]}),
            Is("Role", "/rules/0/resourceNames", json!(["s"])),
        ),
        references(
            "references.configMapNames",
            json!({"configMapNames": ["c"]}),
            Is("Role", "/rules/1/resourceNames", json!(["c"])),
        ),
        references("references.clusterWide", json!({"clusterWide": true}), Count("ClusterRole", 4)),
    ]
}

fn operator() -> Vec<Row> {
    let cloud = |key, values, check| -> Row { (key, json!({"tencentcloud": values}), check) };
    vec![
        cloud("tencentcloud.endpointRoot", json!({"endpointRoot": "a.b"}), Arg("--endpoint-root=a.b")),
        cloud("tencentcloud.endpoints.as", json!({"endpoints": {"as": "https://x"}}), Arg("--endpoint=as=https://x")),
        cloud(
            "tencentcloud.endpoints.cvm",
            json!({"endpoints": {"cvm": "https://x"}}),
            Arg("--endpoint=cvm=https://x"),
        ),
        cloud("tencentcloud.endpoints", json!({}), NoArg("--endpoint=")),
        cloud(
            "tencentcloud.allowInsecureEndpoints",
            json!({"allowInsecureEndpoints": true}),
            Arg("--allow-insecure-endpoints"),
        ),
        cloud("tencentcloud.allowInsecureEndpoints", json!({}), NoArg("--allow-insecure")),
        cloud(
            "tencentcloud.maxConcurrentReconciles",
            json!({"maxConcurrentReconciles": 3}),
            Arg("--max-concurrent-reconciles=3"),
        ),
        cloud(
            "tencentcloud.rateLimit",
            json!({"rateLimit": {"DescribeInstances": 20}}),
            Arg("--rate-limit=DescribeInstances=20"),
        ),
        cloud("tencentcloud.rateLimit", json!({}), NoArg("--rate-limit")),
        (
            "watch.labelSelector",
            json!({"watch": {"labelSelector": "a in (b,c)"}}),
            Arg("--watch-label-selector=a in (b,c)"),
        ),
        ("watch.labelSelector", json!({}), NoArg("--watch-label")),
        (
            "leaderElection.leaseDurationSeconds",
            json!({"leaderElection": {"leaseDurationSeconds": 30}}),
            Arg("--lease-duration=30s"),
        ),
        ("log.level", json!({"log": {"level": "debug"}}), Arg("--log-level=debug")),
        ("log.format", json!({"log": {"format": "text"}}), Arg("--log-format=text")),
        ("metrics.enabled", json!({"metrics": {"enabled": false}}), Arg("--metrics-address=off")),
        ("metrics.port", json!({"metrics": {"port": 9}}), Arg("--metrics-address=[::]:9")),
        (
            "metrics.port",
            json!({"metrics": {"port": 9}}),
            Is("Deployment", "/spec/template/spec/containers/0/ports/1/containerPort", json!(9)),
        ),
        (
            "metrics.secure.enabled",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}}),
            Arg("--metrics-cert-dir=/etc/pai-operator/metrics-tls"),
        ),
        ("metrics.secure.enabled", json!({"metrics": {"secure": {"certSecret": "c"}}}), NoArg("--metrics-cert-dir")),
        (
            "metrics.secure.enabled",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}}),
            Count("ClusterRole", 5),
        ),
        (
            "metrics.secure.enabled",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}, "rbac": {"create": false}}),
            Count("ClusterRole", 0),
        ),
        (
            "metrics.secure.enabled",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}, "watch": {"namespaces": ["a"]}}),
            Is("ClusterRole", "/metadata/name", json!("pai-operator-pai-system-metrics-auth")),
        ),
        (
            "metrics.secure.certSecret",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}}),
            Is("Deployment", "/spec/template/spec/volumes/1/secret/secretName", json!("c")),
        ),
        (
            "metrics.secure.certSecret",
            json!({"metrics": {"secure": {"enabled": true, "certSecret": "c"}}, "serviceMonitor": {"enabled": true}}),
            Is("ServiceMonitor", "/spec/endpoints/0/tlsConfig/ca/secret/name", json!("c")),
        ),
        ("extraArgs", json!({"extraArgs": ["--settle-window=9s"]}), Arg("--settle-window=9s")),
    ]
}

fn monitoring() -> Vec<Row> {
    let monitor = |key: &'static str, kind: &'static str, endpoints: &str| -> Vec<Row> {
        let with = |name: &str, value: Value| json!({key: {"enabled": true, name: value}});
        let of = |name: &str| -> &'static str { format!("{key}.{name}").leak() };
        vec![
            (
                of("enabled"),
                json!({key: {"enabled": true}}),
                Is(kind, "/spec/selector/matchLabels/app.kubernetes.io~1name", json!("pai-operator")),
            ),
            (of("enabled"), json!({}), Count(kind, 0)),
            (of("labels"), with("labels", json!({"release": "p"})), Is(kind, "/metadata/labels/release", json!("p"))),
            (
                of("interval"),
                with("interval", json!("7s")),
                Is(kind, format!("/spec/{endpoints}/0/interval").leak(), json!("7s")),
            ),
        ]
    };
    let rule = |values| json!({"prometheusRule": values});
    let link = "/spec/groups/0/rules/0/annotations/runbook_url";
    let dashboard = |values| json!({"grafanaDashboard": values});
    let policy = json!({"admissionPolicy": {"enabled": true}});
    let mut rows = monitor("serviceMonitor", "ServiceMonitor", "endpoints");
    rows.extend(monitor("podMonitor", "PodMonitor", "podMetricsEndpoints"));
    rows.extend([
        (
            "serviceMonitor.enabled",
            json!({"serviceMonitor": {"enabled": true}}),
            Is("Service", "/spec/ports/0/port", json!(8080)),
        ),
        ("serviceMonitor.enabled", json!({}), Count("Service", 0)),
        (
            "prometheusRule.enabled",
            rule(json!({"enabled": true})),
            Is("PrometheusRule", "/spec/groups/0/name", json!("pai-operator.process")),
        ),
        ("prometheusRule.enabled", json!({}), Count("PrometheusRule", 0)),
        (
            "prometheusRule.labels",
            rule(json!({"enabled": true, "labels": {"a": "b"}})),
            Is("PrometheusRule", "/metadata/labels/a", json!("b")),
        ),
        (
            "prometheusRule.runbookBaseUrl",
            rule(json!({"enabled": true, "runbookBaseUrl": "https://x/docs"})),
            Is("PrometheusRule", link, json!("https://x/docs/alerts.md#paioperatornoleader")),
        ),
        (
            "grafanaDashboard.enabled",
            dashboard(json!({"enabled": true})),
            Is("ConfigMap", "/metadata/labels/grafana_dashboard", json!("1")),
        ),
        ("grafanaDashboard.enabled", json!({}), Count("ConfigMap", 0)),
        (
            "grafanaDashboard.labels",
            dashboard(json!({"enabled": true, "labels": {"a": "b"}})),
            Is("ConfigMap", "/metadata/labels/a", json!("b")),
        ),
        ("admissionPolicy.enabled", policy.clone(), Count("ValidatingAdmissionPolicy", 1)),
        (
            "admissionPolicy.enabled",
            policy,
            Is("ValidatingAdmissionPolicyBinding", "/spec/policyName", json!("pai-operator")),
        ),
        ("admissionPolicy.enabled", json!({}), Count("ValidatingAdmissionPolicy", 0)),
    ]);
    rows
}

fn pod() -> Vec<Row> {
    let pod = |key: &'static str, value: Value| -> Row {
        let pointer: &'static str = format!("{POD}/{key}").leak();
        (key, json!({key: value.clone()}), Is("Deployment", pointer, value))
    };
    let container = |key: &'static str, name: &str, value: Value| -> Row {
        let pointer: &'static str = format!("{POD}/containers/0/{name}").leak();
        let values = json!({key: [value.clone()]});
        (key, values, Is("Deployment", pointer, value))
    };
    let meta = |key: &'static str, name: &str| -> Row {
        let pointer: &'static str = format!("/spec/template/metadata/{name}/a").leak();
        (key, json!({key: {"a": "b"}}), Is("Deployment", pointer, json!("b")))
    };
    let is = |pointer, value| Is("Deployment", pointer, value);
    vec![
        ("replicaCount", json!({"replicaCount": 2}), is("/spec/replicas", json!(2))),
        meta("podAnnotations", "annotations"),
        meta("podLabels", "labels"),
        (
            "podSecurityContext",
            json!({"podSecurityContext": {"runAsUser": 7}}),
            is("/spec/template/spec/securityContext/runAsUser", json!(7)),
        ),
        (
            "securityContext",
            json!({"securityContext": {"runAsUser": 7}}),
            is("/spec/template/spec/containers/0/securityContext/runAsUser", json!(7)),
        ),
        (
            "resources",
            json!({"resources": {"limits": {"memory": "1Gi"}}}),
            is("/spec/template/spec/containers/0/resources/limits/memory", json!("1Gi")),
        ),
        pod("nodeSelector", json!({"a": "b"})),
        pod("tolerations", json!([{"key": "a", "operator": "Exists"}])),
        pod("affinity", json!({"podAntiAffinity": {}})),
        pod("topologySpreadConstraints", json!([{"maxSkew": 1}])),
        pod("priorityClassName", json!("high")),
        pod("terminationGracePeriodSeconds", json!(99)),
        container("extraEnv", "env/2", json!({"name": "A", "value": "b"})),
        container("extraVolumeMounts", "volumeMounts/1", json!({"name": "v", "mountPath": "/v"})),
        (
            "extraVolumes",
            json!({"extraVolumes": [{"name": "v", "emptyDir": {}}]}),
            is("/spec/template/spec/volumes/1/name", json!("v")),
        ),
    ]
}

fn extras() -> Vec<Row> {
    let policy = |key, values, check| -> Row { (key, json!({"networkPolicy": values}), check) };
    let two = json!({"replicaCount": 2, "podDisruptionBudget": {"enabled": true}});
    let object = json!({"kind": "ConfigMap", "data": {"in": "{{ .Release.Namespace }}"}});
    vec![
        policy("networkPolicy.enabled", json!({"enabled": true}), Count("NetworkPolicy", 1)),
        policy("networkPolicy.enabled", json!({}), Count("NetworkPolicy", 0)),
        policy(
            "networkPolicy.apiServerPorts",
            json!({"enabled": true, "apiServerPorts": [16443]}),
            Is("NetworkPolicy", "/spec/egress/1/ports/1/port", json!(16443)),
        ),
        ("podDisruptionBudget.enabled", two, Count("PodDisruptionBudget", 1)),
        ("extraObjects", json!({"extraObjects": [object]}), Is("ConfigMap", "/data/in", json!("pai-system"))),
    ]
}
