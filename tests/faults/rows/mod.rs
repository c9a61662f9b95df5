//! Each row of the table of faults in one test: K of Kubernetes, C of the cloud, I of the input.
//!
//! Every test plays its row's variants one by one, holds the end against the oracles that apply, and against what the row itself says
//! must hold.

mod c;
mod c_later;
mod i;
mod i_answers;
mod i_names;
mod k;
mod k_lost;
mod k_people;
pub mod outside;
mod rules;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::oracle;
use crate::person::Ready;
use crate::process::{Options, Slot, keep_running};
use crate::run::{fixed_point, rest};
use crate::world::World;

/// Longest time until rest: three lost creates in a row take most of it.
pub const LONGEST: Duration = Duration::from_hours(3);

pub const CREATE: &str = "CreatePaiInstance";
pub const TERMINATE: &str = "TerminateInstances";
pub const LIST: &str = "DescribePaiInstances";
pub const DESCRIBE: &str = "DescribeInstances";

/// Milliseconds after the first step: before the finalizer, amid the lookup, before the intent, before and amid the send, before the ids
/// are written, while it boots, long after.
pub const STEPS: [u64; 8] = [0, 30, 99, 106, 130, 150, 1170, 60_000];

/// One variant of a row under way.
pub struct Play {
    pub world: Arc<World>,
    /// Its name, for whoever reads the failure.
    pub variant: String,
}

/// What a variant does on purpose, so that an oracle does not apply.
#[derive(Default)]
pub struct Spare {
    /// The cloud was told to refuse calls for their number.
    pub throttled: bool,
    /// Machines that are meant to be left over.
    pub machines: Vec<String>,
}

impl Play {
    pub fn new(world: &Arc<World>, variant: impl Into<String>) -> Self {
        Self { world: Arc::clone(world), variant: variant.into() }
    }

    /// Starts an operator that is started again whenever it dies.
    pub fn operator(&self) -> Arc<Slot> {
        keep_running(&self.world, "operator", Options::default(), Duration::from_secs(1))
    }

    /// Starts an operator, applies `web` and waits for rest.
    pub async fn create(&self, spec: &Value) -> Arc<Slot> {
        let slot = self.operator();
        self.world.apply("web", spec);
        self.rest().await;
        slot
    }

    /// O4: rest in bounded time, without anybody's help.
    pub async fn rest(&self) {
        self.rest_with(|_| false).await;
    }

    /// The same with the help of a person.
    pub async fn rest_with(&self, helper: impl FnMut(&World) -> bool) {
        if let Err(why) = rest(&self.world, LONGEST, helper).await {
            self.fail(&why);
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        self.within(LONGEST, what, holds).await;
    }

    /// The same, with the longest time that it may take.
    pub async fn within(&self, longest: Duration, what: &str, holds: impl Fn(&World) -> bool) {
        let begun = self.world.elapsed();
        while !holds(&self.world) {
            let waited = self.world.elapsed().saturating_sub(begun);
            if waited >= longest {
                self.fail(&format!("never: {what}"));
            }
            // What comes at once is met at once; looking so often for hours would only take time.
            let step = if waited < Duration::from_secs(5) { 5 } else { 1000 };
            tokio::time::sleep(Duration::from_millis(step)).await;
        }
    }

    /// Waits until `web` has this reason.
    pub async fn until_reason(&self, reason: &str) {
        self.until(reason, |world| Ready::of(&get(world)).reason == reason).await;
    }

    /// The oracles that hold at the end of every run: O1, O2 and O3, O5, O6, O7 and O8. O4 is [`Self::rest`].
    pub async fn hold(&self, spare: Spare) {
        let world = &self.world;
        let mut excused: BTreeSet<String> = world.state().excused.clone();
        excused.extend(spare.machines);
        self.oracle(oracle::no_duplicates(world));
        self.oracle(oracle::machines_and_objects_agree(world, &excused));
        self.oracle(fixed_point(world, Duration::from_mins(20)).await);
        self.oracle(oracle::machines_and_objects_agree(world, &excused));
        self.oracle(oracle::rates_are_kept(world));
        self.oracle(oracle::ends_are_right(world));
        if !spare.throttled {
            self.oracle(nothing_is_throttled(world));
        }
        self.oracle(oracle::nothing_shown_nothing_broken(world));
    }

    fn oracle(&self, result: Result<(), String>) {
        if let Err(why) = result {
            self.fail(&why);
        }
    }

    /// Compares, and shows the log if it is not so.
    #[allow(clippy::needless_pass_by_value)] // what is expected is written where it is handed in
    pub fn expect<A: PartialEq<E> + Debug, E: Debug>(&self, what: &str, actual: A, expected: E) {
        if actual != expected {
            self.fail(&format!("{what}: {actual:?} and not {expected:?}"));
        }
    }

    pub fn fail(&self, why: &str) -> ! {
        let log = std::mem::take(&mut self.world.state().log);
        let last = log.len().saturating_sub(80);
        let objects: Vec<String> = self.world.objects().iter().map(Value::to_string).collect();
        panic!("{}: {why}\n{}\n{}", self.variant, log[last..].join("\n"), objects.join("\n"));
    }

    /// How often the action reached the cloud, whatever became of it.
    pub fn called(&self, action: &str) -> usize {
        self.world.state().cloud.calls(0).filter(|call| call.action == action).count()
    }

    /// How many machines were ever bought.
    pub fn bought(&self) -> usize {
        self.world.state().cloud.calls(0).map(|call| call.created.len()).sum()
    }

    /// The ids of all machines that the cloud has.
    pub fn machines(&self) -> Vec<String> {
        self.world.state().cloud.instances().map(|one| one.id.clone()).collect()
    }

    /// The reason of `web`.
    pub fn reason(&self) -> String {
        Ready::of(&get(&self.world)).reason
    }

    /// What `web` tells a person.
    pub fn message(&self) -> String {
        Ready::of(&get(&self.world)).message
    }

    /// The note of the one Event with this reason, which may come a moment after the status.
    pub async fn told_once(&self, reason: &str) -> String {
        let soon = Duration::from_secs(10);
        self.within(soon, &format!("an Event {reason}"), |_| !self.told(reason).is_empty()).await;
        self.pass(soon).await;
        let mut told = self.told(reason);
        self.expect(&format!("Events {reason}"), told.len(), 1);
        told.remove(0)
    }

    /// The notes of all Events with this reason.
    pub fn told(&self, reason: &str) -> Vec<String> {
        let state = self.world.state();
        let events = state.api.all("events.k8s.io", "events").into_iter();
        let events = events.filter(|event| event["reason"] == reason);
        events.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// `web`, or nothing.
pub fn get(world: &World) -> Value {
    world.get("web").unwrap_or_default()
}

pub fn prepaid() -> Value {
    json!({"instanceChargeType": "PREPAID", "instanceChargePrepaid": {"period": 1}})
}

/// An answer of the cloud with this code, after or without carrying the call out.
pub fn code(code: &str, commit: bool) -> tencentcloud_simulator::Effect {
    tencentcloud_simulator::Effect::Error { code: code.to_owned(), message: "as the test says".to_owned(), commit }
}

/// O5, as the cloud sees it: nothing was refused for the number of calls.
fn nothing_is_throttled(world: &World) -> Result<(), String> {
    let state = world.state();
    let refused = state.cloud.calls(0).find(|call| call.outcome.starts_with("RequestLimitExceeded"));
    refused.map_or(Ok(()), |call| Err(format!("{} was refused for the number of calls", call.action)))
}

/// The rows of the table.
fn all_rows() -> BTreeSet<String> {
    let numbered = |letter: char, count: u32| (1..=count).map(move |number| format!("{letter}{number:02}"));
    numbered('k', 12).chain(numbered('c', 15)).chain(numbered('i', 6)).collect()
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() {
    let sources = [
        include_str!("c.rs"),
        include_str!("c_later.rs"),
        include_str!("i.rs"),
        include_str!("i_answers.rs"),
        include_str!("i_names.rs"),
        include_str!("k.rs"),
        include_str!("k_lost.rs"),
        include_str!("k_people.rs"),
    ];
    let mut found = BTreeSet::new();
    for source in sources {
        assert!(!source.contains("#[ignore"), "a test that does not run proves nothing");
        let lines: Vec<&str> = source.lines().collect();
        for at in (0..lines.len()).filter(|at| lines[*at] == "#[test]") {
            let name = lines[at + 1].trim_start_matches("fn ");
            let comment = lines[at + 2].trim_start();
            assert!(comment.starts_with("// "), "{name} does not say first what it injects and what must hold");
            let row = name.split('_').next().unwrap_or_default().to_owned();
            assert!(found.insert(row), "a second test of the row of {name}");
        }
    }
    assert_eq!(found.len(), 33);
    assert_eq!(found, all_rows());
}
