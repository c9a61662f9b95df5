//! `CreatePaiInstance`: the value rules and the purchase. Rules without a source say so.

use super::calls::{Admitted, Done};
use super::instance::Instance;
use super::{Cloud, Event};
use crate::config::DomainPolicy;
use crate::error::ApiError;
use crate::faults::{Effect, Twists};
use crate::region::has_zone;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};

type Parameters = Map<String, Value>;

/// Largest start script, decoded, in bytes. The page states none; this is the limit of `UserData` elsewhere.
const MAX_SCRIPT: usize = 16 * 1024;
/// Longest name, in bytes. The page states none; this is the limit when CVM renames.
const MAX_NAME: usize = 60;
/// Most candidate types. The page states none; this is the limit of a launch configuration.
const MAX_TYPES: usize = 10;

const INTERNET_CHARGE_TYPES: &[&str] =
    &["BANDWIDTH_PREPAID", "TRAFFIC_POSTPAID_BY_HOUR", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PACKAGE"];
const RENEW_FLAGS: &[&str] = &["NOTIFY_AND_AUTO_RENEW", "NOTIFY_AND_MANUAL_RENEW", "DISABLE_NOTIFY_AND_MANUAL_RENEW"];

impl Cloud {
    pub(super) fn create(
        &mut self,
        admitted: &Admitted,
        parameters: &Parameters,
        twists: &Twists,
    ) -> Result<Done, ApiError> {
        check(parameters, &admitted.region)?;
        let domain = text(parameters, "DomainName").unwrap_or_default();
        let taken = || self.instances.values().any(|instance| instance.holds(domain));
        if self.config.domain_policy == DomainPolicy::Unique && taken() {
            return Err(ApiError::new("FailedOperation.DomainNameInUse", "The domain name is in use."));
        }
        let created: Vec<String> = (0..twists.ids()).map(|_| self.buy(admitted, parameters, twists)).collect();
        let fields = Map::from_iter([("InstanceIdSet".to_owned(), json!(created))]);
        Ok(Done { fields, created })
    }

    fn buy(&mut self, admitted: &Admitted, parameters: &Parameters, twists: &Twists) -> String {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let mut id = format!("ins-{}", self.random_id());
        while self.ordinals.contains_key(&id) {
            id = format!("ins-{}", self.random_id());
        }
        let uuid = self.uuid();
        let mut instance = from_parameters(parameters, &admitted.region, ordinal, self.time);
        instance.id.clone_from(&id);
        instance.uuid = uuid;
        instance.owner.clone_from(&admitted.owner);
        instance.launch_fails = twists.has(&Effect::LaunchFailed {});
        if twists.has(&Effect::NoDomain {}) {
            instance.domain = None;
        }
        if let Ok(later) = self.time.checked_add(twists.invisible()) {
            instance.visible_from = later;
        }
        self.history.created += 1;
        self.ordinals.insert(id.clone(), ordinal);
        self.instances.insert(ordinal, instance);
        self.schedule(self.config.boot_time, Event::Launched(ordinal));
        id
    }
}

/// A machine in PENDING from checked parameters, without id, account and UUID; whatever was not asked for gets a default of ours, since the
/// page names none.
pub(super) fn from_parameters(parameters: &Parameters, region: &str, ordinal: u64, now: Timestamp) -> Instance {
    let owned = |name| text(parameters, name).map(str::to_owned);
    let first = |name| texts(parameters, name).first().map(|&item| item.to_owned());
    let prepaid = parameters.get("InstanceChargePrepaid");
    let internet = internet(parameters);
    let bandwidth = internet.get("InternetMaxBandwidthOut").and_then(Value::as_u64);
    let public = internet.get("PublicIpAssigned") == Some(&Value::Bool(true));
    let [.., a, b, c] = ordinal.to_be_bytes();
    Instance {
        id: String::new(),
        owner: String::new(),
        region: region.to_owned(),
        zone: first("Zones").unwrap_or_else(|| format!("{region}-1")),
        name: owned("InstanceName").unwrap_or_else(|| "未命名".to_owned()),
        domain: owned("DomainName"),
        instance_type: first("InstanceTypes").unwrap_or_else(|| "S4.SMALL2".to_owned()),
        charge_type: owned("InstanceChargeType").unwrap_or_else(|| "POSTPAID_BY_HOUR".to_owned()),
        state: "PENDING".to_owned(),
        created: now,
        visible_from: now,
        expires: prepaid
            .and_then(|prepaid| prepaid.get("Period")?.as_i64())
            .and_then(|months| months_after(now, months)),
        renew_flag: prepaid.map(|prepaid| {
            let flag = prepaid.get("RenewFlag").and_then(Value::as_str);
            flag.unwrap_or("NOTIFY_AND_MANUAL_RENEW").to_owned()
        }),
        internet,
        vpc_id: owned("VpcId").unwrap_or_else(|| "vpc-default0".to_owned()),
        subnet_id: first("SubnetIds").unwrap_or_else(|| "subnet-default0".to_owned()),
        key_ids: parameters
            .get("LoginSettings")
            .and_then(|login| login.get("KeyIds")?.as_array())
            .map(|ids| ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default(),
        system_disk: system_disk(parameters),
        private_ip: format!("10.{a}.{b}.{c}"),
        // 198.18.0.0/15 is set aside for tests (RFC 2544): no address of anybody.
        public_ip: (public && bandwidth > Some(0)).then(|| format!("198.{}.{b}.{c}", 18 + a % 2)),
        uuid: String::new(),
        operation: None,
        protected: false,
        launch_fails: false,
        set: Map::new(),
    }
}

fn internet(parameters: &Parameters) -> Parameters {
    let sent = parameters.get("InternetAccessible").and_then(Value::as_object);
    let mut internet = sent.cloned().unwrap_or_default();
    let bandwidth = internet.entry("InternetMaxBandwidthOut").or_insert(json!(0)).as_u64();
    internet.entry("InternetChargeType").or_insert(json!("TRAFFIC_POSTPAID_BY_HOUR"));
    internet.entry("PublicIpAssigned").or_insert(json!(bandwidth > Some(0)));
    internet.entry("BandwidthPackageId").or_insert(Value::Null);
    internet
}

fn system_disk(parameters: &Parameters) -> Parameters {
    let sent = parameters.get("SystemDisk").and_then(Value::as_object);
    let mut disk = sent.cloned().unwrap_or_default();
    disk.entry("DiskType").or_insert(json!("CLOUD_BASIC"));
    disk.entry("DiskSize").or_insert(json!(50));
    disk.entry("DiskId").or_insert(Value::Null);
    disk
}

fn months_after(now: Timestamp, months: i64) -> Option<Timestamp> {
    let span = Span::new().try_months(months).ok()?;
    let then = now.to_zoned(TimeZone::UTC).checked_add(span).ok()?;
    Some(then.timestamp())
}

fn text<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name)?.as_str()
}

fn texts<'a>(parameters: &'a Parameters, name: &str) -> Vec<&'a str> {
    let list = parameters.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The value rules, in the order of the page's table.
fn check(parameters: &Parameters, region: &str) -> Result<(), ApiError> {
    if text(parameters, "DomainName") == Some("") {
        return Err(ApiError::value("DomainName", "it is empty"));
    }
    check_internet(parameters)?;
    check_script(parameters)?;
    for name in ["Zones", "SubnetIds", "InstanceTypes"] {
        if parameters.contains_key(name) && texts(parameters, name).is_empty() {
            return Err(ApiError::value(name, "the list is empty"));
        }
    }
    if !texts(parameters, "Zones").iter().all(|zone| has_zone(region, zone)) {
        return Err(ApiError::new(
            "InvalidParameterValue.ZoneMismatchRegion",
            "A zone of `Zones` is not in the region.",
        ));
    }
    if text(parameters, "VpcId").is_some_and(|id| !has_form(id, "vpc-")) {
        return Err(ApiError::value("VpcId", "it is malformed"));
    }
    if !texts(parameters, "SubnetIds").iter().all(|id| has_form(id, "subnet-")) {
        return Err(ApiError::new("InvalidParameterValue.InvalidSubnetId", "An id of `SubnetIds` is malformed."));
    }
    if text(parameters, "InstanceName").is_some_and(|name| name.len() > MAX_NAME) {
        return Err(ApiError::new(
            "InvalidParameterValue.InstanceNameIllegal",
            format!("`InstanceName` is longer than {MAX_NAME} bytes."),
        ));
    }
    check_types(&texts(parameters, "InstanceTypes"))?;
    check_login(parameters)?;
    check_charge(parameters)
}

fn check_internet(parameters: &Parameters) -> Result<(), ApiError> {
    let internet = internet(parameters);
    if !text(&internet, "InternetChargeType").is_some_and(|kind| INTERNET_CHARGE_TYPES.contains(&kind)) {
        return Err(ApiError::value("InternetAccessible.InternetChargeType", "it is not a charge type"));
    }
    let bandwidth = internet.get("InternetMaxBandwidthOut").and_then(Value::as_u64);
    if internet.get("PublicIpAssigned") == Some(&json!(true)) && bandwidth == Some(0) {
        return Err(ApiError::new(
            "InvalidParameter.InvalidCombination",
            "`PublicIpAssigned` cannot be true at a bandwidth of 0.",
        ));
    }
    Ok(())
}

fn check_script(parameters: &Parameters) -> Result<(), ApiError> {
    let Some(script) = text(parameters, "InitScript") else {
        return Ok(());
    };
    let decoded = STANDARD
        .decode(script)
        .map_err(|_| ApiError::new("InvalidParameterValue.UserDataFormatError", "`InitScript` is not base64."))?;
    if decoded.len() > MAX_SCRIPT {
        return Err(ApiError::new(
            "InvalidParameterValue.UserDataSizeExceeded",
            format!("`InitScript` is longer than {MAX_SCRIPT} bytes."),
        ));
    }
    Ok(())
}

fn check_types(types: &[&str]) -> Result<(), ApiError> {
    if types.len() > MAX_TYPES {
        return Err(ApiError::new(
            "InvalidParameterValue.LimitExceeded",
            format!("`InstanceTypes` has more than {MAX_TYPES} entries."),
        ));
    }
    let formed = |name: &str| {
        let alphanumeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        name.split_once('.').is_some_and(|(family, size)| alphanumeric(family) && alphanumeric(size))
    };
    if !types.iter().all(|name| formed(name)) {
        return Err(ApiError::new(
            "InvalidParameterValue.InvalidInstanceType",
            "An entry of `InstanceTypes` is not an instance type.",
        ));
    }
    Ok(())
}

fn check_login(parameters: &Parameters) -> Result<(), ApiError> {
    let Some(login) = parameters.get("LoginSettings").and_then(Value::as_object) else {
        return Ok(());
    };
    if login.len() > 1 {
        return Err(ApiError::new(
            "InvalidParameter.InvalidCombination",
            "The members of `LoginSettings` exclude each other.",
        ));
    }
    if text(login, "Password").is_some_and(|password| !strong(password)) {
        return Err(ApiError::value(
            "LoginSettings.Password",
            "it needs 8 to 30 characters and two of letters, digits and special characters",
        ));
    }
    let keys = texts(login, "KeyIds");
    if login.contains_key("KeyIds") && keys.len() != 1 {
        return Err(ApiError::value("LoginSettings.KeyIds", "exactly one key pair is allowed at purchase"));
    }
    if !keys.iter().all(|id| has_form(id, "skey-")) {
        return Err(ApiError::value("LoginSettings.KeyIds", "an id is malformed"));
    }
    Ok(())
}

fn strong(password: &str) -> bool {
    let letters = password.chars().any(|c| c.is_ascii_alphabetic());
    let digits = password.chars().any(|c| c.is_ascii_digit());
    let specials = password.chars().any(|c| !c.is_ascii_alphanumeric());
    (8..=30).contains(&password.chars().count())
        && usize::from(letters) + usize::from(digits) + usize::from(specials) >= 2
}

fn check_charge(parameters: &Parameters) -> Result<(), ApiError> {
    let charge = text(parameters, "InstanceChargeType").unwrap_or("POSTPAID_BY_HOUR");
    if !["POSTPAID_BY_HOUR", "SPOTPAID", "PREPAID"].contains(&charge) {
        return Err(ApiError::value("InstanceChargeType", "it is not a charge type"));
    }
    let prepaid = parameters.get("InstanceChargePrepaid").and_then(Value::as_object);
    match (charge == "PREPAID", prepaid) {
        (false, None) => return Ok(()),
        (true, None) => return Err(ApiError::missing("InstanceChargePrepaid")),
        // Our choice: the page only says when it is needed, not what it does elsewhere.
        (false, Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameter.InvalidCombination",
                "`InstanceChargePrepaid` goes with PREPAID only.",
            ));
        }
        (true, Some(_)) => {}
    }
    let prepaid = prepaid.cloned().unwrap_or_default();
    let period = prepaid.get("Period").and_then(Value::as_i64);
    if !period.is_some_and(|months| (1..=12).contains(&months) || months == 24 || months == 36) {
        return Err(ApiError::value("InstanceChargePrepaid.Period", "it is not an allowed number of months"));
    }
    if text(&prepaid, "RenewFlag").is_some_and(|flag| !RENEW_FLAGS.contains(&flag)) {
        return Err(ApiError::value("InstanceChargePrepaid.RenewFlag", "it is not a renew flag"));
    }
    Ok(())
}

/// Whether `id` is the prefix and some lower-case letters and digits. The length is not checked: the page has
/// ids of seven and of eight.
fn has_form(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
