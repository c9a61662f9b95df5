//! Model check of the creation protocol: every order of events of two processes, the API server and the cloud, decided by the
//! product's own `decide`. See docs/model-check.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

mod product;
mod properties;
mod state;
mod world;

use product::Product;
use properties::{ANNOUNCED, NOT_BLIND, ONE_MACHINE};
use stateright::{Checker, HasDiscoveries, Model, Path};
use state::{State, WINDOW};
use world::{Event, Variant, World};

/// A cloud that lists within the window, sells a domain twice and tells its time.
fn world(variant: Variant) -> World {
    World {
        product: Product::new(),
        variant,
        visible_within: WINDOW,
        sells_twice: true,
        cloud_tells_time: true,
        refuses_old_signatures: true,
    }
}

/// Visits every state there is, and fails with a readable trace if a rule is broken in one.
fn holds(name: &str, world: World) {
    let checker = world.checker().threads(2).spawn_bfs().join();
    println!("{name}: {} unique states, depth {}", checker.unique_state_count(), checker.max_depth());
    for property in checker.model().properties() {
        if let (Some(path), true) = (checker.discovery(property.name), is_failure(&property.expectation)) {
            panic!("{name}: broken: {}\n{}", property.name, told(&path));
        }
    }
    checker.assert_properties();
    // Only a rule that always holds keeps the checker from stopping early, so this says that nothing was left out.
    assert!(checker.is_done(), "{name}: the check ended early");
}

fn is_failure(expectation: &stateright::Expectation) -> bool {
    !matches!(expectation, stateright::Expectation::Sometimes)
}

/// The trace that breaks the rule.
fn broken(name: &str, world: World, rule: &'static str) {
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyOf([rule].into())).spawn_bfs().join();
    let path = checker.discovery(rule).unwrap_or_else(|| panic!("{name}: the checker did not notice"));
    println!("{name}: {:?} breaks {rule:?} in {} events\n{}", checker.model().variant, path.clone().into_actions().len(), told(&path));
}

/// A trace, one event a line.
fn told(path: &Path<State, Event>) -> String {
    let events = path.clone().into_actions();
    let lines = events.iter().enumerate().map(|(number, event)| format!("{:>4} {event:?}\n", number + 1));
    lines.collect()
}

#[test]
fn two_processes_buy_one_machine() {
    holds("a cloud that sells a domain twice", world(Variant::AsBuilt));
}
