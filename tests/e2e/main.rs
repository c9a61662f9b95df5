//! End to end, on real parts: kubectl and helm, etcd and kube-apiserver, the operator under the chart's service account, and
//! the stand-in cloud. Few and real; the many small cases are tables elsewhere.
//!
//! Every scene logs at `trace` and ends with a search for planted secrets in the log, the metrics, the Events and the status.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may stop

mod gate;
mod judges;
mod kill;
mod lifecycle;
mod page_example;
mod protocol;
mod rights;
mod scene;
mod secured_metrics;
mod stages;
mod wrong_input;
