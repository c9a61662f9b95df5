//! The books: what the cloud made, against what the objects say. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::land::{condition, text, texts};

/// A create that has not left by then never does: the operator lets none go later than 10 s after its signature.
const NEVER_SENT_AFTER: SignedDuration = SignedDuration::from_secs(20);

/// Machines that were made while another of the same domain stood, from all calls in order.
pub fn duplicates(calls: &[Value]) -> Vec<String> {
    let mut standing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut duplicates = Vec::new();
    for call in calls {
        let domain = text(&call["parameters"]["DomainName"]);
        for id in texts(&call["created"]) {
            let of_domain = standing.entry(domain.to_owned()).or_default();
            if !of_domain.is_empty() {
                duplicates.push(id.clone());
            }
            of_domain.insert(id);
        }
        if call["action"] == "TerminateInstances" && call["outcome"] == "ok" {
            for id in texts(&call["parameters"]["InstanceIds"]) {
                for of_domain in standing.values_mut() {
                    of_domain.remove(&id);
                }
            }
        }
    }
    duplicates
}

/// Whether two of these machines have one domain.
pub fn bought_twice(machines: &[Value]) -> bool {
    let domains: BTreeSet<&str> = machines.iter().map(|machine| text(&machine["DomainName"])).collect();
    domains.len() < machines.len()
}

/// Machines that no object knows of.
pub fn leaks(machines: &[Value], objects: &[Value]) -> Vec<String> {
    let known: BTreeSet<String> = objects.iter().flat_map(|object| texts(&object["status"]["instanceIds"])).collect();
    let ids = machines.iter().map(|machine| text(&machine["InstanceId"]).to_owned());
    ids.filter(|id| !known.contains(id)).collect()
}

/// Objects that are not ready on exactly one machine that stands, with what they say.
pub fn not_at_rest(objects: &[Value], machines: &[Value]) -> Vec<String> {
    let standing: BTreeSet<&str> = machines.iter().map(|machine| text(&machine["InstanceId"])).collect();
    let at_rest = |object: &Value| {
        let ready = condition(object, "Ready").is_some_and(|ready| ready["status"] == "True");
        let ids = texts(&object["status"]["instanceIds"]);
        ready && ids.len() == 1 && standing.contains(ids[0].as_str()) && condition(object, "Stalled").is_none()
    };
    let tell = |object: &Value| format!("{} {}", text(&object["metadata"]["name"]), object["status"]);
    objects.iter().filter(|object| !at_rest(object)).map(tell).collect()
}

/// Whether the last create of the object is searched for and never came to the cloud: its operator was killed between the intent and
/// the request. It takes more than six minutes until that is believed.
pub fn never_arrived(object: &Value, calls: &[Value], now: Timestamp) -> bool {
    let attempt = &object["status"]["createAttempt"];
    let Ok(signed_at) = text(&attempt["signedAt"]).parse::<Timestamp>() else { return false };
    let domain = &object["spec"]["domainName"];
    let arrived =
        calls.iter().any(|call| call["action"] == "CreatePaiInstance" && call["parameters"]["DomainName"] == *domain);
    attempt["state"] == "Uncertain" && !arrived && now > signed_at + NEVER_SENT_AFTER
}

/// The attempts whose outcome was unknown for a time, from the operators' logs.
pub fn unknown(logs: &[Value]) -> BTreeSet<&str> {
    logs.iter().filter(|record| record["state"] == "Uncertain").map(|record| text(&record["attempt"])).collect()
}

/// Those of them that another process than the sender found on their way: the sender was killed, or leads beside it.
pub fn taken_over(logs: &[Value]) -> BTreeSet<&str> {
    let orphans = logs.iter().filter(|record| text(&record["why"]).contains("the operator stopped"));
    orphans.map(|record| text(&record["attempt"])).collect()
}

/// How many records have this value in a field.
pub fn count(logs: &[Value], field: &str, value: &str) -> usize {
    logs.iter().filter(|record| record[field] == value).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn create(domain: &str, ids: &[&str]) -> Value {
        json!({"action": "CreatePaiInstance", "outcome": "drop", "parameters": {"DomainName": domain}, "created": ids})
    }

    fn terminate(outcome: &str, id: &str) -> Value {
        json!({"action": "TerminateInstances", "outcome": outcome, "parameters": {"InstanceIds": [id]}, "created": []})
    }

    #[test]
    fn a_second_machine_counts_only_beside_the_first() {
        let rows: [(&[Value], &[&str]); 5] = [
            (&[create("a", &["1"]), create("b", &["2"])], &[]),
            (&[create("a", &["1"]), create("a", &["2"]), create("a", &[])], &["2"]),
            (&[create("a", &["1"]), terminate("ok", "1"), create("a", &["2"])], &[]),
            (&[create("a", &["1"]), terminate("InternalError", "1"), create("a", &["2"])], &["2"]),
            (&[create("a", &["1", "2"])], &["2"]),
        ];
        for (calls, expected) in rows {
            assert_eq!(duplicates(calls), expected, "{calls:?}");
        }
    }

    #[test]
    fn one_domain_on_two_machines_is_bought_twice() {
        let [a, b] = ["a", "b"].map(|domain| json!({"DomainName": domain}));
        assert!(!bought_twice(&[a.clone(), b]));
        assert!(bought_twice(&[a.clone(), a]));
    }

    fn object(ready: &str, ids: &[&str]) -> Value {
        json!({"status": {"instanceIds": ids, "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn machines_and_objects_belong_together_one_to_one() {
        let machines = [json!({"InstanceId": "1"}), json!({"InstanceId": "2"})];
        assert_eq!(leaks(&machines, &[object("False", &["2", "3"])]), ["1"]);
        for (object, rest) in [
            (object("True", &["1"]), true),
            (object("False", &["1"]), false),
            (object("True", &[]), false),
            (object("True", &["3"]), false),
            (object("True", &["1", "2"]), false),
            (json!({}), false),
        ] {
            assert_eq!(not_at_rest(std::slice::from_ref(&object), &machines).is_empty(), rest, "{object}");
        }
    }

    #[test]
    fn a_create_never_arrived_only_if_the_cloud_knows_of_none_and_none_can_come() {
        let signed_at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let rows = [
            ("Uncertain", "b", 21, true),
            ("Uncertain", "a", 21, false),
            ("Uncertain", "b", 20, false),
            ("Sending", "b", 21, false),
        ];
        for (state, called, seconds, expected) in rows {
            let attempt = json!({"state": state, "signedAt": signed_at});
            let object = json!({"spec": {"domainName": "a"}, "status": {"createAttempt": attempt}});
            let now = signed_at + SignedDuration::from_secs(seconds);
            assert_eq!(never_arrived(&object, &[create(called, &[])], now), expected, "{state} {called} {seconds}");
        }
        assert!(!never_arrived(&json!({}), &[], signed_at));
    }
}
