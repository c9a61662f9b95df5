//! What became of a create, judged from the answer and folded into whatever the status holds by then. Pure.

use tokio::time::Instant;

use super::decide::outcome_unknown;
use super::following::FRESH;
use super::memory::Inputs;
use super::problem::Problem;
use super::record;
use super::step::Report;
use crate::api::conditions::cut_to_bytes;
use crate::api::{AttemptState, CreateAttempt, InstanceStatus, PaiInstance, PaiInstanceStatus, Reason};
use crate::tencent::{CallError, CreatePaiInstanceReply, CreateVerdict, InstanceId, Reply, create_verdict};

/// What the task needs to know about the object it buys for.
pub struct Purchase {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`: another object of the same name is a stranger.
    pub uid: String,
    /// The object that the request was made from.
    pub object: PaiInstance,
    /// What the create rests on.
    pub inputs: Inputs,
    /// The record as it was written before the send.
    pub attempt: CreateAttempt,
    /// When it was signed, by the monotonic clock.
    pub signed_at: Instant,
}

/// What became of the one send, in the terms of the status.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Where the attempt belongs now.
    pub state: AttemptState,
    /// What was bought.
    pub ids: Vec<InstanceId>,
    /// The cloud's RequestId, where there was an answer.
    pub request_id: Option<String>,
    /// Why, for the record.
    pub reason: Option<String>,
    /// What stands in the way of the next try.
    pub problem: Option<Problem>,
}

impl Closed {
    /// Nothing left this process.
    pub fn not_sent(why: &str) -> Self {
        Self {
            state: AttemptState::Rejected,
            ids: Vec::new(),
            request_id: None,
            reason: Some("NotSent".to_owned()),
            problem: Some(Problem::create_not_sent(why)),
        }
    }

    /// The table of step 9: a definite yes, a definite no, and everything else.
    pub fn judged(result: &Result<Reply<CreatePaiInstanceReply>, CallError>, purchase: &Purchase) -> Self {
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
                problem: Some(Problem::refused_create(error, &purchase.object.spec)),
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
    pub fn merge_into(&self, status: &mut PaiInstanceStatus, purchase: &Purchase, now: jiff::Timestamp) -> bool {
        if self.was_found(status, purchase) {
            return false;
        }
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
        record::apply(&report, status, &purchase.object, now);
        true
    }

    /// Whether another process has found all that this attempt bought, and written it down: it follows the machine and knows more of it
    /// than this answer, which was held up on its way.
    fn was_found(&self, status: &PaiInstanceStatus, purchase: &Purchase) -> bool {
        let found =
            |attempt: &CreateAttempt| attempt.id == purchase.attempt.id && attempt.state == AttemptState::Created;
        self.state == AttemptState::Created
            && status.create_attempt.as_ref().is_some_and(found)
            && self.ids.iter().all(|id| status.instance_ids.iter().any(|known| known == id.as_str()))
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
            object: PaiInstance::new("web", serde_json::from_value(spec).unwrap()),
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
            (
                "several ids: all are ours",
                ours(Sending),
                closed(Created, &["ins-1", "ins-2"]),
                (true, is("ours", Created), vec!["ins-1".to_owned(), "ins-2".to_owned()]),
            ),
            ("a wiped status", None, bought(), (true, is("ours", Created), one())),
            ("late ids", ours(Uncertain), bought(), (true, is("ours", Created), one())),
            ("very late ids", ours(Held), bought(), (true, is("ours", Created), one())),
            ("a late definite no", ours(Uncertain), closed(Rejected, &[]), (true, is("ours", Rejected), vec![])),
            ("late ids, and nobody wrote them down", ours(Created), bought(), (true, is("ours", Created), one())),
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

    /// A sender that was frozen while another process found its machine and followed it: that one knows more, and looks again in minutes.
    #[test]
    fn an_answer_that_comes_after_its_machine_was_found_changes_nothing() {
        let found = PaiInstanceStatus {
            create_attempt: Some(attempt("ours", AttemptState::Created)),
            instance_ids: vec!["ins-1".to_owned()],
            ..PaiInstanceStatus::default()
        };
        let mut status = found.clone();
        let late = closed(AttemptState::Created, &["ins-1"]);
        assert!(!late.merge_into(&mut status, &purchase(), jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(status, found);
        let more = closed(AttemptState::Created, &["ins-1", "ins-2"]);
        assert!(more.merge_into(&mut status, &purchase(), jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(status.instance_ids, ["ins-1", "ins-2"]);
    }
}
