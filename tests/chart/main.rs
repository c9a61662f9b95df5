//! The Helm chart: what each value does, the exact rights it gives, and that a real API server takes
//! all of it. Needs helm and the pinned servers. Must not look at the operator's own code: the chart
//! is checked as a user gets it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, in its helper functions too"
)]

mod admission;
mod cases;
mod monitoring;
mod notes;
mod rendered;
mod rights;
mod server;
mod values;
