//! `TerminateInstances`: what may be destroyed, and the way from RUNNING to gone. Also the same from outside.

use super::calls::{Admitted, Done};
use super::listing::sent_ids;
use super::{Cloud, Instance};
use crate::error::ApiError;
use serde_json::{Map, Value};

impl Cloud {
    /// All or nothing: one bad id fails the whole batch.
    pub(super) fn terminate(&mut self, admitted: &Admitted, parameters: &Map<String, Value>) -> Result<Done, ApiError> {
        let ids = sent_ids(parameters, "InvalidInstanceId.Malformed")?;
        if ids.is_empty() {
            return Err(ApiError::missing("InstanceIds"));
        }
        let mut found: Vec<(u64, &Instance)> = Vec::new();
        for id in ids {
            let ordinal = self.ordinals.get(id).copied().unwrap_or(u64::MAX);
            let instance = self.instances.get(&ordinal).filter(|instance| {
                instance.owner == admitted.owner
                    && instance.region == admitted.region
                    && instance.visible_from <= self.time
            });
            let instance =
                instance.ok_or_else(|| ApiError::new("InvalidInstanceId.NotFound", "There is no such instance."))?;
            allowed(instance)?;
            if !found.iter().any(|(other, _)| *other == ordinal) {
                found.push((ordinal, instance));
            }
        }
        let prepaid = found.iter().filter(|(_, instance)| instance.prepaid()).count();
        if prepaid != 0 && prepaid != found.len() {
            return Err(ApiError::new(
                "UnsupportedOperation.InstanceMixedPricingModel",
                "The instances have different charge types.",
            ));
        }
        let ordinals: Vec<u64> = found.iter().map(|(ordinal, _)| *ordinal).collect();
        for ordinal in ordinals {
            self.discard(ordinal);
        }
        Ok(Done::default())
    }

    /// Terminates a machine from outside, whatever its state; says whether there was one. A prepaid one goes to the
    /// recycle bin first, as through the API.
    pub fn destroy(&mut self, id: &str) -> bool {
        let Some(ordinal) = self.ordinals.get(id).copied() else {
            return false;
        };
        let ending = self
            .instance(id)
            .is_some_and(|instance| matches!(instance.state.as_str(), "TERMINATING" | "LAUNCH_FAILED"));
        if !ending {
            self.discard(ordinal);
        }
        true
    }

    fn discard(&mut self, ordinal: u64) {
        if let Some(instance) = self.instances.get_mut(&ordinal) {
            let recycled = instance.prepaid() && instance.state != "SHUTDOWN";
            let state = if recycled { "SHUTDOWN" } else { "TERMINATING" };
            state.clone_into(&mut instance.state);
            instance.operate("TerminateInstances", "OPERATING");
            self.entered(ordinal);
        }
    }
}

/// Whether the state of a machine lets it be terminated.
fn allowed(instance: &Instance) -> Result<(), ApiError> {
    let state = instance.state.as_str();
    if !matches!(state, "RUNNING" | "STOPPED" | "SHUTDOWN" | "RESCUE_MODE" | "SERVICE_LIVE_MIGRATE") {
        return Err(ApiError::new(
            format!("UnsupportedOperation.InstanceState{}", pascal(state)),
            format!("The instance is in the state {state}."),
        ));
    }
    if instance.protected {
        return Err(ApiError::new(
            "UnsupportedOperation.InstancesProtected",
            "The instance is protected against termination.",
        ));
    }
    let operating = match instance.set.get("LatestOperationState") {
        Some(set) => set == "OPERATING",
        None => instance.operation.as_ref().is_some_and(|operation| operation.state == "OPERATING"),
    };
    if operating {
        return Err(ApiError::new(
            "OperationDenied.InstanceOperationInProgress",
            "Another operation on the instance is in progress.",
        ));
    }
    Ok(())
}

/// `LAUNCH_FAILED` as `LaunchFailed`, the way the codes write states.
fn pascal(state: &str) -> String {
    state.split('_').fold(String::new(), |text, word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        text + first + &rest.to_lowercase()
    })
}
