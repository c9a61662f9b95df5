//! Remedy: the exact command for a person who must act, and what it costs. Pure.

use super::step::{Report, Standing};
use crate::api::{PaiInstance, RECONCILE_REQUESTED_ANNOTATION, Reason};

fn name_and_namespace(object: &PaiInstance) -> (&str, &str) {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    (name, object.metadata.namespace.as_deref().unwrap_or_default())
}

/// Lets the object go and keeps the machine.
pub fn retain(object: &PaiInstance) -> String {
    let (name, namespace) = name_and_namespace(object);
    format!("kubectl patch pai {name} -n {namespace} --type=merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'")
}

/// Deletes the object.
pub fn delete(object: &PaiInstance) -> String {
    let (name, namespace) = name_and_namespace(object);
    format!("kubectl delete pai {name} -n {namespace}")
}

/// Asks for a fresh look.
pub fn look_again(object: &PaiInstance) -> String {
    let (name, namespace) = name_and_namespace(object);
    format!("kubectl annotate pai {name} -n {namespace} --overwrite {RECONCILE_REQUESTED_ANNOTATION}=$(date +%s)")
}

fn edit(object: &PaiInstance) -> String {
    let (name, namespace) = name_and_namespace(object);
    format!("kubectl edit pai {name} -n {namespace}")
}

/// Writes the credentials Secret, whether it is there or not.
fn write_credentials(object: &PaiInstance) -> String {
    let (_, namespace) = name_and_namespace(object);
    let secret = &object.spec.credentials_ref.name;
    format!(
        "kubectl create secret generic {secret} -n {namespace} --from-literal=secretId=... --from-literal=secretKey=... \
         --dry-run=client -o yaml | kubectl apply -f -"
    )
}

/// The report's message. Where a person must act and it names no command yet, it gets the one for its reason.
pub fn message(report: &Report, object: &PaiInstance) -> String {
    if report.standing != Standing::NeedsPerson || report.besides.is_some() || report.message.contains("kubectl ") {
        return report.message.clone();
    }
    format!("{}. {}", report.message.trim_end_matches('.'), what_to_type(report.reason, object))
}

/// Whether the object holds no machine, so that deleting it ends none.
fn has_no_machine(object: &PaiInstance) -> bool {
    object.status.as_ref().is_none_or(|status| status.instance_ids.is_empty())
}

fn what_to_type(reason: Reason, object: &PaiInstance) -> String {
    match reason {
        Reason::CredentialsNotFound | Reason::CredentialsInvalid | Reason::CredentialsChanged => {
            format!("To write the Secret, which costs nothing: {}", write_credentials(object))
        }
        Reason::InvalidSpec => {
            format!("To mend the spec, after which the machine is bought and billed: {}", edit(object))
        }
        Reason::RegionUnsupported | Reason::DomainConflict | Reason::DomainTaken if has_no_machine(object) => format!(
            "To give this object up, for which no machine was bought, so that it costs nothing: {}",
            delete(object)
        ),
        Reason::DeleteProtected | Reason::NotReturnable => {
            format!("To let the object go and keep the machine, which stays billed: {}", retain(object))
        }
        _ => format!("To have it looked at again at once, which costs nothing: {}", look_again(object)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::controller::problem::Problem;

    fn object() -> PaiInstance {
        serde_json::from_value(json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}}
        }))
        .unwrap()
    }

    #[test]
    fn whoever_must_act_is_told_what_to_type() {
        let object = object();
        for reason in Reason::ALL {
            let report = Report::problem(&Problem::new(*reason, "Why."), Duration::ZERO);
            let text = message(&report, &object);
            assert_eq!(text.contains("kubectl "), reason.needs_a_person(), "{reason:?}: {text}");
            assert_eq!(text.contains(" -n default"), reason.needs_a_person(), "{reason:?}: {text}");
        }
        let refused = Report::problem(&Problem::new(Reason::ApiRetired, "Why. RequestId 1"), Duration::ZERO);
        assert!(message(&refused, &object).starts_with("Why. RequestId 1. To have it looked at"), "two sentences");
        let own = Report::problem(&Problem::new(Reason::DomainTaken, "Type kubectl get pai."), Duration::ZERO);
        assert_eq!(message(&own, &object), own.message, "a command of its own is enough");
        let settled = Report { besides: Some(Problem::new(Reason::DuplicateFound, "x")), ..own.clone() };
        assert_eq!(message(&settled, &object), settled.message);
    }

    #[test]
    fn a_deletion_is_proposed_only_where_it_ends_no_machine() {
        for (ids, expected) in [(json!([]), true), (json!(["ins-1"]), false)] {
            let mut with = serde_json::to_value(object()).unwrap();
            with["status"] = json!({"instanceIds": ids, "observedGeneration": 1});
            let with: PaiInstance = serde_json::from_value(with).unwrap();
            for reason in [Reason::RegionUnsupported, Reason::DomainConflict, Reason::DomainTaken] {
                let report = Report::problem(&Problem::new(reason, "Why."), Duration::ZERO);
                let text = message(&report, &with);
                assert_eq!(text.contains("kubectl delete pai web -n default"), expected, "{text}");
            }
        }
    }
}
