//! The land of one run: a stack of its own with one or two operators, and the objects in it.

use std::time::Duration;

use pai_harness::{Error, Operator, Options, Stack, wait_until};
use serde_json::{Value, json};

/// How long anything but coming to rest may take. Generous: it only matters when something is broken.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// The Lease of the second operator.
const OTHER_LEASE: &str = "another";

pub struct Land {
    pub stack: Stack,
    second: Option<Operator>,
}

impl Land {
    /// A cloud that sells one domain twice if it is asked to, and takes long enough to answer that a kill can come in between.
    pub fn start(operators: usize) -> Self {
        let stack = Stack::start(Options {
            simulator_args: ["--domain-policy=shared", "--latency=200ms"].map(str::to_owned).into(),
            operator_args: vec!["--settle-window=20s".to_owned()],
            start_operator: false,
            ..Options::default()
        })
        .unwrap();
        let second = (operators == 2).then(|| second_operator(&stack));
        Self { stack, second }
    }

    pub fn operators(&self) -> Vec<&Operator> {
        std::iter::once(self.stack.operator()).chain(&self.second).collect()
    }

    /// kubectl in the objects' namespace, again and again while the API server is away.
    pub fn kubectl(&self, args: &[&str]) -> String {
        wait_until(&args.join(" "), PATIENCE, || self.stack.kubectl(args).ok().map_err(|error| error.to_string()))
            .unwrap()
    }

    /// Applies an object, as long as it takes.
    pub fn apply(&self, object: &Value) {
        let text = object.to_string();
        wait_until("an object to be applied", PATIENCE, || {
            self.stack.apply(&text).ok().map_err(|error| error.to_string())
        })
        .unwrap();
    }

    /// All objects; an error while the API server is away.
    pub fn objects(&self) -> Result<Vec<Value>, Error> {
        Ok(self.stack.get(&["pai"])?["items"].as_array().cloned().unwrap_or_default())
    }

    /// What the operators have logged, over all their lives.
    pub fn logs(&self) -> Vec<Value> {
        self.operators().iter().flat_map(|operator| operator.log_records()).collect()
    }
}

/// A second operator of the release that competes for a Lease of its own.
fn second_operator(stack: &Stack) -> Operator {
    let namespace = format!("--namespace={}", stack.system_namespace());
    let name = format!("--resource-name={OTHER_LEASE}");
    let role = ["create", "role", "other-lease", &namespace, "--verb=get,update", "--resource=leases", &name];
    stack.kubectl(&role).ok().unwrap();
    let user = format!("--user={}", stack.operator_user().unwrap());
    let binding = ["create", "rolebinding", "other-lease", &namespace, "--role=other-lease", &user];
    stack.kubectl(&binding).ok().unwrap();
    stack.another_operator("other").unwrap().with_args(&[&format!("--lease-name={OTHER_LEASE}")])
}

/// The object of this number: most are billed by the hour under a generated name, some have a name that several share, some are prepaid.
pub fn object(number: usize) -> Value {
    let name = format!("chaos-{number:03}");
    let mut object = json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": {"name": pai_harness::SECRET_NAME},
            "domainName": format!("{name}.pai.tcloudbase.com"),
            "instanceTypes": ["S4.SMALL2"],
            "internetAccessible": {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 10},
        },
    });
    match number % 6 {
        4 => object["spec"]["instanceName"] = json!("shared-name"),
        5 => {
            object["spec"]["instanceChargeType"] = json!("PREPAID");
            object["spec"]["instanceChargePrepaid"] = json!({"period": 1});
        }
        _ => {}
    }
    object
}

/// One condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// The text of a JSON string, empty for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The strings of a JSON list.
pub fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| text(item).to_owned()).collect()
}
