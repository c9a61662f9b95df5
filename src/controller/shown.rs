//! What one object contributes to the metrics: its readiness, its attempt, when its machines expire. Pure.

use jiff::Timestamp;

use crate::api::{ChargeType, ConditionType, PaiInstance, Reason, conditions};

/// What one object contributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Status of `Ready`; `None` before the first visit.
    ready: Option<bool>,
    /// Its reason.
    reason: Option<Reason>,
    /// State of the last attempt.
    pub attempt: &'static str,
    /// When its prepaid machines expire, in seconds since 1970.
    pub expires: Box<[i64]>,
}

impl Shown {
    /// What this object contributes.
    pub fn of(object: &PaiInstance) -> Self {
        let status = object.status.as_ref();
        let ready = status.and_then(|status| conditions::find(&status.conditions, ConditionType::Ready));
        let prepaid = |charge: &Option<String>| charge.as_deref() == Some(ChargeType::Prepaid.as_str());
        let machines = status.iter().flat_map(|status| &status.instances);
        let expires = machines.filter(|machine| prepaid(&machine.charge_type)).filter_map(|machine| {
            let time: Timestamp = machine.expired_time.as_deref()?.parse().ok()?;
            Some(time.as_second())
        });
        Self {
            ready: ready.map(|ready| ready.status == "True"),
            reason: ready.and_then(|ready| Reason::ALL.iter().find(|reason| reason.as_str() == ready.reason).copied()),
            attempt: status
                .and_then(|status| status.create_attempt.as_ref())
                .map_or("None", |attempt| attempt.state.as_str()),
            expires: expires.collect(),
        }
    }

    /// Status and reason of `Ready`, as labels.
    pub fn readiness(&self) -> (&'static str, &'static str) {
        let ready = self.ready.map_or("Unknown", |ready| if ready { "True" } else { "False" });
        (ready, self.reason.map_or("None", Reason::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(status: &serde_json::Value) -> PaiInstance {
        serde_json::from_value(json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance", "metadata": {"name": "a"},
            "spec": {"region": "ap-guangzhou", "domainName": "a.pai.tcloudbase.com", "instanceTypes": ["S4.SMALL2"],
                     "internetAccessible": {"internetMaxBandwidthOut": 1}, "credentialsRef": {"name": "c"}},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn an_object_counts_by_its_reason_and_its_prepaid_machines() {
        let fresh = Shown::of(&object(&json!({"observedGeneration": -1})));
        assert_eq!((fresh.readiness(), fresh.attempt), (("Unknown", "None"), "None"));
        let ready = Shown::of(&object(&json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": "Available", "message": "",
                            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "instances": [
                {"id": "ins-1", "chargeType": "PREPAID", "expiredTime": "2026-01-03T00:00:00Z"},
                {"id": "ins-2", "chargeType": "POSTPAID_BY_HOUR", "expiredTime": "2026-01-03T00:00:00Z"},
            ],
        })));
        assert_eq!(ready.readiness(), ("True", "Available"));
        assert_eq!(*ready.expires, [1_767_398_400]);
    }
}
