//! One test for each guard of the protocol that no table of the product reaches: each fails when that guard alone is taken away, which
//! `make teeth` shows. See docs/guards.md.

mod adoption;
mod creation;
mod deletion;
mod lookup;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;
use tokio::time::sleep;

use crate::faults::{Place, Rule, Trouble};
use crate::person::{Ready, attempt_state, condition, domain, ids};
use crate::process::{Options, Process};
use crate::run::{rest, run, run_in};
use crate::scenario::{spoil, spoil_after};
use crate::world::World;

const LONG: Duration = Duration::from_mins(30);

fn start(world: &Arc<World>) -> Arc<Process> {
    Process::start(world, "operator", Options::default())
}

/// Runs until `web` and all others are at rest, without anybody's help.
async fn settle(world: &Arc<World>) {
    rest(world, LONG, |_| false).await.unwrap();
}

fn web(world: &World) -> Value {
    world.get("web").unwrap()
}

/// How often the cloud was asked for this.
fn calls(world: &World, action: &str) -> usize {
    world.state().cloud.calls(0).filter(|call| call.action == action).count()
}

fn creates(world: &World) -> usize {
    calls(world, "CreatePaiInstance")
}

/// How many machines were ever made.
fn bought(world: &World) -> usize {
    world.state().cloud.calls(0).map(|call| call.created.len()).sum()
}

fn ordinal(object: &Value) -> Option<i64> {
    object.pointer("/status/createAttempt/ordinal").and_then(Value::as_i64)
}

/// The object goes without the operator, and its machine stays.
fn tear_out(world: &World, name: &str) {
    world.patch(name, json!({"metadata": {"finalizers": null}}));
    world.delete(name);
}

/// How the objects stood when each call of this kind reached the cloud.
fn arrivals(world: &World, action: &str) -> Vec<crate::world::Arrival> {
    let state = world.state();
    state.arrivals.iter().flatten().filter(|arrival| arrival.action == action).cloned().collect()
}

fn note_arrivals(world: &World) {
    world.state().arrivals = Some(Vec::new());
}

fn prepaid() -> Value {
    json!({"instanceChargeType": "PREPAID", "instanceChargePrepaid": {"period": 1}})
}
