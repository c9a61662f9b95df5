//! Model check of the creation protocol: every order of events of two processes, the API server and the cloud, decided by the
//! product's own `decide`. See docs/model-check.md.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

mod calm;
mod product;
mod properties;
mod state;
mod world;

use calm::Restful;
use product::Product;
use properties::{ANNOUNCED, NOT_BLIND, ONE_MACHINE};
use state::{State, WINDOW};
use stateright::{Checker, HasDiscoveries, Model, Path};
use world::{Event, Variant, World};

/// A cloud that lists within the window, sells a domain twice and tells its time.
fn world(variant: Variant) -> World {
    World {
        product: Product::new(),
        restful: Restful::default(),
        variant,
        visible_within: WINDOW,
        sells_twice: true,
        cloud_tells_time: true,
        refuses_old_signatures: true,
    }
}

/// A cloud that may list a machine only after its absence was believed.
fn slow(variant: Variant) -> World {
    World { visible_within: WINDOW + 3, ..world(variant) }
}

/// Visits every state there is, and fails with a readable trace if a rule is broken in one.
fn holds(name: &str, world: World) {
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
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
    println!(
        "{name}: {:?} breaks {rule:?} in {} events\n{}",
        checker.model().variant,
        path.clone().into_actions().len(),
        told(&path)
    );
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

#[test]
fn and_where_the_cloud_sells_a_domain_once() {
    holds("a cloud that sells a domain once", World { sells_twice: false, ..world(Variant::AsBuilt) });
}

#[test]
fn and_where_the_cloud_tells_no_time() {
    holds("a cloud that tells no time", World { cloud_tells_time: false, ..world(Variant::AsBuilt) });
}

#[test]
fn and_where_the_cloud_takes_old_signatures() {
    holds("a cloud that takes old signatures", World { refuses_old_signatures: false, ..world(Variant::AsBuilt) });
}

#[test]
fn a_cloud_that_lists_too_late_is_the_residual_risk() {
    holds("a cloud that lists after the window", slow(Variant::AsBuilt));
}

#[test]
fn without_an_intent_the_checker_notices() {
    broken("no intent is written", world(Variant::NoIntent), ANNOUNCED);
    broken("no intent is written", world(Variant::NoIntent), ONE_MACHINE);
}

#[test]
fn ignored_conflicts_are_noticed() {
    broken("conflicts are ignored", world(Variant::ConflictsIgnored), ONE_MACHINE);
}

#[test]
fn freshness_from_the_decision_is_noticed() {
    broken("freshness from the decision", slow(Variant::FreshnessAtTheDecision), NOT_BLIND);
}

#[test]
fn freshness_that_is_not_checked_at_the_signature_is_noticed() {
    broken("freshness not checked at the signature", slow(Variant::FreshnessNotCheckedAtTheSignature), NOT_BLIND);
}

#[test]
fn a_missing_gate_is_noticed() {
    broken("no gate, in a cloud that refuses old signatures", world(Variant::NoGate), ANNOUNCED);
    broken("no gate", World { refuses_old_signatures: false, ..world(Variant::NoGate) }, ONE_MACHINE);
}

#[test]
fn belief_in_absence_at_once_is_noticed() {
    broken("absence is believed at once", world(Variant::AbsenceAtOnce), ONE_MACHINE);
}

#[test]
fn a_repeated_create_is_noticed() {
    broken("the create is repeated", world(Variant::RetryAfterALostAnswer), ONE_MACHINE);
}

#[test]
fn a_window_from_the_beginning_of_the_first_look_is_noticed() {
    broken("the window runs from the beginning", world(Variant::WindowFromTheBeginning), ONE_MACHINE);
}
