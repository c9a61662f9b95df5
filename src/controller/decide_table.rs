//! Tables for `decide`: what is observed on the left, the one step on the right. A row is built from a plain object.

mod creation;
mod deletion;
mod following;
mod recheck;
mod settling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::decide::decide;
use super::lookup::Found;
use super::memory::{Hold, Inputs, Ownership, Recollection};
use super::observe::Observed;
use super::problem::Problem;
use super::references::CreateInputs;
use super::settling::EmptyRounds;
use super::step::{Farewell, Readiness, Report, Standing, Step};
use crate::api::{
    AdoptedBy, AttemptState, CreateAttempt, DeletionPolicy, FINALIZER, InstanceStatus, NameOrigin, PAUSED_ANNOTATION,
    PaiInstance, RESOLVE_CREATE_ANNOTATION, Reason, Synced,
};
use crate::tencent::Account;

const NOW: i64 = 1_800_000_000;

fn at(seconds_from_now: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds_from_now).unwrap()
}

/// An observation under construction: an object with our finalizer and good credentials that was never created.
struct Seen(Observed);

fn seen() -> Seen {
    let object: PaiInstance = serde_json::from_value(json!({
        "apiVersion": "pai.tencentcloud.io/v1alpha1",
        "kind": "PaiInstance",
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1, "finalizers": [FINALIZER]},
        "spec": {
            "region": "ap-guangzhou",
            "credentialsRef": {"name": "c"},
            "domainName": "web.pai.tcloudbase.com",
            "internetAccessible": {"internetMaxBandwidthOut": 10}
        }
    }))
    .unwrap();
    Seen(Observed {
        status: object.status.clone().unwrap_or_default(),
        object,
        account: Ok(Account::of_test("AKID")),
        create_inputs: Some(Ok(CreateInputs::default())),
        rival: None,
        lookup: Some(Ok(nothing_found())),
        settle_window: Duration::from_secs(300),
        absent_for: BTreeMap::new(),
        listing: None,
        inputs: Inputs { generation: Some(1), ..Inputs::default() },
        ownership: Ownership::Foreign,
        recollection: Recollection::default(),
        crd_deleting: false,
    })
}

/// A complete look just now that found nothing.
fn nothing_found() -> Found {
    Found {
        begun: Instant::now(),
        begun_at: at(0),
        cloud_time: Some(at(0)),
        domains: Some(Arc::default()),
        named: Vec::new(),
    }
}

/// A complete look just now that found `ins-1` under our name, with our domain or without, created when the attempt was signed.
fn one_found(with_domain: bool) -> Found {
    let instance = json!({"InstanceId": "ins-1", "InstanceName": "default-web-u", "CreatedTime": at(-60).to_string()});
    let domain = if with_domain { "web.pai.tcloudbase.com" } else { "" };
    Found {
        domains: Some(Arc::new(BTreeMap::from([("ins-1".to_owned(), domain.to_owned())]))),
        named: vec![serde_json::from_value(instance).unwrap()],
        ..nothing_found()
    }
}

impl Seen {
    fn looked_up(self, found: Found) -> Self {
        self.with(|seen| seen.lookup = Some(Ok(found)))
    }

    /// An answer of a person.
    fn answered(self, answer: &str) -> Self {
        self.with(|seen| {
            let annotations = seen.object.metadata.annotations.get_or_insert_default();
            annotations.insert(RESOLVE_CREATE_ANNOTATION.to_owned(), answer.to_owned());
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Observed)) -> Self {
        change(&mut self.0);
        self
    }

    fn without_finalizer(self) -> Self {
        self.with(|seen| seen.object.metadata.finalizers = None)
    }

    fn deleting(self) -> Self {
        self.with(|seen| seen.object.metadata.deletion_timestamp = Some(Time(at(-1))))
    }

    fn paused(self) -> Self {
        self.with(|seen| {
            seen.object.metadata.annotations =
                Some(BTreeMap::from([(PAUSED_ANNOTATION.to_owned(), "true".to_owned())]));
        })
    }

    fn attempt(self, state: AttemptState) -> Self {
        self.with(|seen| {
            seen.status.create_attempt = Some(CreateAttempt {
                id: "a1".to_owned(),
                ordinal: 1,
                state,
                signed_at: at(-60),
                secret_id: "AKID".to_owned(),
                region: "ap-guangzhou".to_owned(),
                domain_name: "web.pai.tcloudbase.com".to_owned(),
                instance_name: "default-web-u".to_owned(),
                name_origin: NameOrigin::Generated,
                charge_type: "POSTPAID_BY_HOUR".to_owned(),
                lapsed_before: 0,
                request_id: None,
                reason: None,
            });
        })
    }

    /// Knows the machine `ins-1`, last seen under our secret id, and lists what the cloud shows now.
    fn machine(self, listed: &Value) -> Self {
        self.attempt(AttemptState::Created).with(|seen| {
            seen.status.instance_ids = vec!["ins-1".to_owned()];
            seen.status.instances = vec![InstanceStatus {
                id: "ins-1".to_owned(),
                secret_id: Some("AKID".to_owned()),
                ..InstanceStatus::default()
            }];
            let listing = listed.as_array().unwrap().iter().map(|instance| {
                (instance["InstanceId"].as_str().unwrap().to_owned(), serde_json::from_value(instance.clone()).unwrap())
            });
            seen.listing = Some(Ok(listing.collect()));
        })
    }

    fn decide(&self) -> Step {
        decide(&self.0, at(0))
    }

    fn report(&self) -> Report {
        match self.decide() {
            Step::Report(report) => report,
            step => panic!("a report was expected, not {step:?}"),
        }
    }
}

fn in_state(state: &str) -> Value {
    json!([{"InstanceId": "ins-1", "InstanceState": state, "InstanceChargeType": "POSTPAID_BY_HOUR", "PublicIpAddresses": ["1.2.3.4"]}])
}

fn prepaid_in_state(state: &str) -> Value {
    json!([{"InstanceId": "ins-1", "InstanceState": state, "InstanceChargeType": "PREPAID", "LatestOperationState": "SUCCESS"}])
}
