//! What can happen next, and what comes of it. The product decides; here its steps are carried out in pieces, as `controller::create`,
//! `act`, `adopt` and `pass` do, with everything that can go wrong between two of them.

use pai_operator::controller::create::GATE;
use pai_operator::controller::decide::FRESH_FOR;
use stateright::{Model, Property};

use crate::calm::Restful;
use crate::product::{Move, Pass, Product};
use crate::properties;
use crate::state::{
    At, Copy, Listing, Machine, OLD, OLD_WITHOUT_THE_CLOUDS_TIME, Phase, Process, Purpose, Record, Request,
    SIGNATURE_LIMIT, State, TICK, Verdict,
};

/// How the rules are carried out: as the product does, or with one of them broken, which the checker must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    AsBuilt,
    NoIntent,
    ConflictsIgnored,
    FreshnessAtTheDecision,
    NoGate,
    AbsenceAtOnce,
    RetryAfterALostAnswer,
    FreshnessNotCheckedAtTheSignature,
    WindowFromTheBeginning,
}

/// The cloud and the network around the processes.
pub struct World {
    pub product: Product,
    pub restful: Restful,
    pub variant: Variant,
    /// Ticks after which a bought machine is certainly listed.
    pub visible_within: u8,
    /// Whether the cloud sells one domain twice.
    pub sells_twice: bool,
    /// Whether the cloud's answers bear its time.
    pub cloud_tells_time: bool,
    /// Whether the cloud refuses old signatures. Where it does not, a request is delayed for less than a tick.
    pub refuses_old_signatures: bool,
}

/// One thing that happens. A number names the process, or the attempt for what happens in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    TimePasses,
    ReadsAndDecides(usize),
    ListingIsTaken(usize),
    LookEndsAndDecides(usize),
    LookFails(usize),
    SignsAndWritesTheIntent(usize),
    WriteIsCommitted(usize),
    WriteConflicts(usize),
    WriteIsGivenUp(usize),
    WriteThatWasGivenUpIsCommitted(usize),
    PassesTheGateAndSends(usize),
    TakesTheAnswer(usize),
    StopsWaiting(usize),
    ReadsToRecordTheOutcome(usize),
    CrashesAndRestarts(usize),
    RequestBuys(usize),
    RequestIsRefused(usize),
    RequestIsRefusedForItsAge(usize),
    RequestIsLost(usize),
    MachineIsListed(usize),
}

impl Model for World {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        events.push(Event::TimePasses);
        for (index, process) in state.processes.iter().enumerate() {
            self.of_process(state, index, process, events);
        }
        for (id, attempt) in state.attempts.iter().enumerate() {
            if attempt.request == Request::InFlight {
                let in_time = attempt.age.is_some_and(|age| age <= SIGNATURE_LIMIT) || !self.refuses_old_signatures;
                if in_time {
                    events.extend([Event::RequestBuys(id), Event::RequestIsRefused(id)]);
                } else {
                    events.push(Event::RequestIsRefusedForItsAge(id));
                }
                events.push(Event::RequestIsLost(id));
            }
            if matches!(attempt.machine, Machine::Hidden(_)) {
                events.push(Event::MachineIsListed(id));
            }
        }
    }

    fn next_state(&self, last: &State, event: Event) -> Option<State> {
        let mut state = *last;
        self.happens(&mut state, event);
        state.simplify(self.old());
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

impl World {
    fn of_process(&self, state: &State, index: usize, process: &Process, events: &mut Vec<Event>) {
        match process.at {
            At::Idle => events.push(Event::ReadsAndDecides(index)),
            At::Looking { listing, .. } => {
                events.push(if listing.is_some() {
                    Event::LookEndsAndDecides(index)
                } else {
                    Event::ListingIsTaken(index)
                });
                events.push(Event::LookFails(index));
            }
            At::Deciding { .. } => events.push(Event::SignsAndWritesTheIntent(index)),
            At::Writing { outdated, .. } => {
                if outdated && self.variant != Variant::ConflictsIgnored {
                    events.push(Event::WriteConflicts(index));
                } else {
                    events.extend([Event::WriteIsCommitted(index), Event::WriteIsGivenUp(index)]);
                }
            }
            At::Gate(_) => events.push(Event::PassesTheGateAndSends(index)),
            At::Waiting(id) => {
                if matches!(state.attempts[usize::from(id)].request, Request::Answered(_)) {
                    events.push(Event::TakesTheAnswer(index));
                }
                events.push(Event::StopsWaiting(index));
            }
            At::Outcome(..) => events.push(Event::ReadsToRecordTheOutcome(index)),
        }
        if process.late_write.is_some() {
            events.push(Event::WriteThatWasGivenUpIsCommitted(index));
        }
        events.push(Event::CrashesAndRestarts(index));
    }

    fn happens(&self, state: &mut State, event: Event) {
        match event {
            Event::TimePasses => {
                if !self.refuses_old_signatures {
                    for attempt in state.attempts.iter_mut().filter(|one| one.request == Request::InFlight) {
                        attempt.request = Request::Gone;
                    }
                }
                state.tick(self.visible_within, self.old());
            }
            Event::ReadsAndDecides(index) => self.decides(state, index, state.object, false, None),
            Event::ListingIsTaken(index) => {
                let machines = state.listed();
                if let At::Looking { listing, .. } = &mut state.processes[index].at {
                    *listing = Some(Listing { machines, age: 0 });
                }
            }
            Event::LookEndsAndDecides(index) => {
                if let At::Looking { copy, begun, listing: Some(listing) } = state.processes[index].at {
                    self.decides(state, index, copy.status, copy.outdated, Some((begun, listing)));
                }
            }
            Event::LookFails(index) => state.processes[index].at = At::Idle,
            Event::SignsAndWritesTheIntent(index) => self.signs(state, index),
            Event::WriteIsCommitted(index) => Self::commits(state, index),
            Event::WriteConflicts(index) => {
                if let At::Writing { purpose, .. } = state.processes[index].at {
                    if let Purpose::Intent(id) = purpose {
                        state.processes[index].never_sent &= !(1 << id);
                    }
                    state.processes[index].at = after_a_failed_write(purpose);
                }
            }
            Event::WriteIsGivenUp(index) => {
                if let At::Writing { new, purpose, .. } = state.processes[index].at {
                    state.processes[index].at = after_a_failed_write(purpose);
                    state.processes[index].late_write = Some(new);
                }
            }
            Event::WriteThatWasGivenUpIsCommitted(index) => {
                if let Some(new) = state.processes[index].late_write {
                    state.commit(new);
                }
            }
            Event::PassesTheGateAndSends(index) => self.sends(state, index),
            Event::TakesTheAnswer(index) => {
                if let At::Waiting(id) = state.processes[index].at {
                    let attempt = &mut state.attempts[usize::from(id)];
                    if let Request::Answered(verdict) = attempt.request {
                        attempt.request = Request::Gone;
                        state.processes[index].at = At::Outcome(id, verdict);
                    }
                }
            }
            Event::StopsWaiting(index) => self.stops_waiting(state, index),
            Event::ReadsToRecordTheOutcome(index) => {
                if let At::Outcome(id, verdict) = state.processes[index].at {
                    state.processes[index].at = match self.product.merge(state.object, id, verdict) {
                        Some(new) => At::Writing { new, outdated: false, purpose: Purpose::Persist(id, verdict) },
                        None => At::Idle,
                    };
                }
            }
            Event::CrashesAndRestarts(index) => crashes(&mut state.processes[index]),
            Event::RequestBuys(id) => self.buys(state, id),
            Event::RequestIsRefused(id) | Event::RequestIsRefusedForItsAge(id) => {
                state.attempts[id].request = Request::Answered(Verdict::DefiniteNo);
            }
            Event::RequestIsLost(id) => state.attempts[id].request = Request::Gone,
            Event::MachineIsListed(id) => state.attempts[id].machine = Machine::Listed { long: false },
        }
    }

    /// One call of `decide`, after the read of the object or after the look, and the beginning of what it says.
    fn decides(
        &self,
        state: &mut State,
        index: usize,
        status: crate::state::Status,
        outdated: bool,
        look: Option<(u8, Listing)>,
    ) {
        let process = &mut state.processes[index];
        let id = status.attempt.map_or(0, |record| record.id);
        let (next, rounds) = self.product.pass(Pass {
            status,
            signed: state.attempts[usize::from(id)].age.unwrap_or(0),
            never_sent: status.attempt.is_some() && process.never_sent & (1 << id) != 0,
            rounds: process.rounds,
            look,
            variant: self.variant,
            cloud_tells_time: self.cloud_tells_time,
        });
        process.rounds = rounds;
        let copy = Copy { status, outdated };
        let at_the_decision = self.variant == Variant::FreshnessAtTheDecision;
        let begun = look.map_or(0, |(begun, _)| if at_the_decision { 0 } else { begun });
        process.at = match next {
            Move::LookUp if look.is_none() => At::Looking { copy, begun: 0, listing: None },
            Move::LookUp | Move::Rest => At::Idle,
            Move::Create { lapsed_before } => At::Deciding { copy, begun, lapsed_before },
            Move::Adopt(new) => At::Writing { new, outdated, purpose: Purpose::Adopt },
            Move::Close(new) => At::Writing { new, outdated, purpose: Purpose::Close },
        };
    }

    fn signs(&self, state: &mut State, index: usize) {
        let At::Deciding { copy, begun, lapsed_before } = state.processes[index].at else { return };
        let too_old = u64::from(begun) * TICK >= FRESH_FOR.as_secs();
        let unsigned = state.attempts.iter().position(|attempt| attempt.age.is_none());
        let (Some(id), true) = (unsigned, !too_old || self.variant == Variant::FreshnessNotCheckedAtTheSignature)
        else {
            state.processes[index].at = At::Idle;
            return;
        };
        state.attempts[id].age = Some(0);
        let id = u8::try_from(id).unwrap();
        let process = &mut state.processes[index];
        if self.variant == Variant::NoIntent {
            process.at = At::Gate(id);
            return;
        }
        process.never_sent |= 1 << id;
        let mut new = copy.status;
        new.attempt = Some(Record { id, phase: Phase::Sending, lapsed_before });
        process.at = At::Writing { new, outdated: copy.outdated, purpose: Purpose::Intent(id) };
    }

    fn commits(state: &mut State, index: usize) {
        let At::Writing { new, purpose, .. } = state.processes[index].at else { return };
        let process = &mut state.processes[index];
        process.at = At::Idle;
        match purpose {
            Purpose::Intent(id) => {
                process.never_sent &= !(1 << id);
                process.at = At::Gate(id);
            }
            Purpose::Adopt => process.rounds = None,
            Purpose::Close | Purpose::Persist(..) => {}
        }
        state.commit(new);
    }

    fn sends(&self, state: &mut State, index: usize) {
        let At::Gate(id) = state.processes[index].at else { return };
        let age = state.attempts[usize::from(id)].age.unwrap_or(0);
        if u64::from(age) * TICK >= GATE.as_secs() && self.variant != Variant::NoGate {
            state.processes[index].at = At::Outcome(id, Verdict::DefiniteNo);
            return;
        }
        state.sent_unannounced |= state.object.attempt.is_none_or(|record| record.id != id);
        state.sent_blindly |= state.attempts.iter().any(|one| one.machine == Machine::Listed { long: true });
        state.attempts[usize::from(id)].request = Request::InFlight;
        state.processes[index].at = At::Waiting(id);
    }

    fn stops_waiting(&self, state: &mut State, index: usize) {
        let At::Waiting(id) = state.processes[index].at else { return };
        if self.variant == Variant::RetryAfterALostAnswer {
            state.attempts[usize::from(id)].request = Request::InFlight;
            return;
        }
        state.processes[index].at = At::Outcome(id, Verdict::Unknown);
    }

    fn buys(&self, state: &mut State, id: usize) {
        if state.machines() > 0 && !self.sells_twice {
            // No code for a taken domain is documented, so the product cannot know this one.
            state.attempts[id].request = Request::Answered(Verdict::Unknown);
            return;
        }
        let attempt = &mut state.attempts[id];
        attempt.request = Request::Answered(Verdict::Bought);
        if attempt.machine == Machine::None {
            attempt.machine = Machine::Hidden(0);
        } else {
            attempt.twin = true;
        }
    }
}

/// The memory is lost. A write that is under way is not.
fn crashes(process: &mut Process) {
    let late_write = match process.at {
        At::Writing { new, outdated: false, .. } => Some(new),
        _ => process.late_write,
    };
    *process = Process { late_write, ..Process::default() };
}

/// Only the outcome of a create is written until it lands; everything else begins with a fresh look.
fn after_a_failed_write(purpose: Purpose) -> At {
    match purpose {
        Purpose::Persist(id, verdict) => At::Outcome(id, verdict),
        Purpose::Intent(_) | Purpose::Adopt | Purpose::Close => At::Idle,
    }
}

impl World {
    /// Greatest age of a signature that the rules of this world can tell from a greater one.
    fn old(&self) -> u8 {
        if self.cloud_tells_time { OLD } else { OLD_WITHOUT_THE_CLOUDS_TIME }
    }

    /// Whether every machine is listed by the time at which its absence is believed.
    pub fn is_within_the_window(&self) -> bool {
        self.visible_within <= crate::state::WINDOW
    }
}
