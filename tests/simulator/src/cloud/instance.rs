//! One machine: its fields, its life, and how CVM and the admin page show it. Pure.

use crate::http::rfc3339;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Last operation on a machine, as `LatestOperation*` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) error: Option<String>,
}

/// A machine. Fields named as in the CVM API hold what the API shows.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `InstanceId`.
    pub id: String,
    /// Account that pays.
    pub owner: String,
    /// Region it lives in.
    pub region: String,
    /// `Placement.Zone`.
    pub zone: String,
    /// `InstanceName`.
    pub name: String,
    /// Its domain; `None` where the DNS step failed.
    pub domain: Option<String>,
    /// `InstanceType`.
    pub instance_type: String,
    /// `InstanceChargeType`.
    pub charge_type: String,
    /// `InstanceState`, an open set.
    pub state: String,
    /// `CreatedTime`.
    pub created: Timestamp,
    /// From when on it is listed.
    pub visible_from: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) renew_flag: Option<String>,
    pub(crate) internet: Map<String, Value>,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) key_ids: Vec<String>,
    pub(crate) system_disk: Map<String, Value>,
    pub(crate) private_ip: String,
    /// The address it gets once it runs, where one was asked for.
    pub(crate) public_ip: Option<String>,
    pub(crate) uuid: String,
    pub(crate) operation: Option<Operation>,
    pub(crate) protected: bool,
    pub(crate) launch_fails: bool,
    /// Fields set from outside that nothing here depends on.
    pub(crate) set: Map<String, Value>,
}

/// Fields that `POST instances/ID` may set besides those that have a meaning here.
const SETTABLE: &[&str] = &[
    "RestrictState",
    "IsolatedSource",
    "StopChargingMode",
    "LatestOperation",
    "LatestOperationState",
    "LatestOperationErrorMsg",
    "PublicIpAddresses",
    "PrivateIpAddresses",
    "InstanceType",
    "InternetAccessible",
    "SecurityGroupIds",
    "Tags",
    "RenewFlag",
    "ExpiredTime",
    "CreatedTime",
];

impl Instance {
    /// Whether it still costs money: all but a failed launch, which is never billed.
    pub fn billed(&self) -> bool {
        self.state != "LAUNCH_FAILED"
    }

    /// Whether its domain is taken.
    pub(crate) fn holds(&self, domain: &str) -> bool {
        self.billed() && self.domain.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(domain))
    }

    pub(crate) fn prepaid(&self) -> bool {
        self.charge_type == "PREPAID"
    }

    pub(crate) fn operate(&mut self, name: &str, state: &'static str) {
        self.operation = Some(Operation { name: name.to_owned(), state, error: None });
    }

    /// Ends PENDING, one way or the other.
    pub(crate) fn launched(&mut self) {
        if self.launch_fails {
            "LAUNCH_FAILED".clone_into(&mut self.state);
            self.operate("RunInstances", "FAILED");
            if let Some(operation) = &mut self.operation {
                operation.error = Some("The instance could not be launched.".to_owned());
            }
        } else {
            "RUNNING".clone_into(&mut self.state);
            self.operate("RunInstances", "SUCCESS");
        }
    }

    /// Public addresses, none while it is being created.
    pub(crate) fn public_ips(&self) -> Vec<&str> {
        let assigned = !matches!(self.state.as_str(), "PENDING" | "LAUNCH_FAILED");
        self.public_ip.as_deref().filter(|_| assigned).into_iter().collect()
    }

    /// Sets a field from outside; says which field cannot be set.
    pub(crate) fn set_field(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match (name, value) {
            ("InstanceState", Value::String(state)) => self.state.clone_from(state),
            ("InstanceName", Value::String(text)) => self.name.clone_from(text),
            ("InstanceChargeType", Value::String(text)) => self.charge_type.clone_from(text),
            ("DomainName", Value::String(text)) => self.domain = Some(text.clone()),
            ("DomainName", Value::Null) => self.domain = None,
            ("DisableApiTermination", Value::Bool(on)) => self.protected = *on,
            (name, value) if SETTABLE.contains(&name) => {
                self.set.insert(name.to_owned(), value.clone());
            }
            (name, _) => return Err(format!("{name} cannot be set, or not to this")),
        }
        Ok(())
    }

    /// The entry of `InstanceSet`, with null where CVM gives null.
    pub(crate) fn describe(&self) -> Value {
        let public: Vec<&str> = self.public_ips();
        let public = if public.is_empty() { Value::Null } else { public.into() };
        let operation = self.operation.as_ref();
        let mut shown = json!({
            "Placement": {"Zone": self.zone, "ProjectId": 0, "HostId": null, "HostIds": null},
            "InstanceId": self.id,
            "InstanceName": self.name,
            "InstanceState": self.state,
            "InstanceType": self.instance_type,
            "InstanceChargeType": self.charge_type,
            "CPU": 1,
            "Memory": 2,
            "RestrictState": "NORMAL",
            "IsolatedSource": "NOTISOLATED",
            "SystemDisk": self.system_disk,
            "DataDisks": null,
            "PrivateIpAddresses": [self.private_ip],
            "PublicIpAddresses": public,
            "IPv6Addresses": null,
            "RdmaIpAddresses": null,
            "InternetAccessible": self.internet,
            "VirtualPrivateCloud": {"VpcId": self.vpc_id, "SubnetId": self.subnet_id, "AsVpcGateway": false},
            "ImageId": "img-pai00000",
            "OsName": "Ubuntu Server 18.04.1 LTS 64bit",
            "RenewFlag": self.renew_flag,
            "CreatedTime": rfc3339(self.created),
            "ExpiredTime": self.expires.map(rfc3339),
            "SecurityGroupIds": ["sg-pai00000"],
            "LoginSettings": {"KeyIds": if self.key_ids.is_empty() { Value::Null } else { self.key_ids.clone().into() }},
            "Tags": [],
            "StopChargingMode": "NOT_APPLICABLE",
            "Uuid": self.uuid,
        });
        if let Value::Object(shown) = &mut shown {
            let more = json!({
                "LatestOperation": operation.map(|operation| operation.name.as_str()),
                "LatestOperationState": operation.map(|operation| operation.state),
                "LatestOperationRequestId": null,
                "LatestOperationErrorMsg": operation.and_then(|operation| operation.error.as_deref()),
                "DisableApiTermination": self.protected,
                "CamRoleName": null,
                "HpcClusterId": "",
                "DedicatedClusterId": "",
                "DisasterRecoverGroupId": "",
                "DefaultLoginUser": "ubuntu",
                "DefaultLoginPort": 22,
            });
            if let Value::Object(more) = more {
                shown.extend(more);
            }
            shown.extend(self.set.clone());
        }
        shown
    }

    /// The entry of the admin page `state`.
    pub(crate) fn summary(&self) -> Value {
        json!({
            "InstanceId": self.id,
            "InstanceName": self.name,
            "DomainName": self.domain.as_deref().unwrap_or_default(),
            "InstanceState": self.state,
            "Region": self.region,
            "Zone": self.zone,
            "InstanceType": self.instance_type,
            "InstanceChargeType": self.charge_type,
            "CreatedTime": rfc3339(self.created),
            "account": self.owner,
        })
    }
}
