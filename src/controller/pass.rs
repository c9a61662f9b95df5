//! One pass over one object: observe, decide, look if asked to, decide again, act, record.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use tracing::debug;

use super::act::act;
use super::ahead::Looking;
use super::decide::decide;
use super::failure::Pass;
use super::lookup::{Found, Looked, Question};
use super::memory::Recollection;
use super::name::instance_name;
use super::observe::{Observed, annotation, observe};
use super::proof::{Match, judge};
use super::queue::{Key, Lane};
use super::recheck::{self, Recheck};
use super::record::{self, WriteStatus, tell};
use super::resolve::{self, Verb};
use super::settling::EmptyRounds;
use super::step::{Outcome, Report, SHORT, Standing, Step};
use super::{Context, following};
use crate::api::{AttemptState, EventReason, PaiInstance, PaiInstanceStatus, RESOLVE_CREATE_ANNOTATION, Reason};
use crate::tencent::{Action, InstanceState, Turn};

/// How soon to try again for a domain that another pass is buying for. Source: our choice.
const DOMAIN_BUSY: Duration = Duration::from_secs(2);

/// When an object that waits to be called gets a pass all the same, should the call be lost. Source: our choice.
const CALLED_BY_THEN: Duration = Duration::from_mins(1);

/// When an object gets its next pass, unless it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// After this long.
    After(Duration),
    /// When it is called: a listing or its turn to be bought for is under way.
    Called,
    /// When something about it or its machine changes: it is at rest, or gone.
    Changed,
}

impl From<Outcome> for Next {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Report(report) => Self::After(report.next),
            Outcome::Again(next) => Self::After(next),
            Outcome::Done => Self::Changed,
        }
    }
}

/// One pass. Says when to come back. `ahead` is for [`observe`].
pub async fn pass(
    context: &Arc<Context>,
    api: &Api<PaiInstance>,
    key: &Key,
    ahead: Option<Looking>,
) -> Result<Next, Pass> {
    let Some(mut seen) = observe(context, api, key, ahead).await? else { return Ok(Next::Changed) };
    let mut step = decide(&seen, context.clock.now());
    let mut claim = None;
    if step == Step::LookUp {
        if seen.may_buy() {
            claim = context.objects.claim(&seen.object);
            if claim.is_none() {
                return Ok(Next::After(DOMAIN_BUSY));
            }
        }
        if !look(context, &mut seen, key).await {
            return Ok(Next::Called);
        }
        step = decide(&seen, context.clock.now());
        if step != Step::Create {
            // Only a create that waits for its turn keeps its answer. Who looks again for another reason wants to see what is new.
            context.memory.update(seen.uid(), |known| known.question = None);
        }
    }
    note_answer(context, api, &mut seen, &step).await?;
    if !matches!(step, Step::Wait(_) | Step::Report(_)) {
        debug!(?step, "decided");
    }
    if step == Step::Create
        && let Ok(account) = &seen.account
        && !context.turns.enter(account, key, &context.queue)
    {
        return Ok(Next::Called);
    }
    match act(context, api, &seen, step, claim).await? {
        Outcome::Report(report) => {
            tell(context, api, &seen, &report).await?;
            Ok(after(context, &seen, &report))
        }
        outcome => Ok(outcome.into()),
    }
}

/// When to come back after a report. A settled object comes back only if something is still looked for: the cloud watch sees to its
/// machine.
fn after(context: &Context, seen: &Observed, report: &Report) -> Next {
    if report.standing == Standing::Settled {
        if let Some(wait) = recheck::due_in(seen, context.clock.now()) {
            return Next::After(context.clock.jittered(wait.max(SHORT)));
        }
        context.memory.update(seen.uid(), Recollection::settle);
        return Next::Changed;
    }
    // Long waits are spread out; short ones are meant as they stand.
    Next::After(if report.next > SHORT { context.clock.jittered(report.next) } else { report.next })
}

impl Next {
    /// How long until the pass, if a time is set for it.
    pub fn delay(self) -> Option<Duration> {
        match self {
            Self::After(delay) => Some(delay),
            Self::Called => Some(CALLED_BY_THEN),
            Self::Changed => None,
        }
    }
}

/// Makes the lookup that `decide` asked for, for the name of the open attempt or else the one that would be sent, and counts a
/// complete look that found nothing. Says whether the look is done; if not, the object is called when it can be.
async fn look(context: &Arc<Context>, seen: &mut Observed, key: &Key) -> bool {
    let account = match &seen.account {
        Ok(account) => account.clone(),
        Err(problem) => {
            seen.lookup = Some(Err(problem.clone()));
            return true;
        }
    };
    let buys = seen.may_buy();
    let name = name_to_look_for(seen);
    let now = context.clock.monotonic();
    let known = seen.recollection.question.take().filter(|question| question.is(&account, name.as_deref()));
    let mut question = known.unwrap_or_else(|| Question::new(&account, name.as_deref(), now));
    // Amid a flood of creates only those whose turn it is ask on their own account; else each new object is looked for at once.
    let may_ask = !(buys && question.takes_a_call())
        || context.cloud.has_room(&account, Action::DescribeInstances)
        || context.turns.enter(&account, key, &context.queue);
    // What was bought is only checked: the next one to be bought goes first.
    let lane = if buys { Lane::Called } else { Lane::Urgent };
    let looked = if may_ask {
        context.turns.wait_for(question.ask(context, &account, key, lane, Turn::InLine)).await
    } else {
        Looked::Later
    };
    let failed_before = seen.recollection.failed_looks;
    let (keeps, failed_looks) = match looked {
        Looked::Later => (true, failed_before),
        Looked::Failed(_) => (false, failed_before.saturating_add(1)),
        Looked::Found(_) => (buys, 0),
    };
    seen.recollection.failed_looks = failed_looks;
    context.memory.update(seen.uid(), |known| {
        (known.question, known.failed_looks) = (keeps.then_some(question), failed_looks);
    });
    match looked {
        Looked::Later => return false,
        Looked::Failed(problem) => {
            if problem.reason == Reason::CredentialsInvalid {
                context.credentials.drop_cached(&account.credentials.secret_id);
            }
            seen.lookup = Some(Err(problem));
        }
        Looked::Found(found) => {
            note_look(context, seen, &found);
            seen.lookup = Some(Ok(found));
        }
    }
    true
}

fn name_to_look_for(seen: &Observed) -> Option<String> {
    match seen.status.open_attempt() {
        Some(attempt) if !attempt.is_incomplete() => Some(attempt.instance_name.clone()),
        None if !seen.status.instance_ids.is_empty() => recheck::name(seen),
        _ => Some(instance_name(&seen.object).0),
    }
}

/// Remembers what a complete look says about an open attempt, or about the machines of the object.
fn note_look(context: &Context, seen: &mut Observed, found: &Found) {
    if let Some(attempt) = seen.status.open_attempt() {
        let nothing = judge(found, &attempt.domain_name, &attempt.name_origin, Some(attempt)) == Match::Nothing;
        let before = seen.recollection.empty_rounds.take().filter(|_| nothing);
        let ended = context.clock.monotonic();
        let rounds = if nothing { EmptyRounds::with(before, attempt, found, ended) } else { None };
        seen.recollection.empty_rounds.clone_from(&rounds);
        context.memory.update(seen.uid(), |known| known.empty_rounds = rounds);
    } else if !seen.status.instance_ids.is_empty() {
        let recheck = Some(Recheck::of(seen, found));
        seen.recollection.recheck.clone_from(&recheck);
        context.memory.update(seen.uid(), |known| known.recheck = recheck);
    }
}

/// Tells once that a person's answer is not used, because it speaks of nothing that waits for one. It is then not acted on later either:
/// what a person said of one situation must not buy something in another. Taking the annotation away and giving it again is a new answer.
async fn note_answer(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &mut Observed,
    step: &Step,
) -> Result<(), WriteStatus> {
    let known = &seen.recollection;
    let Some(answer) = annotation(&seen.object, RESOLVE_CREATE_ANNOTATION).map(str::to_owned) else {
        if known.last_answer.is_some() {
            context.memory.update(seen.uid(), |known| (known.last_answer, known.last_answer_ignored) = (None, false));
        }
        return record_ignored(context, api, seen, None).await;
    };
    let is_recorded = seen.status.ignored_answer.as_deref() == Some(resolve::recorded(&answer));
    let is_known = is_recorded || known.last_answer.as_deref() == Some(&answer);
    if is_known || !seen.has_finalizer() || seen.paused() {
        return Ok(());
    }
    let Some(used) = is_used(seen, step) else { return Ok(()) };
    // First, so that it is told of once, and no restart forgets it.
    let ignored = (!used).then(|| resolve::recorded(&answer).to_owned());
    record_ignored(context, api, seen, ignored).await?;
    if !used {
        let note = format!(
            "The annotation {RESOLVE_CREATE_ANNOTATION}={answer} is ignored, now and later: it names no attempt that waits for a person and no \
             machine that was found. When a person is asked, the message of the condition Ready holds the command; take this one away first."
        );
        context.events.tell(&seen.object, EventReason::AnswerIgnored, &note).await;
    }
    context.memory.update(seen.uid(), |known| {
        known.last_answer = Some(answer);
        known.last_answer_ignored = !used;
    });
    Ok(())
}

/// Writes down which answer is not acted on, if that is not written yet.
async fn record_ignored(
    context: &Context,
    api: &Api<PaiInstance>,
    seen: &mut Observed,
    answer: Option<String>,
) -> Result<(), WriteStatus> {
    if seen.status.ignored_answer == answer {
        return Ok(());
    }
    let status = PaiInstanceStatus { ignored_answer: answer, ..seen.status.clone() };
    seen.object = record::write(context, api, &seen.object, status).await?;
    seen.status = seen.object.status.clone().unwrap_or_default();
    Ok(())
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
