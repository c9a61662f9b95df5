//! The state machine: machines, time, faults and the journal behind one entry point, [`Cloud::handle`]. The time
//! is handed in and randomness is seeded; nothing here waits, reads a clock or does IO.

mod calls;
mod create;
mod domains;
mod instance;
mod listing;
mod stock;
mod terminate;

pub use instance::Instance;

use crate::config::{Account, Config};
use crate::faults::{Faults, Rule, Twists};
use crate::journal::{Call, Journal};
use crate::rate::Rates;
use calls::Admitted;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The stand-in cloud. Equal seeds, requests and times give equal answers.
#[derive(Debug)]
pub struct Cloud {
    config: Config,
    rng: fastrand::Rng,
    /// By order of creation, which is the order of listings.
    instances: BTreeMap<u64, Instance>,
    ordinals: BTreeMap<String, u64>,
    next_ordinal: u64,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    next_event: u64,
    history: History,
    faults: Faults,
    journal: Journal,
    rates: Rates,
    /// Latest time that was handed in; state never moves back.
    time: Timestamp,
}

/// Something that happens at its time by itself. The number is the ordinal of an instance.
#[derive(Debug)]
enum Event {
    /// PENDING ends.
    Launched(u64),
    /// The operation on a prepaid machine that was sent to the recycle bin ends.
    Recycled(u64),
    /// A TERMINATING or `LAUNCH_FAILED` machine leaves the listing.
    Vanish(u64),
    /// A request that was held up on its way is carried out.
    Late(Box<LateCall>),
}

#[derive(Debug)]
struct LateCall {
    admitted: Admitted,
    twists: Twists,
    seq: u64,
}

#[derive(Debug, Default)]
struct History {
    created: u64,
    terminated: u64,
    launch_failed: u64,
}

impl Cloud {
    /// An empty cloud.
    pub fn new(config: Config) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(config.seed),
            config,
            instances: BTreeMap::new(),
            ordinals: BTreeMap::new(),
            next_ordinal: 0,
            agenda: BTreeMap::new(),
            next_event: 0,
            history: History::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            rates: Rates::default(),
            time: Timestamp::UNIX_EPOCH,
        }
    }

    /// Lets everything happen that is due by `now`, in order.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            let due = entry.key().0;
            if due > now {
                break;
            }
            let event = entry.remove();
            self.time = self.time.max(due);
            self.happen(event, due);
        }
        self.time = self.time.max(now);
    }

    /// When something happens next by itself, for a driver on a virtual clock.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((due, _), _)| *due)
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        // A wait too long to be written as a time never ends.
        let due = self.time.checked_add(after).unwrap_or(Timestamp::MAX);
        self.agenda.insert((due, self.next_event), event);
        self.next_event += 1;
    }

    fn happen(&mut self, event: Event, due: Timestamp) {
        match event {
            Event::Launched(ordinal) => {
                let Some(instance) = self.instances.get_mut(&ordinal) else {
                    return;
                };
                if instance.state == "PENDING" {
                    instance.launched();
                    self.entered(ordinal);
                }
            }
            Event::Recycled(ordinal) => {
                if let Some(instance) = self.instances.get_mut(&ordinal)
                    && instance.state == "SHUTDOWN"
                {
                    instance.operate("TerminateInstances", "SUCCESS");
                }
            }
            Event::Vanish(ordinal) => self.vanish(ordinal),
            Event::Late(call) => self.carry_out_late(&call, due),
        }
    }

    /// Plans what follows by itself from the state that an instance has just entered.
    fn entered(&mut self, ordinal: u64) {
        let state = self.instances.get(&ordinal).map(|instance| instance.state.as_str());
        match state {
            Some("PENDING") => self.schedule(self.config.boot_time, Event::Launched(ordinal)),
            Some("SHUTDOWN") => self.schedule(self.config.terminate_time, Event::Recycled(ordinal)),
            Some("TERMINATING") => {
                self.schedule(self.config.terminate_time, Event::Vanish(ordinal));
            }
            Some("LAUNCH_FAILED") => {
                self.history.launch_failed += 1;
                self.schedule(self.config.launch_failed_time, Event::Vanish(ordinal));
            }
            _ => {}
        }
    }

    fn vanish(&mut self, ordinal: u64) {
        let gone = match self.instances.get(&ordinal).map(|instance| instance.state.as_str()) {
            Some("TERMINATING") => {
                self.history.terminated += 1;
                true
            }
            Some("LAUNCH_FAILED") => true,
            _ => false,
        };
        if gone && let Some(instance) = self.instances.remove(&ordinal) {
            self.ordinals.remove(&instance.id);
        }
    }

    /// All machines, in the order of their creation, failed launches and those being destroyed included.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// One machine.
    pub fn instance(&self, id: &str) -> Option<&Instance> {
        self.instances.get(self.ordinals.get(id)?)
    }

    /// Calls with a number above `seq`, in order.
    pub fn calls(&self, seq: u64) -> impl Iterator<Item = &Call> {
        self.journal.since(seq)
    }

    /// Adds a fault rule.
    pub fn add_fault(&mut self, rule: Rule) {
        self.faults.add(rule);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Fault rules that are not used up.
    pub fn faults(&self) -> &[Rule] {
        self.faults.rules()
    }

    /// The admin page `state`: `instances` holds all that still cost money.
    ///
    /// `history.created` is the sum of `history.terminated` (counted when a machine is gone),
    /// `history.launchFailed`, and the machines that are left.
    pub fn state(&self) -> Value {
        let billed = self.instances.values().filter(|instance| instance.billed());
        json!({
            "now": self.time,
            "instances": billed.map(Instance::summary).collect::<Vec<_>>(),
            "history": {
                "created": self.history.created,
                "terminated": self.history.terminated,
                "launchFailed": self.history.launch_failed,
            },
            "calls": self.journal.counts(),
        })
    }

    /// Changes a machine from outside. `None` if there is none with this id.
    ///
    /// # Errors
    /// The name of a field that cannot be set; nothing is changed then.
    pub fn change(&mut self, id: &str, fields: &Map<String, Value>) -> Option<Result<(), String>> {
        let ordinal = *self.ordinals.get(id)?;
        let instance = self.instances.get_mut(&ordinal)?;
        let mut changed = instance.clone();
        for (name, value) in fields {
            if let Err(refusal) = changed.set_field(name, value) {
                return Some(Err(refusal));
            }
        }
        let entered = changed.state != instance.state;
        *instance = changed;
        if entered {
            self.entered(ordinal);
        }
        Some(Ok(()))
    }

    /// Makes a key known from now on, in place of one with the same id. Machines stay with the name of their account.
    pub fn add_account(&mut self, account: Account) {
        self.config.accounts.retain(|known| known.secret_id != account.secret_id);
        self.config.accounts.push(account);
    }

    /// Back to an empty cloud. The keys stay, and ids are not given out again.
    pub fn reset(&mut self) {
        let rng = self.rng.clone();
        let time = self.time;
        *self = Self::new(self.config.clone());
        self.rng = rng;
        self.time = time;
    }

    /// Eight lower-case letters and digits, as in ids.
    fn random_id(&mut self) -> String {
        std::iter::repeat_with(|| self.rng.choice(*b"0123456789abcdefghijklmnopqrstuvwxyz"))
            .take(8)
            .flatten()
            .map(char::from)
            .collect()
    }

    /// A UUID of version 4 (RFC 9562).
    fn uuid(&mut self) -> String {
        let bits = self.rng.u128(..);
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }
}
