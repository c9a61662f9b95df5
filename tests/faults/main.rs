//! The whole controller under every fault, deterministically: an API server that is a state machine, the stand-in cloud's core, one
//! thread, a paused clock and a seed.
//!
//! | module | holds |
//! |---|---|
//! | `world`, `faults` | API server, cloud, network, time, and what goes wrong |
//! | `process`, `kubernetes`, `cloud` | the product's own controller with its calls led through the world |
//! | `person` | what people do |
//! | `draw`, `trouble`, `upheaval`, `people` | what a seed draws, and the people of a random run |
//! | `run`, `oracle` | one run, and what must hold |
//! | `crash_points`, `random`, `rows` | the tests: every crash point, random faults, each row of the table of faults |
//! | `scale`, `fairness`, `ahead` | many objects: what they cost, what one may take from another, what is asked before a pass |
//! | `keys`, `retries` | Secrets and permissions that change; how failures are tried again, and what a shutdown leaves |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test that meets the unexpected shall end there and say where"
)]
mod cloud;
mod faults;
mod kubernetes;
mod oracle;
mod person;
mod process;
mod run;
mod world;

mod ahead;
mod basics;
mod crash_points;
mod draw;
mod fairness;
mod guards;
mod keys;
mod people;
mod random;
mod retries;
mod rows;
mod scale;
mod scenario;
mod trouble;
mod upheaval;
