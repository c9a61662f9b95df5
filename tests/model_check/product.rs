//! The product's own rules, asked with what the model holds. Nothing is decided here: the state is put into the product's types, its
//! functions are called, and what they say is put back. They are pure, so each question is asked once and its answer kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pai_operator::api::{AttemptState, CreateAttempt, FINALIZER, NameOrigin, PaiInstance, PaiInstanceStatus};
use pai_operator::controller::lookup::Found;
use pai_operator::controller::memory::{Inputs, Ownership, Recollection};
use pai_operator::controller::name::instance_name;
use pai_operator::controller::observe::Observed;
use pai_operator::controller::outcome::{Closed, Purchase};
use pai_operator::controller::proof::{Match, judge};
use pai_operator::controller::references::CreateInputs;
use pai_operator::controller::settling::EmptyRounds;
use pai_operator::controller::step::Step;
use pai_operator::controller::{adopt, create, decide::decide};
use pai_operator::tencent::{Account, Credentials, InstanceId, Region};
use serde_json::json;
use tokio::time::Instant;

use crate::state::{Listing, Phase, Record, Rounds, SIGNATURES, Status, TICK, Verdict, WINDOW};
use crate::world::Variant;

const DOMAIN: &str = "web.pai.tcloudbase.com";

/// A pass, up to the step that it decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    pub status: Status,
    /// Age of the signature of the attempt in the status.
    pub signed: u8,
    pub never_sent: bool,
    pub rounds: Option<Rounds>,
    /// Age of the look's beginning, and what it showed.
    pub look: Option<(u8, Listing)>,
    pub variant: Variant,
    /// Whether the cloud's answers bear its time.
    pub cloud_tells_time: bool,
}

/// What a pass does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    LookUp,
    Create {
        lapsed_before: u8,
    },
    Adopt(Status),
    Close(Status),
    /// Nothing that matters to the protocol.
    Rest,
}

#[derive(PartialEq, Eq, Hash)]
enum Question {
    Pass(Pass),
    Merge(Status, u8, Verdict),
}

#[derive(Clone, Copy)]
enum Answer {
    Pass(Move, Option<Rounds>),
    Merge(Option<Status>),
}

/// The product, at one moment that every age is counted back from.
pub struct Product {
    object: PaiInstance,
    account: Account,
    now: Timestamp,
    base: Instant,
    known: Mutex<HashMap<Question, Answer>>,
}

impl Product {
    pub fn new() -> Self {
        let object = json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1",
            "kind": "PaiInstance",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1, "finalizers": [FINALIZER]},
            "spec": {
                "region": "ap-guangzhou",
                "credentialsRef": {"name": "c"},
                "domainName": DOMAIN,
                "internetAccessible": {"internetMaxBandwidthOut": 10}
            }
        });
        let credentials = Credentials::new("AKID", "key".into(), None).unwrap();
        Self {
            object: serde_json::from_value(object).unwrap(),
            account: Account { credentials, region: Region::parse("ap-guangzhou").unwrap() },
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            base: Instant::now() + Duration::from_secs(86_400),
            known: Mutex::default(),
        }
    }

    /// The step that the product decides on, and the empty looks that it remembers then.
    pub fn pass(&self, pass: Pass) -> (Move, Option<Rounds>) {
        match self.ask(Question::Pass(pass), || self.compute_pass(&pass)) {
            Answer::Pass(next, rounds) => (next, rounds),
            Answer::Merge(_) => unreachable!("a pass is answered as one"),
        }
    }

    /// The status with the outcome of an attempt folded in, unless that says nothing new.
    pub fn merge(&self, status: Status, id: u8, verdict: Verdict) -> Option<Status> {
        match self.ask(Question::Merge(status, id, verdict), || Answer::Merge(self.compute_merge(status, id, verdict)))
        {
            Answer::Merge(merged) => merged,
            Answer::Pass(..) => unreachable!("a merge is answered as one"),
        }
    }

    fn ask(&self, question: Question, compute: impl FnOnce() -> Answer) -> Answer {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(question).or_insert_with(compute)
    }

    fn compute_pass(&self, pass: &Pass) -> Answer {
        let mut seen = self.observed(pass);
        let mut rounds = pass.rounds;
        if let Some((begun, listing)) = pass.look {
            let found = self.found(pass, begun, listing);
            if let Some(attempt) = seen.status.open_attempt() {
                let counted = self.count(pass, attempt, &found);
                rounds = counted.as_ref().map(|rounds| self.abstract_rounds(rounds));
                seen.recollection.empty_rounds = counted;
            }
            seen.lookup = Some(Ok(found));
        }
        let next = match decide(&seen, self.now) {
            Step::LookUp => Move::LookUp,
            Step::Create => {
                let lapsed = create::lapsed_before(seen.status.create_attempt.as_ref());
                Move::Create { lapsed_before: u8::try_from(lapsed).unwrap() }
            }
            Step::Adopt { id } => {
                adopt::merge(&mut seen.status, &id, None, None);
                Move::Adopt(abstract_status(&seen.status))
            }
            Step::CloseAttempt { state, .. } => {
                seen.status.create_attempt.as_mut().unwrap().state = state;
                Move::Close(abstract_status(&seen.status))
            }
            Step::Report(_) | Step::Wait(_) => Move::Rest,
            step => panic!("the model knows nothing of {step:?}"),
        };
        Answer::Pass(next, rounds)
    }

    /// What `pass` counts after a look at an open attempt.
    fn count(&self, pass: &Pass, attempt: &CreateAttempt, found: &Found) -> Option<EmptyRounds> {
        if judge(found, &attempt.domain_name, &attempt.name_origin, Some(attempt)) != Match::Nothing {
            return None;
        }
        let before = pass.rounds.map(|rounds| {
            let first = self.monotonic(rounds.first);
            // `with` puts the new look in the place of the last.
            EmptyRounds { attempt_id: id_of(rounds.attempt), count: u32::from(rounds.count), first, last: first }
        });
        if pass.variant == Variant::AbsenceAtOnce {
            let first = self.base - Duration::from_secs(u64::from(WINDOW) * TICK) - Duration::from_secs(86_000);
            return Some(EmptyRounds { attempt_id: attempt.id.clone(), count: 3, first, last: found.begun });
        }
        let ended = if pass.variant == Variant::WindowFromTheBeginning { found.begun } else { self.base };
        EmptyRounds::with(before, attempt, found, ended)
    }

    fn abstract_rounds(&self, rounds: &EmptyRounds) -> Rounds {
        let age = self.base.duration_since(rounds.first).as_secs() / TICK;
        Rounds {
            attempt: number_of(&rounds.attempt_id),
            count: u8::try_from(rounds.count.min(3)).unwrap(),
            first: u8::try_from(age).unwrap_or(u8::MAX).min(crate::state::OLD_ROUND),
        }
    }

    fn observed(&self, pass: &Pass) -> Observed {
        Observed {
            object: self.object.clone(),
            status: self.status(pass.status, pass.signed),
            account: Ok(self.account.clone()),
            create_inputs: Some(Ok(CreateInputs::default())),
            rival: None,
            lookup: None,
            settle_window: Duration::from_secs(u64::from(WINDOW) * TICK),
            absent_for: BTreeMap::new(),
            listing: (pass.status.ids != 0).then(|| Ok(BTreeMap::new())),
            inputs: Inputs { generation: Some(1), ..Inputs::default() },
            ownership: if pass.never_sent { Ownership::NeverSent } else { Ownership::Foreign },
            recollection: Recollection::default(),
            crd_deleting: false,
        }
    }

    fn found(&self, pass: &Pass, begun: u8, listing: Listing) -> Found {
        let name = instance_name(&self.object).0;
        let listed = (0..SIGNATURES).filter(|id| listing.machines & (1 << id) != 0).map(|id| format!("ins-{id}"));
        let listed: Vec<String> = listed.collect();
        let named = listed.iter().map(|id| json!({"InstanceId": id, "InstanceName": name}));
        let begun = if pass.variant == Variant::FreshnessAtTheDecision { 0 } else { begun };
        Found {
            begun: self.monotonic(begun),
            begun_at: self.wall(begun),
            cloud_time: pass.cloud_tells_time.then(|| self.wall(listing.age)),
            domains: Some(Arc::new(listed.iter().map(|id| (id.clone(), DOMAIN.to_owned())).collect())),
            named: named.map(|one| serde_json::from_value(one).unwrap()).collect(),
        }
    }

    fn status(&self, status: Status, signed: u8) -> PaiInstanceStatus {
        let ids = (0..SIGNATURES).filter(|id| status.ids & (1 << id) != 0).map(|id| format!("ins-{id}"));
        let create_attempt = status.attempt.map(|record| self.attempt(record, signed));
        PaiInstanceStatus { create_attempt, instance_ids: ids.collect(), ..PaiInstanceStatus::default() }
    }

    fn attempt(&self, record: Record, signed: u8) -> CreateAttempt {
        CreateAttempt {
            id: id_of(record.id),
            ordinal: i64::from(record.id) + 1,
            state: match record.phase {
                Phase::Sending => AttemptState::Sending,
                Phase::Created => AttemptState::Created,
                Phase::Rejected => AttemptState::Rejected,
                Phase::Uncertain => AttemptState::Uncertain,
                Phase::Held => AttemptState::Held,
                Phase::Lapsed => AttemptState::Lapsed,
            },
            signed_at: self.wall(signed),
            secret_id: "AKID".to_owned(),
            region: "ap-guangzhou".to_owned(),
            domain_name: DOMAIN.to_owned(),
            instance_name: instance_name(&self.object).0,
            name_origin: NameOrigin::Generated,
            charge_type: "POSTPAID_BY_HOUR".to_owned(),
            lapsed_before: i64::from(record.lapsed_before),
            request_id: None,
            reason: None,
        }
    }

    fn compute_merge(&self, status: Status, id: u8, verdict: Verdict) -> Option<Status> {
        let (state, ids) = match verdict {
            Verdict::Bought => (AttemptState::Created, vec![InstanceId::new(format!("ins-{id}"))]),
            Verdict::DefiniteNo => (AttemptState::Rejected, Vec::new()),
            Verdict::Unknown => (AttemptState::Uncertain, Vec::new()),
        };
        let lapsed_before = status.attempt.filter(|record| record.id == id).map_or(0, |record| record.lapsed_before);
        let purchase = Purchase {
            name: "web".to_owned(),
            uid: "u".to_owned(),
            object: self.object.clone(),
            inputs: Inputs::default(),
            attempt: self.attempt(Record { id, phase: Phase::Sending, lapsed_before }, 0),
            signed_at: self.base,
        };
        let mut status = self.status(status, 0);
        let closed = Closed { state, ids, request_id: None, reason: None, problem: None };
        closed.merge_into(&mut status, &purchase, self.now).then(|| abstract_status(&status))
    }

    fn monotonic(&self, age: u8) -> Instant {
        self.base - Duration::from_secs(u64::from(age) * TICK)
    }

    fn wall(&self, age: u8) -> Timestamp {
        self.now - Duration::from_secs(u64::from(age) * TICK)
    }
}

fn id_of(number: u8) -> String {
    format!("a{number}")
}

fn number_of(id: &str) -> u8 {
    id.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap()
}

fn abstract_status(status: &PaiInstanceStatus) -> Status {
    let attempt = status.create_attempt.as_ref().map(|attempt| Record {
        id: number_of(&attempt.id),
        phase: match attempt.state {
            AttemptState::Sending => Phase::Sending,
            AttemptState::Created => Phase::Created,
            AttemptState::Rejected => Phase::Rejected,
            AttemptState::Uncertain => Phase::Uncertain,
            AttemptState::Held => Phase::Held,
            AttemptState::Lapsed => Phase::Lapsed,
            AttemptState::Abandoned | AttemptState::Other(_) => panic!("the model has no {:?}", attempt.state),
        },
        lapsed_before: u8::try_from(attempt.lapsed_before).unwrap(),
    });
    Status { attempt, ids: status.instance_ids.iter().fold(0, |set, id| set | 1 << number_of(id)) }
}
