//! The pages under `/_simulator/`: look at the cloud, change it from outside, make it misbehave. Pure; unsigned,
//! so whoever serves them must let only local callers through.

use crate::cloud::Cloud;
use crate::config::Account;
use crate::faults::Rule;
use crate::http::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Path under which the pages live.
pub const PREFIX: &str = "/_simulator/";

/// Answers one request to the pages at the time `now`.
pub fn handle(cloud: &mut Cloud, request: &HttpRequest, now: Timestamp) -> HttpResponse {
    cloud.advance(now);
    let (status, body) = match answer(cloud, request) {
        Ok(body) => (200, body),
        Err((status, why)) => (status, json!({ "error": why })),
    };
    HttpResponse::json(status, &body, now)
}

type Refusal = (u16, String);

/// A key with an account of its own, as `--account` takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    id: String,
    key: String,
    token: Option<String>,
}

fn answer(cloud: &mut Cloud, request: &HttpRequest) -> Result<Value, Refusal> {
    let page = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), page) {
        ("GET", "state") => Ok(cloud.state()),
        ("GET", "calls") => Ok(json!(cloud.calls(since(&request.query)?).collect::<Vec<_>>())),
        ("GET", "faults") => Ok(json!(cloud.faults())),
        ("POST", "faults") => {
            let rule: Rule =
                serde_json::from_slice(&request.body).map_err(|error| (400, format!("not a fault rule: {error}")))?;
            if !rule.effect.valid() {
                return Err((400, "a figure of the effect is out of range".to_owned()));
            }
            cloud.add_fault(rule);
            Ok(json!(cloud.faults()))
        }
        ("DELETE", "faults") => {
            cloud.clear_faults();
            Ok(json!([]))
        }
        ("POST", "accounts") => {
            let new: NewAccount =
                serde_json::from_slice(&request.body).map_err(|error| (400, format!("not an account: {error}")))?;
            let account = Account::new(new.id, new.key);
            cloud.add_account(match new.token {
                Some(token) => account.token(token),
                None => account,
            });
            Ok(json!({}))
        }
        ("POST", "instances") => {
            let machines: Vec<Map<String, Value>> = serde_json::from_slice(&request.body)
                .map_err(|error| (400, format!("not a list of JSON objects: {error}")))?;
            cloud.stock(&machines).map_err(|why| (400, why))?;
            Ok(json!({"added": machines.len()}))
        }
        ("POST", "reset") => {
            cloud.reset();
            Ok(json!({}))
        }
        (method, page) => match (method, page.strip_prefix("instances/")) {
            ("GET" | "POST" | "DELETE", Some(id)) => instance(cloud, request, id),
            _ => Err((404, "no such page".to_owned())),
        },
    }
}

/// Shows, changes or terminates one machine.
fn instance(cloud: &mut Cloud, request: &HttpRequest, id: &str) -> Result<Value, Refusal> {
    let missing = || (404, "no such instance".to_owned());
    match request.method.as_str() {
        "POST" => {
            let fields: Map<String, Value> =
                serde_json::from_slice(&request.body).map_err(|error| (400, format!("not a JSON object: {error}")))?;
            let changed = cloud.change(id, &fields).ok_or_else(missing)?;
            changed.map_err(|why| (400, why))?;
        }
        "DELETE" if !cloud.destroy(id) => return Err(missing()),
        _ => {}
    }
    let instance = cloud.instance(id).ok_or_else(missing)?;
    Ok(instance.describe())
}

fn since(query: &str) -> Result<u64, Refusal> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("since=")).unwrap_or("0");
    value.parse().map_err(|_| (400, "since is not a number".to_owned()))
}
