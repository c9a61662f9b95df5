//! Measures the operator from outside: a process, an API server and a stand-in cloud, all real. Needs the release
//! builds of the operator and of the stand-in cloud. Must not use the product's library, and must never guess a number.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | sizes, from the environment |
//! | [`scenarios`] | what is measured, one module each |
//! | [`cluster`], [`cloud`], [`process`] | the three things that are looked at |
//! | [`bystander`] | a watch beside the operator's, to compare with |
//! | [`reaction`] | which cloud call belongs to which object |
//! | [`report`], [`bars`] | `target/bench/report.json`, and the bars it is held against |
//! | [`plot`], [`figures`], [`document`] | `docs/benchmarks.md` and its figures |

#![allow(
    clippy::disallowed_methods,
    reason = "the bench waits for real processes by the real clock; the rule keeps the operator's time testable"
)]
#![allow(
    clippy::indexing_slicing,
    reason = "what is indexed is JSON: a key that is not there reads as null, and one that is set is made"
)]

pub mod bars;
pub mod bystander;
pub mod cloud;
pub mod cluster;
pub mod document;
pub mod figures;
pub mod machine;
pub mod objects;
pub mod plot;
pub mod process;
pub mod progress;
pub mod reaction;
pub mod report;
pub mod scenarios;
pub mod settings;
pub mod statistics;

pub use pai_harness::Error;

/// Puts what was being done before what went wrong.
pub(crate) fn while_doing<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Error {
    move |error| Error::Other(format!("{what}: {error}"))
}
