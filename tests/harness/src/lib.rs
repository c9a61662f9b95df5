//! A local stack of real parts for tests, the demo and benchmarks: etcd, kube-apiserver, the
//! controllers a namespace needs, helm, the operator and the stand-in cloud, each as a process.
//! Needs a C compiler, Go and openssl on first use. Must not depend on the product's library and
//! must not leave a process behind.
//!
//! Start reading at [`Stack`]; a test of the CRD alone takes [`ControlPlane`].

#![allow(
    clippy::disallowed_methods,
    reason = "the harness is synchronous and waits for real processes; the rule keeps the operator's time testable"
)]

mod controlplane;
pub mod demo;
mod error;
mod http;
pub mod image;
mod layout;
pub mod local;
mod operator;
mod poll;
mod ports;
mod process;
mod programs;
mod reaper;
mod release;
mod simulator;
mod stack;
pub mod toolchain;

pub use controlplane::ControlPlane;
pub use error::Error;
pub use layout::Output;
pub use operator::Operator;
pub use poll::wait_until;
pub use simulator::{Account, Simulator};
pub use stack::{Options, SECRET_NAME, Stack};
