//! `PaiInstance.spec`: the parameters of CreatePaiInstance as a person writes them. Data only; rules across fields are in `rules`.
//!
//! The doc comments of the fields are what `kubectl explain` prints. Sources: the API page of CreatePaiInstance
//! (version 2018-04-19) and, where it is silent, the vendor's last SDK that carries the action; "our choice" is said.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::PaiInstanceStatus;

/// The machine to buy: the parameters of the cloud's CreatePaiInstance, and what becomes of it on deletion.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "pai.tencentcloud.io",
    version = "v1alpha1",
    kind = "PaiInstance",
    plural = "paiinstances",
    shortname = "pai",
    category = "tencentcloud",
    namespaced,
    status = "PaiInstanceStatus",
    derive = "PartialEq",
    selectable = ".spec.region",
    selectable = ".spec.domainName",
    doc = "One PAI instance: a paid virtual machine of Tencent Cloud with a domain name. Applying the object buys the machine, exactly once; deleting it terminates the machine (see spec.deletionPolicy)."
)]
#[serde(rename_all = "camelCase")]
pub struct PaiInstanceSpec {
    /// Region of the machine, for example `ap-guangzhou`. Cannot be changed. Financial regions such as `ap-shanghai-fsi`
    /// are reached at their own address.
    #[schemars(length(min = 4, max = 40), regex(pattern = r"^[a-z]{2,10}(-[a-z0-9]{1,20}){1,3}$"))]
    pub region: String,

    /// The Secret with the cloud credentials.
    pub credentials_ref: CredentialsRef,

    /// Domain name of the machine (`DomainName`), for example `apple-gz012345.pai.tcloudbase.com`: a lower-case DNS name
    /// with at least two labels, without a dot at the end. Cannot be changed.
    #[schemars(
        length(min = 3, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$")
    )]
    pub domain_name: String,

    /// Public bandwidth and address (`InternetAccessible`). With a bandwidth of 0 the machine has no public address.
    pub internet_accessible: InternetAccessible,

    /// Script that the machine runs when it starts for the first time (`InitScript`), at most 16 KB. Give it as plain text:
    /// the operator does the base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_script: Option<InitScript>,

    /// Availability zones (`Zones`), for example `ap-guangzhou-2`, tried in this order. Each must lie in `region`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 10),
        inner(length(min = 6, max = 48), regex(pattern = r"^[a-z]{2,10}(-[a-z0-9]{1,20}){2,4}$"))
    )]
    pub zones: Vec<String>,

    /// Private network (`VpcId`), for example `vpc-2ari9m7h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 36), regex(pattern = r"^vpc-[a-z0-9]{1,32}$"))]
    pub vpc_id: Option<String>,

    /// Subnets (`SubnetIds`), for example `subnet-8lrfj9bp`, tried in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 10),
        inner(length(min = 8, max = 39), regex(pattern = r"^subnet-[a-z0-9]{1,32}$"))
    )]
    pub subnet_ids: Vec<String>,

    /// Display name of the machine (`InstanceName`), at most 60 bytes of UTF-8. Leave it out and the operator gives a name that
    /// nobody else has, by which it finds its machine again after any failure; with a name of your own that proof is weaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 60), regex(pattern = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"))]
    pub instance_name: Option<String>,

    /// Instance types (`InstanceTypes`), for example `S4.SMALL2`, tried in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 10),
        inner(length(min = 2, max = 64), regex(pattern = r"^[A-Za-z0-9]+(\.[A-Za-z0-9_-]+)+$"))
    )]
    pub instance_types: Vec<String>,

    /// System disk (`SystemDisk`). It stands in the example of the API page but not in its parameter table, so the cloud may
    /// refuse it: leave it out unless you need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_disk: Option<SystemDisk>,

    /// How to log in (`LoginSettings`): exactly one of `passwordSecretRef`, `keyIds` and `keepImageLogin`. Without it the cloud
    /// makes a random password and sends it as a message to the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_settings: Option<LoginSettings>,

    /// How the machine is paid for (`InstanceChargeType`): `POSTPAID_BY_HOUR` (by the hour), `SPOTPAID` (spot) or `PREPAID`
    /// (by the month, in advance; needs `instanceChargePrepaid`).
    #[serde(default)]
    pub instance_charge_type: ChargeType,

    /// Term and renewal of a `PREPAID` machine (`InstanceChargePrepaid`); forbidden with the other charge types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_charge_prepaid: Option<InstanceChargePrepaid>,

    /// What happens to the machine when this object is deleted. `Delete` terminates it, `Retain` leaves it running **and billed**.
    /// Unset means `Delete` for a machine the operator created and `Retain` for one it adopted. Can be changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// The Secret, in the object's own namespace, with the cloud credentials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// Name of a Secret in the same namespace with the keys `secretId`, `secretKey` and, for temporary credentials, `token`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
}

/// One key of a Secret or a ConfigMap in the object's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the object, in the same namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Public bandwidth and address (`InternetAccessible`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternetAccessible {
    /// How the bandwidth is paid for (`InternetChargeType`). The cloud takes `TRAFFIC_POSTPAID_BY_HOUR` if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_charge_type: Option<InternetChargeType>,
    /// Highest outgoing bandwidth in Mbps (`InternetMaxBandwidthOut`). The cloud takes 0 if it is left out: no public address. The
    /// cloud's own ceiling depends on the charge type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub internet_max_bandwidth_out: Option<i64>,
    /// Whether the machine gets a public address (`PublicIpAssigned`). The cloud takes true if the bandwidth is above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip_assigned: Option<bool>,
    /// Bandwidth package (`BandwidthPackageId`); needs `internetChargeType: BANDWIDTH_PACKAGE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 36), regex(pattern = r"^bwp-[a-z0-9]{1,32}$"))]
    pub bandwidth_package_id: Option<String>,
}

impl InternetAccessible {
    /// Whether the machine should have a public address: asked for, or bandwidth above 0 and not refused.
    ///
    /// Source: the vendor's SDK (`PublicIpAssigned` defaults to true when the bandwidth is above 0).
    pub fn wants_public_address(&self) -> bool {
        self.public_ip_assigned.unwrap_or(true) && self.internet_max_bandwidth_out.unwrap_or(0) > 0
    }
}

/// How the bandwidth is paid for. Source: the vendor's SDK, data structure `InternetAccessible`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the cloud's own words; a comment on each would turn the schema's plain enum into a oneOf
pub enum InternetChargeType {
    BandwidthPrepaid,
    TrafficPostpaidByHour,
    BandwidthPostpaidByHour,
    BandwidthPackage,
}

impl InternetChargeType {
    /// The cloud's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BandwidthPrepaid => "BANDWIDTH_PREPAID",
            Self::TrafficPostpaidByHour => "TRAFFIC_POSTPAID_BY_HOUR",
            Self::BandwidthPostpaidByHour => "BANDWIDTH_POSTPAID_BY_HOUR",
            Self::BandwidthPackage => "BANDWIDTH_PACKAGE",
        }
    }
}

/// Where the start script comes from: exactly one of the three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitScript {
    /// The script itself, plain text, at most 16384 bytes. It is readable by whoever can read this object: keep secrets out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub inline: Option<String>,
    /// Key of a ConfigMap that holds the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// Key of a Secret that holds the script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
}

/// System disk (`SystemDisk`). Source: the example of the API page alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemDisk {
    /// Kind of disk (`DiskType`), for example `CLOUD_BASIC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Z][A-Z0-9_]*$"))]
    pub disk_type: Option<String>,
    /// Size in GB (`DiskSize`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32000))]
    pub disk_size: Option<i64>,
}

/// How to log in to the machine: exactly one of the three.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginSettings {
    /// Key of a Secret that holds the password. Linux: 8 to 30 characters of at least two kinds among letters, digits and
    /// special characters. The password itself never stands in this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<KeyRef>,
    /// Key pair (`KeyIds`), for example `skey-hrqqwd2f`; the cloud takes one. Not for Windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1), inner(length(min = 6, max = 37), regex(pattern = r"^skey-[a-z0-9]{1,32}$")))]
    pub key_ids: Vec<String>,
    /// Keep the login of the image (`KeepImageLogin`); only for custom, shared or imported images. Leave it out instead of
    /// setting it to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_image_login: Option<bool>,
}

/// How the machine is paid for. Source: the vendor's SDK (AS launch configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the cloud's own words; a comment on each would turn the schema's plain enum into a oneOf
pub enum ChargeType {
    #[default]
    PostpaidByHour,
    Spotpaid,
    Prepaid,
}

impl ChargeType {
    /// The cloud's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PostpaidByHour => "POSTPAID_BY_HOUR",
            Self::Spotpaid => "SPOTPAID",
            Self::Prepaid => "PREPAID",
        }
    }
}

/// Term and renewal of a prepaid machine (`InstanceChargePrepaid`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceChargePrepaid {
    /// Months bought in advance (`Period`): 1 to 12, 24 or 36.
    #[schemars(range(min = 1, max = 36))]
    pub period: i64,
    /// What happens at the end of the term (`RenewFlag`). Auto renewal is by the month.
    #[serde(default)]
    pub renew_flag: RenewFlag,
}

/// What happens at the end of a prepaid term. Source: the vendor's SDK, data structure `InstanceChargePrepaid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the cloud's own words; a comment on each would turn the schema's plain enum into a oneOf
pub enum RenewFlag {
    NotifyAndAutoRenew,
    #[default]
    NotifyAndManualRenew,
    DisableNotifyAndManualRenew,
}

impl RenewFlag {
    /// The cloud's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotifyAndAutoRenew => "NOTIFY_AND_AUTO_RENEW",
            Self::NotifyAndManualRenew => "NOTIFY_AND_MANUAL_RENEW",
            Self::DisableNotifyAndManualRenew => "DISABLE_NOTIFY_AND_MANUAL_RENEW",
        }
    }
}

/// What happens to the machine when the object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // explained on the field; a comment on each would turn the schema's plain enum into a oneOf
pub enum DeletionPolicy {
    Delete,
    Retain,
}
