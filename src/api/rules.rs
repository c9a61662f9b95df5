//! Every CEL rule of the CRD, in one table: what must hold, where it stands, and what a person reads when it does not.
//!
//! The API server runs them at `kubectl apply`; there is no webhook. Each message says what must be and names the way out.

/// One rule. Where adding or removing a field must be caught, it stands on a parent of that field.
///
/// Each write of an object runs all of them, those of its status too, and each field that a rule takes from an object makes the API server
/// copy the schemas of all its fields: they were a third of all that it allocated while machines were bought. So a rule stands as far
/// down as it can, asks first whether anything changed, and takes as few fields as will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands: property names from the root of the object.
    pub at: &'static [&'static str],
    /// The field it speaks of, relative to `at`, in the form `.spec.zones`; empty for the place itself.
    pub field_path: String,
    /// The CEL expression.
    pub rule: String,
    /// What a person reads when it does not hold.
    pub message: String,
}

/// Fields of the spec that are frozen while a create attempt is open or a machine is known.
///
/// Source: design section 2. `region` and `domainName` are always immutable; `credentialsRef` and `deletionPolicy` never.
const FREEZABLE: &[&str] = &[
    "internetAccessible",
    "initScript",
    "zones",
    "vpcId",
    "subnetIds",
    "instanceName",
    "instanceTypes",
    "systemDisk",
    "loginSettings",
    "instanceChargeType",
    "instanceChargePrepaid",
];

/// Whether the old object is frozen. A state that is not named here, of another version too, counts as open.
const FROZEN: &str = "(has(oldSelf.status) && ((has(oldSelf.status.instanceIds) && size(oldSelf.status.instanceIds) > 0) || \
    (has(oldSelf.status.createAttempt) && !(oldSelf.status.createAttempt.state in ['Rejected', 'Lapsed', 'Abandoned']))))";

/// All rules, in the order in which they stand in the CRD.
pub fn all() -> Vec<Rule> {
    let mut rules: Vec<Rule> = FREEZABLE.iter().map(|field| frozen(field)).collect();
    rules.extend([&["spec", "region"], &["spec", "domainName"]].map(immutable));
    rules.extend([&["spec", "zones"], &["spec", "subnetIds"], &["spec", "instanceTypes"]].map(unique));
    rules.extend(spec_rules());
    rules.extend(internet_rules());
    rules.extend(either_or_rules());
    rules
}

/// There before and after and equal, or absent before and after.
fn unchanged(field: &str) -> String {
    format!("has(self.{field}) ? has(oldSelf.{field}) && self.{field} == oldSelf.{field} : !has(oldSelf.{field})")
}

fn frozen(field: &str) -> Rule {
    Rule {
        at: &[],
        field_path: format!(".spec.{field}"),
        rule: format!("({}) || !{FROZEN}", unchanged(&format!("spec.{field}"))),
        message: format!(
            "spec.{field} must stay as it is, because a create was sent or a machine exists: put the old value back, or apply \
             a new PaiInstance with another name and domain and delete this one"
        ),
    }
}

/// Both are required, so neither can be removed.
fn immutable(at: &'static [&'static str; 2]) -> Rule {
    let message = format!(
        "{} must never change: put the old value back, or apply a new PaiInstance with another name and delete this one",
        at.join(".")
    );
    on(at, "", "self == oldSelf", &message)
}

fn unique(at: &'static [&'static str; 2]) -> Rule {
    let message = format!("{} must not have the same entry twice: remove the second one", at.join("."));
    on(at, "", "self.all(x, self.exists_one(y, x == y))", &message)
}

fn on(at: &'static [&'static str], field_path: &str, rule: &str, message: &str) -> Rule {
    Rule { at, field_path: field_path.to_owned(), rule: rule.to_owned(), message: message.to_owned() }
}

fn spec_rules() -> Vec<Rule> {
    vec![
        on(
            &["spec"],
            ".zones",
            // Not merely "begins with": ap-shanghai-fsi-1 lies in ap-shanghai-fsi, not in ap-shanghai.
            "!has(self.zones) || self.zones.all(zone, zone.matches('^' + self.region + '-[a-z0-9]+$'))",
            "spec.zones must lie in spec.region: each must be the region, a hyphen and a number, as ap-guangzhou-2 in ap-guangzhou",
        ),
        on(
            &["spec", "instanceName"],
            "",
            "size(bytes(self)) <= 60",
            "spec.instanceName must have at most 60 bytes in UTF-8: shorten it, or leave it out and the operator gives a unique one",
        ),
        on(
            &["spec"],
            ".instanceChargePrepaid",
            "!has(self.instanceChargeType) || self.instanceChargeType != 'PREPAID' || has(self.instanceChargePrepaid)",
            "spec.instanceChargePrepaid must be set when instanceChargeType is PREPAID: set its period in months",
        ),
        on(
            &["spec"],
            ".instanceChargePrepaid",
            "!has(self.instanceChargePrepaid) || (has(self.instanceChargeType) && self.instanceChargeType == 'PREPAID')",
            "spec.instanceChargePrepaid must be left out unless instanceChargeType is PREPAID",
        ),
        on(
            &["spec", "instanceChargePrepaid", "period"],
            "",
            "self <= 12 || self in [24, 36]",
            "spec.instanceChargePrepaid.period must be 1 to 12, 24 or 36 months",
        ),
        on(
            &["spec", "systemDisk"],
            "",
            "has(self.diskType) || has(self.diskSize)",
            "spec.systemDisk must set diskType or diskSize: leave it out altogether for the cloud's default",
        ),
    ]
}

fn internet_rules() -> Vec<Rule> {
    vec![
        on(
            &["spec", "internetAccessible"],
            ".publicIpAssigned",
            "!has(self.publicIpAssigned) || !self.publicIpAssigned || (has(self.internetMaxBandwidthOut) && self.internetMaxBandwidthOut > 0)",
            "spec.internetAccessible.publicIpAssigned must not be true at a bandwidth of 0: set internetMaxBandwidthOut to at least 1",
        ),
        on(
            &["spec", "internetAccessible"],
            ".bandwidthPackageId",
            "!has(self.bandwidthPackageId) || (has(self.internetChargeType) && self.internetChargeType == 'BANDWIDTH_PACKAGE')",
            "spec.internetAccessible.bandwidthPackageId must be left out unless internetChargeType is BANDWIDTH_PACKAGE",
        ),
    ]
}

fn either_or_rules() -> Vec<Rule> {
    vec![
        on(
            &["spec", "initScript"],
            "",
            "[has(self.inline), has(self.configMapKeyRef), has(self.secretKeyRef)].exists_one(given, given)",
            "spec.initScript must have exactly one of inline, configMapKeyRef and secretKeyRef",
        ),
        on(
            &["spec", "initScript", "inline"],
            "",
            "size(bytes(self)) <= 16384",
            "spec.initScript.inline must have at most 16384 bytes: download the rest in the script",
        ),
        on(
            &["spec", "loginSettings"],
            "",
            "[has(self.passwordSecretRef), has(self.keyIds), has(self.keepImageLogin)].exists_one(given, given)",
            "spec.loginSettings must have exactly one of passwordSecretRef, keyIds and keepImageLogin",
        ),
        on(
            &["spec", "loginSettings", "keepImageLogin"],
            "",
            "self",
            "spec.loginSettings.keepImageLogin must be true or left out",
        ),
    ]
}
