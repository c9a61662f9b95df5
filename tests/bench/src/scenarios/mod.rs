//! The scenarios, each in a module of its own, and what they share. Each returns what it measured and what it was run
//! with; what was not measured is left out.

mod create;
mod handover;
mod reacting;
mod recover;
mod resident;
mod settled;
mod sign;
mod start;

pub use create::CREATES_A_SECOND;
pub use sign::target;

use std::thread;
use std::time::Duration;

use pai_harness::{Options, Stack};
use serde_json::{Value, json};

use crate::cluster::Follower;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{Error, cloud, machine, while_doing};

/// A scenario, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Time to sign one request.
    Sign,
    /// Size of the program.
    Binary,
    /// Many objects at once.
    Create,
    /// A kill in the middle of that.
    Recover,
    /// From one replica to the other.
    Handover,
    /// Many objects at rest.
    Settled,
    /// A start with many objects.
    Start,
    /// The time to the first cloud call, at rest.
    React,
    /// The same while there is much to do.
    ReactBusy,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Sign,
        Self::Binary,
        Self::Create,
        Self::Recover,
        Self::Handover,
        Self::Settled,
        Self::Start,
        Self::React,
        Self::ReactBusy,
    ];

    /// Its key in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Binary => "binary",
            Self::Create => "create",
            Self::Recover => "recover",
            Self::Handover => "handover",
            Self::Settled => "settled",
            Self::Start => "start",
            Self::React => "react",
            Self::ReactBusy => "react_busy",
        }
    }
}

/// What a scenario measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which one.
    pub scenario: Scenario,
    /// Its figures, for the report.
    pub figures: Value,
    /// Series for its plot, where it has one.
    pub series: Option<Value>,
}

/// Runs one scenario.
type Run = fn(&Settings) -> Result<Outcome, Error>;

/// Runs the scenarios that were asked for; each is handed to `keep` as soon as it is done.
pub fn run(settings: &Settings, keep: &mut dyn FnMut(Outcome) -> Result<(), Error>) -> Result<(), Error> {
    let alone: [(Scenario, Run); 5] = [
        (Scenario::Sign, |_| sign::run()),
        (Scenario::Binary, |_| binary()),
        (Scenario::Create, create::run),
        (Scenario::Recover, recover::run),
        (Scenario::Handover, handover::run),
    ];
    for (scenario, run) in alone {
        if settings.wants(scenario) {
            keep(run(settings)?)?;
        }
    }
    let with_residents = [Scenario::Settled, Scenario::Start, Scenario::React, Scenario::ReactBusy];
    if with_residents.into_iter().any(|scenario| settings.wants(scenario)) {
        resident::run(settings, keep)?;
    }
    Ok(())
}

/// The program's size. That it is static is looked up in the program itself: a dynamic one names its loader.
fn binary() -> Result<Outcome, Error> {
    let file = std::env::var("PAI_OPERATOR_BIN").map_err(while_doing("PAI_OPERATOR_BIN"))?;
    let bytes = std::fs::read(&file).map_err(while_doing(&file))?;
    let is_static = !bytes.windows(9).take(4096).any(|part| part == b"/ld-linux");
    let figures = json!({"bytes": bytes.len(), "static": is_static, "commit": machine::commit()?});
    Ok(Outcome { scenario: Scenario::Binary, figures, series: None })
}

/// A stack of its own with the cloud that the bars ask for, and the operator leading in it.
fn start_stack(operator_args: &[&str]) -> Result<Stack, Error> {
    Stack::start(Options {
        simulator_args: cloud::ARGUMENTS.map(str::to_owned).into(),
        operator_args: operator_args.iter().map(ToString::to_string).collect(),
        ..Options::default()
    })
}

/// What every scenario on a stack says it was run with.
fn run_with(stack: &Stack, figures: &mut Value) -> Result<(), Error> {
    let args = stack.operator().args();
    let told = json!({
        "commit": machine::commit()?,
        "cloud": cloud::ARGUMENTS.join(" "),
        "operator_args": args.iter().filter(|arg| !arg.contains("127.0.0.1")).collect::<Vec<_>>(),
    });
    if let (Some(figures), Some(told)) = (figures.as_object_mut(), told.as_object()) {
        figures.extend(told.clone());
    }
    Ok(())
}

/// How far a batch must be.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Ids,
    Ready,
}

impl Goal {
    fn reached(self, follower: &Follower) -> usize {
        match self {
            Self::Ids => follower.with_ids().len(),
            Self::Ready => follower.ready().len(),
        }
    }
}

/// Waits until `count` objects are that far, at most `limit`; says whether they are. An operator that ended is an error.
fn wait_for(
    stack: &Stack,
    follower: &Follower,
    goal: Goal,
    count: usize,
    limit: Duration,
    progress: &mut Progress,
) -> Result<bool, Error> {
    let end = progress.elapsed() + limit;
    loop {
        let reached = goal.reached(follower);
        if reached >= count {
            return Ok(true);
        }
        if progress.elapsed() >= end {
            progress.say(&format!("gave up: {reached} of {count} {goal:?}"));
            return Ok(false);
        }
        stack.operator().check_alive()?;
        progress.sometimes(|| format!("{reached} of {count} {goal:?}"));
        thread::sleep(Duration::from_millis(20));
    }
}
