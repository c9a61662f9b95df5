//! Tables: what is still looked for once a machine is known, its domain and a second machine.

use super::*;
use crate::api::{LapsedAttempt, PaiInstanceStatus};
use crate::controller::recheck::{self, Recheck};

const DAY: i64 = 24 * 3600;

/// A machine that runs, was created so long ago, and of whose domain nothing is known; the pass has not looked it up.
fn running(created_ago: i64) -> Seen {
    let mut listed = in_state("RUNNING");
    listed[0]["CreatedTime"] = json!(at(-created_ago).to_string());
    seen().machine(&listed).with(|seen| seen.lookup = None)
}

/// As the pass does after a look that `decide` asked for.
fn rechecked(seen: Seen, found: Found) -> Seen {
    seen.with(|seen| {
        seen.recollection.recheck = Some(Recheck::of(seen, &found));
        seen.lookup = Some(Ok(found));
    })
}

/// The same so many seconds later, in a pass that has not looked.
fn later(seen: Seen, seconds: i64) -> Step {
    decide(&seen.with(|seen| seen.lookup = None).0, at(seconds))
}

/// What the pass writes into the status.
fn folded(seen: &Seen) -> PaiInstanceStatus {
    let mut status = seen.0.status.clone();
    recheck::fold(&seen.0, &mut status);
    status
}

fn without_list() -> Found {
    Found { domains: None, ..nothing_found() }
}

fn under(domain: &str) -> Found {
    Found { domains: Some(Arc::new(BTreeMap::from([("ins-1".to_owned(), domain.to_owned())]))), ..nothing_found() }
}

#[test]
fn a_machine_without_its_domain_is_told_of() {
    let bound = || under("Web.PAI.tcloudbase.com.");
    let rows: Vec<(&str, i64, Found, Readiness, Reason, Standing)> = vec![
        ("with its domain", 60, bound(), Readiness::Ready, Reason::Available, Standing::Settled),
        (
            "young: the list may be late",
            899,
            nothing_found(),
            Readiness::NotReady,
            Reason::Provisioning,
            Standing::Progressing,
        ),
        ("not listed", 900, nothing_found(), Readiness::NotReady, Reason::DomainNotBound, Standing::NeedsPerson),
        ("listed with none", 900, under(""), Readiness::NotReady, Reason::DomainNotBound, Standing::NeedsPerson),
        ("with another", 900, under("other.a.b"), Readiness::NotReady, Reason::DomainNotBound, Standing::NeedsPerson),
        ("the list is retired", 900, without_list(), Readiness::Ready, Reason::Available, Standing::Settled),
    ];
    for (name, ago, found, ready, reason, standing) in rows {
        let report = rechecked(running(ago), found).report();
        assert_eq!((report.ready, report.reason, report.standing), (ready, reason, standing), "{name}");
    }
    let text = rechecked(running(900), under("other.a.b")).report().message;
    for words in [
        "billed",
        "other.a.b",
        "kubectl delete pai web -n default",
        "resolve-create=recreate:a1",
        "kubectl annotate pai web -n default --overwrite pai.tencentcloud.io/reconcile-requested-at=",
    ] {
        assert!(text.contains(words), "{text} lacks {words}");
    }
    let retained = running(900).with(|seen| seen.object.spec.deletion_policy = Some(DeletionPolicy::Retain));
    let text = rechecked(retained, nothing_found()).report().message;
    assert!(!text.contains("kubectl delete"), "a deletion would not terminate it: {text}");
    let failed = running(900).with(|seen| seen.lookup = Some(Err(Problem::new(Reason::CloudUnavailable, "why"))));
    assert_eq!(failed.report().ready, Readiness::AsBefore, "a failed look says nothing");
}

#[test]
fn a_domain_is_looked_for_until_it_shows_and_never_again() {
    assert_eq!(running(60).decide(), Step::LookUp);
    let starting = seen().machine(&in_state("PENDING")).with(|seen| seen.lookup = None);
    assert!(matches!(starting.decide(), Step::Report(_)), "not before it runs");
    let bound = folded(&rechecked(running(60), under("web.pai.tcloudbase.com")));
    assert_eq!(bound.instances[0].domain_name.as_deref(), Some("web.pai.tcloudbase.com"));
    let settled = running(99_999).with(|seen| seen.status = bound);
    assert!(matches!(settled.decide(), Step::Report(_)), "after a restart too");

    let look_again = |ago, found, seconds| later(rechecked(running(ago), found), seconds) == Step::LookUp;
    assert_eq!([29, 30].map(|s| look_again(0, nothing_found(), s)), [false, true], "a young one");
    assert_eq!([299, 300].map(|s| look_again(900, nothing_found(), s)), [false, true], "one that a person was told of");
    assert_eq!(
        [3600, 99_999].map(|s| look_again(900, without_list(), s)),
        [false, false],
        "the list will not come back"
    );
    let asked = rechecked(running(900), without_list())
        .with(|seen| seen.inputs.reconcile_requested_at = Some("now".to_owned()));
    assert_eq!(later(asked, 1), Step::LookUp, "but a person may ask");
    let asked = rechecked(running(900), nothing_found())
        .with(|seen| seen.inputs.reconcile_requested_at = Some("now".to_owned()));
    assert_eq!(later(asked, 1), Step::LookUp, "a person asked for a fresh look");
    let told = later(rechecked(running(900), nothing_found()), 1);
    assert!(matches!(&told, Step::Report(report) if report.reason == Reason::DomainNotBound), "{told:?}");
    let healed = rechecked(rechecked(running(900), nothing_found()), under("web.pai.tcloudbase.com"));
    assert_eq!(healed.report().ready, Readiness::Ready);
}

/// A machine that runs with its domain, after an attempt of the same name that lapsed.
fn after_a_lapse(origin: NameOrigin, ago: i64) -> Seen {
    running(60).with(|seen| {
        seen.status.instances[0].domain_name = Some("web.pai.tcloudbase.com".to_owned());
        seen.status.lapsed_attempts =
            vec![LapsedAttempt { signed_at: at(-ago), instance_name: "default-web-u".to_owned(), name_origin: origin }];
    })
}

/// A look that shows `ins-1` and `ins-2` under our name, the second in this state, made so long ago, with our domain or without.
fn second(state: &str, ago: i64, with_domain: bool) -> Found {
    let mut found = one_found(true);
    let instance = json!({
        "InstanceId": "ins-2", "InstanceName": "default-web-u", "InstanceState": state, "CreatedTime": at(-ago).to_string()
    });
    found.named.push(serde_json::from_value(instance).unwrap());
    if with_domain {
        let domains = [("ins-1", "web.pai.tcloudbase.com"), ("ins-2", "web.pai.tcloudbase.com")];
        found.domains = Some(Arc::new(domains.map(|(id, domain)| (id.to_owned(), domain.to_owned())).into()));
    }
    found
}

#[test]
fn a_second_machine_of_a_lapsed_attempt_is_told_of() {
    use NameOrigin::{Generated, User};
    let rows: Vec<(&str, NameOrigin, Found, bool)> = vec![
        ("our marker", Generated, second("RUNNING", 9_999, false), true),
        ("only our own", Generated, one_found(true), false),
        ("it is being destroyed", Generated, second("TERMINATING", 9_999, false), false),
        ("it is in the recycle bin", Generated, second("SHUTDOWN", 9_999, false), false),
        ("a user's name, domain and time", User, second("RUNNING", 1800, true), true),
        ("a user's name without the domain", User, second("RUNNING", 1800, false), false),
        ("a user's name at another time", User, second("RUNNING", 9_999, true), false),
    ];
    for (name, origin, found, told) in rows {
        let seen = rechecked(after_a_lapse(origin, 1800), found);
        let expected: &[&str] = if told { &["ins-2"] } else { &[] };
        assert_eq!(folded(&seen).duplicate_instance_ids, expected, "{name}");
        let report = seen.report();
        assert_eq!((report.ready, report.reason), (Readiness::Ready, Reason::Available), "{name}: ours is well");
        assert_eq!(report.besides.map(|problem| problem.reason), told.then_some(Reason::DuplicateFound), "{name}");
        assert_eq!(report.standing, if told { Standing::NeedsPerson } else { Standing::Settled }, "{name}");
    }
    let text =
        rechecked(after_a_lapse(Generated, 1800), second("RUNNING", 1800, false)).report().besides.unwrap().message;
    let command = r#"tccli cvm TerminateInstances --region ap-guangzhou --InstanceIds '["ins-2"]'"#;
    assert!(text.contains(command) && text.contains("billed") && text.contains("ins-1"), "{text}");
}

#[test]
fn a_second_machine_is_looked_for_once_an_hour_for_a_day() {
    let lapsed = |ago| after_a_lapse(NameOrigin::Generated, ago);
    assert_eq!(lapsed(1800).decide(), Step::LookUp, "after a restart");
    let look_again = |found, seconds| later(rechecked(lapsed(1800), found), seconds) == Step::LookUp;
    assert_eq!([3599, 3600].map(|seconds| look_again(one_found(true), seconds)), [false, true]);
    let kept = |ago, found| folded(&rechecked(lapsed(ago), found)).lapsed_attempts.len();
    assert_eq!((kept(DAY - 1, one_found(true)), kept(DAY, one_found(true))), (1, 0));
    assert_eq!(kept(DAY, second("RUNNING", DAY, false)), 1, "one that is there is told of until it is gone");
    assert!(matches!(
        running(60).with(|seen| seen.status.instances[0].domain_name = Some("x".to_owned())).decide(),
        Step::Report(_)
    ));
}

#[test]
fn a_second_machine_is_told_of_until_a_person_removed_it() {
    let told = || {
        let found = rechecked(after_a_lapse(NameOrigin::Generated, 1800), second("RUNNING", 1800, false));
        let status = folded(&found);
        found.with(|seen| seen.status = status)
    };
    let between = later(told(), 1);
    assert!(matches!(&between, Step::Report(report) if report.besides.is_some()), "{between:?}");
    let unread = told().with(|seen| seen.lookup = Some(Err(Problem::new(Reason::CloudUnavailable, "why"))));
    assert!(unread.report().besides.is_some(), "a failed look says nothing");
    assert_eq!(later(told(), 300), Step::LookUp);
    let removed = rechecked(told(), one_found(true));
    assert_eq!((removed.report().besides, folded(&removed).duplicate_instance_ids), (None, vec![]));
    let other_account = told().with(|seen| {
        seen.listing = Some(Ok(BTreeMap::new()));
        seen.status.instances[0].secret_id = Some("AKIDOLD".to_owned());
    });
    assert!(matches!(later(other_account, 9999), Step::Report(_)), "another account's list proves nothing");
    let broken = told().with(|seen| seen.listing = Some(Ok(BTreeMap::new()))).with(|seen| {
        seen.absent_for.insert("ins-1".to_owned(), Duration::from_secs(30));
    });
    let report = broken.report();
    assert_eq!(report.reason, Reason::ExternallyDeleted);
    assert!(report.message.contains("ins-2"), "both are told: {}", report.message);
    let deleting = told().deleting().decide();
    assert_eq!(deleting, Step::Terminate { id: "ins-1".to_owned(), only_once: false }, "never the second");
}

#[test]
fn lapsed_attempts_are_bounded() {
    let mut status = seen().attempt(AttemptState::Lapsed).0.status;
    for n in 0..20 {
        status.create_attempt.as_mut().unwrap().signed_at = at(n);
        recheck::note_lapsed(&mut status);
    }
    assert_eq!(status.lapsed_attempts.len(), crate::api::LAPSED_LIMIT);
    assert_eq!(status.lapsed_attempts.last().unwrap().signed_at, at(19), "the latest count");
}
