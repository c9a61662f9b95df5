//! Deletion: terminate what is ours, make sure, then let the object go. Pure.
//!
//! Only ids in the status are ever terminated. A prepaid machine gets one call in its life, because a second would destroy it.

use std::time::Duration;

use jiff::Timestamp;

use super::decide::waits_for_a_change;
use super::following::{FRESH, POLL, View, view};
use super::name::instance_name;
use super::observe::Observed;
use super::problem::{Problem, Retry};
use super::proof::{Match, judge};
use super::remedy;
use super::step::{Farewell, Report, Standing, Step};
use crate::api::{AdoptedBy, DeletionPolicy, NameOrigin, Reason, Synced};
use crate::tencent::{Instance, InstanceState};

/// How long an accepted termination may go without effect before it is asked for again (hourly and spot machines only).
/// Source: our choice.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// How long the return of a prepaid machine may take to show before a person is asked. Source: our choice.
const RETURN_TAKES: Duration = Duration::from_mins(5);

/// How long after an accepted termination a machine that is not listed any more is asked for again, for the cloud's own "no such
/// instance". Source: our choice.
const ASK_MISSING_AFTER: Duration = Duration::from_secs(3);

/// What remains to be done about one machine.
enum Fate {
    Done { recycled: bool },
    Do(Step),
}

/// The step for an object that is being deleted, has our finalizer and no open attempt.
pub fn decide(seen: &Observed, now: Timestamp) -> Step {
    if seen.status.instance_ids.is_empty() {
        return nothing_recorded(seen);
    }
    if is_retained(seen) {
        return Step::RemoveFinalizer { farewell: Farewell::Retained };
    }
    if seen.crd_deleting {
        return Step::RemoveFinalizer { farewell: Farewell::CrdDeleted };
    }
    if seen.paused() {
        let text = "Deletion is paused: nothing is terminated, and the machine is still billed, until the annotation pai.tencentcloud.io/paused is removed.";
        return Step::Report(Report::paused(Reason::Deleting, text));
    }
    if let Some(Err(problem)) = &seen.listing {
        return Step::Report(blocked(seen, problem));
    }
    if let Some(step) = waits_for_a_change(seen.recollection.refused_termination.as_ref(), seen, now) {
        return step;
    }
    let mut any_recycled = false;
    for id in &seen.status.instance_ids {
        match fate(seen, id, now) {
            Fate::Done { recycled } => any_recycled |= recycled,
            Fate::Do(step) => return step,
        }
    }
    let farewell = if any_recycled { Farewell::Recycled } else { Farewell::Terminated };
    Step::RemoveFinalizer { farewell }
}

/// No id stands in the status. Where no attempt does either, the status may have been lost: our marker is looked for once more.
fn nothing_recorded(seen: &Observed) -> Step {
    let release = Step::RemoveFinalizer { farewell: Farewell::NoInstance };
    let (_, origin) = instance_name(&seen.object);
    if seen.status.create_attempt.is_some()
        || origin != NameOrigin::Generated
        || seen.account.is_err()
        || is_retained(seen)
    {
        return release;
    }
    match &seen.lookup {
        None => Step::LookUp,
        Some(Ok(found)) => match judge(found, &seen.object.spec.domain_name, &origin, None) {
            Match::Ours(id) => Step::Adopt { id },
            Match::Several(ids) => Step::Report(blocked(
                seen,
                &Problem::new(
                    Reason::AmbiguousInstances,
                    format!("Several machines match this object: {}.", ids.join(", ")),
                ),
            )),
            Match::Nothing | Match::NotProven(_) => release,
        },
        // An object that was never served, because its key or its region is no good, must not be held by that.
        Some(Err(problem)) if problem.reason.needs_a_person() => release,
        Some(Err(problem)) => Step::Report(blocked(seen, problem)),
    }
}

/// Whether the machine stays: because a person says so, or because it was adopted and nobody said that it may be terminated.
/// One that was adopted by its name alone always stays: a name is no proof.
pub fn is_retained(seen: &Observed) -> bool {
    let adopted =
        |by: fn(&AdoptedBy) -> bool| seen.status.instances.iter().filter_map(|known| known.adopted_by.as_ref()).any(by);
    match seen.object.spec.deletion_policy {
        Some(DeletionPolicy::Retain) => true,
        Some(DeletionPolicy::Delete) => adopted(|by| *by != AdoptedBy::Domain),
        None => adopted(|_| true),
    }
}

/// The machine cannot be looked at, so it cannot be said to be gone. The message holds the way out.
fn blocked(seen: &Observed, problem: &Problem) -> Report {
    let text = format!(
        "{} The deletion waits, and the machine may still be billed. To let the object go and keep the machine: {}",
        problem.message,
        remedy::retain(&seen.object)
    );
    let problem = Problem::new(problem.reason, text);
    Report::problem(&problem, Retry::of(problem.reason).look_again().min(Duration::from_secs(15)))
}

fn fate(seen: &Observed, id: &str, now: Timestamp) -> Fate {
    if seen.recollection.gone.contains(id) {
        return Fate::Done { recycled: false };
    }
    match view(seen, id, now) {
        View::Gone => Fate::Done { recycled: false },
        View::Listed(instance) => listed(seen, id, instance, now),
        // It is not listed and was: the cloud's own "no such instance" settles it sooner than a second look.
        View::Missing if !is_prepaid(seen, id) && may_ask(seen, id, now, ASK_MISSING_AFTER) => {
            Fate::Do(Step::Terminate { id: id.to_owned(), only_once: false })
        }
        View::Missing => waiting(format!("{id} is no longer listed: one more look makes sure."), FRESH),
        View::NotYet => waiting(format!("{id} is not listed yet: it is terminated once it is."), POLL),
        View::OtherAccount => Fate::Do(Step::Report(blocked(
            seen,
            &Problem::new(
                Reason::CredentialsChanged,
                format!("{id} is not listed under the present secret id, which never saw it."),
            ),
        ))),
    }
}

/// Whether the termination may be asked for (again): not so soon after it was accepted.
fn may_ask(seen: &Observed, id: &str, now: Timestamp, after: Duration) -> bool {
    seen.recollection.terminated_at.get(id).is_none_or(|at| now >= *at + after)
}

/// Whether the machine was bought by the month, as far as anybody knows.
fn is_prepaid(seen: &Observed, id: &str) -> bool {
    let known =
        seen.status.instances.iter().find(|known| known.id == id).and_then(|known| known.charge_type.as_deref());
    let sent = seen.status.create_attempt.as_ref().map(|attempt| attempt.charge_type.as_str());
    // Where nobody knows, the careful answer: one call at most.
    known.or(sent).is_none_or(|word| word == "PREPAID")
}

fn listed(seen: &Observed, id: &str, instance: &Instance, now: Timestamp) -> Fate {
    let state = instance.instance_state.as_str();
    let prepaid =
        instance.instance_charge_type.as_deref().map_or_else(|| is_prepaid(seen, id), |word| word == "PREPAID");
    let asked_at = seen.status.instances.iter().find(|known| known.id == id).and_then(|known| known.terminate_sent_at);
    let operating = instance.latest_operation_state.as_deref() == Some("OPERATING");
    match &instance.instance_state {
        InstanceState::Shutdown if prepaid && !operating => Fate::Done { recycled: true },
        InstanceState::Terminating | InstanceState::Shutdown => waiting(format!("{id} is {state}."), POLL),
        InstanceState::LaunchFailed => {
            waiting(format!("{id} failed to launch: it vanishes by itself and is not billed."), POLL)
        }
        InstanceState::Pending
        | InstanceState::Starting
        | InstanceState::Stopping
        | InstanceState::Rebooting
        | InstanceState::EnterRescueMode
        | InstanceState::ExitRescueMode
        | InstanceState::EnterServiceLiveMigrate
        | InstanceState::ServiceLiveMigrate
        | InstanceState::ExitServiceLiveMigrate => waiting(
            format!("{id} is {state}, in which the cloud does not terminate: it is terminated after that."),
            POLL,
        ),
        _ if prepaid => match asked_at {
            None => Fate::Do(Step::Terminate { id: id.to_owned(), only_once: true }),
            Some(at) if operating || now < at + RETURN_TAKES => {
                waiting(format!("{id} is {state}; its return was asked for at {at}."), POLL)
            }
            Some(_) => Fate::Do(Step::Report(unanswered(id, state))),
        },
        _ if may_ask(seen, id, now, REPEAT_AFTER) => Fate::Do(Step::Terminate { id: id.to_owned(), only_once: false }),
        _ => waiting(format!("{id} is {state}; its termination is under way."), POLL),
    }
}

fn waiting(message: String, next: Duration) -> Fate {
    Fate::Do(Step::Report(Report::progressing(Reason::Deleting, message, next)))
}

/// The one termination of a prepaid machine was sent and does not show. A second call could destroy the machine: a person decides.
fn unanswered(id: &str, state: &str) -> Report {
    Report {
        standing: Standing::NeedsPerson,
        synced: Synced::Error,
        ..Report::progressing(
            Reason::NotReturnable,
            format!(
                "The return of the prepaid machine {id} was asked for once and it is still {state}; it is not asked again, because a second \
                 call could destroy it for good. Return it in the console, or set spec.deletionPolicy to Retain to leave it running and billed."
            ),
            Duration::from_mins(1),
        )
    }
}
