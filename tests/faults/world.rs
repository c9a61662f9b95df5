//! The world outside of the operator: API server, cloud, network and time, in one place that outlives every process under test.
//!
//! Everything runs on one thread and tokio's paused clock. A request is a task of its own, so that a client that drops its future, or
//! dies, takes nothing back that is already on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use kube_apiserver_model::{Answer, ApiServer, Reply, Request};
use serde_json::Value;
use tencentcloud_simulator::{Cloud, Instance};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::faults::{Call, Faults, Trouble};

/// The wall clock of cloud and API server at the start of every run.
pub const START: i64 = 1_800_000_000;

/// Group and plural of our objects.
pub const GROUP: &str = "pai.tencentcloud.io";
pub const PLURAL: &str = "paiinstances";

/// Where our CRD is.
pub const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/paiinstances.pai.tencentcloud.io";

/// For how long a create is searched for at least: six minutes after its signature, and the settle window of five. What shows later is
/// beyond what is promised.
pub const WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_mins(11);

/// The least time from a create's arrival to the next one: a create arrives up to five minutes after its signature, from which the window
/// counts.
const WAITED: jiff::SignedDuration = jiff::SignedDuration::from_mins(6);

/// Whether a machine shows only beyond the window.
pub fn is_beyond_the_window(instance: &Instance) -> bool {
    instance.visible_from.duration_since(instance.created) >= WINDOW
}

/// More calls than any run of ours makes: a loop without a pause would go on for ever in no time.
const MOST_CALLS: u64 = 400_000;

/// How often each kind of trouble really came about: a run that ends right by luck is no proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Processes killed.
    pub crashes: u64,
    /// Processes killed between the intent and the persisted outcome.
    pub critical_crashes: u64,
    /// Writes that the API server carried out and whose answer was lost.
    pub lost_writes: u64,
    /// Attempts whose outcome was unknown.
    pub unknown: u64,
    /// Attempts that a person was asked about.
    pub held: u64,
    /// Conflicts.
    pub conflicts: u64,
    /// Objects read by name, and those of them that a cache of the API server may have answered.
    pub reads: u64,
    pub cached_reads: u64,
}

/// A call that reached the cloud, and how its object stood at that moment.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: Timestamp,
    pub action: String,
    pub objects: Vec<Value>,
}

/// A create that the cloud carried out. It may have made several machines.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The domain that was asked for, which no machine may have got.
    pub domain: String,
    /// The name that was asked for, which holds the object's UID unless the user gave one.
    pub name: String,
    /// Number of the call.
    pub seq: u64,
    /// When it was made.
    pub at: Timestamp,
}

/// What may be looked at and changed under the lock.
pub struct State {
    /// The API server.
    pub api: ApiServer,
    /// The cloud.
    pub cloud: Cloud,
    /// What goes wrong.
    pub faults: Faults,
    /// What came about.
    pub seen: Seen,
    /// Most purchases whose machines were ever billed at once for one requested domain.
    pub most: BTreeMap<String, usize>,
    /// By which purchase each machine was bought.
    pub bought: BTreeMap<String, Purchase>,
    /// The kinds of trouble that were drawn.
    pub drawn: BTreeSet<&'static str>,
    /// What happened, one line each, for a replay to be read.
    pub log: Vec<String>,
    /// Calls so far by anybody under test.
    pub calls: u64,
    /// The numbers of those that change something.
    pub changes: BTreeSet<u64>,
    /// Writes of PaiInstances by anybody under test that changed something.
    pub writes: u64,
    /// Machines that a policy or an adoption left running when their object went.
    pub excused: BTreeSet<String>,
    /// The calls that reached the cloud, where a test asked for them.
    pub arrivals: Option<Vec<Arrival>>,
    /// The first termination that may not be.
    pub wrong_end: Option<String>,
    /// Machines that an object had given up when it went: another process may not know yet that they are gone.
    pub given_up: BTreeSet<String>,
    /// UIDs of objects whose finalizer a person took away.
    pub forced: BTreeSet<String>,
    /// The first time that a process called more often than the cloud takes.
    pub overrun: Option<String>,
    /// Where a secret showed in an Event, a status or another body.
    pub leaked: Vec<String>,
    /// Where one showed in a log line; the logs come by a way of their own.
    pub leaked_in_logs: Arc<Mutex<Vec<String>>>,
    /// Panics that were meant.
    pub planted_panics: u64,
}

impl State {
    /// The first place where a secret showed.
    pub fn first_leak(&self) -> Option<String> {
        let in_logs = self.leaked_in_logs.lock().unwrap();
        self.leaked.first().or(in_logs.first()).cloned()
    }
}

/// The world. Shared by all who act in it.
pub struct World {
    state: Mutex<State>,
    origin: Instant,
    changed: watch::Sender<u64>,
}

impl World {
    pub fn new(api: ApiServer, cloud: Cloud) -> Arc<Self> {
        let state = State {
            api,
            cloud,
            faults: Faults::default(),
            seen: Seen::default(),
            most: BTreeMap::new(),
            bought: BTreeMap::new(),
            drawn: BTreeSet::new(),
            log: Vec::new(),
            calls: 0,
            changes: BTreeSet::new(),
            writes: 0,
            excused: BTreeSet::new(),
            arrivals: None,
            wrong_end: None,
            given_up: BTreeSet::new(),
            forced: BTreeSet::new(),
            overrun: None,
            leaked: Vec::new(),
            leaked_in_logs: Arc::default(),
            planted_panics: 0,
        };
        Arc::new(Self { state: Mutex::new(state), origin: Instant::now(), changed: watch::channel(0).0 })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The true time, which cloud and API server go by.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(START).unwrap() + self.origin.elapsed()
    }

    /// How long the run has lasted.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Tells of every change of the API server's objects.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn wake_watches(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub fn log(&self, line: impl FnOnce() -> String) {
        let at = self.elapsed().as_millis();
        self.state().log.push(format!("{at:>9} {}", line()));
    }

    /// Carries out an API request at this moment.
    pub fn api(&self, request: &Request) -> Answer {
        let now = self.now();
        let answer = self.state().api.handle(request, now);
        if request.method != "GET" {
            self.wake_watches();
        }
        answer
    }

    /// The same for one that must be answered in one piece and without an error.
    pub fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let Reply { status, body } = self.try_ask(method, path, body);
        assert!(status < 300, "{method} {path}: {body}");
        body
    }

    /// The same where an error may come.
    pub fn try_ask(&self, method: &str, path: &str, body: Value) -> Reply {
        match self.api(&Request::new(method, path, body)) {
            Answer::Reply(reply) => reply,
            Answer::Watch(_) => panic!("{path} is a watch"),
        }
    }

    /// Lets the cloud's own time pass and notes how many purchases are billed for each domain now.
    pub fn audit(&self) {
        let now = self.now();
        let mut state = self.state();
        state.cloud.advance(now);
        let State { api, cloud, bought, most, excused, .. } = &mut *state;
        if cloud.instances().any(|instance| !bought.contains_key(&instance.id)) {
            for call in cloud.calls(0).filter(|call| !call.created.is_empty()) {
                let text = |name| call.parameters.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (domain, name) = (text("DomainName"), text("InstanceName"));
                let purchase = Purchase { domain, name, seq: call.seq, at: call.time };
                bought.extend(call.created.iter().map(|id| (id.clone(), purchase.clone())));
            }
        }
        // A returned prepaid machine lies in the recycle bin: once its object is gone, a new one for another object is no duplicate.
        let lives = |name: &str| api.all(GROUP, PLURAL).into_iter().any(|object| name.ends_with(&uid_digits(object)));
        let ended = |instance: &Instance| instance.state == "SHUTDOWN" && !lives(&instance.name);
        // Only who waited may have bought again for a domain whose machine shows later than that: another object, which knows nothing of
        // the first, need not.
        let was_waited_for = |one: &Instance| {
            let Some(own) = bought.get(&one.id).filter(|_| is_beyond_the_window(one)) else { return false };
            let next = bought.values().filter(|other| other.domain == own.domain && other.seq > own.seq);
            let next = next.min_by_key(|other| other.seq);
            next.is_some_and(|next| next.name != own.name || next.at.duration_since(own.at) >= WAITED)
        };
        // What an object left behind on purpose is nobody's any more.
        let counts_here =
            |one: &Instance| one.billed() && !ended(one) && !excused.contains(&one.id) && !was_waited_for(one);
        let (mut counted, mut counts) = (BTreeSet::new(), BTreeMap::<(&str, &str), usize>::new());
        for instance in cloud.instances().filter(|instance| counts_here(instance)) {
            // One account does not see the machines of another; and one create may make several.
            if let Some(purchase) = bought.get(&instance.id).filter(|purchase| counted.insert(purchase.seq)) {
                *counts.entry((&purchase.domain, &instance.owner)).or_default() += 1;
            }
        }
        for ((domain, _), count) in counts {
            let most = most.entry(domain.to_owned()).or_default();
            *most = (*most).max(count);
        }
    }
}

/// The 32 digits of an object's UID, with which a generated name ends.
pub fn uid_digits(object: &Value) -> String {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().replace('-', "")
}

/// What must never show anywhere: values of Secrets.
pub const SECRETS: [&str; 4] = ["planted-secret-key", "planted-token", "Planted@Pass1", "planted script"];

/// Notes it if a text that people can see holds a secret, as it is or in base64.
pub fn look_for_secrets(text: &str, place: &str, leaked: &mut Vec<String>) {
    // The last is the script in base64, from a boundary of three bytes on.
    for secret in SECRETS.into_iter().chain(["cGxhbnRlZCBzY3JpcHQ"]) {
        if text.contains(secret) {
            leaked.push(format!("{secret} in {place}"));
        }
    }
}

impl World {
    /// Counts a call, and says what becomes of it.
    pub fn next_trouble(&self, call: &Call) -> (u64, Option<Trouble>) {
        let mut state = self.state();
        let nth = state.calls;
        state.calls += 1;
        if call.changes() {
            state.changes.insert(nth);
        }
        assert!(nth < MOST_CALLS, "a hot loop: {nth} calls");
        (nth, state.faults.next(nth, call))
    }

    pub fn api_is_down(&self) -> bool {
        self.elapsed() < self.state().faults.api_down_until
    }

    /// Counts a death, and whether it came while an attempt was open.
    pub fn note_crash(&self) {
        let mut state = self.state();
        state.seen.crashes += 1;
        let open = state
            .api
            .all(GROUP, PLURAL)
            .into_iter()
            .any(|object| object.pointer("/status/createAttempt/state").and_then(Value::as_str) == Some("Sending"));
        state.seen.critical_crashes += u64::from(open);
    }
}
