//! What a real API server answers to a `PaiInstance`: every field, every rule and every frozen field, as tables.
//! Needs the control plane of `pai-harness`. Must not test what the operator does with the object.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected shall end there and say where"
)]

mod extremes;
mod fields;
mod frozen;
mod kubectl;
mod looser;
mod quota;
mod row;
mod samples;
mod server;
