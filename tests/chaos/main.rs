//! Chaos on real parts: objects are applied while the operator is killed with -9, the API server is restarted and the stand-in cloud
//! misbehaves, at moments that nobody chose. Then the cloud's own books say whether anything was bought twice, lost or left waiting.
//!
//! `PAI_CHAOS=full` takes the size of `docs/chaos.md`; `PAI_CHAOS_SEED` repeats what was drawn, not how the processes interleave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may stop
#![allow(
    clippy::disallowed_methods,
    reason = "real processes are killed at random moments of real time; the rule keeps the operator's time testable"
)]

mod books;
mod faults;
mod keeper;
mod land;
mod person;
mod run;
mod size;

use size::Size;

#[test]
fn one_operator() {
    run::run("one operator", &Size::of_environment(), 1);
}

/// Under different Leases, so that both work on everything at the same time.
#[test]
fn two_operators_that_both_lead() {
    run::run("two operators that both lead", &Size::of_environment(), 2);
}
