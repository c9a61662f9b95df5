//! Many objects applied at once to an empty cloud, until all have their machines.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Goal, Outcome, Scenario, run_with, start_stack, wait_for};
use crate::cloud::{self, Call};
use crate::cluster::{Cluster, Writes};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::statistics::rounded;
use crate::{Error, objects};

/// The cloud's limit of creates a second. Source: API page of `CreatePaiInstance`.
pub const CREATES_A_SECOND: f64 = 20.0;

/// Longest wait for all ids, and again for all to be ready. Our choice: several times the 50 s that the limit allows.
const LIMIT: Duration = Duration::from_mins(15);

/// Writes of the last objects may come after they are seen ready.
const REST: Duration = Duration::from_secs(3);

/// Runs it.
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    let mut progress = Progress::of("create");
    progress.say("starting a stack with an empty cloud, about 20 s");
    let stack = start_stack(&[])?;
    let cluster = Cluster::connect(&stack)?;
    let follower = cluster.follow("create");
    let before = cluster.writes()?;
    progress.say(&format!("applying {} objects", settings.creates));
    let objects = objects::names("new", settings.creates).map(|name| objects::object(&name, "create"));
    let made = cluster.create(objects.collect())?;
    let first = made.iter().map(|done| done.sent).min().unwrap_or_else(Timestamp::now);
    progress.say(&format!("all are applied after {:.1} s", Timestamp::now().duration_since(first).as_secs_f64()));
    let done = wait_for(&stack, &follower, Goal::Ids, settings.creates, LIMIT, &mut progress)?;
    let ready = done && wait_for(&stack, &follower, Goal::Ready, settings.creates, LIMIT, &mut progress)?;
    std::thread::sleep(REST);
    let after = cluster.writes()?;
    let (calls, refused) = cloud::total_and_refused(&cloud::counts(stack.simulator())?);
    let with_ids = follower.with_ids();
    let mut figures = json!({
        "objects": settings.creates,
        "limit_seconds": limit_seconds(settings.creates),
        "with_ids": with_ids.len(),
        "ready": follower.ready().len(),
        "rate_limit_errors": refused,
        "cloud_calls": calls,
    });
    if let (true, Some(last)) = (done, with_ids.last()) {
        let seconds = last.duration_since(first).as_secs_f64();
        figures["seconds"] = json!(rounded(seconds, 3));
        figures["ratio"] = json!(rounded(seconds / limit_seconds(settings.creates), 4));
    }
    if ready {
        add_writes(&mut figures, before, after, settings.creates);
    }
    run_with(&stack, &mut figures)?;
    Ok(Outcome { scenario: Scenario::Create, figures, series: Some(series(&stack.simulator().calls()?, first)) })
}

/// The time that the cloud's limit alone takes.
#[allow(clippy::cast_precision_loss)] // counts of objects are far below 2^52
fn limit_seconds(objects: usize) -> f64 {
    objects as f64 / CREATES_A_SECOND
}

/// Writes for each object, beside the one that applied it.
#[allow(clippy::cast_precision_loss)] // counts of writes are far below 2^52
fn add_writes(figures: &mut Value, before: Writes, after: Writes, objects: usize) {
    let each = |count: u64| rounded(count as f64 / objects as f64, 3);
    let ours = (after.objects - before.objects).saturating_sub(objects as u64);
    figures["apiserver_writes_per_object"] = json!(each(ours));
    figures["event_writes_per_object"] = json!(each(after.events - before.events));
}

/// Seconds from the first apply to each create that the cloud carried out, in order.
fn series(calls: &[Value], first: Timestamp) -> Value {
    let calls = calls.iter().filter_map(Call::read);
    let created = calls.filter(|call| call.action == "CreatePaiInstance" && call.is_ok());
    created.map(|call| rounded(call.time.duration_since(first).as_secs_f64(), 3)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applies_themselves_are_not_the_operators_writes() {
        let mut figures = json!({});
        let before = Writes { objects: 7, events: 1 };
        add_writes(&mut figures, before, Writes { objects: 57, events: 21 }, 10);
        assert_eq!(figures, json!({"apiserver_writes_per_object": 4.0, "event_writes_per_object": 2.0}));
    }
}
