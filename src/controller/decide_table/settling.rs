//! Tables: what becomes of an attempt that is open.

use super::super::pass::is_used;
use super::*;
use crate::api::PaiInstanceStatus;

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
            let harmless = matches!(step, Step::Report(_) | Step::CloseAttempt { state: AttemptState::Uncertain, .. });
            assert!(harmless, "{state:?}: {step:?}");
        }
    }
    let owned = |ownership| seen().attempt(AttemptState::Sending).with(|seen| seen.ownership = ownership).decide();
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
fn a_record_that_lost_a_part_waits_for_a_person() {
    let record = json!({"createAttempt": {"id": "a1", "state": "Sending", "secretId": "AKID", "chargeType": "POSTPAID_BY_HOUR"}});
    let lost = || {
        seen().with(|seen| {
            seen.status.create_attempt =
                serde_json::from_value::<PaiInstanceStatus>(record.clone()).unwrap().create_attempt;
        })
    };
    let report = lost().report();
    assert_eq!((report.reason, report.standing), (Reason::OutcomeUnknown, Standing::NeedsPerson));
    assert!(report.message.contains("retry:a1"), "{}", report.message);
    assert_eq!(
        lost().looked_up(one_found(true)).report().standing,
        Standing::NeedsPerson,
        "nothing is proven by what is left"
    );
    let answered = lost().answered("retry:a1").decide();
    assert!(matches!(answered, Step::CloseAttempt { state: AttemptState::Lapsed, .. }), "{answered:?}");
}

/// An uncertain attempt, signed `ago` seconds before now.
fn uncertain(ago: i64) -> Seen {
    seen()
        .attempt(AttemptState::Uncertain)
        .with(|seen| seen.status.create_attempt.as_mut().unwrap().signed_at = at(-ago))
}

/// Empty rounds of this many seconds from the first to the last.
fn rounds(count: u32, seconds: u64) -> EmptyRounds {
    let first = Instant::now();
    EmptyRounds { attempt_id: "a1".to_owned(), count, first, last: first + Duration::from_secs(seconds) }
}

#[test]
fn settling_an_unknown_outcome() {
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    let closed = |seen: &Seen| match seen.decide() {
        Step::CloseAttempt { state, why } => (state, why),
        step => panic!("{step:?}"),
    };
    assert_eq!(uncertain(10).with(|seen| seen.lookup = None).decide(), Step::LookUp);
    assert_eq!(uncertain(10).looked_up(one_found(false)).decide(), adopt, "a hit counts at once");
    assert_eq!(
        uncertain(10).deleting().looked_up(one_found(false)).decide(),
        adopt,
        "also on deletion: it must be terminated"
    );
    assert_eq!(uncertain(10).report().next, Duration::from_secs(2));
    assert_eq!(uncertain(600).report().next, Duration::from_secs(30));

    let settled = |seen: &mut Observed| seen.recollection.empty_rounds = Some(rounds(3, 300));
    assert_eq!(closed(&uncertain(900).with(settled)).0, AttemptState::Lapsed);
    let too_few = uncertain(900).with(|seen| seen.recollection.empty_rounds = Some(rounds(2, 300)));
    assert_eq!(too_few.report().reason, Reason::OutcomeUnknown);
    let too_short = uncertain(900).with(|seen| seen.recollection.empty_rounds = Some(rounds(3, 299)));
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
        uncertain(900).with(settled).with(|seen| change(seen.status.create_attempt.as_mut().unwrap()))
    };
    assert_eq!(closed(&attempt(|attempt| attempt.charge_type = "PREPAID".to_owned())).0, AttemptState::Held);
    assert_eq!(closed(&attempt(|attempt| attempt.charge_type = "SPOTPAID".to_owned())).0, AttemptState::Lapsed);
    assert_eq!(closed(&attempt(|attempt| attempt.lapsed_before = 1)).0, AttemptState::Lapsed);
    assert_eq!(closed(&attempt(|attempt| attempt.lapsed_before = 2)).0, AttemptState::Held, "three in a row");

    let other_key =
        |ago| uncertain(ago).with(|seen| seen.status.create_attempt.as_mut().unwrap().secret_id = "AKIDOLD".to_owned());
    assert_eq!(
        other_key(10).with(settled).looked_up(one_found(true)).report().reason,
        Reason::CredentialsChanged,
        "no evidence"
    );
    assert_eq!(closed(&other_key(900)).0, AttemptState::Held);
    let no_secret = |ago| {
        uncertain(ago).with(|seen| seen.account = Err(Problem::new(Reason::CredentialsNotFound, "There is no Secret.")))
    };
    assert_eq!(no_secret(899).report().reason, Reason::OutcomeUnknown);
    assert_eq!(closed(&no_secret(900)).0, AttemptState::Held, "nobody can look");
    let other_region =
        uncertain(900).with(settled).with(|seen| seen.status.create_attempt.as_mut().unwrap().region = "x".to_owned());
    assert_eq!(other_region.report().reason, Reason::OutcomeUnknown, "no evidence of absence");

    let user_named =
        |ago| uncertain(ago).with(|seen| seen.status.create_attempt.as_mut().unwrap().name_origin = NameOrigin::User);
    assert_eq!(user_named(60).looked_up(one_found(true)).decide(), adopt, "domain, name and time together");
    assert_eq!(
        user_named(60).looked_up(one_found(false)).report().reason,
        Reason::OutcomeUnknown,
        "its domain may yet show"
    );
    let held = user_named(660).looked_up(Found { domains: None, ..one_found(false) });
    let held = held.with(|seen| {
        seen.lookup.as_mut().unwrap().as_mut().unwrap().named[0].created_time = Some(at(-660));
    });
    assert_eq!(closed(&held).0, AttemptState::Held, "no PAI list: no proof");

    let two = || {
        let mut found = one_found(true);
        found.named.push(one_found(false).named.remove(0));
        found.named[1].instance_id = crate::tencent::InstanceId::new("ins-2");
        found
    };
    assert_eq!(closed(&uncertain(10).looked_up(two())).0, AttemptState::Held, "several: a person decides");
    let held = seen().attempt(AttemptState::Held).looked_up(two()).report();
    assert_eq!((held.reason, held.standing), (Reason::AmbiguousInstances, Standing::NeedsPerson));
    let deleting = seen().deleting().attempt(AttemptState::Held).looked_up(two()).report();
    assert!(!deleting.message.contains("retry:"), "nothing is bought for what is being deleted: {}", deleting.message);
}

#[test]
fn only_late_rounds_count() {
    let attempt = uncertain(400).0.status.create_attempt.unwrap();
    let look = |begun, cloud_time| Found { begun_at: at(begun), cloud_time, ..nothing_found() };
    let round = |begun, cloud_time| EmptyRounds::with(None, &attempt, &look(begun, cloud_time), Instant::now());
    assert_eq!(round(0, Some(at(-400 + 359))), None, "the signature may still be good by the cloud's clock");
    assert!(round(0, Some(at(-400 + 360))).is_some());
    assert_eq!(round(0, None), None, "without the cloud's clock it takes longer");
    assert!(round(260, None).is_some());
    let one = round(0, Some(at(0)));
    let two = EmptyRounds::with(one.clone(), &attempt, &look(100, Some(at(100))), Instant::now()).unwrap();
    assert_eq!((two.count, two.first), (2, one.as_ref().unwrap().first));
    let back = EmptyRounds::with(one, &attempt, &look(1, Some(at(-400))), Instant::now());
    assert_eq!(back, None, "a cloud whose clock stepped back starts anew");
}

/// Found by the model check: a first look that was begun long before its answer made the window pass at once.
#[test]
fn the_window_runs_from_the_end_of_the_first_round() {
    let attempt = uncertain(400).0.status.create_attempt.unwrap();
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let look = |begun| Found { begun: after(begun), ..nothing_found() };
    let first = EmptyRounds::with(None, &attempt, &look(0), after(300));
    let second = EmptyRounds::with(first, &attempt, &look(301), after(302));
    let third = |begun| EmptyRounds::with(second.clone(), &attempt, &look(begun), after(begun + 1));
    let settled = |begun| {
        let seen = uncertain(400).with(|seen| seen.recollection.empty_rounds = third(begun));
        matches!(seen.decide(), Step::CloseAttempt { .. })
    };
    assert!(!settled(303), "three looks within three seconds");
    assert!(!settled(599));
    assert!(settled(600));
}

#[test]
fn the_finalizer_comes_back_before_anything_else() {
    for state in [AttemptState::Sending, AttemptState::Uncertain, AttemptState::Held] {
        assert_eq!(seen().without_finalizer().attempt(state.clone()).decide(), Step::AddFinalizer, "{state:?}");
        assert_eq!(seen().without_finalizer().deleting().attempt(state).decide(), Step::LetGo);
    }
}

#[test]
fn an_answer_that_was_declared_ignored_stays_ignored() {
    let ignored = |seen: Seen, answer: &str| {
        seen.answered(answer).with(|seen| {
            seen.recollection.last_answer = Some(answer.to_owned());
            seen.recollection.last_answer_ignored = true;
        })
    };
    let held = || seen().attempt(AttemptState::Held);
    assert!(matches!(ignored(held(), "retry:a1").decide(), Step::Report(_)), "typed too early: it must not buy later");
    assert!(
        matches!(ignored(held(), "abandon:a0").answered("abandon:a1").decide(), Step::CloseAttempt { .. }),
        "a new one counts"
    );
}

#[test]
fn answers_of_a_person() {
    let held = || seen().attempt(AttemptState::Held);
    let closed = |state: AttemptState, why: &str| Step::CloseAttempt { state, why: why.to_owned() };
    assert_eq!(held().answered("retry:a1").decide(), closed(AttemptState::Lapsed, "a person said to try again"));
    assert_eq!(held().answered("abandon:a1").decide(), closed(AttemptState::Abandoned, "a person gave it up"));
    let by_name_only =
        || held().with(|seen| seen.status.create_attempt.as_mut().unwrap().name_origin = NameOrigin::User);
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    assert_eq!(by_name_only().looked_up(one_found(false)).answered("adopt:ins-1").decide(), adopt);
    for ignored in ["retry:a0", "abandon:a0", "adopt:ins-9", "recreate:a1", "nonsense"] {
        let step = held().answered(ignored).decide();
        assert!(matches!(step, Step::Report(_)), "{ignored}: {step:?}");
        let early = uncertain(10).answered(ignored).decide();
        assert!(matches!(early, Step::Report(_)), "{ignored} before it is held: {early:?}");
    }
    for early in ["retry:a1", "abandon:a1"] {
        let step = uncertain(10).answered(early).decide();
        assert!(matches!(step, Step::Report(_)), "{early} is no answer while the cloud is searched: {step:?}");
    }
    let message = held().report().message;
    assert!(
        message.contains("kubectl annotate pai web -n default --overwrite pai.tencentcloud.io/resolve-create=adopt:"),
        "{message}"
    );

    let abandoned = || seen().attempt(AttemptState::Abandoned);
    assert_eq!(abandoned().answered("recreate:a1").decide(), Step::StartOver);
    assert!(abandoned().answered("recreate:a0").report().message.contains("resolve-create=recreate:a1"));
}

/// Found by hand: the person who had typed the very command of the message was told that it was ignored.
#[test]
fn an_answer_that_is_acted_on_is_not_called_ignored() {
    let of = |seen: Seen, answer: &str| {
        let seen = seen.answered(answer);
        is_used(&seen.0, &seen.decide())
    };
    let abandoned = || seen().attempt(AttemptState::Abandoned);
    let rows = [
        ("starts over", of(abandoned(), "recreate:a1"), Some(true)),
        ("speaks of another attempt", of(abandoned(), "recreate:a0"), Some(false)),
        ("gives up too early", of(uncertain(10), "abandon:a1"), None),
        ("retries too early", of(uncertain(10), "retry:a1"), Some(false)),
        ("retries", of(seen().attempt(AttemptState::Held), "retry:a1"), Some(true)),
        ("starts over too early", of(seen().machine(&in_state("LAUNCH_FAILED")), "recreate:a1"), None),
    ];
    for (name, used, expected) in rows {
        assert_eq!(used, expected, "{name}");
    }
}
