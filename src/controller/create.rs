//! Create: intent, one send, persist. The one act that spends money, so every line here has its reason.
//!
//! The intent is written into the status by compare-and-swap before the first byte leaves; of all who believe they lead, the swap
//! lets one through. There is no retry anywhere beneath. The send runs in a task of its own, which a dropped pass or a lost lease
//! does not cut and which the shutdown waits for.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Context;
use super::act::{Act, Outcome};
use super::decide::{FRESH_FOR, Report, outcome_unknown};
use super::following::FRESH;
use super::memory::{Hold, Inputs, Ownership};
use super::name::instance_name;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::record::{self, WriteStatus};
use super::request::create_request;
use crate::api::conditions::{cut_to_bytes, whole_seconds};
use crate::api::{
    AttemptState, CreateAttempt, InstanceStatus, PaiInstance, PaiInstanceSpec, PaiInstanceStatus, Reason,
};
use crate::tencent::{
    Account, CallError, CreatePaiInstanceReply, CreateVerdict, InstanceId, Reply, SignedCreate, create_verdict,
};

/// Longest time between signing and the first byte. Source: reliability step 7: far below the five minutes within which the cloud takes a
/// signature, so that a process that was frozen in between sends nothing.
pub const GATE: Duration = Duration::from_secs(10);

/// Longest pause between two tries to write the ids down. Source: our choice.
const PERSIST_PAUSE: Duration = Duration::from_secs(5);

/// What became of the one send, in the terms of the status.
#[derive(Clone, Debug)]
struct Closed {
    state: AttemptState,
    ids: Vec<InstanceId>,
    request_id: Option<String>,
    reason: Option<String>,
    problem: Option<Problem>,
}

/// What the task needs to know about the object it buys for.
struct Purchase {
    name: String,
    uid: String,
    generation: Option<i64>,
    spec: PaiInstanceSpec,
    inputs: Inputs,
    attempt: CreateAttempt,
    signed_at: Instant,
}

/// Creates the machine: writes the intent, sends once, and persists the outcome.
pub async fn create(context: &Arc<Context>, api: &Api<PaiInstance>, seen: &Observed) -> Result<Outcome, Act> {
    let (Ok(account), Some(Ok(inputs)), Some(Ok(found))) = (&seen.account, &seen.create_inputs, &seen.lookup) else {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    };
    // The wall clock may have stepped since `decide` judged the lookup's age, and the watch may have brought a rival.
    let stale = context.clock.monotonic().duration_since(found.begun) >= FRESH_FOR;
    if stale || context.objects.rival(&seen.object).is_some() {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    }
    if !context.leadership.valid_for(GATE) {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    }
    if let Err(wait) = context.cloud.create_permit(account, context.clock.monotonic()) {
        return Ok(Outcome::Again(wait));
    }
    // Both clocks are read before the signature, so that the gate errs on the safe side.
    let signed_at = context.clock.monotonic();
    let attempt = new_attempt(context, seen, account);
    let request = create_request(&seen.object.spec, &attempt.instance_name, inputs);
    let signed = match context.cloud.prepare_create(account, &request, attempt.signed_at) {
        Ok(signed) => signed,
        Err(error) => {
            let problem =
                Problem::new(Reason::InvalidSpec, format!("Nothing was sent: the request cannot be built: {error}."));
            return Ok(Outcome::Report(Report::problem(&problem, Retry::WhenEdited.look_again())));
        }
    };
    let purchase = Purchase {
        name: seen.object.metadata.name.clone().unwrap_or_default(),
        uid: seen.uid().to_owned(),
        generation: seen.object.metadata.generation,
        spec: seen.object.spec.clone(),
        inputs: seen.inputs.clone(),
        attempt,
        signed_at,
    };
    if let Err(error) = write_intent(context, api, seen, &purchase).await {
        return match error {
            Act::IntentNotKept => Ok(Outcome::Again(hold_for_the_crd(context, &purchase))),
            error => Err(error),
        };
    }
    let attempt_id = purchase.attempt.id.clone();
    let task = context.purchases.spawn(buy(Arc::clone(context), api.clone(), account.clone(), purchase, signed));
    match task.await {
        Ok(next) => Ok(Outcome::Again(next)),
        // The task panicked or the runtime is going down; the attempt stands in the status and is recovered from there.
        Err(error) => {
            error!(uid = seen.uid(), %error, "a purchase ended without a word");
            context.memory.disown(&attempt_id);
            Ok(Outcome::Again(Duration::from_secs(1)))
        }
    }
}

fn new_attempt(context: &Context, seen: &Observed, account: &Account) -> CreateAttempt {
    let (instance_name, name_origin) = instance_name(&seen.object);
    CreateAttempt {
        id: format!("{:016x}", context.clock.random()),
        ordinal: seen.status.create_attempt.as_ref().map_or(1, |last| last.ordinal.saturating_add(1)),
        state: AttemptState::Sending,
        signed_at: whole_seconds(context.clock.now()),
        secret_id: account.credentials.secret_id.to_string(),
        region: seen.object.spec.region.clone(),
        domain_name: seen.object.spec.domain_name.clone(),
        instance_name,
        name_origin,
        charge_type: seen.object.spec.instance_charge_type.as_str().to_owned(),
        lapsed_before: lapsed_before(seen.status.create_attempt.as_ref()),
        request_id: None,
        reason: None,
    }
}

/// Attempts in a row that lapsed before a new one.
fn lapsed_before(last: Option<&CreateAttempt>) -> i64 {
    match last {
        Some(last) if last.state == AttemptState::Lapsed => last.lapsed_before.saturating_add(1),
        _ => 0,
    }
}

/// The compare-and-swap. Whatever goes wrong here, nothing has been sent and nothing will be under this attempt's id.
async fn write_intent(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    purchase: &Purchase,
) -> Result<(), Act> {
    let mut status = seen.status.clone();
    status.create_attempt = Some(purchase.attempt.clone());
    if status.conditions.is_empty() {
        let text = "The create is being sent.";
        record::apply(
            &Report::progressing(Reason::Provisioning, text, FRESH),
            &mut status,
            purchase.generation,
            context.clock.now(),
        );
    }
    // Noted before the write: if its answer is lost, the next pass may close the attempt as never sent.
    context.memory.own(&purchase.attempt.id, Ownership::NeverSent);
    let written = record::write(context, api, &seen.object, status).await.inspect_err(|error| {
        info!(uid = purchase.uid, attempt = purchase.attempt.id, %error, "the intent was not written: nothing is sent");
        if matches!(error, WriteStatus::Conflict) {
            context.memory.disown(&purchase.attempt.id);
        }
    })?;
    let kept = written.status.and_then(|status| status.create_attempt);
    if kept.as_ref() != Some(&purchase.attempt) {
        error!(
            uid = purchase.uid,
            attempt = purchase.attempt.id,
            "the API server did not keep the whole intent: is the CRD older than the operator?"
        );
        return Err(Act::IntentNotKept);
    }
    context.memory.own(&purchase.attempt.id, Ownership::InFlight);
    Ok(())
}

/// The installed CRD is older than this operator: the create waits for it, and the condition says so at the next pass.
fn hold_for_the_crd(context: &Context, purchase: &Purchase) -> Duration {
    let text = "Nothing was sent: the API server does not keep the whole create attempt, because the installed CustomResourceDefinition is \
                older than the operator. Install the one of this version; it is tried again every hour, or at once when the annotation \
                pai.tencentcloud.io/reconcile-requested-at changes.";
    let problem = Problem::new(Reason::InvalidSpec, text);
    let until = context.clock.now() + Retry::WhenEdited.create_delay(1);
    let hold = Hold { until, inputs: purchase.inputs.clone(), problem };
    context.memory.update(&purchase.uid, |known| known.hold = Some(hold));
    Duration::ZERO
}

/// Sends, judges and persists. Says when to look at the object next.
async fn buy(
    context: Arc<Context>,
    api: Api<PaiInstance>,
    account: Account,
    purchase: Purchase,
    signed: SignedCreate,
) -> Duration {
    let closed = if let Err(why) = gate(&context, &purchase) {
        Closed::not_sent(why)
    } else {
        info!(
            uid = purchase.uid,
            attempt = purchase.attempt.id,
            ordinal = purchase.attempt.ordinal,
            "sending the create"
        );
        let result = context.cloud.send_create(signed).await;
        Closed::judged(&result, &purchase)
    };
    context.metrics.created(&closed.state);
    // The log is the second place where the ids stand, in case the API server never takes them.
    let ids: Vec<&str> = closed.ids.iter().map(InstanceId::as_str).collect();
    info!(uid = purchase.uid, attempt = purchase.attempt.id, state = ?closed.state, ?ids, request_id = closed.request_id, "create answered");
    if closed.problem.as_ref().is_some_and(|problem| problem.reason == Reason::CredentialsInvalid) {
        context.credentials.drop_cached(&account.credentials.secret_id);
    }
    let next = remember(&context, &purchase, &closed);
    persist(&context, &api, &purchase, &closed).await;
    context.memory.disown(&purchase.attempt.id);
    next
}

/// The last gate before the first byte: both clocks say that the signature is fresh, and leadership outlasts the call's start.
fn gate(context: &Context, purchase: &Purchase) -> Result<(), &'static str> {
    let by_wall = context.clock.now().duration_since(purchase.attempt.signed_at);
    let wall_fits = !by_wall.is_negative() && by_wall.unsigned_abs() < GATE + Duration::from_secs(1);
    let monotonic_fits = context.clock.monotonic().duration_since(purchase.signed_at) < GATE;
    if !(wall_fits && monotonic_fits) {
        return Err("the operator was held up for more than 10 s between signing and sending");
    }
    if context.leadership.is_lost() {
        return Err("the operator lost its leadership between signing and sending");
    }
    Ok(())
}

impl Closed {
    fn not_sent(why: &str) -> Self {
        Self {
            state: AttemptState::Rejected,
            ids: Vec::new(),
            request_id: None,
            reason: Some("NotSent".to_owned()),
            problem: Some(Problem::create_not_sent(why)),
        }
    }

    /// The table of step 9: a definite yes, a definite no, and everything else.
    fn judged(result: &Result<Reply<CreatePaiInstanceReply>, CallError>, purchase: &Purchase) -> Self {
        let request_id = match result {
            Ok(reply) => reply.request_id.clone(),
            Err(error) => error.request_id().map(str::to_owned),
        };
        let open = |state| Self { state, ids: Vec::new(), request_id, reason: None, problem: None };
        match (create_verdict(result), result) {
            (CreateVerdict::Created { ids }, _) => Self { ids, ..open(AttemptState::Created) },
            (CreateVerdict::NotSent, Err(error)) => Self::not_sent(&error.to_string()),
            (
                CreateVerdict::RefusedAtTheDoor(_) | CreateVerdict::RefusedByBusiness,
                Err(CallError::Refused { error, .. }),
            ) => Self {
                reason: Some(error.code.clone()),
                problem: Some(Problem::refused_create(error, &purchase.spec)),
                ..open(AttemptState::Rejected)
            },
            (_, Err(error)) => Self { reason: Some(error.to_string()), ..open(AttemptState::Uncertain) },
            (_, Ok(_)) => Self {
                reason: Some("the answer held neither ids nor an error".to_owned()),
                ..open(AttemptState::Uncertain)
            },
        }
    }

    /// Folds this outcome into the status: our fields only, whatever else was written meanwhile. Says whether anything is to be written.
    ///
    /// Another attempt in the status is newer than ours: a sender that was frozen must not write over it. Only ids are never dropped,
    /// since they cost money.
    fn merge_into(&self, status: &mut PaiInstanceStatus, purchase: &Purchase, now: jiff::Timestamp) -> bool {
        let mut attempt = purchase.attempt.clone();
        attempt.state = self.state.clone();
        attempt.request_id.clone_from(&self.request_id);
        attempt.reason = self.reason.as_deref().map(|reason| cut_to_bytes(reason, 1024).to_owned());
        let report = match &status.create_attempt {
            Some(other) if other.id != attempt.id && self.ids.is_empty() => return false,
            Some(other) if other.id != attempt.id => self.duplicate(&attempt),
            Some(same) if !self.supersedes(&same.state) => return false,
            _ => {
                let report = self.report(&attempt);
                status.create_attempt = Some(attempt);
                report
            }
        };
        for id in self.ids.iter().map(InstanceId::to_string) {
            if !status.instance_ids.contains(&id) {
                status.instances.push(InstanceStatus { id: id.clone(), ..InstanceStatus::default() });
                status.instance_ids.push(id);
            }
        }
        if self.state == AttemptState::Created {
            status.request_id.clone_from(&self.request_id);
        }
        record::apply(&report, status, purchase.generation, now);
        true
    }

    /// Whether this outcome says more than the state that somebody else gave the attempt meanwhile.
    fn supersedes(&self, state: &AttemptState) -> bool {
        match self.state {
            AttemptState::Created => true,
            AttemptState::Rejected => {
                matches!(state, AttemptState::Sending | AttemptState::Uncertain | AttemptState::Held)
            }
            _ => *state == AttemptState::Sending,
        }
    }

    /// Ids that came after the object had gone on to another attempt.
    fn duplicate(&self, attempt: &CreateAttempt) -> Report {
        let ids: Vec<&str> = self.ids.iter().map(InstanceId::as_str).collect();
        let text = format!(
            "The create of {} was answered after another one was begun: {} is bought and billed as well. All machines of this object are \
             terminated with it; terminate the one too many in the console.",
            attempt.signed_at,
            ids.join(", ")
        );
        Report::problem(&Problem::new(Reason::DuplicateFound, text), FRESH)
    }

    fn report(&self, attempt: &CreateAttempt) -> Report {
        match (&self.state, &self.problem) {
            (AttemptState::Created, _) => {
                let ids: Vec<&str> = self.ids.iter().map(InstanceId::as_str).collect();
                let text = format!("{} is bought and billed from now on; waiting until it runs.", ids.join(", "));
                Report::progressing(Reason::Provisioning, text, FRESH)
            }
            (_, Some(problem)) => Report::problem(problem, FRESH),
            (_, None) => outcome_unknown(attempt, false),
        }
    }
}

/// Remembers how long to leave a refused create alone. Says when to look at the object next.
fn remember(context: &Context, purchase: &Purchase, closed: &Closed) -> Duration {
    let Some(problem) = &closed.problem else {
        context.memory.update(&purchase.uid, |known| {
            known.failures = 0;
            known.hold = None;
        });
        return Duration::from_secs(1);
    };
    let mut next = Duration::ZERO;
    context.memory.update(&purchase.uid, |known| {
        known.failures = known.failures.saturating_add(1);
        let retry = Retry::of(problem.reason);
        let delay = context.clock.jittered(retry.create_delay(known.failures));
        let until = context.clock.now() + delay;
        known.hold = Some(Hold { until, inputs: purchase.inputs.clone(), problem: problem.clone() });
        next = delay.min(retry.look_again());
    });
    next
}

/// Writes the outcome until it lands: without it the ids would be lost, and nothing else could be done for the object anyway.
///
/// Each try has the deadline of the API client. It ends early only when the object itself is gone.
async fn persist(context: &Context, api: &Api<PaiInstance>, purchase: &Purchase, closed: &Closed) {
    let mut pause = Duration::from_millis(100);
    loop {
        match api.get_opt(&purchase.name).await {
            Ok(Some(object)) if object.metadata.uid.as_deref() == Some(&purchase.uid) => {
                let mut status = object.status.clone().unwrap_or_default();
                if !closed.merge_into(&mut status, purchase, context.clock.now()) {
                    warn!(
                        uid = purchase.uid,
                        attempt = purchase.attempt.id,
                        "the object has gone on: this outcome adds nothing"
                    );
                    return;
                }
                match record::write(context, api, &object, status).await {
                    Ok(_) => return,
                    Err(WriteStatus::Conflict) => {}
                    Err(error) => warn!(uid = purchase.uid, %error, "the outcome is not written yet: trying again"),
                }
            }
            Ok(_) => {
                error!(uid = purchase.uid, attempt = purchase.attempt.id, ids = ?closed.ids, "the object is gone: its machine stands only in this log");
                return;
            }
            Err(error) => {
                warn!(uid = purchase.uid, %error, "the object cannot be read to write the outcome: trying again");
            }
        }
        tokio::time::sleep(context.clock.jittered(pause)).await;
        pause = (pause * 2).min(PERSIST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NameOrigin;

    fn attempt(id: &str, state: AttemptState) -> CreateAttempt {
        CreateAttempt {
            id: id.to_owned(),
            ordinal: 1,
            state,
            signed_at: jiff::Timestamp::UNIX_EPOCH,
            secret_id: "AKID".to_owned(),
            region: "ap-guangzhou".to_owned(),
            domain_name: "a.b".to_owned(),
            instance_name: "n".to_owned(),
            name_origin: NameOrigin::Generated,
            charge_type: "POSTPAID_BY_HOUR".to_owned(),
            lapsed_before: 0,
            request_id: None,
            reason: None,
        }
    }

    fn purchase() -> Purchase {
        let spec = serde_json::json!({
            "region": "ap-guangzhou", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}
        });
        Purchase {
            name: "web".to_owned(),
            uid: "u".to_owned(),
            generation: Some(1),
            spec: serde_json::from_value(spec).unwrap(),
            inputs: Inputs::default(),
            attempt: attempt("ours", AttemptState::Sending),
            signed_at: Instant::now(),
        }
    }

    fn closed(state: AttemptState, ids: &[&str]) -> Closed {
        let ids = ids.iter().map(|id| InstanceId::new(*id)).collect();
        Closed { state, ids, request_id: None, reason: None, problem: None }
    }

    /// What the status becomes when our outcome meets it: (written, state of the attempt, ids).
    fn merged(found: Option<CreateAttempt>, outcome: &Closed) -> (bool, Option<(String, AttemptState)>, Vec<String>) {
        let mut status = PaiInstanceStatus { create_attempt: found, ..PaiInstanceStatus::default() };
        let written = outcome.merge_into(&mut status, &purchase(), jiff::Timestamp::UNIX_EPOCH);
        (written, status.create_attempt.map(|attempt| (attempt.id, attempt.state)), status.instance_ids)
    }

    #[test]
    fn an_outcome_never_writes_over_what_is_newer_and_never_loses_ids() {
        use AttemptState::{Created, Held, Lapsed, Rejected, Sending, Uncertain};
        let bought = || closed(Created, &["ins-1"]);
        let one = || vec!["ins-1".to_owned()];
        let ours = |state: AttemptState| Some(attempt("ours", state));
        let is = |id: &str, state: AttemptState| Some((id.to_owned(), state));
        let rows = [
            ("as expected", ours(Sending), bought(), (true, is("ours", Created), one())),
            ("a wiped status", None, bought(), (true, is("ours", Created), one())),
            ("late ids", ours(Uncertain), bought(), (true, is("ours", Created), one())),
            ("very late ids", ours(Held), bought(), (true, is("ours", Created), one())),
            ("a late definite no", ours(Uncertain), closed(Rejected, &[]), (true, is("ours", Rejected), vec![])),
            ("a no after it was found", ours(Created), closed(Rejected, &[]), (false, is("ours", Created), vec![])),
            ("a no after it lapsed", ours(Lapsed), closed(Rejected, &[]), (false, is("ours", Lapsed), vec![])),
            ("unknown, as expected", ours(Sending), closed(Uncertain, &[]), (true, is("ours", Uncertain), vec![])),
            ("unknown after it was found", ours(Created), closed(Uncertain, &[]), (false, is("ours", Created), vec![])),
        ];
        for (name, found, outcome, expected) in rows {
            assert_eq!(merged(found, &outcome), expected, "{name}");
        }
        let newer = || Some(attempt("newer", Sending));
        let kept = is("newer", Sending);
        assert_eq!(merged(newer(), &closed(Rejected, &[])), (false, kept.clone(), vec![]), "a thawed sender");
        assert_eq!(merged(newer(), &closed(Uncertain, &[])), (false, kept.clone(), vec![]), "a thawed sender");
        assert_eq!(merged(newer(), &bought()), (true, kept, one()), "its ids cost money");
    }
}
