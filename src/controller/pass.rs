//! One pass over one object: observe, decide, look if asked to, decide again, act, record.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::runtime::controller::Action;
use tracing::debug;

use super::act::{Outcome, act};
use super::decide::decide;
use super::events::EventKind;
use super::lookup::look_up;
use super::name::instance_name;
use super::objects::Claim;
use super::observe::{Observed, annotation, observe};
use super::proof::{Match, judge};
use super::recheck::{self, Recheck};
use super::record::tell;
use super::resolve::{self, Verb};
use super::settling::EmptyRounds;
use super::step::{SHORT, Standing, Step};
use super::{Context, Pass, following};
use crate::api::{AttemptState, PaiInstance, RESOLVE_CREATE_ANNOTATION, Reason};
use crate::tencent::InstanceState;

/// How soon to try again for a domain that another pass is buying for. Source: our choice.
const DOMAIN_BUSY: Duration = Duration::from_secs(2);

/// One pass. Says when to come back.
pub async fn pass(context: &Arc<Context>, api: &Api<PaiInstance>, name: &str, uid: &str) -> Result<Action, Pass> {
    let Some(mut seen) = observe(context, api, name).await? else {
        context.memory.forget(uid);
        return Ok(Action::await_change());
    };
    let mut step = decide(&seen, context.clock.now());
    // Held until the end of the pass, which waits for the purchase.
    let mut claim: Option<Claim> = None;
    if step == Step::LookUp {
        let may_buy = !seen.deleting() && seen.status.open_attempt().is_none() && seen.status.instance_ids.is_empty();
        if may_buy {
            claim = context.objects.claim(&seen.object);
            if claim.is_none() {
                return Ok(Action::requeue(DOMAIN_BUSY));
            }
        }
        look(context, &mut seen).await;
        step = decide(&seen, context.clock.now());
    }
    note_answer(context, &seen, &step).await;
    if !matches!(step, Step::Wait(_) | Step::Report(_)) {
        debug!(?step, "decided");
    }
    let outcome = act(context, api, &seen, step).await?;
    drop(claim);
    match outcome {
        Outcome::Report(report) => {
            tell(context, api, &seen, &report).await?;
            let next = if report.standing == Standing::Settled { context.sweep_interval } else { report.next };
            // Long waits are spread out; short ones are meant as they stand.
            Ok(Action::requeue(if next > SHORT { context.clock.jittered(next) } else { next }))
        }
        Outcome::Again(next) => Ok(Action::requeue(next)),
        Outcome::Done => Ok(Action::await_change()),
    }
}

/// Makes the lookup that `decide` asked for, for the name of the open attempt or else the one that would be sent, and counts a
/// complete look that found nothing.
async fn look(context: &Context, seen: &mut Observed) {
    let account = match &seen.account {
        Ok(account) => account,
        Err(problem) => {
            seen.lookup = Some(Err(problem.clone()));
            return;
        }
    };
    let open = seen.status.open_attempt();
    let known = open.is_none() && !seen.status.instance_ids.is_empty();
    let name = match open {
        Some(attempt) if !attempt.is_incomplete() => attempt.instance_name.clone(),
        _ if known => recheck::name(seen),
        _ => instance_name(&seen.object).0,
    };
    let result = look_up(context, account, &name).await;
    if result.as_ref().is_err_and(|problem| problem.reason == Reason::CredentialsInvalid) {
        context.credentials.drop_cached(&account.credentials.secret_id);
    }
    if let (Some(attempt), Ok(found)) = (open, &result) {
        let nothing = judge(found, &attempt.domain_name, &attempt.name_origin, open) == Match::Nothing;
        let before = seen.recollection.empty_rounds.take().filter(|_| nothing);
        let ended = context.clock.monotonic();
        let rounds = if nothing { EmptyRounds::with(before, attempt, found, ended) } else { None };
        seen.recollection.empty_rounds.clone_from(&rounds);
        context.memory.update(seen.uid(), |known| known.empty_rounds = rounds);
    }
    if let (true, Ok(found)) = (known, &result) {
        let recheck = Some(Recheck::of(seen, found));
        seen.recollection.recheck.clone_from(&recheck);
        context.memory.update(seen.uid(), |known| known.recheck = recheck);
    }
    seen.lookup = Some(result);
}

/// Tells once that a person's answer is not used, because it speaks of nothing that waits for one. It is then not acted on later either:
/// what a person said of one situation must not buy something in another. Taking the annotation away and giving it again is a new answer.
async fn note_answer(context: &Context, seen: &Observed, step: &Step) {
    let known = &seen.recollection;
    let Some(answer) = annotation(&seen.object, RESOLVE_CREATE_ANNOTATION) else {
        if known.last_answer.is_some() {
            context.memory.update(seen.uid(), |known| (known.last_answer, known.last_answer_ignored) = (None, false));
        }
        return;
    };
    if known.last_answer.as_deref() == Some(answer) || !seen.has_finalizer() || seen.paused() {
        return;
    }
    let Some(used) = is_used(seen, step) else { return };
    if !used {
        let note = format!(
            "The annotation {RESOLVE_CREATE_ANNOTATION}={answer} is ignored, now and later: it names no attempt that waits for a person and no \
             machine that was found. When a person is asked, the message of the condition Ready holds the command; take this one away first."
        );
        context.events.publish(&seen.object, EventKind::Warning, "AnswerIgnored", &note).await;
    }
    context.memory.update(seen.uid(), |known| {
        known.last_answer = Some(answer.to_owned());
        known.last_answer_ignored = !used;
    });
}

/// Whether the step follows from the answer; `None` if the answer's moment has not come.
pub(super) fn is_used(seen: &Observed, step: &Step) -> Option<bool> {
    let held = seen.status.open_attempt().is_some_and(|attempt| attempt.state == AttemptState::Held);
    let used = match step {
        Step::CloseAttempt { .. } => held,
        Step::Adopt { id } => resolve::answer(seen) == Some(Verb::Adopt(id.clone())),
        Step::StartOver => true,
        _ => false,
    };
    (used || !waits(seen)).then_some(used)
}

/// Whether the answer names the right thing and only its moment has not come: a machine that is not proven gone or not listed yet, or an
/// attempt that is given up while it is still searched for. Only `retry` spends money on the spot, so it never waits.
fn waits(seen: &Observed) -> bool {
    let running = matches!(&seen.listing, Some(Ok(listing)) if listing.values().any(|one| one.instance_state == InstanceState::Running));
    let open = seen.status.open_attempt();
    match resolve::answer(seen) {
        Some(Verb::Recreate(_)) => following::is_asked_to_start_over(seen) && !running,
        Some(Verb::Adopt(id)) => match &seen.lookup {
            Some(Ok(found)) => open.is_some() && !found.has(&id),
            _ => seen.status.instance_ids.is_empty(),
        },
        Some(Verb::Abandon(id)) => open.is_some_and(|attempt| attempt.id == id && attempt.state != AttemptState::Held),
        Some(Verb::Retry(_)) | None => false,
    }
}
