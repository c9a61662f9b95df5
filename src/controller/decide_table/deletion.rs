//! Tables: how an object is let go.

use super::*;

#[test]
fn deletion() {
    let terminate = |only_once| Step::Terminate { id: "ins-1".to_owned(), only_once };
    let remove = |farewell| Step::RemoveFinalizer { farewell };
    let asked = |seen: Seen, ago: i64| seen.with(|seen| seen.status.instances[0].terminate_sent_at = Some(at(-ago)));
    let rows: Vec<(&str, Seen, Step)> = vec![
        ("no finalizer of ours", seen().without_finalizer().deleting(), Step::LetGo),
        ("nothing was bought", seen().deleting(), remove(Farewell::NoInstance)),
        ("a refused create", seen().attempt(AttemptState::Rejected).deleting(), remove(Farewell::NoInstance)),
        ("runs", seen().machine(&in_state("RUNNING")).deleting(), terminate(false)),
        ("is off", seen().machine(&in_state("STOPPED")).deleting(), terminate(false)),
        ("an unknown state", seen().machine(&in_state("CORRUPTED")).deleting(), terminate(false)),
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
            seen().machine(&in_state("RUNNING")).deleting().with(|seen| seen.crd_deleting = true),
            remove(Farewell::CrdDeleted),
        ),
        ("prepaid: one call", seen().machine(&prepaid_in_state("RUNNING")).deleting(), terminate(true)),
        (
            "prepaid: in the recycle bin",
            seen().machine(&prepaid_in_state("SHUTDOWN")).deleting(),
            remove(Farewell::Recycled),
        ),
        ("not listed any more: ask for the cloud's word", seen().machine(&json!([])).deleting(), terminate(false)),
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
                seen.absent_for.insert("ins-1".to_owned(), Duration::from_secs(30));
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
    let waits = vec![
        ("starts up", seen().machine(&in_state("PENDING"))),
        ("is being destroyed", seen().machine(&in_state("TERMINATING"))),
        ("failed to launch", seen().machine(&in_state("LAUNCH_FAILED"))),
        ("prepaid: just asked", asked(seen().machine(&prepaid_in_state("RUNNING")), 10)),
        ("prepaid: never a second call", asked(seen().machine(&prepaid_in_state("RUNNING")), 3600)),
        ("prepaid: asked, and not listed", asked(seen().machine(&json!([])).with(paid_by_the_month), 10)),
        ("prepaid: not asked, and not listed", seen().machine(&json!([])).with(paid_by_the_month)),
        ("prepaid: its return is under way", seen().machine(&json!([{
            "InstanceId": "ins-1", "InstanceState": "SHUTDOWN", "InstanceChargeType": "PREPAID", "LatestOperationState": "OPERATING"
        }]))),
        ("paused", seen().machine(&in_state("RUNNING")).paused()),
        (
            "unreadable",
            seen()
                .machine(&json!([]))
                .with(|seen| seen.listing = Some(Err(Problem::new(Reason::CloudUnavailable, "why")))),
        ),
        (
            "other credentials",
            seen().machine(&json!([])).with(|seen| seen.status.instances[0].secret_id = Some("AKIDOLD".to_owned())),
        ),
        ("never listed yet", seen().machine(&json!([])).with(|seen| seen.status.instances[0].secret_id = None)),
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

fn paid_by_the_month(seen: &mut Observed) {
    seen.status.instances[0].charge_type = Some("PREPAID".to_owned());
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
fn adopted_machines_stay() {
    let adopted = |by: AdoptedBy, policy| {
        seen().machine(&in_state("RUNNING")).deleting().with(|seen| {
            seen.status.instances[0].adopted_by = Some(by);
            seen.object.spec.deletion_policy = policy;
        })
    };
    let retained = Step::RemoveFinalizer { farewell: Farewell::Retained };
    assert_eq!(adopted(AdoptedBy::Domain, None).decide(), retained);
    assert_eq!(adopted(AdoptedBy::Name, None).decide(), retained);
    assert_eq!(adopted(AdoptedBy::Name, Some(DeletionPolicy::Delete)).decide(), retained, "a name is no proof");
    assert_eq!(adopted(AdoptedBy::Other("X".to_owned()), Some(DeletionPolicy::Delete)).decide(), retained);
    let terminate = Step::Terminate { id: "ins-1".to_owned(), only_once: false };
    assert_eq!(adopted(AdoptedBy::Domain, Some(DeletionPolicy::Delete)).decide(), terminate);
}

#[test]
fn a_lost_status_is_looked_up_before_the_object_goes() {
    let lost = || seen().deleting();
    let release = Step::RemoveFinalizer { farewell: Farewell::NoInstance };
    assert_eq!(lost().with(|seen| seen.lookup = None).decide(), Step::LookUp);
    assert_eq!(lost().looked_up(one_found(true)).decide(), Step::Adopt { id: "ins-1".to_owned() });
    assert_eq!(lost().decide(), release);
    let failed = |reason| lost().with(|seen| seen.lookup = Some(Err(Problem::new(reason, "why")))).decide();
    assert_eq!(failed(Reason::CredentialsInvalid), release, "never served: not held by a bad key");
    assert!(matches!(failed(Reason::CloudUnavailable), Step::Report(_)), "one failed look proves nothing");
    let user_named = lost().with(|seen| seen.object.spec.instance_name = Some("default-web-u".to_owned()));
    assert_eq!(user_named.looked_up(one_found(true)).decide(), release, "a user's name proves nothing");
}

#[test]
fn a_refused_termination_waits_and_says_why() {
    let refused = || {
        seen().machine(&in_state("RUNNING")).deleting().with(|seen| {
            let problem = Problem::new(Reason::DeleteProtected, "protected");
            seen.recollection.refused_termination = Some(Hold { until: at(300), inputs: seen.inputs.clone(), problem });
        })
    };
    let report = refused().report();
    assert_eq!((report.reason, report.standing), (Reason::DeleteProtected, Standing::NeedsPerson));
    let terminate = Step::Terminate { id: "ins-1".to_owned(), only_once: false };
    let asked = refused().with(|seen| seen.inputs.reconcile_requested_at = Some("now".to_owned()));
    assert_eq!(asked.decide(), terminate, "a person asked to look again");
    let later = refused().with(|seen| seen.recollection.refused_termination.as_mut().unwrap().until = at(0));
    assert_eq!(later.decide(), terminate);
}

#[test]
fn a_machine_of_which_nobody_knows_how_it_is_paid_is_asked_for_once() {
    let unknown = json!([{"InstanceId": "ins-1", "InstanceState": "RUNNING"}]);
    let seen = seen().machine(&unknown).deleting().with(|seen| seen.status.create_attempt = None);
    assert_eq!(seen.decide(), Step::Terminate { id: "ins-1".to_owned(), only_once: true });
}
