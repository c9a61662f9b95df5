//! Tables for `decide`: what is observed on the left, the one step on the right. A row is built from a plain object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::decide::{Farewell, Readiness, Report, Standing, Step, Synced, decide};
use super::lookup::Found;
use super::memory::{Hold, Inputs, Ownership, Recollection};
use super::observe::Observed;
use super::problem::Problem;
use super::references::CreateInputs;
use super::settling::EmptyRounds;
use crate::api::{
    AdoptedBy, AttemptState, CreateAttempt, DeletionPolicy, FINALIZER, InstanceStatus, NameOrigin, PAUSED_ANNOTATION,
    PaiInstance, RESOLVE_CREATE_ANNOTATION, Reason,
};
use crate::tencent::{Account, Credentials, Region};

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
    let credentials = Credentials::new("AKID", "key".into(), None).unwrap();
    Seen(Observed {
        status: object.status.clone().unwrap_or_default(),
        object,
        account: Ok(Account {
            credentials,
            region: Region::parse("ap-guangzhou").unwrap(),
        }),
        create_inputs: Some(Ok(CreateInputs::default())),
        rival: None,
        lookup: Some(Ok(nothing_found())),
        settle_window: Duration::from_secs(300),
        listing: None,
        inputs: Inputs {
            generation: Some(1),
            ..Inputs::default()
        },
        ownership: Ownership::Foreign,
        recollection: Recollection::default(),
        crd_deleting: false,
    })
}

/// A complete look just now that found nothing.
fn nothing_found() -> Found {
    Found {
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
                (
                    instance["InstanceId"].as_str().unwrap().to_owned(),
                    serde_json::from_value(instance.clone()).unwrap(),
                )
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

#[test]
fn creation() {
    let problem = |reason| Err(Problem::new(reason, "why"));
    let hold = |until, inputs: Inputs| {
        Some(Hold {
            until: at(until),
            inputs,
        })
    };
    let same = || Inputs {
        generation: Some(1),
        ..Inputs::default()
    };
    let rows: Vec<(&str, Seen, Step)> = vec![
        ("finalizer first", seen().without_finalizer(), Step::AddFinalizer),
        ("a new object", seen(), Step::Create),
        ("after a refusal", seen().attempt(AttemptState::Rejected), Step::Create),
        (
            "after a lapsed attempt",
            seen().attempt(AttemptState::Lapsed),
            Step::Create,
        ),
        (
            "a refused create waits",
            seen()
                .attempt(AttemptState::Rejected)
                .with(|seen| seen.recollection.hold = hold(10, same())),
            Step::Wait(Duration::from_secs(10)),
        ),
        (
            "and looks at its references meanwhile",
            seen().with(|seen| seen.recollection.hold = hold(3600, same())),
            Step::Wait(Duration::from_secs(60)),
        ),
        (
            "until its time has come",
            seen().with(|seen| seen.recollection.hold = hold(0, same())),
            Step::Create,
        ),
        (
            "or the spec was edited",
            seen().with(|seen| {
                seen.recollection.hold = hold(3600, same());
                seen.inputs.generation = Some(2);
            }),
            Step::Create,
        ),
        (
            "or the Secret was mended",
            seen().with(|seen| {
                seen.recollection.hold = hold(3600, same());
                seen.inputs.credentials_version = Some("2".to_owned());
            }),
            Step::Create,
        ),
        (
            "or a person asked for a fresh look",
            seen().with(|seen| {
                seen.recollection.hold = hold(3600, same());
                seen.inputs.reconcile_requested_at = Some("now".to_owned());
            }),
            Step::Create,
        ),
    ];
    for (name, seen, expected) in rows {
        assert_eq!(seen.decide(), expected, "{name}");
    }
    let paused = seen().paused().report();
    assert_eq!((paused.synced, paused.ready), (Synced::Paused, Readiness::NotReady));
    let no_secret = seen()
        .with(|seen| seen.account = problem(Reason::CredentialsNotFound))
        .report();
    assert_eq!(
        (no_secret.reason, no_secret.standing),
        (Reason::CredentialsNotFound, Standing::NeedsPerson)
    );
    let no_script = seen().with(|seen| seen.create_inputs = Some(problem_inputs())).report();
    assert_eq!(
        (no_script.reason, no_script.next),
        (Reason::ReferenceNotFound, Duration::from_secs(60))
    );
    let abandoned = seen().attempt(AttemptState::Abandoned).report();
    assert_eq!(abandoned.reason, Reason::OutcomeUnknown);
}

fn problem_inputs() -> Result<CreateInputs, Problem> {
    Err(Problem::new(Reason::ReferenceNotFound, "why"))
}

#[test]
fn an_open_attempt_forbids_everything_else() {
    let open = [
        AttemptState::Sending,
        AttemptState::Uncertain,
        AttemptState::Held,
        AttemptState::Other("Verifying".to_owned()),
    ];
    for state in open {
        for seen in [seen(), seen().deleting(), seen().paused(), seen().deleting().paused()] {
            let step = seen.attempt(state.clone()).decide();
            let harmless = matches!(
                step,
                Step::Report(_)
                    | Step::CloseAttempt {
                        state: AttemptState::Uncertain,
                        ..
                    }
            );
            assert!(harmless, "{state:?}: {step:?}");
        }
    }
    let owned = |ownership| {
        seen()
            .attempt(AttemptState::Sending)
            .with(|seen| seen.ownership = ownership)
            .decide()
    };
    let closed_as = |step: Step| match step {
        Step::CloseAttempt { state, .. } => state,
        step => panic!("{step:?}"),
    };
    assert_eq!(closed_as(owned(Ownership::Foreign)), AttemptState::Uncertain);
    assert_eq!(closed_as(owned(Ownership::NeverSent)), AttemptState::Rejected);
    assert_eq!(owned(Ownership::InFlight), Step::Wait(Duration::from_secs(5)));
    let report = seen().deleting().attempt(AttemptState::Uncertain).report();
    assert_eq!(report.reason, Reason::OutcomeUnknown);
    assert!(
        report.message.contains("default-web-u") && report.message.contains("deletion waits"),
        "{}",
        report.message
    );
}

#[test]
fn following() {
    use Readiness::{AsBefore, NotReady, Ready};
    use Standing::{NeedsPerson, Progressing, Settled};
    let rows: Vec<(&str, Value, Readiness, Reason, Standing)> = vec![
        ("runs", in_state("RUNNING"), Ready, Reason::Available, Settled),
        (
            "migrates",
            in_state("SERVICE_LIVE_MIGRATE"),
            Ready,
            Reason::Available,
            Settled,
        ),
        (
            "starts up",
            in_state("PENDING"),
            NotReady,
            Reason::Provisioning,
            Progressing,
        ),
        (
            "reboots",
            in_state("REBOOTING"),
            NotReady,
            Reason::Provisioning,
            Progressing,
        ),
        ("stops", in_state("STOPPING"), NotReady, Reason::Stopped, Progressing),
        ("is off", in_state("STOPPED"), NotReady, Reason::Stopped, Settled),
        (
            "is rescued",
            in_state("RESCUE_MODE"),
            NotReady,
            Reason::Stopped,
            Settled,
        ),
        (
            "is in an unknown state",
            in_state("CORRUPTED"),
            NotReady,
            Reason::Stopped,
            Settled,
        ),
        (
            "failed to launch",
            in_state("LAUNCH_FAILED"),
            NotReady,
            Reason::InstanceFailed,
            NeedsPerson,
        ),
        (
            "is in the recycle bin",
            in_state("SHUTDOWN"),
            NotReady,
            Reason::ExternallyDeleted,
            NeedsPerson,
        ),
        (
            "is being destroyed",
            in_state("TERMINATING"),
            NotReady,
            Reason::ExternallyDeleted,
            NeedsPerson,
        ),
        (
            "is missing for the first time",
            json!([]),
            AsBefore,
            Reason::Provisioning,
            Progressing,
        ),
        (
            "has no address yet",
            json!([{"InstanceId": "ins-1", "InstanceState": "RUNNING", "PublicIpAddresses": null}]),
            NotReady,
            Reason::Provisioning,
            Progressing,
        ),
        (
            "is restricted",
            json!([{"InstanceId": "ins-1", "InstanceState": "RUNNING", "RestrictState": "EXPIRED"}]),
            NotReady,
            Reason::InsufficientBalance,
            Settled,
        ),
    ];
    for (name, listed, ready, reason, standing) in rows {
        let report = seen().machine(&listed).report();
        assert_eq!(
            (report.ready, report.reason, report.standing),
            (ready, reason, standing),
            "{name}"
        );
    }
}

#[test]
fn a_machine_that_is_not_listed() {
    let gone_since = |seconds: i64| {
        seen().machine(&json!([])).with(|seen| {
            seen.recollection.absent_since.insert("ins-1".to_owned(), at(-seconds));
        })
    };
    assert_eq!(gone_since(29).report().ready, Readiness::AsBefore);
    assert_eq!(gone_since(30).report().reason, Reason::ExternallyDeleted);
    let never_seen = gone_since(3600).with(|seen| seen.status.instances[0].secret_id = None);
    assert_eq!(
        never_seen.report().reason,
        Reason::Provisioning,
        "a fresh id is not missing for 15 min"
    );
    let old = never_seen.with(|seen| seen.status.create_attempt.as_mut().unwrap().signed_at = at(-900));
    assert_eq!(old.report().reason, Reason::ExternallyDeleted);
    let other_key = gone_since(3600).with(|seen| seen.status.instances[0].secret_id = Some("AKIDOLD".to_owned()));
    assert_eq!(other_key.report().reason, Reason::CredentialsChanged);
}

#[test]
fn a_failed_look_says_nothing_about_the_machine() {
    let failed = |reason| {
        seen()
            .machine(&json!([]))
            .with(|seen| seen.listing = Some(Err(Problem::new(reason, "why"))))
            .report()
    };
    let away = failed(Reason::CloudUnavailable);
    assert_eq!((away.ready, away.synced), (Readiness::AsBefore, Synced::Error));
    assert_eq!(failed(Reason::CredentialsInvalid).ready, Readiness::NotReady);
}

#[test]
fn several_machines_are_as_well_as_the_worst() {
    let listed = json!([
        {"InstanceId": "ins-1", "InstanceState": "RUNNING", "PublicIpAddresses": ["1.2.3.4"]},
        {"InstanceId": "ins-2", "InstanceState": "STOPPED"},
    ]);
    let report = seen()
        .machine(&listed)
        .with(|seen| seen.status.instance_ids.push("ins-2".to_owned()))
        .report();
    assert_eq!((report.ready, report.reason), (Readiness::NotReady, Reason::Stopped));
    assert!(report.message.contains("ins-2"), "{}", report.message);
}

#[test]
fn deletion() {
    let terminate = |only_once| Step::Terminate {
        id: "ins-1".to_owned(),
        only_once,
    };
    let remove = |farewell| Step::RemoveFinalizer { farewell };
    let asked = |seen: Seen, ago: i64| seen.with(|seen| seen.status.instances[0].terminate_sent_at = Some(at(-ago)));
    let rows: Vec<(&str, Seen, Step)> = vec![
        (
            "no finalizer of ours",
            seen().without_finalizer().deleting(),
            Step::LetGo,
        ),
        ("nothing was bought", seen().deleting(), remove(Farewell::NoInstance)),
        (
            "a refused create",
            seen().attempt(AttemptState::Rejected).deleting(),
            remove(Farewell::NoInstance),
        ),
        (
            "runs",
            seen().machine(&in_state("RUNNING")).deleting(),
            terminate(false),
        ),
        (
            "is off",
            seen().machine(&in_state("STOPPED")).deleting(),
            terminate(false),
        ),
        (
            "an unknown state",
            seen().machine(&in_state("CORRUPTED")).deleting(),
            terminate(false),
        ),
        (
            "Retain",
            seen()
                .machine(&in_state("RUNNING"))
                .deleting()
                .with(|seen| seen.object.spec.deletion_policy = Some(DeletionPolicy::Retain)),
            remove(Farewell::Retained),
        ),
        (
            "the CRD is being deleted",
            seen()
                .machine(&in_state("RUNNING"))
                .deleting()
                .with(|seen| seen.crd_deleting = true),
            remove(Farewell::CrdDeleted),
        ),
        (
            "prepaid: one call",
            seen().machine(&prepaid_in_state("RUNNING")).deleting(),
            terminate(true),
        ),
        (
            "prepaid: in the recycle bin",
            seen().machine(&prepaid_in_state("SHUTDOWN")).deleting(),
            remove(Farewell::Recycled),
        ),
        (
            "not listed any more: ask for the cloud's word",
            seen().machine(&json!([])).deleting(),
            terminate(false),
        ),
        (
            "the cloud's word",
            seen().machine(&json!([])).deleting().with(|seen| {
                seen.recollection.gone.insert("ins-1".to_owned());
            }),
            remove(Farewell::Terminated),
        ),
        (
            "absent twice",
            seen().machine(&json!([])).deleting().with(|seen| {
                seen.recollection.absent_since.insert("ins-1".to_owned(), at(-30));
            }),
            remove(Farewell::Terminated),
        ),
        (
            "a termination without effect is repeated",
            seen().machine(&in_state("RUNNING")).deleting().with(|seen| {
                seen.recollection.terminated_at.insert("ins-1".to_owned(), at(-30));
            }),
            terminate(false),
        ),
    ];
    for (name, seen, expected) in rows {
        assert_eq!(seen.decide(), expected, "{name}");
    }
    let waits = [
        ("starts up", seen().machine(&in_state("PENDING"))),
        ("is being destroyed", seen().machine(&in_state("TERMINATING"))),
        ("failed to launch", seen().machine(&in_state("LAUNCH_FAILED"))),
        (
            "prepaid: just asked",
            asked(seen().machine(&prepaid_in_state("RUNNING")), 10),
        ),
        (
            "prepaid: never a second call",
            asked(seen().machine(&prepaid_in_state("RUNNING")), 3600),
        ),
        ("paused", seen().machine(&in_state("RUNNING")).paused()),
        (
            "unreadable",
            seen()
                .machine(&json!([]))
                .with(|seen| seen.listing = Some(Err(Problem::new(Reason::CloudUnavailable, "why")))),
        ),
        (
            "other credentials",
            seen()
                .machine(&json!([]))
                .with(|seen| seen.status.instances[0].secret_id = Some("AKIDOLD".to_owned())),
        ),
        (
            "never listed yet",
            seen()
                .machine(&json!([]))
                .with(|seen| seen.status.instances[0].secret_id = None),
        ),
        (
            "its termination is under way",
            seen().machine(&in_state("RUNNING")).with(|seen| {
                seen.recollection.terminated_at.insert("ins-1".to_owned(), at(-5));
            }),
        ),
    ];
    for (name, seen) in waits {
        let step = seen.deleting().decide();
        assert!(matches!(step, Step::Report(_)), "{name}: {step:?}");
    }
}

#[test]
fn a_blocked_deletion_holds_the_way_out() {
    let report = seen()
        .machine(&json!([]))
        .deleting()
        .with(|seen| seen.listing = Some(Err(Problem::new(Reason::CredentialsNotFound, "There is no Secret."))))
        .report();
    assert_eq!(report.reason, Reason::CredentialsNotFound);
    let command = r#"kubectl patch pai web -n default --type=merge -p '{"spec":{"deletionPolicy":"Retain"}}'"#;
    assert!(report.message.contains(command), "{}", report.message);
}

#[test]
fn before_a_create_the_cloud_is_searched() {
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    let error = || Some(Err(Problem::new(Reason::CloudUnavailable, "why")));
    assert_eq!(seen().with(|seen| seen.lookup = None).decide(), Step::LookUp);
    assert_eq!(
        seen().looked_up(one_found(true)).decide(),
        adopt,
        "our marker: the status was lost"
    );
    assert_eq!(
        seen()
            .looked_up(Found {
                begun_at: at(-59),
                ..nothing_found()
            })
            .decide(),
        Step::Create
    );
    assert_eq!(
        seen()
            .looked_up(Found {
                begun_at: at(-60),
                ..nothing_found()
            })
            .decide(),
        Step::LookUp,
        "too old to rest on"
    );
    assert_eq!(
        seen().with(|seen| seen.lookup = error()).report().reason,
        Reason::CloudUnavailable,
        "no evidence of absence"
    );
    let user_named = || seen().with(|seen| seen.object.spec.instance_name = Some("default-web-u".to_owned()));
    assert_eq!(
        user_named().looked_up(one_found(true)).report().reason,
        Reason::DomainTaken,
        "we never steal"
    );
    assert_eq!(
        user_named().looked_up(one_found(false)).decide(),
        Step::Create,
        "a name alone is nobody's"
    );
    let two = Found {
        named: [one_found(false).named, one_found(false).named].concat(),
        ..nothing_found()
    };
    let mut two = two;
    two.named[1].instance_id = crate::tencent::InstanceId::new("ins-2");
    assert_eq!(seen().looked_up(two).report().reason, Reason::AmbiguousInstances);
    let rival = seen().with(|seen| {
        seen.rival = Some("default/other".to_owned());
        seen.lookup = None;
    });
    assert_eq!(rival.report().reason, Reason::DomainConflict, "and no call is made");
}

/// An uncertain attempt, signed `ago` seconds before now.
fn uncertain(ago: i64) -> Seen {
    seen()
        .attempt(AttemptState::Uncertain)
        .with(|seen| seen.status.create_attempt.as_mut().unwrap().signed_at = at(-ago))
}

fn rounds(count: u32, first: i64, last: i64) -> Option<EmptyRounds> {
    Some(EmptyRounds {
        attempt_id: "a1".to_owned(),
        count,
        first: at(first),
        last: at(last),
    })
}

#[test]
fn settling_an_unknown_outcome() {
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    let closed = |seen: &Seen| match seen.decide() {
        Step::CloseAttempt { state, why } => (state, why),
        step => panic!("{step:?}"),
    };
    assert_eq!(uncertain(10).with(|seen| seen.lookup = None).decide(), Step::LookUp);
    assert_eq!(
        uncertain(10).looked_up(one_found(false)).decide(),
        adopt,
        "a hit counts at once"
    );
    assert_eq!(
        uncertain(10).deleting().looked_up(one_found(false)).decide(),
        adopt,
        "also on deletion: it must be terminated"
    );
    assert_eq!(uncertain(10).report().next, Duration::from_secs(2));
    assert_eq!(uncertain(600).report().next, Duration::from_secs(30));

    let settled = |seen: &mut Observed| seen.recollection.empty_rounds = rounds(3, -300, 0);
    assert_eq!(closed(&uncertain(900).with(settled)).0, AttemptState::Lapsed);
    let too_few = uncertain(900).with(|seen| seen.recollection.empty_rounds = rounds(2, -300, 0));
    assert_eq!(too_few.report().reason, Reason::OutcomeUnknown);
    let too_short = uncertain(900).with(|seen| seen.recollection.empty_rounds = rounds(3, -299, 0));
    assert_eq!(too_short.report().reason, Reason::OutcomeUnknown);
    let other_attempt = uncertain(900)
        .with(settled)
        .with(|seen| seen.recollection.empty_rounds.as_mut().unwrap().attempt_id = "a0".to_owned());
    assert_eq!(other_attempt.report().reason, Reason::OutcomeUnknown);
    let not_looked = uncertain(900)
        .with(settled)
        .with(|seen| seen.lookup = Some(Err(Problem::new(Reason::CloudUnavailable, "why"))));
    assert_eq!(not_looked.report().reason, Reason::OutcomeUnknown);

    let attempt = |change: fn(&mut CreateAttempt)| {
        uncertain(900)
            .with(settled)
            .with(|seen| change(seen.status.create_attempt.as_mut().unwrap()))
    };
    assert_eq!(
        closed(&attempt(|attempt| attempt.charge_type = "PREPAID".to_owned())).0,
        AttemptState::Held
    );
    assert_eq!(
        closed(&attempt(|attempt| attempt.charge_type = "SPOTPAID".to_owned())).0,
        AttemptState::Lapsed
    );
    assert_eq!(
        closed(&attempt(|attempt| attempt.lapsed_before = 1)).0,
        AttemptState::Lapsed
    );
    assert_eq!(
        closed(&attempt(|attempt| attempt.lapsed_before = 2)).0,
        AttemptState::Held,
        "three in a row"
    );

    let other_key =
        |ago| uncertain(ago).with(|seen| seen.status.create_attempt.as_mut().unwrap().secret_id = "AKIDOLD".to_owned());
    assert_eq!(
        other_key(10).with(settled).looked_up(one_found(true)).report().reason,
        Reason::CredentialsChanged,
        "no evidence"
    );
    assert_eq!(closed(&other_key(900)).0, AttemptState::Held);

    let user_named =
        |ago| uncertain(ago).with(|seen| seen.status.create_attempt.as_mut().unwrap().name_origin = NameOrigin::User);
    assert_eq!(
        user_named(60).looked_up(one_found(true)).decide(),
        adopt,
        "domain, name and time together"
    );
    assert_eq!(
        user_named(60).looked_up(one_found(false)).report().reason,
        Reason::OutcomeUnknown,
        "its domain may yet show"
    );
    let held = user_named(660).looked_up(Found {
        domains: None,
        ..one_found(false)
    });
    let held = held.with(|seen| {
        seen.lookup.as_mut().unwrap().as_mut().unwrap().named[0].created_time = Some(at(-660));
    });
    assert_eq!(closed(&held).0, AttemptState::Held, "no PAI list: no proof");
}

#[test]
fn only_late_rounds_count() {
    let attempt = uncertain(400).0.status.create_attempt.unwrap();
    let round = |begun, cloud| EmptyRounds::with(None, &attempt, at(begun), cloud);
    assert_eq!(
        round(0, Some(at(-400 + 359))),
        None,
        "the signature may still be good by the cloud's clock"
    );
    assert!(round(0, Some(at(-400 + 360))).is_some());
    assert_eq!(round(0, None), None, "without the cloud's clock it takes longer");
    assert!(round(260, None).is_some());
    let one = round(0, Some(at(0)));
    let two = EmptyRounds::with(one.clone(), &attempt, at(100), Some(at(100))).unwrap();
    assert_eq!((two.count, two.first, two.last), (2, at(0), at(100)));
    assert_eq!(
        EmptyRounds::with(one, &attempt, at(1), Some(at(-400))),
        None,
        "a cloud whose clock stepped back starts anew"
    );
}

#[test]
fn answers_of_a_person() {
    let held = || seen().attempt(AttemptState::Held);
    let closed = |state: AttemptState, why: &str| Step::CloseAttempt {
        state,
        why: why.to_owned(),
    };
    assert_eq!(
        held().answered("retry:a1").decide(),
        closed(AttemptState::Lapsed, "a person said to try again")
    );
    assert_eq!(
        held().answered("abandon:a1").decide(),
        closed(AttemptState::Abandoned, "a person gave it up")
    );
    let by_name_only =
        || held().with(|seen| seen.status.create_attempt.as_mut().unwrap().name_origin = NameOrigin::User);
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    assert_eq!(
        by_name_only()
            .looked_up(one_found(false))
            .answered("adopt:ins-1")
            .decide(),
        adopt
    );
    for ignored in ["retry:a0", "abandon:a0", "adopt:ins-9", "recreate:a1", "nonsense"] {
        let step = held().answered(ignored).decide();
        assert!(matches!(step, Step::Report(_)), "{ignored}: {step:?}");
        let early = uncertain(10).answered(ignored).decide();
        assert!(
            matches!(early, Step::Report(_)),
            "{ignored} before it is held: {early:?}"
        );
    }
    let message = held().report().message;
    assert!(
        message.contains("kubectl annotate pai web -n default --overwrite pai.tencentcloud.io/resolve-create=adopt:"),
        "{message}"
    );

    let abandoned = || seen().attempt(AttemptState::Abandoned);
    assert_eq!(abandoned().answered("recreate:a1").decide(), Step::StartOver);
    assert!(
        abandoned()
            .answered("recreate:a0")
            .report()
            .message
            .contains("resolve-create=recreate:a1")
    );
}

#[test]
fn a_machine_that_is_gone_is_replaced_only_when_a_person_says_so() {
    let gone = || {
        seen().machine(&json!([])).with(|seen| {
            seen.recollection.absent_since.insert("ins-1".to_owned(), at(-30));
        })
    };
    assert_eq!(gone().answered("recreate:a1").decide(), Step::StartOver);
    assert_eq!(
        seen()
            .machine(&in_state("LAUNCH_FAILED"))
            .answered("recreate:a1")
            .decide(),
        Step::StartOver
    );
    assert_eq!(
        gone().answered("recreate:a0").report().reason,
        Reason::ExternallyDeleted
    );
    assert!(gone().report().message.contains("resolve-create=recreate:a1"));
    for state in ["RUNNING", "STOPPED", "SHUTDOWN", "TERMINATING", "PENDING"] {
        let step = seen().machine(&in_state(state)).answered("recreate:a1").decide();
        assert!(matches!(step, Step::Report(_)), "{state} costs money still: {step:?}");
    }
    let paused = gone().paused().answered("recreate:a1").decide();
    assert!(matches!(paused, Step::Report(_)), "{paused:?}");
}

#[test]
fn adopted_machines_stay() {
    let adopted = |by: AdoptedBy, policy| {
        seen().machine(&in_state("RUNNING")).deleting().with(|seen| {
            seen.status.instances[0].adopted_by = Some(by);
            seen.object.spec.deletion_policy = policy;
        })
    };
    let retained = Step::RemoveFinalizer {
        farewell: Farewell::Retained,
    };
    assert_eq!(adopted(AdoptedBy::Domain, None).decide(), retained);
    assert_eq!(adopted(AdoptedBy::Name, None).decide(), retained);
    assert_eq!(
        adopted(AdoptedBy::Name, Some(DeletionPolicy::Delete)).decide(),
        retained,
        "a name is no proof"
    );
    assert_eq!(
        adopted(AdoptedBy::Other("X".to_owned()), Some(DeletionPolicy::Delete)).decide(),
        retained
    );
    let terminate = Step::Terminate {
        id: "ins-1".to_owned(),
        only_once: false,
    };
    assert_eq!(
        adopted(AdoptedBy::Domain, Some(DeletionPolicy::Delete)).decide(),
        terminate
    );
}
