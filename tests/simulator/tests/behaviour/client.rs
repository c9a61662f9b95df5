//! A client of the core on a virtual clock: signs, calls and unwraps the envelope.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tencentcloud_simulator::signature::{Parts, sign};
use tencentcloud_simulator::{Account, Cloud, Config, Effect, Handling, HttpRequest, Rule};

pub const ID: &str = "AKIDtest";
pub const KEY: &str = "key-of-the-test";
pub const REGION: &str = "ap-guangzhou";

/// The account that the tests use.
pub fn account() -> Account {
    Account::new(ID, KEY)
}

/// What a client says about itself.
#[derive(Clone)]
pub struct Client {
    pub id: String,
    pub key: String,
    pub token: Option<String>,
    pub region: Option<String>,
    pub host: String,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: ID.to_owned(),
            key: KEY.to_owned(),
            token: None,
            region: Some(REGION.to_owned()),
            host: "simulator.test:9000".to_owned(),
        }
    }
}

/// Service and version of an action.
pub fn service_of(action: &str) -> (&'static str, &'static str) {
    match action {
        "AssumeRole" => ("sts", "2018-08-13"),
        name if name.contains("Pai") => ("as", "2018-04-19"),
        _ => ("cvm", "2017-03-12"),
    }
}

impl Client {
    /// A signed POST.
    pub fn post(&self, action: &str, parameters: &Value, now: Timestamp) -> HttpRequest {
        self.post_bytes(action, parameters.to_string().into_bytes(), now)
    }

    /// A signed POST of any body.
    pub fn post_bytes(&self, action: &str, body: Vec<u8>, now: Timestamp) -> HttpRequest {
        let content_type = "application/json";
        let request = HttpRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
            ..HttpRequest::default()
        };
        self.sign(request, action, true, now)
    }

    /// A signed GET, with the headers that the vendor's SDKs sign.
    pub fn get(&self, action: &str, query: &str, now: Timestamp) -> HttpRequest {
        let content_type = "application/x-www-form-urlencoded";
        let request = HttpRequest {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            ..HttpRequest::default()
        };
        self.sign(request, action, false, now)
    }

    fn sign(&self, mut request: HttpRequest, action: &str, all: bool, now: Timestamp) -> HttpRequest {
        let (service, version) = service_of(action);
        let content_type = request.header("content-type").unwrap().to_owned();
        let mut headers = vec![("content-type", content_type.as_str()), ("host", &self.host)];
        if all {
            headers.push(("x-tc-action", action));
        }
        let parts = Parts {
            method: &request.method,
            query: &request.query,
            headers: &headers,
            payload: &request.body,
            unsigned_payload: false,
            service,
            timestamp: now.as_second(),
        };
        let signed = sign(&parts, &self.id, &self.key).unwrap();
        let mut add = |name: &str, value: &str| {
            request.headers.push((name.to_owned(), value.to_owned()));
        };
        add("Host", &self.host);
        add("Authorization", &signed.authorization);
        add("X-TC-Action", action);
        add("X-TC-Version", version);
        add("X-TC-Timestamp", &now.as_second().to_string());
        if let Some(region) = &self.region {
            add("X-TC-Region", region);
        }
        if let Some(token) = &self.token {
            add("X-TC-Token", token);
        }
        request
    }
}

/// The core with a clock that moves only when told to.
pub struct World {
    pub cloud: Cloud,
    pub now: Timestamp,
    pub client: Client,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default().account(account()))
    }

    pub fn with(config: Config) -> Self {
        Self {
            cloud: Cloud::new(config),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            client: Client::default(),
        }
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn send(&mut self, request: &HttpRequest) -> Handling {
        self.cloud.handle(request, self.now)
    }

    /// `Response` of the envelope.
    pub fn call(&mut self, action: &str, parameters: &Value) -> Value {
        let request = self.client.post(action, parameters, self.now);
        response(&self.send(&request))
    }

    /// The call's error code, or `ok`.
    pub fn code(&mut self, action: &str, parameters: &Value) -> String {
        code(&self.call(action, parameters))
    }

    /// Buys one machine and returns its id.
    pub fn buy(&mut self, domain: &str) -> String {
        first_id(&self.call("CreatePaiInstance", &minimal(domain)))
    }

    /// Buys one machine and waits until it runs.
    pub fn running(&mut self, domain: &str) -> String {
        let id = self.buy(domain);
        self.wait(5);
        assert_eq!(self.state(&id), "RUNNING");
        id
    }

    /// What `DescribeInstances` says about one id, null if nothing.
    pub fn describe(&mut self, id: &str) -> Value {
        self.call("DescribeInstances", &json!({"InstanceIds": [id]}))["InstanceSet"][0].clone()
    }

    /// `InstanceState`, or `gone`.
    pub fn state(&mut self, id: &str) -> String {
        self.describe(id)["InstanceState"].as_str().unwrap_or("gone").to_owned()
    }

    /// Adds a fault rule for the next call of `action`.
    pub fn spoil(&mut self, action: &str, effect: &Value) {
        let effect: Effect = serde_json::from_value(effect.clone()).unwrap();
        self.cloud.add_fault(Rule { action: action.to_owned(), after: 0, times: 1, effect });
    }

    /// Machines that still cost money.
    pub fn billed(&self) -> usize {
        self.cloud.state()["instances"].as_array().unwrap().len()
    }
}

/// `Response` of the envelope of an answer that arrives whole.
pub fn response(handling: &Handling) -> Value {
    let body: Value = serde_json::from_slice(&handling.response.body).unwrap();
    assert_eq!(handling.response.status, 200);
    assert!(body["Response"]["RequestId"].is_string(), "{body}");
    body["Response"].clone()
}

/// The error code of a `Response`, or `ok`.
pub fn code(response: &Value) -> String {
    response["Error"]["Code"].as_str().unwrap_or("ok").to_owned()
}

/// The first id of a create's answer.
pub fn first_id(response: &Value) -> String {
    let id = response["InstanceIdSet"][0].as_str();
    assert!(id.is_some(), "{response}");
    id.unwrap_or_default().to_owned()
}

/// The parameters that are required, no more.
pub fn minimal(domain: &str) -> Value {
    json!({"DomainName": domain, "InternetAccessible": {"InternetMaxBandwidthOut": 1}})
}

/// The page example, without what the page does not define.
pub fn example() -> Value {
    json!({
        "DomainName": "apple-gz012345.pai.tcloudbase.com",
        "InitScript": "IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==",
        "Zones": ["ap-guangzhou-2"],
        "InstanceChargeType": "POSTPAID_BY_HOUR",
        "InstanceTypes": ["S4.SMALL2"],
        "InternetAccessible": {
            "InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR",
            "InternetMaxBandwidthOut": 10,
        },
        "InstanceName": "PAI-TEST",
        "LoginSettings": {"Password": "PAI@Test123"},
    })
}

/// `base` with some members replaced or, where null, removed.
pub fn with(mut base: Value, changes: &Value) -> Value {
    let object = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    base
}
