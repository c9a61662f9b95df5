//! The whole controller under every fault, deterministically: an API server that is a state machine, the stand-in cloud's core, one
//! thread, a paused clock and a seed.
//!
//! | module | holds |
//! |---|---|
//! | `world`, `faults` | API server, cloud, network, time, and what goes wrong |
//! | `process`, `kubernetes`, `cloud` | the product's own controller with its calls led through the world |
//! | `person` | what people do |
//! | `run`, `oracle` | one run, and what must hold |

// A test may stop; and people hand over what they say.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::needless_pass_by_value)]

mod cloud;
mod faults;
mod kubernetes;
mod oracle;
mod person;
mod process;
mod run;
mod world;

mod basics;
mod crash_points;
mod draw;
mod guards;
mod random;
mod scenario;
