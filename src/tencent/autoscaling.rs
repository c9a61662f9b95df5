//! Requests and replies of the PAI actions (service `as`, version 2018-04-19). Needs values that were checked by the
//! caller; must not invent fields, since undefined ones earn `UnknownParameter`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::cvm::{Filter, InstanceId};
use super::lenient;
use super::redact::Redactor;

/// Parameters of `CreatePaiInstance`, which buys one machine. Source: API page; there is no client token.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatePaiInstance {
    /// Domain of the instance.
    pub domain_name: String,
    /// Public bandwidth; required, though all its fields are optional.
    pub internet_accessible: InternetAccessible,
    /// Start script, in base64 already: see [`CreatePaiInstance::encode_script`].
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "expose")]
    pub init_script: Option<SecretString>,
    /// Candidate zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    /// Candidate subnets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnet_ids: Vec<String>,
    /// Display name: the one value of ours that CVM gives back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Candidate types, tried in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instance_types: Vec<String>,
    /// How people log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_settings: Option<LoginSettings>,
    /// In the page's example but not in its table: send it only when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_disk: Option<SystemDisk>,
    /// `POSTPAID_BY_HOUR`, `SPOTPAID` or `PREPAID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_charge_type: Option<String>,
    /// Required with `PREPAID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_charge_prepaid: Option<InstanceChargePrepaid>,
}

impl CreatePaiInstance {
    /// A script in the form in which the API takes it: base64 with padding (RFC 4648, section 4).
    pub fn encode_script(script: &str) -> SecretString {
        STANDARD.encode(script).into()
    }

    /// Adds what this request holds of secrets: password and script, both as sent and as written.
    pub(super) fn add_secrets(&self, redactor: &mut Redactor) {
        let password = self.login_settings.as_ref().and_then(|login| login.password.as_ref());
        if let Some(password) = password {
            redactor.add(password.expose_secret());
        }
        if let Some(script) = &self.init_script {
            redactor.add(script.expose_secret());
            let plain = STANDARD.decode(script.expose_secret()).unwrap_or_default();
            redactor.add_script(&String::from_utf8_lossy(&plain));
        }
    }

    /// About how long the body will be, in bytes, so that no copy of the secrets is left in an outgrown buffer.
    pub(super) fn body_capacity(&self) -> usize {
        const THE_REST: usize = 16 * 1024;
        let script = self.init_script.as_ref().map_or(0, |script| script.expose_secret().len());
        script + THE_REST
    }
}

/// Public bandwidth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InternetAccessible {
    /// `TRAFFIC_POSTPAID_BY_HOUR` (the API's default) and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_charge_type: Option<String>,
    /// Mbit/s; without one above 0 there is no public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_max_bandwidth_out: Option<i64>,
    /// True by default when there is bandwidth; refused when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ip_assigned: Option<bool>,
    /// With `BANDWIDTH_PACKAGE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_package_id: Option<String>,
}

/// Login; the three fields exclude each other.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoginSettings {
    /// Password of the machine's first user.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "expose")]
    pub password: Option<SecretString>,
    /// Key pairs; one at purchase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_ids: Vec<String>,
    /// Keep what the image holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_image_login: Option<bool>,
}

/// System disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemDisk {
    /// Such as `CLOUD_PREMIUM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
    /// GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<i64>,
}

/// Term of a prepaid machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceChargePrepaid {
    /// Months.
    pub period: i64,
    /// `NOTIFY_AND_MANUAL_RENEW` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_flag: Option<String>,
}

/// Reply to `CreatePaiInstance`. An id is not success: the machine has yet to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreatePaiInstanceReply {
    /// The machines made, without doubles; empty means that the outcome is unknown.
    pub instance_ids: Vec<InstanceId>,
}

/// As it comes; apart from the reply, because an `Error` beside the ids does not take them away.
#[derive(Deserialize)]
pub(super) struct CreatedIds {
    #[serde(rename = "InstanceIdSet", default, deserialize_with = "lenient::list")]
    ids: Vec<InstanceId>,
}

impl From<CreatedIds> for CreatePaiInstanceReply {
    fn from(found: CreatedIds) -> Self {
        let mut instance_ids: Vec<InstanceId> = Vec::new();
        for id in found.ids {
            if !instance_ids.contains(&id) {
                instance_ids.push(id);
            }
        }
        Self { instance_ids }
    }
}

/// Parameters of `DescribePaiInstances`. Filter names were never published, so page without and compare here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribePaiInstances {
    /// Only these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instance_ids: Vec<InstanceId>,
    /// All of these must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Number of entries to pass over; 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Page size; 20 by default, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Reply to `DescribePaiInstances`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DescribePaiInstancesReply {
    /// How many there are over all pages; none if the cloud did not say.
    #[serde(rename = "TotalCount", default, deserialize_with = "lenient::scalar")]
    pub total_count: Option<u64>,
    /// This page.
    #[serde(rename = "PaiInstanceSet", default, deserialize_with = "lenient::whole_list")]
    pub instances: Vec<PaiInstance>,
}

/// One PAI instance with its domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PaiInstance {
    /// The machine.
    pub instance_id: InstanceId,
    /// Its domain, as the cloud writes it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub domain_name: Option<String>,
    /// Management page.
    #[serde(default, deserialize_with = "lenient::text")]
    pub pai_mate_url: Option<String>,
}

/// Writes a secret into the request body: the only place where one leaves its wrapper.
#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
fn expose<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_str(secret.expose_secret()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn smallest() -> CreatePaiInstance {
        CreatePaiInstance {
            domain_name: "apple.pai.tcloudbase.com".into(),
            internet_accessible: InternetAccessible::default(),
            init_script: None,
            zones: vec![],
            vpc_id: None,
            subnet_ids: vec![],
            instance_name: None,
            instance_types: vec![],
            login_settings: None,
            system_disk: None,
            instance_charge_type: None,
            instance_charge_prepaid: None,
        }
    }

    #[test]
    fn what_is_not_set_is_not_sent() {
        assert_eq!(
            serde_json::to_value(smallest()).unwrap(),
            json!({"DomainName": "apple.pai.tcloudbase.com", "InternetAccessible": {}})
        );
    }

    #[test]
    fn every_field_has_the_name_of_the_page() {
        let full = CreatePaiInstance {
            internet_accessible: InternetAccessible {
                internet_charge_type: Some("BANDWIDTH_PACKAGE".into()),
                internet_max_bandwidth_out: Some(10),
                public_ip_assigned: Some(true),
                bandwidth_package_id: Some("bwp-1".into()),
            },
            init_script: Some(CreatePaiInstance::encode_script("#!/bin/bash\necho \"hello\"\n")),
            zones: vec!["ap-guangzhou-2".into()],
            vpc_id: Some("vpc-1".into()),
            subnet_ids: vec!["subnet-1".into()],
            instance_name: Some("PAI-TEST".into()),
            instance_types: vec!["S4.SMALL2".into()],
            login_settings: Some(LoginSettings {
                password: Some("PAI@Test123".into()),
                key_ids: vec!["skey-1".into()],
                keep_image_login: Some(false),
            }),
            system_disk: Some(SystemDisk { disk_type: Some("CLOUD_PREMIUM".into()), disk_size: Some(50) }),
            instance_charge_type: Some("PREPAID".into()),
            instance_charge_prepaid: Some(InstanceChargePrepaid {
                period: 1,
                renew_flag: Some("NOTIFY_AND_MANUAL_RENEW".into()),
            }),
            ..smallest()
        };
        assert_eq!(
            serde_json::to_value(&full).unwrap(),
            json!({
                "DomainName": "apple.pai.tcloudbase.com",
                "InternetAccessible": {
                    "InternetChargeType": "BANDWIDTH_PACKAGE",
                    "InternetMaxBandwidthOut": 10,
                    "PublicIpAssigned": true,
                    "BandwidthPackageId": "bwp-1",
                },
                "InitScript": "IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==",
                "Zones": ["ap-guangzhou-2"],
                "VpcId": "vpc-1",
                "SubnetIds": ["subnet-1"],
                "InstanceName": "PAI-TEST",
                "InstanceTypes": ["S4.SMALL2"],
                "LoginSettings": {"Password": "PAI@Test123", "KeyIds": ["skey-1"], "KeepImageLogin": false},
                "SystemDisk": {"DiskType": "CLOUD_PREMIUM", "DiskSize": 50},
                "InstanceChargeType": "PREPAID",
                "InstanceChargePrepaid": {"Period": 1, "RenewFlag": "NOTIFY_AND_MANUAL_RENEW"},
            })
        );
        let shown = format!("{full:?}");
        assert!(!shown.contains("PAI@Test") && !shown.contains("IyEv"), "{shown}");
    }

    #[test]
    fn ids_are_read_whatever_stands_beside_them() {
        let rows = [
            (json!({"InstanceIdSet": ["ins-1"]}), vec!["ins-1"]),
            (json!({"InstanceIdSet": ["ins-1", "ins-2", "ins-1"]}), vec!["ins-1", "ins-2"]),
            (json!({"InstanceIdSet": [null, "", 7, "ins-1", {}]}), vec!["ins-1"]),
            (json!({"InstanceIdSet": [""]}), vec![]),
            (json!({"InstanceIdSet": []}), vec![]),
            (json!({"InstanceIdSet": null}), vec![]),
            (json!({"InstanceIdSet": "ins-1"}), vec![]),
            (json!({}), vec![]),
        ];
        for (body, expected) in rows {
            let found: CreatedIds = serde_json::from_value(body.clone()).unwrap();
            let reply = CreatePaiInstanceReply::from(found);
            let ids: Vec<&str> = reply.instance_ids.iter().map(InstanceId::as_str).collect();
            assert_eq!(ids, expected, "{body}");
        }
    }

    #[test]
    fn a_listing_is_read_leniently_but_never_without_ids() {
        let rows = [
            (json!({}), Some((None, 0))),
            (json!({"TotalCount": null, "PaiInstanceSet": null}), Some((None, 0))),
            (json!({"TotalCount": "1", "PaiInstanceSet": []}), Some((None, 0))),
            (json!({"TotalCount": 1, "PaiInstanceSet": [{"InstanceId": "ins-1"}]}), Some((Some(1), 1))),
            (
                json!({"TotalCount": 1, "PaiInstanceSet": [
                    {"InstanceId": "ins-1", "DomainName": 7, "PaiMateUrl": null, "BindingIp": []}
                ]}),
                Some((Some(1), 1)),
            ),
            (json!({"PaiInstanceSet": [{"DomainName": "x"}]}), None),
            (json!({"PaiInstanceSet": [{"InstanceId": null}]}), None),
            (json!({"PaiInstanceSet": [{"InstanceId": ""}]}), None),
            (json!({"PaiInstanceSet": "none"}), None),
        ];
        for (body, expected) in rows {
            let read = serde_json::from_value::<DescribePaiInstancesReply>(body.clone()).ok();
            let found = read.map(|reply| (reply.total_count, reply.instances.len()));
            assert_eq!(found, expected, "{body}");
        }
    }
}
