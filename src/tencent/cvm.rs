//! Requests and replies of the machine actions (service `cvm`, version 2017-03-12). Needs nothing; must take a state
//! or a field that it does not know for what it is, not for an error.

use std::fmt;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::instance_state::InstanceState;
use super::lenient;

/// Most ids in one call, and the largest page. Source: CVM API page.
pub const MAX_PAGE: usize = 100;

/// Name of the filter on the display name. Whether it is exact is not said: compare the names yourself.
pub const INSTANCE_NAME_FILTER: &str = "instance-name";

/// A machine's id such as `ins-bmmk7d75`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct InstanceId(String);

impl InstanceId {
    /// Takes any text: the cloud makes the ids, and promises no form.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(D::Error::custom("an instance id is empty"));
        }
        Ok(Self(text))
    }
}

/// A condition of a listing: one of the values must fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    /// Such as [`INSTANCE_NAME_FILTER`].
    pub name: String,
    /// At most five.
    pub values: Vec<String>,
}

/// Parameters of `DescribeInstances`: ids or filters, not both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstances {
    /// At most [`MAX_PAGE`]. Unknown and destroyed ones are left out of the reply without an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instance_ids: Vec<InstanceId>,
    /// All of these must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Number of entries to pass over; 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Page size; **20** by default also when more ids are asked for, at most [`MAX_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl DescribeInstances {
    /// Asks for these ids, with the page size that shows them all.
    pub fn by_ids(instance_ids: Vec<InstanceId>) -> Self {
        let limit = u64::try_from(instance_ids.len()).ok();
        Self { instance_ids, limit, ..Self::default() }
    }

    /// Asks for one page of the machines with that display name, from `offset` on.
    pub fn by_name(name: &str, offset: u64) -> Self {
        let filter = Filter { name: INSTANCE_NAME_FILTER.to_owned(), values: vec![name.to_owned()] };
        Self { filters: vec![filter], offset: Some(offset), limit: u64::try_from(MAX_PAGE).ok(), ..Self::default() }
    }
}

/// Parameters of `TerminateInstances`. One id per call: a batch fails as a whole on one bad id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminateInstances {
    /// The machine to destroy.
    pub instance_ids: [InstanceId; 1],
}

/// Reply to `DescribeInstances`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DescribeInstancesReply {
    /// How many there are over all pages; none if the cloud did not say.
    #[serde(rename = "TotalCount", default, deserialize_with = "lenient::scalar")]
    pub total_count: Option<u64>,
    /// This page. The texts in it are the cloud's own; only the operation's error message is bounded and freed of
    /// secrets.
    #[serde(rename = "InstanceSet", default, deserialize_with = "lenient::whole_list")]
    pub instances: Vec<Instance>,
}

/// One machine, as far as the operator reads it. Null, absent, empty and misshapen values all read as none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Instance {
    /// The machine.
    pub instance_id: InstanceId,
    /// Display name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub instance_name: Option<String>,
    /// What it is doing; `Other("")` when the reply does not say.
    #[serde(default, deserialize_with = "lenient::scalar")]
    pub instance_state: InstanceState,
    /// Machine type.
    #[serde(default, deserialize_with = "lenient::text")]
    pub instance_type: Option<String>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient::object")]
    pub placement: Placement,
    /// Billing.
    #[serde(default, deserialize_with = "lenient::text")]
    pub instance_charge_type: Option<String>,
    /// Public addresses.
    #[serde(default, deserialize_with = "lenient::list")]
    pub public_ip_addresses: Vec<String>,
    /// Private addresses.
    #[serde(default, deserialize_with = "lenient::list")]
    pub private_ip_addresses: Vec<String>,
    /// Last operation, such as `TerminateInstances`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub latest_operation: Option<String>,
    /// `SUCCESS`, `OPERATING` or `FAILED`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub latest_operation_state: Option<String>,
    /// Why it failed; bounded and without secrets as an [`super::ApiError`]'s message.
    #[serde(default, deserialize_with = "lenient::text")]
    pub latest_operation_error_msg: Option<String>,
    /// `NORMAL`, `EXPIRED` or `PROTECTIVELY_ISOLATED`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub restrict_state: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_time: Option<Timestamp>,
    /// When a prepaid machine's term ends.
    #[serde(default, deserialize_with = "lenient::time")]
    pub expired_time: Option<Timestamp>,
}

/// Where a machine stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Placement {
    /// Such as `ap-guangzhou-2`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub zone: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(instance: &Value) -> Instance {
        serde_json::from_value(instance.clone()).unwrap()
    }

    const OPTIONAL: [&str; 13] = [
        "InstanceName",
        "InstanceState",
        "InstanceType",
        "Placement",
        "InstanceChargeType",
        "PublicIpAddresses",
        "PrivateIpAddresses",
        "LatestOperation",
        "LatestOperationState",
        "LatestOperationErrorMsg",
        "RestrictState",
        "CreatedTime",
        "ExpiredTime",
    ];

    #[test]
    fn null_absent_and_misshapen_read_alike() {
        let bare = read(&json!({"InstanceId": "ins-1"}));
        assert_eq!(bare.instance_state, InstanceState::Other(String::new()));
        for field in OPTIONAL {
            for odd in [json!(null), json!(7), json!([[]]), json!([null])] {
                let instance = json!({"InstanceId": "ins-1", field: odd});
                assert_eq!(read(&instance), bare, "{instance}");
            }
        }
        for field in OPTIONAL {
            let instance = json!({"InstanceId": "ins-1", field: ""});
            assert_eq!(read(&instance), bare, "{instance}");
        }
        let odd_inside = json!({"InstanceId": "ins-1", "Placement": {"Zone": 7}, "Unknown": {"a": [1]}});
        assert_eq!(read(&odd_inside), bare);
    }

    #[test]
    fn a_whole_instance_is_read() {
        let instance = read(&json!({
            "InstanceId": "ins-1",
            "InstanceName": "PAI-TEST",
            "InstanceState": "RUNNING",
            "InstanceType": "S4.SMALL2",
            "Placement": {"Zone": "ap-guangzhou-2", "ProjectId": 0},
            "InstanceChargeType": "POSTPAID_BY_HOUR",
            "PublicIpAddresses": ["203.0.113.7"],
            "PrivateIpAddresses": ["10.0.0.7"],
            "Tags": [{"Key": "a", "Value": {"deep": [[{}]]}}],
            "LatestOperation": "RunInstances",
            "LatestOperationState": "SUCCESS",
            "RestrictState": "NORMAL",
            "CreatedTime": "2026-01-02T03:04:05Z",
            "ExpiredTime": "2026-02-02T03:04:05+00:00",
        }));
        assert_eq!(instance.instance_state, InstanceState::Running);
        assert_eq!(instance.placement.zone.as_deref(), Some("ap-guangzhou-2"));
        assert_eq!(instance.created_time.unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(instance.expired_time.unwrap().to_string(), "2026-02-02T03:04:05Z");
    }

    #[test]
    fn asking_by_id_asks_for_all_of_them() {
        let ids: Vec<InstanceId> = (0..100).map(|n| InstanceId::new(format!("ins-{n}"))).collect();
        let request = serde_json::to_value(DescribeInstances::by_ids(ids)).unwrap();
        assert_eq!(request.get("Limit"), Some(&json!(100)));
        assert_eq!(request.get("Filters"), None);
        assert_eq!(
            serde_json::to_value(DescribeInstances::by_name("PAI", 99)).unwrap(),
            json!({"Filters": [{"Name": "instance-name", "Values": ["PAI"]}], "Offset": 99, "Limit": 100})
        );
        let terminate = TerminateInstances { instance_ids: [InstanceId::new("ins-1")] };
        assert_eq!(serde_json::to_value(terminate).unwrap(), json!({"InstanceIds": ["ins-1"]}));
    }
}
