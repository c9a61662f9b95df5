//! Create: intent, one send, persist. The one act that spends money, so every line here has its reason.
//!
//! The intent is written into the status by compare-and-swap before the first byte leaves; of all who believe they lead, the swap
//! lets one through. There is no retry anywhere beneath. The send runs in a task of its own, which a dropped pass or a lost lease
//! does not cut and which the shutdown waits for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::SignedDuration;
use kube::Api;
use tracing::{Instrument, error, info, warn};

use super::Context;
use super::decide::FRESH_FOR;
use super::failure::Act;
use super::following::{FRESH, POLL};
use super::memory::Hold;
use super::name::instance_name;
use super::objects::Purchasing;
use super::observe::Observed;
use super::outcome::{Closed, Purchase};
use super::problem::{Problem, Retry};
use super::queue::{Key, Lane};
use super::record::{self, WriteStatus};
use super::request::create_request;
use super::step::{Outcome, Report};
use crate::api::conditions::whole_seconds;
use crate::api::{AttemptState, CreateAttempt, PaiInstance, Reason};
use crate::tencent::{Account, InstanceId, Permit, SignedCreate};

/// Longest time between signing and the first byte. Source: reliability step 7: far below the five minutes within which the cloud takes a
/// signature, so that a process that was frozen in between sends nothing.
pub const GATE: Duration = Duration::from_secs(10);

/// Longest pause between two tries to write the ids down. Source: our choice.
const PERSIST_PAUSE: Duration = Duration::from_secs(5);

/// Longest wait for the token of a create whose turn has come. Source: our choice: those before it, at the slowest rate after a refusal.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When an object whose create is on its way gets a pass all the same, should the call at its end be lost. Source: our choice.
const ANSWERED_BY_THEN: Duration = Duration::from_mins(1);

/// Creates the machine: writes the intent, and has it sent once and its outcome persisted, after which the object gets a pass.
pub async fn create(
    context: &Arc<Context>,
    api: &Api<PaiInstance>,
    seen: &Observed,
    claim: Option<Purchasing>,
) -> Result<Outcome, Act> {
    let (Ok(account), Some(Ok(inputs)), Some(Ok(found))) = (&seen.account, &seen.create_inputs, &seen.lookup) else {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    };
    // The token comes before everything that ages.
    let permit = {
        let _idle = context.turns.idle();
        context.cloud.create_permit(account, LONGEST_WAIT).await
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(wait) => return Ok(Outcome::Again(wait)),
    };
    // Both clocks are read before the signature, so that the gate errs on the safe side; and before the lookup's age is judged, so that
    // a process which is frozen from here on does not send on a look older than that and the gate together.
    let signed_at = context.clock.monotonic();
    // The wall clock may have stepped since `decide` judged that age, and the watch may have brought a rival, or taken one away that left
    // a machine behind.
    let stale = signed_at.duration_since(found.begun) >= FRESH_FOR;
    let rivalled =
        context.objects.rival(&seen.object).is_some() || context.objects.another_went_since(&seen.object, found.begun);
    if stale || rivalled {
        context.memory.update(seen.uid(), |known| known.question = None);
        return Ok(Outcome::Again(Duration::from_secs(1)));
    }
    if !context.leadership.valid_for(GATE) {
        return Ok(Outcome::Again(Duration::from_secs(1)));
    }
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
        object: seen.object.clone(),
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
    let whole = purchase_to_its_end(Arc::clone(context), api.clone(), account.clone(), purchase, signed, permit, claim);
    // Its log lines name the object, too.
    context.purchases.spawn(whole.in_current_span());
    Ok(Outcome::Again(ANSWERED_BY_THEN))
}

/// The purchase in a task of its own, which nothing cuts; whatever becomes of it, the object gets a pass after it.
async fn purchase_to_its_end(
    context: Arc<Context>,
    api: Api<PaiInstance>,
    account: Account,
    purchase: Purchase,
    signed: SignedCreate,
    permit: Permit,
    claim: Option<Purchasing>,
) {
    let (key, uid, attempt) = (Key::of(&purchase.object), purchase.uid.clone(), purchase.attempt.id.clone());
    let end = AssertUnwindSafe(buy(Arc::clone(&context), api, account, purchase, signed, permit)).catch_unwind().await;
    let next = end.unwrap_or_else(|_| {
        error!(uid, attempt, "a purchase panicked; its attempt stands in the status and is recovered from there");
        context.memory.disown(&uid, &attempt);
        Duration::from_secs(1)
    });
    drop(claim);
    context.queue.push_after(&key, next, Lane::Urgent);
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
pub fn lapsed_before(last: Option<&CreateAttempt>) -> i64 {
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
            &purchase.object,
            context.clock.now(),
        );
    }
    // The look was made for this one attempt: another one asks anew.
    context.memory.update(&purchase.uid, |known| known.question = None);
    // Noted before the write: if its answer is lost, the next pass may close the attempt as never sent.
    context.memory.write_attempt(&purchase.uid, &purchase.attempt.id);
    let written = record::write(context, api, &seen.object, status).await.inspect_err(|error| {
        info!(uid = purchase.uid, attempt = purchase.attempt.id, %error, "the intent was not written: nothing is sent");
        if matches!(error, WriteStatus::Conflict) {
            context.memory.disown(&purchase.uid, &purchase.attempt.id);
        }
    })?;
    let kept = written.status.as_ref().and_then(|status| status.create_attempt.as_ref());
    if kept != Some(&purchase.attempt) {
        error!(
            uid = purchase.uid,
            attempt = purchase.attempt.id,
            "the API server did not keep the whole intent: is the CRD older than the operator?"
        );
        take_back(context, api, seen, purchase, &written).await;
        return Err(Act::IntentNotKept);
    }
    context.memory.send_attempt(&purchase.uid, &purchase.attempt.id);
    Ok(())
}

/// Takes away what the API server kept of an intent: nothing is sent on it, and what is left of a record would be held for a person.
async fn take_back(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &Observed,
    purchase: &Purchase,
    written: &PaiInstance,
) {
    match record::write(context, api, written, seen.status.clone()).await {
        Ok(_) => context.memory.disown(&purchase.uid, &purchase.attempt.id),
        Err(error) => {
            warn!(uid = purchase.uid, attempt = purchase.attempt.id, %error, "a part of the intent is left behind");
        }
    }
}

/// The installed CRD is older than this operator: the create waits for it, and the condition says so at the next pass.
fn hold_for_the_crd(context: &Context, purchase: &Purchase) -> Duration {
    let text = "Nothing was sent: the API server does not keep the whole create attempt, because the installed CustomResourceDefinition is \
                older than the operator. Install the one of this version, which costs nothing: upgrade the Helm release, or in the sources of \
                this version: kubectl apply --server-side -f crds/. It is tried again every hour, or at once when the annotation \
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
    permit: Permit,
) -> Duration {
    permit.slot().await;
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
    context.memory.disown(&purchase.uid, &purchase.attempt.id);
    next
}

/// The last gate before the first byte.
fn gate(context: &Context, purchase: &Purchase) -> Result<(), &'static str> {
    let by_wall = context.clock.now().duration_since(purchase.attempt.signed_at);
    let by_monotonic = context.clock.monotonic().duration_since(purchase.signed_at);
    may_send(by_wall, by_monotonic, context.leadership.is_lost())
}

/// Whether both clocks say that the signature is fresh, and leadership is not known to be lost. The monotonic clock may not count a
/// suspended machine's sleep, and the wall clock may step: only together do they show that nothing held us up.
fn may_send(by_wall: SignedDuration, by_monotonic: Duration, leadership_lost: bool) -> Result<(), &'static str> {
    let wall_fits = !by_wall.is_negative() && by_wall.unsigned_abs() < GATE;
    if !(wall_fits && by_monotonic < GATE) {
        return Err("the operator was held up for more than 10 s between signing and sending");
    }
    if leadership_lost {
        return Err("the operator lost its leadership between signing and sending");
    }
    Ok(())
}

/// Remembers how long to leave a refused create alone. Says when to look at the object next.
fn remember(context: &Context, purchase: &Purchase, closed: &Closed) -> Duration {
    let Some(problem) = &closed.problem else {
        context.memory.update(&purchase.uid, |known| {
            known.failures = 0;
            known.hold = None;
        });
        return POLL;
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

    #[test]
    fn a_held_up_process_sends_nothing() {
        let rows = [
            ("at once", 0, 0, false, true),
            ("just in time", 9_999, 9_999, false, true),
            ("late by the wall clock: the machine slept", 10_000, 0, false, false),
            ("late by the monotonic clock: the wall clock stepped back", 0, 10_000, false, false),
            ("the wall clock stepped back behind the signature", -1, 0, false, false),
            ("leadership is lost", 0, 0, true, false),
        ];
        for (name, wall, monotonic, lost, sent) in rows {
            let result = may_send(SignedDuration::from_millis(wall), Duration::from_millis(monotonic), lost);
            assert_eq!(result.is_ok(), sent, "{name}");
        }
    }
}
