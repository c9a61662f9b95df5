//! Tables: from a new object to its create.

use super::*;

#[test]
fn creation() {
    let problem = |reason| Err(Problem::new(reason, "why"));
    let sold_out = || Problem::new(Reason::OutOfStock, "sold out");
    let hold = |until, inputs: Inputs| Some(Hold { until: at(until), inputs, problem: sold_out() });
    let same = || Inputs { generation: Some(1), ..Inputs::default() };
    let rows: Vec<(&str, Seen, Step)> = vec![
        ("finalizer first", seen().without_finalizer(), Step::AddFinalizer),
        ("a new object", seen(), Step::Create),
        ("after a refusal", seen().attempt(AttemptState::Rejected), Step::Create),
        ("after a lapsed attempt", seen().attempt(AttemptState::Lapsed), Step::Create),
        (
            "a refused create waits",
            seen().attempt(AttemptState::Rejected).with(|seen| seen.recollection.hold = hold(10, same())),
            Step::Report(Report::problem(&sold_out(), Duration::from_secs(10))),
        ),
        (
            "and looks at its references meanwhile",
            seen().with(|seen| seen.recollection.hold = hold(3600, same())),
            Step::Report(Report::problem(&sold_out(), Duration::from_secs(60))),
        ),
        ("until its time has come", seen().with(|seen| seen.recollection.hold = hold(0, same())), Step::Create),
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
    let no_secret = seen().with(|seen| seen.account = problem(Reason::CredentialsNotFound)).report();
    assert_eq!((no_secret.reason, no_secret.standing), (Reason::CredentialsNotFound, Standing::NeedsPerson));
    let no_script = seen().with(|seen| seen.create_inputs = Some(problem_inputs())).report();
    assert_eq!((no_script.reason, no_script.next), (Reason::ReferenceNotFound, Duration::from_secs(60)));
    let abandoned = seen().attempt(AttemptState::Abandoned).report();
    assert_eq!(abandoned.reason, Reason::OutcomeUnknown);
}

fn problem_inputs() -> Result<CreateInputs, Problem> {
    Err(Problem::new(Reason::ReferenceNotFound, "why"))
}

#[test]
fn before_a_create_the_cloud_is_searched() {
    let adopt = Step::Adopt { id: "ins-1".to_owned() };
    let error = || Some(Err(Problem::new(Reason::CloudUnavailable, "why")));
    assert_eq!(seen().with(|seen| seen.lookup = None).decide(), Step::LookUp);
    assert_eq!(seen().looked_up(one_found(true)).decide(), adopt, "our marker: the status was lost");
    assert_eq!(seen().looked_up(Found { begun_at: at(-59), ..nothing_found() }).decide(), Step::Create);
    assert_eq!(
        seen().looked_up(Found { begun_at: at(-60), ..nothing_found() }).decide(),
        Step::LookUp,
        "too old to rest on"
    );
    assert_eq!(
        seen().with(|seen| seen.lookup = error()).report().reason,
        Reason::CloudUnavailable,
        "no evidence of absence"
    );
    let user_named = || seen().with(|seen| seen.object.spec.instance_name = Some("default-web-u".to_owned()));
    assert_eq!(user_named().looked_up(one_found(true)).report().reason, Reason::DomainTaken, "we never steal");
    assert_eq!(user_named().looked_up(one_found(false)).decide(), Step::Create, "a name alone is nobody's");
    let taken = user_named().looked_up(one_found(true)).report().message;
    assert!(taken.contains("resolve-create=adopt:ins-1"), "{taken}");
    assert_eq!(user_named().looked_up(one_found(true)).answered("adopt:ins-1").decide(), adopt, "a person said so");
    assert_eq!(user_named().looked_up(one_found(false)).answered("adopt:ins-1").decide(), adopt, "by its name");
    let foreign = user_named().looked_up(one_found(true)).answered("adopt:ins-9").report().reason;
    assert_eq!(foreign, Reason::DomainTaken, "only what the look returned");
    let other = Found { named: vec![], ..one_found(false) };
    let elsewhere = user_named().looked_up(other).answered("adopt:ins-1").decide();
    assert_eq!(elsewhere, Step::Create, "listed, but with neither our domain nor our name");
    let two = Found { named: [one_found(false).named, one_found(false).named].concat(), ..nothing_found() };
    let mut two = two;
    two.named[1].instance_id = crate::tencent::InstanceId::new("ins-2");
    assert_eq!(seen().looked_up(two).report().reason, Reason::AmbiguousInstances);
    let rival = seen().with(|seen| {
        seen.rival = Some("default/other".to_owned());
        seen.lookup = None;
    });
    assert_eq!(rival.report().reason, Reason::DomainConflict, "and no call is made");
}
