//! A scene: one stack with planted secrets, a few words to speak to it, and the search for the secrets at its end.

use std::cell::RefCell;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pai_harness::{Options, Stack, wait_until};
use serde_json::{Value, json};

use crate::gate::Gate;

/// The password of the page's example, planted in a Secret.
pub const PASSWORD: &str = "PAI@Test123";

/// A script that only a Secret holds.
pub const SECRET_SCRIPT: &str = "#!/bin/bash\nexport LICENCE=planted-script-0417\n";

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
pub const PATIENCE: Duration = Duration::from_mins(3);

/// One stack and what a test does with it. Dropping it searches for the planted secrets.
pub struct Scene {
    pub stack: Stack,
    planted: RefCell<Vec<String>>,
}

/// An Event as a person reads it.
#[derive(Clone, Debug)]
pub struct Told {
    pub reason: String,
    pub kind: String,
    pub note: String,
}

impl Scene {
    /// A stack of its own in the shared control plane, with the planted Secrets in its namespace.
    pub fn start(simulator_args: &[&str]) -> Self {
        Self::set_up(true, simulator_args, &json!({}))
    }

    /// As the chart comes: the operator watches every namespace, in a control plane of its own.
    pub fn cluster_wide() -> Self {
        Self::set_up(false, &[], &json!({}))
    }

    /// With a gate before the service that creates machines.
    pub fn behind(gate: &Gate, shared: bool) -> Self {
        let scene = Self::set_up(shared, &[], &json!({"tencentcloud": {"endpoints": {"as": gate.url()}}}));
        gate.lead_to(&scene.stack.simulator().url());
        scene
    }

    fn set_up(shared: bool, simulator_args: &[&str], values: &Value) -> Self {
        let (id, key, token) = TEMPORARY;
        let mut simulator: Vec<String> = simulator_args.iter().map(ToString::to_string).collect();
        simulator.push(format!("--account={id}:{key}:{token}"));
        let names = READABLE_SECRETS.map(str::to_owned);
        // A busy machine must not cost the operator its Lease: nothing here is about losing it.
        let mut values = values.clone();
        values["leaderElection"] = json!({"leaseDurationSeconds": 60});
        let stack = Stack::start(Options {
            shared,
            simulator_args: simulator,
            operator_args: vec!["--log-level=trace".to_owned()],
            helm_values: values,
            secret_names: names.to_vec(),
            config_map_names: vec!["script".to_owned()],
            ..Options::default()
        })
        .unwrap();
        let planted = RefCell::new(vec![pai_harness::Account::default().key, key.to_owned(), token.to_owned()]);
        let scene = Self { stack, planted };
        scene.secret("login", &[("password", PASSWORD)]);
        scene.secret("script", &[("run.sh", SECRET_SCRIPT)]);
        scene
    }

    /// Creates or replaces a Secret, whose values must then be shown nowhere.
    pub fn secret(&self, name: &str, data: &[(&str, &str)]) {
        // The id of a key is no secret: the status names it.
        let secrets = data.iter().filter(|(key, _)| *key != "secretId").map(|(_, value)| (*value).to_owned());
        self.planted.borrow_mut().extend(secrets);
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
        self.try_kubectl(args).unwrap()
    }

    fn try_kubectl(&self, args: &[&str]) -> Result<String, pai_harness::Error> {
        let namespace = format!("--namespace={}", self.stack.namespace());
        let mut all = vec![namespace.as_str()];
        all.extend_from_slice(args);
        self.stack.kubectl(&all).ok()
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

    /// Waits for `probe`, or fails at once with the operator's last lines if it has ended by itself.
    pub fn until<T>(&self, what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
        let seen = wait_until(what, PATIENCE, || match self.stack.operator().check_alive() {
            Ok(()) => probe().map(Ok),
            Err(dead) => Ok(Err(dead)),
        });
        seen.unwrap().unwrap_or_else(|dead| panic!("while waiting for {what}: {dead}"))
    }

    /// Waits until `Ready` has the reason; returns that condition.
    pub fn wait_reason(&self, name: &str, reason: &str) -> Value {
        condition(&self.wait_object(name, reason), "Ready").unwrap()
    }

    /// Waits until `Ready` has the reason; returns the object as it was then.
    pub fn wait_object(&self, name: &str, reason: &str) -> Value {
        self.until(&format!("{name} to say {reason}"), || {
            let object = self.object(name);
            let ready = condition(&object, "Ready").unwrap_or_default();
            if ready["reason"] == reason { Ok(object) } else { Err(object["status"].to_string()) }
        })
    }

    /// Waits until the object is ready, as a person would.
    pub fn wait_ready(&self, name: &str) {
        self.kubectl_wait("--for=condition=Ready", name);
    }

    /// Deletes the object and waits until it is gone.
    pub fn delete(&self, name: &str) {
        self.kubectl(&["delete", "pai", name, "--wait=false"]);
        self.wait_gone(name);
    }

    /// Waits until the object is gone.
    pub fn wait_gone(&self, name: &str) {
        self.kubectl_wait("--for=delete", name);
    }

    /// In short pieces, between which an operator that has ended is noticed.
    fn kubectl_wait(&self, condition: &str, name: &str) {
        let object = format!("pai/{name}");
        self.until(&format!("{object} {condition}"), || {
            self.try_kubectl(&["wait", condition, &object, "--timeout=5s"]).map(drop).map_err(|error| {
                let state = self.try_kubectl(&["get", &object, "-o", "jsonpath={.status}"]);
                format!("{error} {}", state.unwrap_or_default())
            })
        });
    }

    /// The object's Events, oldest first.
    pub fn events(&self, name: &str) -> Vec<Told> {
        let namespace = format!("--namespace={}", self.stack.namespace());
        let events = self.stack.get(&[&namespace, "events.events.k8s.io", "--sort-by=.eventTime"]).unwrap();
        let items = events["items"].as_array().cloned().unwrap_or_default();
        let of_object = items.iter().filter(|event| event["regarding"]["name"] == name);
        let told = |event: &Value| Told {
            reason: text(&event["reason"]),
            kind: text(&event["type"]),
            note: text(&event["note"]),
        };
        of_object.map(told).collect()
    }

    /// Waits for an Event: it is written after what it tells of.
    pub fn wait_event(&self, name: &str, reason: &str) -> Told {
        self.until(&format!("the Event {reason} of {name}"), || {
            let events = self.events(name);
            events.iter().find(|told| told.reason == reason).cloned().ok_or_else(|| format!("{events:?}"))
        })
    }

    /// The log lines with this message, oldest first.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let logs = self.stack.operator_logs().unwrap();
        let lines = logs.iter().flat_map(|(_, log)| log.lines());
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// The creates that reached the cloud.
    pub fn creates(&self) -> Vec<Value> {
        let mut calls = self.stack.simulator().calls().unwrap();
        calls.retain(|call| call["action"] == "CreatePaiInstance");
        calls
    }

    /// Kills the operator, whose metrics can be read no later than now.
    pub fn kill9(&self) {
        self.assert_metrics_hide();
        assert!(self.stack.operator().kill9(), "the operator was not running");
    }

    /// No planted secret stands in the text, neither as it is nor in base64.
    pub fn assert_hides(&self, place: &str, text: &str) {
        for secret in self.planted.borrow().iter() {
            assert!(secret.len() >= 8, "{secret:?} is too short to be searched for");
            assert_eq!(shown(secret, text), None, "{place}");
        }
    }

    /// The metrics of a running operator hide the planted secrets; they are gone with it.
    pub fn assert_metrics_hide(&self) {
        self.assert_hides("the metrics", &self.stack.operator().metrics().unwrap());
    }

    /// The end of every scene: no planted secret stands anywhere a person or a tool can read.
    fn assert_no_secret_shown(&self) {
        let logs = self.stack.operator_logs().unwrap();
        assert!(!logs.is_empty());
        for (name, log) in &logs {
            assert!(log.contains("\"level\":\"TRACE\""), "{name} is not at trace, so the search proves nothing");
            self.assert_hides(name, log);
        }
        let operator = self.stack.operator();
        if operator.pid().is_some() && operator.exited().is_none() {
            self.assert_metrics_hide();
        }
        for namespace in [self.stack.namespace(), self.stack.system_namespace()] {
            let option = format!("--namespace={namespace}");
            for kind in ["pai", "events.events.k8s.io"] {
                self.assert_hides(
                    &format!("{kind} in {namespace}"),
                    &self.stack.get(&[&option, kind]).unwrap().to_string(),
                );
            }
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_no_secret_shown();
        }
    }
}

/// The form in which a text shows the secret: one of its lines, or all of it in base64.
fn shown(secret: &str, text: &str) -> Option<String> {
    let lines = secret.lines().filter(|line| line.len() >= 8 && !line.starts_with("#!")).map(str::to_owned);
    let encoded = [secret, secret.trim_end()].map(|form| STANDARD.encode(form));
    lines.chain(encoded).find(|form| text.contains(form))
}

#[test]
#[should_panic(expected = "pai-operator ended by itself")]
fn a_wait_ends_with_the_operator() {
    let scene = Scene::start(&[]);
    scene.stack.operator().signal("KILL").unwrap();
    scene.until("what never comes", || -> Result<(), String> { Err("not yet".to_owned()) });
}

#[test]
fn the_search_finds_every_form_of_a_secret() {
    let seen = |secret: &str, text: &str| shown(secret, text).is_some();
    assert!(seen("local-stack-key\n", r#"{"key":"local-stack-key"}"#));
    assert!(seen(SECRET_SCRIPT, "+ export LICENCE=planted-script-0417"));
    assert!(seen(SECRET_SCRIPT, "InitScript=IyEvYmluL2Jhc2gKZXhwb3J0IExJQ0VOQ0U9cGxhbnRlZC1zY3JpcHQtMDQxNwo="));
    assert!(seen(PASSWORD, "password: UEFJQFRlc3QxMjM="));
    assert!(!seen(SECRET_SCRIPT, "#!/bin/bash\necho hello\n"));
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
