//! A scene: one stack with planted secrets, a few words to speak to it, and the search for the secrets at its end.

use std::time::Duration;

use pai_harness::{Options, Stack, wait_until};
use serde_json::{Value, json};

/// The password of the page's example, planted in a Secret.
pub const PASSWORD: &str = "PAI@Test123";

/// A script that only a Secret holds.
pub const SECRET_SCRIPT: &str = "#!/bin/bash\nexport LICENCE=planted-script-0417\n";

/// The same in base64, as it travels.
const SECRET_SCRIPT_BASE64: &str = "IyEvYmluL2Jhc2gKZXhwb3J0IExJQ0VOQ0U9cGxhbnRlZC1zY3JpcHQtMDQxNwo=";

/// Temporary credentials that the stand-in cloud knows beside the harness's own account.
pub const TEMPORARY: (&str, &str, &str) = ("AKIDtemporary", "planted-temporary-key-7731", "planted-token-99182");

/// Secrets that the operator may read by name beside its usual one; those of the credentials cases bear the cases' names.
const READABLE_SECRETS: [&str; 8] = [
    "login",
    "script",
    "other-credentials",
    "secret-missing",
    "key-missing",
    "trailing-newline",
    "wrong-secret-id",
    "wrong-secret-key",
];

/// How long anything may take. Generous: it only matters when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// One stack and what a test does with it.
pub struct Scene {
    pub stack: Stack,
}

impl Scene {
    /// A stack of its own in the shared control plane, with the planted Secrets in its namespace.
    pub fn start(simulator_args: &[&str], operator_args: &[&str]) -> Self {
        let (id, key, token) = TEMPORARY;
        let mut simulator: Vec<String> = simulator_args.iter().map(ToString::to_string).collect();
        simulator.push(format!("--account={id}:{key}:{token}"));
        let mut operator = vec!["--log-level=trace".to_owned()];
        operator.extend(operator_args.iter().map(ToString::to_string));
        let names = READABLE_SECRETS.map(str::to_owned);
        let stack = Stack::start(Options {
            shared: true,
            simulator_args: simulator,
            operator_args: operator,
            secret_names: names.to_vec(),
            config_map_names: vec!["script".to_owned()],
            ..Options::default()
        })
        .unwrap();
        let scene = Self { stack };
        scene.secret("login", &[("password", PASSWORD)]);
        scene.secret("script", &[("run.sh", SECRET_SCRIPT)]);
        scene
    }

    /// Creates or replaces a Secret.
    pub fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: Value = data.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}));
    }

    /// Applies an object in the scene's namespace.
    pub fn apply(&self, object: &Value) {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.stack.namespace());
        self.stack.apply(&object.to_string()).ok().unwrap();
    }

    /// kubectl in the scene's namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let namespace = format!("--namespace={}", self.stack.namespace());
        let mut all = vec![namespace.as_str()];
        all.extend_from_slice(args);
        self.stack.kubectl(&all).ok().unwrap()
    }

    /// Applies the instance of the page's example under a name and domain of its own, changed by `change`.
    pub fn instance(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = example(name);
        change(&mut object["spec"]);
        self.apply(&object);
    }

    /// Merges a patch into the spec.
    pub fn patch_spec(&self, name: &str, spec: &Value) {
        self.kubectl(&["patch", "pai", name, "--type=merge", "-p", &json!({"spec": spec}).to_string()]);
    }

    /// Asks the operator to look again now, as a person does who mended something outside.
    pub fn look_again(&self, name: &str) {
        let now = format!("pai.tencentcloud.io/reconcile-requested-at={}", rand_word());
        self.kubectl(&["annotate", "pai", name, "--overwrite", &now]);
    }

    /// The object.
    pub fn object(&self, name: &str) -> Value {
        let namespace = format!("--namespace={}", self.stack.namespace());
        self.stack.get(&[&namespace, "pai", name]).unwrap()
    }

    /// Waits until `Ready` has the reason; returns that condition.
    pub fn wait_reason(&self, name: &str, reason: &str) -> Value {
        wait_until(&format!("{name} to say {reason}"), PATIENCE, || {
            let object = self.object(name);
            let ready = condition(&object, "Ready").unwrap_or_default();
            if ready["reason"] == reason { Ok(ready) } else { Err(object["status"].to_string()) }
        })
        .unwrap()
    }

    /// Waits until the object is ready, as a person would.
    pub fn wait_ready(&self, name: &str) {
        self.kubectl(&["wait", "--for=condition=Ready", &format!("pai/{name}"), "--timeout=90s"]);
    }

    /// Deletes the object and waits until it is gone.
    pub fn delete(&self, name: &str) {
        self.kubectl(&["delete", "pai", name, "--timeout=90s"]);
    }

    /// Reasons and notes of the object's Events, oldest first.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let namespace = format!("--namespace={}", self.stack.namespace());
        let events = self.stack.get(&[&namespace, "events.events.k8s.io", "--sort-by=.eventTime"]).unwrap();
        let items = events["items"].as_array().cloned().unwrap_or_default();
        let of_object = items.iter().filter(|event| event["regarding"]["name"] == name);
        of_object.map(|event| (text(&event["reason"]), text(&event["note"]))).collect()
    }

    /// The creates that reached the cloud.
    pub fn creates(&self) -> Vec<Value> {
        let mut calls = self.stack.simulator().calls().unwrap();
        calls.retain(|call| call["action"] == "CreatePaiInstance");
        calls
    }

    /// The end of every scene: no planted secret stands anywhere a person or a tool can read.
    pub fn assert_no_secret_shown(&self) {
        let (_, key, token) = TEMPORARY;
        let account = pai_harness::Account::default();
        let namespace = format!("--namespace={}", self.stack.namespace());
        let places = [
            ("log", self.stack.operator().log()),
            ("metrics", self.stack.operator().metrics().unwrap_or_default()),
            ("objects", self.stack.get(&[&namespace, "pai"]).unwrap().to_string()),
            ("Events", self.stack.get(&[&namespace, "events.events.k8s.io"]).unwrap().to_string()),
        ];
        let secrets = [account.key.as_str(), key, token, PASSWORD, "planted-script-0417", SECRET_SCRIPT_BASE64];
        for (place, text) in &places {
            for secret in secrets {
                assert!(!text.contains(secret), "{place} shows {secret}");
            }
        }
        let log = &places[0].1;
        assert!(log.contains("\"level\":\"TRACE\""), "the log is not at trace, so the search proves nothing");
    }
}

/// The page's example 1, under a name and a domain of its own.
pub fn example(name: &str) -> Value {
    json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1",
        "kind": "PaiInstance",
        "metadata": {"name": name},
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": {"name": "tencentcloud-credentials"},
            "domainName": format!("{name}-gz012345.pai.tcloudbase.com"),
            "initScript": {"inline": "#!/bin/bash\necho \"hello\"\n"},
            "zones": ["ap-guangzhou-2"],
            "instanceChargeType": "POSTPAID_BY_HOUR",
            "instanceTypes": ["S4.SMALL2"],
            "systemDisk": {"diskType": "CLOUD_BASIC", "diskSize": 50},
            "internetAccessible": {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 10},
            "instanceName": "PAI-TEST",
            "loginSettings": {"passwordSecretRef": {"name": "login", "key": "password"}}
        }
    })
}

/// One condition of an object.
pub fn condition(object: &Value, kind: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
}

/// The text of a JSON string, empty for anything else.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A word that was not used before in this process.
fn rand_word() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("look-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
