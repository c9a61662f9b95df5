//! Following: what the cloud says of a known machine, turned into a report. Pure; never a create, whatever became of the machine.

use std::time::Duration;

use jiff::Timestamp;

use super::observe::Observed;
use super::problem::Problem;
use super::recheck::{self, Binding};
use super::resolve::{self, Verb};
use super::step::{Readiness, Report, SHORT, SLOW, Standing, Step};
use super::{deletion, remedy};
use crate::api::{Reason, Synced};
use crate::tencent::{Instance, InstanceState};

/// How often the cloud watch looks at a machine that is changing. Source: our choice; PAI takes minutes, so seconds are soon enough.
pub const FRESH: Duration = Duration::from_secs(3);

/// How often an object with such a machine gets a pass that nothing asked for. Source: our choice: the cloud watch wakes it when
/// something changes, and this is for what only time changes.
pub const POLL: Duration = Duration::from_secs(15);

/// How soon to look again when a person waits for something to be gone. Source: our choice.
const SOON: Duration = Duration::from_secs(10);

/// How long an id may stay unlisted after its create before it counts as missing. Source: reliability step 16; the API promises no
/// read-after-write.
pub const GRACE: Duration = Duration::from_mins(15);

/// How far apart the two empty looks must be that show a machine is gone. Source: reliability section 3.
pub const ABSENT_FOR: Duration = Duration::from_secs(30);

/// One machine as the cloud shows it.
pub enum View<'a> {
    /// It is listed.
    Listed(&'a Instance),
    /// It is not listed, and that says nothing yet.
    NotYet,
    /// It is not listed and was before, or should be by now: look once more before believing it.
    Missing,
    /// It was absent from two complete looks far enough apart.
    Gone,
    /// It is not listed under credentials that never saw it.
    OtherAccount,
}

/// Whether it means something that the machine is not listed: it was listed before, or has had its time to show.
pub fn must_show(seen: &Observed, id: &str, now: Timestamp) -> bool {
    let was_listed = seen.recollection.listed
        || seen.status.instances.iter().any(|known| known.id == id && known.secret_id.is_some());
    let created = seen.status.create_attempt.as_ref().map(|attempt| attempt.signed_at);
    was_listed || created.is_none_or(|created| now >= created + GRACE)
}

/// What the listing says of one id. Without a listing the caller has already reported why.
pub fn view<'a>(seen: &'a Observed, id: &str, now: Timestamp) -> View<'a> {
    if let Some(Ok(listing)) = &seen.listing
        && let Some(instance) = listing.get(id)
    {
        return View::Listed(instance);
    }
    let asked_under = seen.account.as_ref().ok().map(|account| account.credentials.secret_id.as_str());
    let known_under = seen.status.known_under(id);
    if known_under.is_some() && known_under != asked_under {
        return View::OtherAccount;
    }
    if !must_show(seen, id, now) {
        return View::NotYet;
    }
    match seen.absent_for.get(id) {
        Some(span) if *span >= ABSENT_FOR => View::Gone,
        _ => View::Missing,
    }
}

/// The step for an object whose machines are known.
pub fn decide(seen: &Observed, now: Timestamp) -> Step {
    let mut report = match &seen.listing {
        Some(Err(problem)) => unreadable(problem),
        _ => worst(seen, now),
    };
    if is_asked_to_start_over(seen) {
        if all_gone(seen, now) {
            return Step::StartOver;
        }
        report.next = report.next.min(SOON);
    }
    if recheck::is_due(seen, now) {
        return Step::LookUp;
    }
    if let Some(problem) = recheck::duplicate_found(seen) {
        report = with(report, problem);
    }
    if seen.paused() {
        report.synced = Synced::Paused;
    }
    Step::Report(report)
}

/// The report with something besides for which a person must act: `Ready` stays what the machine deserves.
fn with(report: Report, problem: Problem) -> Report {
    if report.standing == Standing::NeedsPerson {
        return Report { message: format!("{} {}", report.message, problem.message), ..report };
    }
    Report { standing: Standing::NeedsPerson, besides: Some(problem), next: report.next.min(SLOW), ..report }
}

/// Whether every machine is proven gone, so that a new one replaces nothing that is billed and meets no domain that is still taken.
fn all_gone(seen: &Observed, now: Timestamp) -> bool {
    matches!(seen.listing, Some(Ok(_)))
        && seen.status.instance_ids.iter().all(|id| matches!(view(seen, id, now), View::Gone))
}

/// The command that starts over names the attempt, or the machine where the attempt is lost.
fn start_over_key(seen: &Observed) -> String {
    let attempt = seen.status.create_attempt.as_ref().map(|attempt| attempt.id.clone());
    attempt.or_else(|| seen.status.instance_ids.first().cloned()).unwrap_or_default()
}

/// Whether a person asked for a new machine in the place of this one.
pub fn is_asked_to_start_over(seen: &Observed) -> bool {
    !seen.paused() && resolve::answer(seen) == Some(Verb::Recreate(start_over_key(seen)))
}

/// What to type for a new machine in the place of one that is gone.
fn how_to_start_over(seen: &Observed) -> String {
    resolve::command(&seen.object, &format!("recreate:{}", start_over_key(seen)))
}

/// The last look failed. It says nothing about the machine, unless a person must act.
fn unreadable(problem: &Problem) -> Report {
    if problem.reason.needs_a_person() {
        // The cloud watch looks every minute whether it is mended, once for all objects that it stands in the way of.
        return Report::problem(problem, SLOW);
    }
    Report { ready: Readiness::AsBefore, ..Report::problem(problem, Duration::from_mins(1)) }
}

/// The report on the machine that is worst off: all of them must be well for the object to be.
fn worst(seen: &Observed, now: Timestamp) -> Report {
    let rank = |report: &Report| match report.standing {
        Standing::NeedsPerson => 4,
        Standing::Retrying => 3,
        Standing::Progressing => 2,
        Standing::Settled if report.ready == Readiness::NotReady => 1,
        Standing::Settled => 0,
    };
    let reports = seen.status.instance_ids.iter().map(|id| of_one(seen, id, now));
    reports.max_by_key(rank).unwrap_or_else(|| Report::progressing(Reason::Provisioning, "No machine is known.", SLOW))
}

fn of_one(seen: &Observed, id: &str, now: Timestamp) -> Report {
    match view(seen, id, now) {
        View::Listed(instance) => of_listed(seen, id, instance, now),
        View::NotYet => {
            Report::progressing(Reason::Provisioning, format!("{id} is bought; the cloud does not list it yet."), POLL)
        }
        View::Missing => {
            let text = format!("{id} is not in the cloud's list: it is looked for once more before it counts as gone.");
            Report { ready: Readiness::AsBefore, ..Report::progressing(Reason::Provisioning, text, ABSENT_FOR + FRESH) }
        }
        View::OtherAccount => Report::problem(
            &Problem::new(
                Reason::CredentialsChanged,
                format!(
                    "{id} is not listed under the present secret id, which never saw it: it may run and be billed in another account. \
                     Put credentials of the account that created it into the Secret {}.",
                    seen.object.spec.credentials_ref.name
                ),
            ),
            Duration::from_mins(1),
        ),
        View::Gone => gone(seen, id, "is no longer in the cloud's list: it was destroyed outside of Kubernetes"),
    }
}

fn gone(seen: &Observed, id: &str, what: &str) -> Report {
    let text = format!(
        "{id} {what}. Nothing is bought in its place. For a new machine, once it is gone: {}",
        how_to_start_over(seen)
    );
    Report { synced: Synced::Success, ..Report::problem(&Problem::new(Reason::ExternallyDeleted, text), SLOW) }
}

fn of_listed(seen: &Observed, id: &str, instance: &Instance, now: Timestamp) -> Report {
    let state = instance.instance_state.as_str();
    let settled =
        |reason, message: String| Report { standing: Standing::Settled, ..Report::progressing(reason, message, SLOW) };
    if let Some(restriction) = instance.restrict_state.as_deref().filter(|state| *state != "NORMAL") {
        let text =
            format!("{id} is restricted by the cloud ({restriction}): renew it or top the account up in the console.");
        return settled(Reason::InsufficientBalance, text);
    }
    match &instance.instance_state {
        InstanceState::Running
        | InstanceState::EnterServiceLiveMigrate
        | InstanceState::ServiceLiveMigrate
        | InstanceState::ExitServiceLiveMigrate => running(seen, id, instance, now),
        InstanceState::Pending | InstanceState::Starting | InstanceState::Rebooting => {
            Report::progressing(Reason::Provisioning, format!("{id} is {state}."), POLL)
        }
        InstanceState::Stopping => Report::progressing(Reason::Stopped, format!("{id} is {state}."), POLL),
        InstanceState::Stopped => settled(
            Reason::Stopped,
            format!(
                "{id} is STOPPED and still billed: start it in the console, or delete this object to terminate it."
            ),
        ),
        InstanceState::LaunchFailed => {
            let why = instance
                .latest_operation_error_msg
                .as_deref()
                .unwrap_or("the cloud gives no reason")
                .trim_end_matches('.');
            let text = format!(
                "The cloud failed to launch {id}: {why}. It is not billed and vanishes by itself; nothing is bought in its place. \
                 For a new machine, once it is gone: {}",
                how_to_start_over(seen)
            );
            Report { synced: Synced::Success, ..Report::problem(&Problem::new(Reason::InstanceFailed, text), SLOW) }
        }
        InstanceState::Shutdown => {
            gone(seen, id, "is in the recycle bin (SHUTDOWN): renew it in the console to get it back")
        }
        InstanceState::Terminating => gone(seen, id, "is being destroyed, and not by this operator"),
        InstanceState::EnterRescueMode | InstanceState::RescueMode | InstanceState::ExitRescueMode => settled(
            Reason::Stopped,
            format!("{id} is in rescue work ({state}), begun outside of Kubernetes: nothing is done to it."),
        ),
        InstanceState::Other(word) => settled(
            Reason::Stopped,
            format!(
                "{id} is in the state {word:?}, which this version does not know: nothing is done to it. Look at it in the console."
            ),
        ),
    }
}

fn running(seen: &Observed, id: &str, instance: &Instance, now: Timestamp) -> Report {
    let address = instance.public_ip_addresses.first();
    if seen.object.spec.internet_accessible.wants_public_address() && address.is_none() {
        return Report::progressing(Reason::Provisioning, format!("{id} runs, but has no public address yet."), POLL);
    }
    match (recheck::binding(seen, id), &seen.lookup) {
        (Some(Binding::Unbound { .. }), _) if recheck::is_young(seen, instance, now) => {
            let text = format!("{id} runs; the cloud does not list its domain {} yet.", seen.object.spec.domain_name);
            return Report::progressing(Reason::Provisioning, text, SHORT);
        }
        (Some(Binding::Unbound { other }), _) => return not_bound(seen, id, &other),
        (None, Some(Err(problem))) => {
            let text = format!("{id} runs; whether it has its domain cannot be seen now: {}", problem.message);
            let problem = Problem::new(problem.reason, text);
            return Report { ready: Readiness::AsBefore, ..Report::problem(&problem, SOON) };
        }
        _ => {}
    }
    let at = address.map(|address| format!(" at {address}")).unwrap_or_default();
    Report {
        ready: Readiness::Ready,
        reason: Reason::Available,
        message: format!("{id} runs{at}. The site may need a few minutes more to answer."),
        standing: Standing::Settled,
        synced: Synced::Success,
        next: SLOW,
        besides: None,
    }
}

/// It runs and is billed, and nobody reaches it by its domain. Only a person can tell what it is worth.
fn not_bound(seen: &Observed, id: &str, other: &str) -> Report {
    let object = &seen.object;
    let shown = if other.is_empty() { "without a domain".to_owned() } else { format!("with the domain {other}") };
    let ending = if deletion::is_retained(seen) {
        "terminate it in the console, which ends its cost for good".to_owned()
    } else {
        format!("delete this object, which terminates it for good: {}", remedy::delete(object))
    };
    let text = format!(
        "{id} runs and is billed, but the cloud shows it {shown}: the last step of its create failed. Either bind {} to it in the console; \
         that is seen within minutes, or at once with: {}. Or {ending}. Once it is gone, this buys a new one: {}",
        object.spec.domain_name,
        remedy::look_again(object),
        how_to_start_over(seen)
    );
    Report::problem(&Problem::new(Reason::DomainNotBound, text), SLOW)
}
