//! The operator's library. Data flows one way: API objects, observe, decide, act, record, status.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | the CRD and nothing else |
//! | [`tencent`] | the cloud: signing, transport, actions, errors, rate limits; knows no Kubernetes |
//! | [`controller`] | observe, decide, act, record: the only place where the two meet |
//! | [`leader`] | leadership as a value with an expiry |
//! | [`telemetry`] | logs, metrics, health |
//! | [`clock`] | the only source of time and randomness |
//! | [`cli`], [`run`] | options, wiring and supervision |

pub mod api;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod leader;
pub mod run;
pub mod telemetry;
pub mod tencent;
