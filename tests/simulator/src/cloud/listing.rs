//! `DescribeInstances` of CVM: ids, filters and pages. Also the page arithmetic of the other listing.

use super::calls::{Admitted, Done};
use super::{Cloud, Instance};
use crate::error::ApiError;
use crate::faults::{Effect, Twists};
use crate::region::has_zone;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Most ids in a call and most entries on a page (API pages).
const MAX_IDS: usize = 100;
/// Most filters in a call, and most values in one (API page of `DescribeInstances`).
const MAX_FILTERS: usize = 10;
const MAX_VALUES: usize = 5;

/// Filter names that are valid but match no machine here, since none has what they ask for.
const WITHOUT_MATCH: &[&str] = &["host-id", "dedicated-cluster-id", "ipv6-address", "tag-key", "tag-value"];

/// `Offset` and `Limit` of a listing.
pub(super) struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, ApiError> {
        let number = |name: &str, default: u64| parameters.get(name).and_then(Value::as_u64).unwrap_or(default);
        let limit = usize::try_from(number("Limit", 20)).unwrap_or(usize::MAX);
        if limit > MAX_IDS {
            return Err(ApiError::new("InvalidParameterValue.LimitExceeded", format!("`Limit` is over {MAX_IDS}.")));
        }
        if limit == 0 {
            return Err(ApiError::value("Limit", "it is 0"));
        }
        Ok(Self { offset: usize::try_from(number("Offset", 0)).unwrap_or(usize::MAX), limit })
    }

    /// One page of `all` under the key `set`; beyond the end it is empty, with the true `TotalCount`. Only what is
    /// on the page is turned into JSON: a page of ten thousand machines must not cost the time of all.
    pub(super) fn answer<T>(&self, set: &str, mut all: Vec<T>, twists: &Twists, show: impl FnMut(T) -> Value) -> Done {
        if twists.has(&Effect::Empty {}) {
            all.clear();
        }
        let total = all.len();
        let late = usize::from(twists.has(&Effect::ShiftPages {}) && self.offset > 0);
        let page: Vec<Value> =
            all.into_iter().skip(self.offset.saturating_add(late)).take(self.limit).map(show).collect();
        let fields = Map::from_iter([("TotalCount".to_owned(), total.into()), (set.to_owned(), page.into())]);
        Done { fields, created: Vec::new() }
    }
}

/// `InstanceIds`, none where the list is absent or empty; `malformed` is the code for an id of a wrong form.
pub(super) fn sent_ids<'a>(
    parameters: &'a Map<String, Value>,
    malformed: &'static str,
) -> Result<Vec<&'a str>, ApiError> {
    let ids = texts(parameters.get("InstanceIds"));
    if ids.len() > MAX_IDS {
        return Err(ApiError::new(
            "InvalidParameterValue.LimitExceeded",
            format!("`InstanceIds` has more than {MAX_IDS} entries."),
        ));
    }
    if !ids.iter().all(|id| well_formed(id)) {
        return Err(ApiError::new(malformed, "An instance id is malformed."));
    }
    Ok(ids)
}

/// `ins-` and eight lower-case letters or digits.
pub(super) fn well_formed(id: &str) -> bool {
    id.strip_prefix("ins-").is_some_and(|rest| {
        rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

impl Cloud {
    /// The caller's machines in the region that are listed yet, in the order of their creation: those with one
    /// of the ids, or all where there are none.
    pub(super) fn listed(&self, admitted: &Admitted, ids: &[&str]) -> Vec<&Instance> {
        let seen = |instance: &&Instance| {
            instance.owner == admitted.owner && instance.region == admitted.region && instance.visible_from <= self.time
        };
        if ids.is_empty() {
            return self.instances.values().filter(seen).collect();
        }
        let ordinals: BTreeSet<&u64> = ids.iter().filter_map(|id| self.ordinals.get(*id)).collect();
        ordinals.into_iter().filter_map(|ordinal| self.instances.get(ordinal)).filter(seen).collect()
    }

    pub(super) fn describe(
        &self,
        admitted: &Admitted,
        parameters: &Map<String, Value>,
        twists: &Twists,
    ) -> Result<Done, ApiError> {
        let page = Page::read(parameters)?;
        let ids = sent_ids(parameters, "InvalidInstanceId.Malformed")?;
        let filters = read_filters(parameters, &admitted.region)?;
        if !ids.is_empty() && !filters.is_empty() {
            return Err(ApiError::new("InvalidParameter", "`InstanceIds` and `Filters` exclude each other."));
        }
        let mut found = self.listed(admitted, &ids);
        if !twists.has(&Effect::IgnoreFilter {}) {
            found.retain(|instance| filters.iter().all(|filter| filter.matches(instance)));
        }
        Ok(page.answer("InstanceSet", found, twists, Instance::describe))
    }
}

struct Filter<'a> {
    name: &'a str,
    values: Vec<&'a str>,
    /// The values as times, for the filters that hold times.
    times: Vec<Timestamp>,
}

fn read_filters<'a>(parameters: &'a Map<String, Value>, region: &str) -> Result<Vec<Filter<'a>>, ApiError> {
    let sent = parameters.get("Filters").and_then(Value::as_array);
    if sent.is_some_and(|filters| filters.len() > MAX_FILTERS) {
        return Err(ApiError::new("InvalidParameterValue.LimitExceeded", format!("More than {MAX_FILTERS} filters.")));
    }
    sent.into_iter()
        .flatten()
        .filter_map(|filter| Some((filter.get("Name")?.as_str()?, filter.get("Values"))))
        .map(|(name, values)| Filter::read(name, texts(values), region))
        .collect()
}

impl<'a> Filter<'a> {
    fn read(name: &'a str, values: Vec<&'a str>, region: &str) -> Result<Self, ApiError> {
        if values.len() > MAX_VALUES {
            return Err(ApiError::new(
                "InvalidFilterValue.LimitExceeded",
                format!("A filter has more than {MAX_VALUES} values."),
            ));
        }
        let known = matches!(
            name,
            "instance-id"
                | "instance-name"
                | "instance-state"
                | "instance-charge-type"
                | "zone"
                | "project-id"
                | "vpc-id"
                | "subnet-id"
                | "security-group-id"
                | "uuid"
                | "private-ip-address"
                | "public-ip-address"
                | "creation-start-time"
                | "creation-end-time"
        ) || WITHOUT_MATCH.contains(&name)
            || name.starts_with("tag:");
        if !known || values.is_empty() {
            return Err(ApiError::new("InvalidFilter", "The filter is not valid."));
        }
        if name == "instance-id" && !values.iter().all(|id| well_formed(id)) {
            return Err(ApiError::new("InvalidParameterValue.InstanceIdMalformed", "An instance id is malformed."));
        }
        if name == "zone" && !values.iter().all(|zone| has_zone(region, zone)) {
            return Err(ApiError::new("InvalidZone.MismatchRegion", "The zone is not in the region."));
        }
        let mut times = Vec::new();
        if name.starts_with("creation-") {
            for value in &values {
                times.push(utc(value).ok_or_else(|| ApiError::value("Filters", "a time is not YYYY-MM-DD hh:mm:ss"))?);
            }
        }
        Ok(Self { name, values, times })
    }

    fn matches(&self, instance: &Instance) -> bool {
        let among = |own: &str| self.values.contains(&own);
        match self.name {
            "instance-id" => among(&instance.id),
            // Exact: our choice, no page says whether it is.
            "instance-name" => among(&instance.name),
            "instance-state" => among(&instance.state),
            "instance-charge-type" => among(&instance.charge_type),
            "zone" => among(&instance.zone),
            "project-id" => among("0"),
            "vpc-id" => among(&instance.vpc_id),
            "subnet-id" => among(&instance.subnet_id),
            "security-group-id" => among("sg-pai00000"),
            "uuid" => among(&instance.uuid),
            "private-ip-address" => among(&instance.private_ip),
            "public-ip-address" => instance.public_ips().into_iter().any(among),
            "creation-start-time" => self.times.iter().any(|time| *time <= instance.created),
            "creation-end-time" => self.times.iter().any(|time| instance.created <= *time),
            _ => false,
        }
    }
}

/// `YYYY-MM-DD hh:mm:ss`, taken as UTC: our choice, the page states no zone.
fn utc(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
