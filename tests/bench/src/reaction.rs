//! Which cloud call is the first that an object caused. Pure.
//!
//! A call counts for an object only where it names it: by the UID's digits in an `instance-name` filter, by its domain
//! in a create, by its id in a terminate or a describe. A describe that names it beside machines which nobody touched is
//! a sweep and does not count: the operator would have made it anyway. So a reaction that rides on a sweep's batch is
//! counted later than it was, never earlier. The listing of all PAI instances before a create names nobody; where only
//! one creation is under way it is that creation's, so its time is told beside.

use std::collections::BTreeSet;

use crate::cloud::Call;

/// The object whose first call is looked for.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The UID without its hyphens: the end of the operator's marker.
    pub uid: String,
    /// Its domain.
    pub domain: String,
    /// Its machine, for a deletion.
    pub id: Option<String>,
}

impl Subject {
    /// Whether the call belongs to it. `touched` are the machines of objects that were made or deleted in the scenario.
    pub fn owns(&self, call: &Call, touched: &BTreeSet<String>) -> bool {
        let mine = |id: &&str| self.id.as_deref() == Some(*id);
        match call.action.as_str() {
            "CreatePaiInstance" => call.domain() == Some(self.domain.as_str()),
            "TerminateInstances" => call.ids().iter().any(mine),
            "DescribeInstances" => {
                let ids = call.ids();
                let sweep = ids.iter().any(|id| !mine(id) && !touched.contains(*id));
                (ids.iter().any(mine) && !sweep)
                    || call.filter_values().iter().any(|value| !self.uid.is_empty() && value.ends_with(&self.uid))
            }
            _ => false,
        }
    }
}

/// Whether it is the first page of the listing that precedes a create.
pub fn begins_listing(call: &Call) -> bool {
    call.action == "DescribePaiInstances" && call.parameters.get("Offset").is_none_or(|offset| offset == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn call(action: &str, parameters: &Value) -> Call {
        let entry = json!({
            "time": "2026-11-26T10:00:00Z", "action": action, "outcome": "ok", "parameters": parameters,
        });
        Call::read(&entry).unwrap()
    }

    fn subject() -> Subject {
        Subject { uid: "f1ae".into(), domain: "a.test".into(), id: Some("ins-a".into()) }
    }

    fn owns(action: &str, parameters: &Value) -> bool {
        subject().owns(&call(action, parameters), &BTreeSet::from(["ins-new".to_owned()]))
    }

    #[test]
    fn calls_that_name_the_object_are_its_own() {
        assert!(owns("CreatePaiInstance", &json!({"DomainName": "a.test"})));
        assert!(owns("TerminateInstances", &json!({"InstanceIds": ["ins-a"]})));
        assert!(owns("DescribeInstances", &json!({"InstanceIds": ["ins-a"]})));
        assert!(owns("DescribeInstances", &json!({"InstanceIds": ["ins-new", "ins-a"]})));
        let by_name = json!({"Filters": [{"Name": "instance-name", "Values": ["default-a-f1ae"]}]});
        assert!(owns("DescribeInstances", &by_name));
    }

    #[test]
    fn calls_for_others_are_not() {
        assert!(!owns("CreatePaiInstance", &json!({"DomainName": "b.test"})));
        assert!(!owns("TerminateInstances", &json!({"InstanceIds": ["ins-b"]})));
        assert!(!owns("DescribeInstances", &json!({"InstanceIds": ["ins-new"]})));
        let by_name = json!({"Filters": [{"Name": "instance-name", "Values": ["default-a-0000"]}]});
        assert!(!owns("DescribeInstances", &by_name));
        assert!(!owns("DescribePaiInstances", &json!({"Offset": 0})));
    }

    #[test]
    fn a_sweep_that_happens_to_name_it_is_not() {
        assert!(!owns("DescribeInstances", &json!({"InstanceIds": ["ins-a", "ins-resident"]})));
    }

    #[test]
    fn the_first_page_of_the_listing() {
        assert!(begins_listing(&call("DescribePaiInstances", &json!({"Limit": 100}))));
        assert!(begins_listing(&call("DescribePaiInstances", &json!({"Offset": 0}))));
        assert!(!begins_listing(&call("DescribePaiInstances", &json!({"Offset": 99}))));
    }
}
