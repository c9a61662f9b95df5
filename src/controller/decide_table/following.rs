//! Tables: what is told of a machine that is known.

use super::*;
use crate::controller::cloud_watch::Look;
use crate::controller::following::{View, view};
use crate::controller::observe::count_absences;

#[test]
fn following() {
    use Readiness::{AsBefore, NotReady, Ready};
    use Standing::{NeedsPerson, Progressing, Settled};
    let rows: Vec<(&str, Value, Readiness, Reason, Standing)> = vec![
        ("runs", in_state("RUNNING"), Ready, Reason::Available, Settled),
        ("migrates", in_state("SERVICE_LIVE_MIGRATE"), Ready, Reason::Available, Settled),
        ("starts up", in_state("PENDING"), NotReady, Reason::Provisioning, Progressing),
        ("reboots", in_state("REBOOTING"), NotReady, Reason::Provisioning, Progressing),
        ("stops", in_state("STOPPING"), NotReady, Reason::Stopped, Progressing),
        ("is off", in_state("STOPPED"), NotReady, Reason::Stopped, Settled),
        ("is rescued", in_state("RESCUE_MODE"), NotReady, Reason::Stopped, Settled),
        ("is in an unknown state", in_state("CORRUPTED"), NotReady, Reason::Stopped, Settled),
        ("failed to launch", in_state("LAUNCH_FAILED"), NotReady, Reason::InstanceFailed, NeedsPerson),
        ("is in the recycle bin", in_state("SHUTDOWN"), NotReady, Reason::ExternallyDeleted, NeedsPerson),
        ("is being destroyed", in_state("TERMINATING"), NotReady, Reason::ExternallyDeleted, NeedsPerson),
        ("is missing for the first time", json!([]), AsBefore, Reason::Provisioning, Progressing),
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
        assert_eq!((report.ready, report.reason, report.standing), (ready, reason, standing), "{name}");
    }
}

#[test]
fn a_machine_that_is_not_listed() {
    let gone_since = |seconds: u64| {
        seen().machine(&json!([])).with(|seen| {
            seen.absent_for.insert("ins-1".to_owned(), Duration::from_secs(seconds));
        })
    };
    assert_eq!(gone_since(29).report().ready, Readiness::AsBefore);
    assert_eq!(gone_since(30).report().reason, Reason::ExternallyDeleted);
    let never_seen = gone_since(3600).with(|seen| seen.status.instances[0].secret_id = None);
    assert_eq!(never_seen.report().reason, Reason::Provisioning, "a fresh id is not missing for 15 min");
    let old = never_seen.with(|seen| seen.status.create_attempt.as_mut().unwrap().signed_at = at(-900));
    assert_eq!(old.report().reason, Reason::ExternallyDeleted);
    let other_key = gone_since(3600).with(|seen| seen.status.instances[0].secret_id = Some("AKIDOLD".to_owned()));
    assert_eq!(other_key.report().reason, Reason::CredentialsChanged);
    let bought_under_another = gone_since(3600).with(|seen| {
        seen.status.instances[0].secret_id = None;
        let attempt = seen.status.create_attempt.as_mut().unwrap();
        attempt.secret_id = "AKIDOLD".to_owned();
        attempt.signed_at = at(-9000);
    });
    assert_eq!(bought_under_another.report().reason, Reason::CredentialsChanged, "and never listed");
}

#[test]
fn a_failed_look_says_nothing_about_the_machine() {
    let failed =
        |reason| seen().machine(&json!([])).with(|seen| seen.listing = Some(Err(Problem::new(reason, "why")))).report();
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
    let report = seen().machine(&listed).with(|seen| seen.status.instance_ids.push("ins-2".to_owned())).report();
    assert_eq!((report.ready, report.reason), (Readiness::NotReady, Reason::Stopped));
    assert!(report.message.contains("ins-2"), "{}", report.message);
}

#[test]
fn a_machine_that_is_gone_is_replaced_only_when_a_person_says_so() {
    let gone = || {
        seen().machine(&json!([])).with(|seen| {
            seen.absent_for.insert("ins-1".to_owned(), Duration::from_secs(30));
        })
    };
    assert_eq!(gone().answered("recreate:a1").decide(), Step::StartOver);
    assert_eq!(gone().answered("recreate:a0").report().reason, Reason::ExternallyDeleted);
    assert!(gone().report().message.contains("resolve-create=recreate:a1"));
    for state in ["RUNNING", "STOPPED", "SHUTDOWN", "TERMINATING", "PENDING", "LAUNCH_FAILED"] {
        let step = seen().machine(&in_state(state)).answered("recreate:a1").decide();
        assert!(matches!(step, Step::Report(_)), "{state} is not gone: {step:?}");
    }
    let unread = gone().with(|seen| seen.listing = Some(Err(Problem::new(Reason::CloudUnavailable, "why"))));
    assert!(matches!(unread.answered("recreate:a1").decide(), Step::Report(_)), "a failed look proves nothing");
    let paused = gone().paused().answered("recreate:a1").decide();
    assert!(matches!(paused, Step::Report(_)), "{paused:?}");
}

/// Two processes: this one looked in vain while the machine was new, and then the other one saw it and said so in the status.
#[test]
fn what_was_missed_before_a_machine_had_to_show_is_no_absence() {
    let begun = Instant::now();
    let missed = |seconds| {
        let look = Look { begun: begun + Duration::from_secs(seconds), instance: None };
        BTreeMap::from([("ins-1".to_owned(), look)])
    };
    let Seen(mut seen) = seen().machine(&json!([]));
    let seen_by_the_other = std::mem::take(&mut seen.status.instances);
    count_absences(&mut seen, &missed(0), at(0));
    count_absences(&mut seen, &missed(40), at(40));
    assert!(matches!(view(&seen, "ins-1", at(40)), View::NotYet));
    seen.status.instances = seen_by_the_other;
    count_absences(&mut seen, &missed(41), at(41));
    assert!(matches!(view(&seen, "ins-1", at(41)), View::Missing), "what was missed before counts for nothing");
    count_absences(&mut seen, &missed(80), at(80));
    assert!(matches!(view(&seen, "ins-1", at(80)), View::Gone));
}
