//! Leadership on real parts: several operators of one release against a real API server, frozen, cut off, killed, with clocks that
//! step and Leases that people delete. What the election does moment by moment is tested beside it, in `src/leader/tests`.
//!
//! `PAI_LEADERSHIP_STARTS` says how often two replicas are started at once, 50 times unless it is set.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may stop
#![allow(
    clippy::disallowed_methods,
    reason = "real processes in real time, which is printed and never judged; the rule keeps the operator's time testable"
)]

mod clocks;
mod deletion;
mod handover;
mod outage;
mod partition;
mod scene;
mod starts;
