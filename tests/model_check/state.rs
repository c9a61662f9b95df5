//! One state of the world: the object, the cloud with the requests on their way to it, and two processes. Ages instead of times, in
//! ticks of a minute, each kept only as far as a rule can tell it from a greater one: so the states are finitely many.

/// Length of a tick. The gate (10 s) and the freshness (60 s) lie within the first, the signature's limit at five, the settling at six.
pub const TICK: u64 = 60;

/// Creates that may be signed in one history. Three that lapse in a row are where the product asks a person.
pub const SIGNATURES: usize = 2;

/// The settle window in ticks: shorter than the default, which only makes the rest of the rules carry more.
pub const WINDOW: u8 = 2;

/// The oldest request that the cloud takes: five minutes.
pub const SIGNATURE_LIMIT: u8 = 5;

/// Longest that a lookup takes, with a process frozen in the midst of it.
pub const LONGEST_LOOK: u8 = 2;

/// Greatest age of a signature that is told from a greater one: the last limit of the settling, by the cloud's clock or by ours, seen
/// from the end of the longest look.
pub const OLD: u8 = 6 + LONGEST_LOOK;
pub const OLD_WITHOUT_THE_CLOUDS_TIME: u8 = 11 + LONGEST_LOOK;

/// Greatest age of a first empty round that is told from a greater one.
pub const OLD_ROUND: u8 = WINDOW + LONGEST_LOOK;

/// State of the attempt in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Sending,
    Created,
    Rejected,
    Uncertain,
    Held,
    Lapsed,
}

/// The attempt in the object. The id is the number of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    pub id: u8,
    pub phase: Phase,
    pub lapsed_before: u8,
}

/// The object's status, as far as the protocol goes. Machines are a set of bits by the attempt that bought them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status {
    pub attempt: Option<Record>,
    pub ids: u8,
}

/// What the cloud answers, or what became of a call without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    Bought,
    DefiniteNo,
    Unknown,
}

/// The create of one attempt, on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    #[default]
    NotSent,
    InFlight,
    /// Dealt with; the answer is on its way back.
    Answered(Verdict),
    /// Lost, or answered and the answer lost or taken.
    Gone,
}

/// What an attempt bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Machine {
    #[default]
    None,
    /// Not listed yet; its age.
    Hidden(u8),
    /// Listed; whether for a tick or longer.
    Listed { long: bool },
}

/// One signature and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    /// Age of the signature, once it is signed.
    pub age: Option<u8>,
    pub request: Request,
    pub machine: Machine,
    /// Whether the one request bought a second machine: only a repeated request can.
    pub twin: bool,
}

/// The object as a process read it. Instead of a resourceVersion: whether anybody has written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Copy {
    pub status: Status,
    pub outdated: bool,
}

/// What a listing showed, and how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listing {
    pub machines: u8,
    pub age: u8,
}

/// Why a process writes the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    Intent(u8),
    Adopt,
    Close,
    Persist(u8, Verdict),
}

/// Where a process stands. Between any two of these it may be frozen or die.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    #[default]
    Idle,
    /// Asked the cloud, `begun` ticks ago; the listing is as of some moment since.
    Looking { copy: Copy, begun: u8, listing: Option<Listing> },
    /// Decided to create after a look that began `begun` ticks ago.
    Deciding { copy: Copy, begun: u8, lapsed_before: u8 },
    /// The write of `new` is with the API server.
    Writing { new: Status, outdated: bool, purpose: Purpose },
    /// The intent stands; the request is signed and not sent.
    Gate(u8),
    /// Sent; no answer yet.
    Waiting(u8),
    /// Has the outcome and must write it down.
    Outcome(u8, Verdict),
}

/// The empty looks that a process counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rounds {
    pub attempt: u8,
    pub count: u8,
    /// Age of the first.
    pub first: u8,
}

/// One process. What it holds dies with it, but for its write that is still on its way to the API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    pub at: At,
    /// Attempts whose intent it wrote or tried to, and which it will never send, as bits.
    pub never_sent: u8,
    pub rounds: Option<Rounds>,
    /// A write that it no longer waits for and that may still be committed.
    pub late_write: Option<Status>,
}

/// The world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub object: Status,
    pub attempts: [Attempt; SIGNATURES],
    pub processes: [Process; 2],
    /// A create left a process while the object did not hold its intent.
    pub sent_unannounced: bool,
    /// A create left a process after a machine had been listed for longer than a look may be old.
    pub sent_blindly: bool,
}

impl Phase {
    /// Whether the attempt may still turn out to have bought something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Sending | Self::Uncertain | Self::Held)
    }
}

impl State {
    /// How many machines were ever bought.
    pub fn machines(&self) -> u32 {
        self.attempts.iter().map(|one| u32::from(one.machine != Machine::None) + u32::from(one.twin)).sum()
    }

    /// What the cloud lists now.
    pub fn listed(&self) -> u8 {
        let listed = self.attempts.iter().enumerate().filter(|(_, one)| matches!(one.machine, Machine::Listed { .. }));
        listed.fold(0, |set, (id, _)| set | 1 << id)
    }

    /// Commits a write: every other copy of the object is outdated, and no other write of it can succeed.
    pub fn commit(&mut self, new: Status) {
        self.object = new;
        self.outdate();
    }

    fn outdate(&mut self) {
        for process in &mut self.processes {
            process.late_write = None;
            match &mut process.at {
                At::Looking { copy, .. } | At::Deciding { copy, .. } => copy.outdated = true,
                At::Writing { outdated, .. } => *outdated = true,
                _ => {}
            }
        }
    }

    /// Lets a tick pass. Machines that were hidden for `visible_within` ticks are listed from then on.
    pub fn tick(&mut self, visible_within: u8, old: u8) {
        for attempt in &mut self.attempts {
            attempt.age = attempt.age.map(|age| (age + 1).min(old));
            attempt.machine = match attempt.machine {
                Machine::None => Machine::None,
                Machine::Hidden(age) if age + 1 >= visible_within => Machine::Listed { long: false },
                Machine::Hidden(age) => Machine::Hidden(age + 1),
                Machine::Listed { .. } => Machine::Listed { long: true },
            };
        }
        for process in &mut self.processes {
            if let Some(rounds) = &mut process.rounds {
                rounds.first = (rounds.first + 1).min(OLD_ROUND);
            }
            match &mut process.at {
                At::Looking { begun, .. } if *begun >= LONGEST_LOOK => process.at = At::Idle,
                At::Looking { begun, listing, .. } => {
                    *begun += 1;
                    if let Some(listing) = listing {
                        listing.age += 1;
                    }
                }
                At::Deciding { begun, .. } => *begun = (*begun + 1).min(LONGEST_LOOK),
                _ => {}
            }
        }
    }
}

impl State {
    /// Takes out what can make no difference any more, so that states which differ in nothing else are one.
    pub fn simplify(&mut self, old: u8) {
        for id in 0..SIGNATURES {
            let attempt = self.attempts[id];
            let waited_for =
                self.processes.iter().any(|one| matches!(one.at, At::Waiting(waits) if usize::from(waits) == id));
            if matches!(attempt.request, Request::Answered(_)) && !waited_for {
                self.attempts[id].request = Request::Gone;
            }
            if let Some(age) = attempt.age {
                let in_flight = attempt.request == Request::InFlight;
                let shortest = if in_flight { SIGNATURE_LIMIT + 1 } else { 0 };
                let kept = if self.concerns_somebody(id) { old } else { shortest };
                self.attempts[id].age = Some(if age >= kept { old } else { age });
            }
        }
        let open = self.object.attempt.filter(|record| record.phase.is_open()).map(|record| record.id);
        let writes = self.processes.map(|one| match one.at {
            At::Writing { new, outdated: false, .. } => [new.attempt, one.late_write.and_then(|new| new.attempt)],
            _ => [None, one.late_write.and_then(|new| new.attempt)],
        });
        let written = writes.iter().flatten().flatten().map(|record| record.id);
        let kept = written.chain(open).fold(0, |set, id| set | 1 << id);
        for process in &mut self.processes {
            process.never_sent &= kept;
            process.rounds = process.rounds.filter(|rounds| Some(rounds.attempt) == open);
            match process.at {
                At::Deciding { copy, .. } if copy.outdated => process.at = At::Idle,
                At::Looking { copy, .. } if copy.outdated && !copy.is_open() => process.at = At::Idle,
                At::Looking { copy, begun, listing: Some(listing) } if !copy.is_open() => {
                    process.at = At::Looking { copy, begun, listing: Some(Listing { age: 0, ..listing }) };
                }
                _ => {}
            }
        }
        self.processes.sort_unstable();
    }

    /// Whether a rule may still ask for the age of the signature.
    fn concerns_somebody(&self, id: usize) -> bool {
        let is = |record: Option<Record>| {
            record.is_some_and(|record| usize::from(record.id) == id && record.phase.is_open())
        };
        is(self.object.attempt)
            || self.processes.iter().any(|one| {
                one.late_write.is_some_and(|new| is(new.attempt))
                    || match one.at {
                        At::Looking { copy, .. } => is(copy.status.attempt),
                        At::Writing { new, .. } => is(new.attempt),
                        At::Gate(number) => usize::from(number) == id,
                        _ => false,
                    }
            })
    }
}

impl Copy {
    /// Whether an attempt is open in it.
    fn is_open(self) -> bool {
        self.status.attempt.is_some_and(|record| record.phase.is_open())
    }
}
