//! What people do: apply, edit and delete objects, give answers, and look after Secrets. Talks to the model as kubectl does.

use serde_json::{Value, json};
use tencentcloud_simulator::Account;

use crate::world::{GROUP, PLURAL, World};

pub const SECRET: &str = "tencentcloud-credentials";
pub const SECRET_ID: &str = "AKIDsimulated";
pub const SECRET_KEY: &str = "planted-secret-key";
/// A second pair of keys of the same account.
pub const OTHER_ID: &str = "AKIDrotated";
/// A key of an account that has none of our machines, until somebody buys with it.
pub const STRANGER: &str = "AKIDstranger";
pub const STRANGE_ACCOUNT: &str = "another-account";
pub const NAMESPACE: &str = "default";
/// Where the namespace is.
pub const HOME: &str = "/api/v1/namespaces/default";

/// The objects' path.
pub fn path(name: &str) -> String {
    format!("/apis/{GROUP}/v1alpha1/namespaces/{NAMESPACE}/{PLURAL}/{name}")
}

/// The domain that the object of this name has unless a test says otherwise.
pub fn domain(name: &str) -> String {
    format!("{name}.pai.tcloudbase.com")
}

/// An object as a person writes it.
pub fn object(name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "PaiInstance",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": {"name": SECRET},
            "domainName": domain(name),
            "internetAccessible": {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 10, "publicIpAssigned": true},
            "instanceTypes": ["S4.SMALL2"],
        },
    });
    if let (Some(fields), Some(more)) = (object["spec"].as_object_mut(), spec.as_object()) {
        fields.extend(more.clone());
    }
    object
}

impl World {
    /// Puts the credentials there.
    pub fn write_secret(&self, id: &str) {
        self.write_secret_with(id, SECRET_KEY);
    }

    pub fn write_secret_with(&self, id: &str, key: &str) {
        self.put_key(SECRET, id, key);
    }

    /// Makes or replaces a Secret with a key for the cloud.
    pub fn put_key(&self, name: &str, id: &str, key: &str) {
        let data = json!({"secretId": pai_base64(id), "secretKey": pai_base64(key)});
        self.put_core("secrets", name, &json!({"data": data}));
    }

    /// Lets the stranger's key be known to the cloud.
    pub fn open_strange_account(&self) {
        self.state().cloud.add_account(Account::new(STRANGER, SECRET_KEY).owner(STRANGE_ACCOUNT));
    }

    /// Makes or replaces a Secret or ConfigMap.
    pub fn put_core(&self, plural: &str, name: &str, fields: &Value) {
        let mut object = json!({"metadata": {"name": name, "namespace": NAMESPACE}});
        if let (Some(target), Some(fields)) = (object.as_object_mut(), fields.as_object()) {
            target.extend(fields.clone());
        }
        let collection = format!("/api/v1/namespaces/{NAMESPACE}/{plural}");
        if self.try_ask("POST", &collection, object).status == 409 {
            self.ask("PATCH", &format!("{collection}/{name}"), fields.clone());
        }
    }

    pub fn delete_core(&self, plural: &str, name: &str) {
        self.try_ask("DELETE", &format!("/api/v1/namespaces/{NAMESPACE}/{plural}/{name}"), Value::Null);
    }

    pub fn apply(&self, name: &str, spec: &Value) {
        let applied = self.try_apply(name, spec);
        assert!(applied, "{name} was refused");
    }

    /// The same where it may be refused, as in a namespace that goes.
    pub fn try_apply(&self, name: &str, spec: &Value) -> bool {
        let reply = self.try_ask("POST", path("").trim_end_matches('/'), object(name, spec));
        self.log(|| format!("person applies {name} {spec}: {}", reply.status));
        reply.status < 300
    }

    /// Merges a patch into an object; false if the API server refuses it.
    #[allow(clippy::needless_pass_by_value)] // it is written where it is handed in
    pub fn patch(&self, name: &str, patch: Value) -> bool {
        let before = self.get(name);
        if patch.pointer("/metadata/finalizers").is_some_and(Value::is_null) {
            self.state().forced.extend(before.as_ref().map(uid));
        }
        let reply = self.try_ask("PATCH", &path(name), patch.clone());
        self.note_forced(name, before.as_ref());
        self.log(|| format!("person patches {name} {patch}: {}", reply.status));
        reply.status < 300
    }

    pub fn annotate(&self, name: &str, key: &str, value: &Value) {
        self.patch(name, json!({"metadata": {"annotations": {format!("{GROUP}/{key}"): value}}}));
    }

    /// Loses the status, as a restore does.
    pub fn lose_status(&self, name: &str) {
        self.log(|| format!("the status of {name} is lost"));
        self.ask("PATCH", &format!("{}/status", path(name)), json!({"status": null}));
    }

    pub fn delete(&self, name: &str) {
        let before = self.get(name);
        let reply = self.try_ask("DELETE", &path(name), Value::Null);
        self.log(|| format!("person deletes {name}: {}", reply.status));
        self.note_forced(name, before.as_ref());
    }

    /// Whoever takes our finalizer away and lets the object go leaves its machine running: that is no leak of ours.
    fn note_forced(&self, name: &str, before: Option<&Value>) {
        let gone = before.filter(|before| self.get(name).is_none_or(|now| uid(&now) != uid(before)));
        if let Some(before) = gone.filter(|before| self.state().forced.contains(&uid(before))) {
            self.state().excused.extend(ids(before));
        }
    }

    /// The object, if it is there.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.state().api.peek(GROUP, PLURAL, NAMESPACE, name).cloned()
    }

    /// All objects.
    pub fn objects(&self) -> Vec<Value> {
        self.state().api.all(GROUP, PLURAL).into_iter().cloned().collect()
    }

    /// Follows the command that the condition Ready holds for this verb, as a person would who copies it. False if there is none.
    pub fn obey(&self, object: &Value, verb: &str, id: Option<&str>) -> bool {
        let message = Ready::of(object).message;
        let name = name_of(object);
        if !message.contains(&format!("kubectl annotate pai {name} -n {NAMESPACE} --overwrite {GROUP}/resolve-create="))
        {
            return false;
        }
        let Some(answer) = answer_in(&message, verb, id) else { return false };
        self.annotate(name, "resolve-create", &Value::Null);
        self.annotate(name, "resolve-create", &answer.into());
        true
    }
}

/// The answer with this verb that a message offers.
fn answer_in(message: &str, verb: &str, id: Option<&str>) -> Option<String> {
    let from = message.find(&format!("{verb}:"))?;
    let rest = message.get(from..)?;
    let end = rest.find(|c: char| c.is_whitespace() || c == ')' || c == ',').unwrap_or(rest.len());
    let offered = rest.get(..end)?.trim_end_matches('.');
    Some(match id {
        Some(id) if offered.ends_with("INSTANCE_ID") => format!("{verb}:{id}"),
        _ => offered.to_owned(),
    })
}

/// The condition Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    pub status: bool,
    pub reason: String,
    pub message: String,
}

impl Ready {
    pub fn of(object: &Value) -> Self {
        let Some(found) = condition(object, "Ready") else { return Self::default() };
        let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { status: text("status") == "True", reason: text("reason"), message: text("message") }
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array)?;
    all.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// Whether a person must act.
pub fn is_stalled(object: &Value) -> bool {
    condition(object, "Stalled").is_some()
}

/// The object's name.
pub fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The object's UID.
pub fn uid(object: &Value) -> String {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The ids in the status.
pub fn ids(object: &Value) -> Vec<String> {
    let ids = object.pointer("/status/instanceIds").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The state of the create attempt, empty without one.
pub fn attempt_state(object: &Value) -> &str {
    object.pointer("/status/createAttempt/state").and_then(Value::as_str).unwrap_or_default()
}

pub fn pai_base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
