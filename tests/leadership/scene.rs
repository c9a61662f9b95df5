//! A scene: one stack, the replicas of its operator, its Lease, and the watch over the one rule: no two lead at once.

use std::time::Duration;

use jiff::Timestamp;
use pai_harness::{Operator, Options, Stack, wait_until};
use serde_json::{Value, json};

/// How long anything may take. Generous: it only matters when something is broken.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The metric by which a process says that it leads.
const LEADS: &str = "pai_operator_leader";

/// One stack without an operator, and what a test does with it.
pub struct Scene {
    pub stack: Stack,
}

/// The Lease as it stood at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    pub holder: String,
    pub transitions: i64,
    pub acquired: Option<Timestamp>,
    pub renewed: Option<Timestamp>,
}

impl Scene {
    /// In the shared control plane, with the chart's own lease of 15 s.
    pub fn start() -> Self {
        Self::set_up(true, 15)
    }

    /// In a control plane of its own, whose API server may be taken away.
    pub fn alone() -> Self {
        Self::set_up(false, 15)
    }

    /// With a lease that runs out long after the test has lost its patience.
    pub fn with_endless_lease() -> Self {
        Self::set_up(true, 3600)
    }

    fn set_up(shared: bool, lease_seconds: u32) -> Self {
        let stack = Stack::start(Options {
            shared,
            // A cloud that sells one domain twice if it is asked to, so that a second create would show.
            simulator_args: vec!["--domain-policy=shared".to_owned()],
            operator_args: vec!["--log-level=info,pai_operator=debug".to_owned()],
            helm_values: json!({"leaderElection": {"leaseDurationSeconds": lease_seconds}}),
            start_operator: false,
            ..Options::default()
        })
        .unwrap();
        Self { stack }
    }

    /// Another replica; not started.
    pub fn replica(&self, name: &str) -> Operator {
        self.stack.another_operator(name).unwrap()
    }

    /// A leader and a standby, both started.
    pub fn leader_and_standby(&self) -> (Operator, Operator) {
        let (leader, standby) = (self.replica("one"), self.replica("two"));
        leader.start().unwrap();
        leader.wait_ready().unwrap();
        standby.start().unwrap();
        standby.wait_standby().unwrap();
        assert!(leads(&leader) && !leads(&standby));
        (leader, standby)
    }

    /// Applies an instance of this name, billed by the hour.
    pub fn apply(&self, name: &str) {
        let object = json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {"name": name, "namespace": self.stack.namespace()},
            "spec": {
                "region": "ap-guangzhou",
                "credentialsRef": {"name": pai_harness::SECRET_NAME},
                "domainName": format!("{name}.pai.tcloudbase.com"),
                "instanceTypes": ["S4.SMALL2"],
                "internetAccessible": {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 10},
            },
        });
        self.stack.apply(&object.to_string()).ok().unwrap();
    }

    /// The object.
    pub fn object(&self, name: &str) -> Value {
        let namespace = format!("--namespace={}", self.stack.namespace());
        self.stack.get(&[&namespace, "pai", name]).unwrap()
    }

    /// Waits until the object is ready; returns it as it was then.
    pub fn wait_object_ready(&self, name: &str) -> Value {
        wait_until(&format!("{name} to be ready"), PATIENCE, || {
            let object = self.object(name);
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready =
                conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            if ready { Ok(object) } else { Err(object["status"].to_string()) }
        })
        .unwrap()
    }

    /// The creates that reached the cloud.
    pub fn creates(&self) -> Vec<Value> {
        let mut calls = self.stack.simulator().calls().unwrap();
        calls.retain(|call| call["action"] == "CreatePaiInstance");
        calls
    }

    /// Exactly this many machines stand, and each took one create.
    pub fn assert_bought(&self, machines: usize) {
        let standing = self.stack.simulator().instances().unwrap();
        assert_eq!(
            (standing.len(), self.creates().len()),
            (machines, machines),
            "{standing:#?}\n{:#?}",
            self.creates()
        );
    }

    fn leases(&self, args: &[&str]) -> Result<String, String> {
        let namespace = format!("--namespace={}", self.stack.system_namespace());
        let args = [&[args[0], "lease", &namespace], &args[1..]].concat();
        self.stack.kubectl(&args).ok().map_err(|error| error.to_string())
    }

    /// The Lease, of which there is at most one in the operator's namespace.
    pub fn lease(&self) -> Option<Lease> {
        let list: Value = serde_json::from_str(&self.leases(&["get", "--output=json"]).unwrap()).unwrap();
        let items = list["items"].as_array().unwrap();
        assert!(items.len() <= 1, "{items:?}");
        let spec = &items.first()?["spec"];
        let time = |field: &str| spec[field].as_str().map(|text| text.parse().unwrap());
        Some(Lease {
            holder: spec["holderIdentity"].as_str().unwrap_or_default().to_owned(),
            transitions: spec["leaseTransitions"].as_i64().unwrap_or_default(),
            acquired: time("acquireTime"),
            renewed: time("renewTime"),
        })
    }

    /// Deletes the Lease, as a person does.
    pub fn delete_lease(&self) {
        self.leases(&["delete", "--all"]).unwrap();
    }

    /// Writes another holder into the Lease, as a thief would.
    pub fn give_lease_to(&self, holder: &str) {
        let name = self.leases(&["get", "--output=jsonpath={.items[0].metadata.name}"]).unwrap();
        let patch = json!({"spec": {"holderIdentity": holder}}).to_string();
        self.leases(&["patch", &name, "--type=merge", "-p", &patch]).unwrap();
    }

    /// Waits until the Lease is such.
    pub fn wait_lease(&self, what: &str, probe: impl Fn(&Lease) -> bool) -> Lease {
        wait_until(what, PATIENCE, || match self.lease() {
            Some(lease) if probe(&lease) => Ok(lease),
            other => Err(format!("{other:?}")),
        })
        .unwrap()
    }
}

/// Whether the process says that it leads. One that does not run, or cannot answer, does not say so.
pub fn leads(operator: &Operator) -> bool {
    matches!(operator.metric(LEADS), Ok(Some(1.0)))
}

/// Waits until it says that it leads, while the other never does at the same time.
pub fn wait_leads(operator: &Operator, other: &Operator) {
    wait_until("the operator to lead", PATIENCE, || {
        operator.check_alive().unwrap();
        assert_not_both(operator, other);
        if leads(operator) { Ok(()) } else { Err("it does not".to_owned()) }
    })
    .unwrap();
}

/// Both pages cannot be read at one moment. But one that led before and after the other was asked led in between, for nobody leads
/// twice: a process that loses its lease ends.
pub fn assert_not_both(one: &Operator, other: &Operator) {
    let both = leads(one) && leads(other) && leads(one);
    assert!(!both, "two processes lead at once");
}

/// Waits until it has ended by itself, which must be a failure: somebody shall start it again.
pub fn wait_failed(operator: &Operator) {
    let status = wait_until("the operator to end", PATIENCE, || operator.exited().ok_or_else(|| "it runs".to_owned()));
    assert_eq!(status.unwrap().code(), Some(1));
}

/// Where in the log a message stands first.
pub fn position(operator: &Operator, message: &str) -> Option<usize> {
    operator
        .log_records()
        .iter()
        .position(|record| record["message"].as_str().is_some_and(|text| text.starts_with(message)))
}

/// Waits until it has logged a message.
pub fn wait_logged(operator: &Operator, message: &str) {
    let probe = || position(operator, message).ok_or_else(|| "it does not stand in the log".to_owned());
    wait_until(&format!("the log to say {message:?}"), PATIENCE, probe).unwrap();
}
