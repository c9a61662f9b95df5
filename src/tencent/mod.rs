//! The cloud: signs, sends and reads the few Tencent Cloud calls that the operator makes. Needs a
//! [`Transport`] and the time of each call from its caller; knows no Kubernetes, and never repeats a call.

pub mod action;
pub mod autoscaling;
mod classes;
pub mod client;
pub mod credentials;
pub mod cvm;
pub mod endpoints;
mod envelope;
pub mod errors;
pub mod instance_state;
mod lenient;
pub mod rate_limit;
mod redact;
pub mod region;
pub mod reqwest_transport;
pub mod sign;
mod signing_key;
pub mod transport;
mod verdict;

pub use action::{Action, Service};
pub use autoscaling::{
    CreatePaiInstance, CreatePaiInstanceReply, DescribePaiInstances, DescribePaiInstancesReply, InstanceChargePrepaid,
    InternetAccessible, LoginSettings, PaiInstance, SystemDisk,
};
pub use client::{Client, Observer, PrepareError, Reply, SignedCreate};
pub use credentials::{Account, AccountKey, Credentials, Fingerprint, InvalidCredentials, SecretId};
pub use cvm::{DescribeInstances, DescribeInstancesReply, Filter, Instance, InstanceId, Placement};
pub use endpoints::{Endpoints, InvalidEndpoint};
pub use errors::{ApiError, CallError, Class, CreateVerdict, classify, create_verdict};
pub use instance_state::InstanceState;
pub use rate_limit::{Permit, RateLimits, Turn};
pub use region::{InvalidRegion, Region};
pub use reqwest_transport::{BuildTransport, ReqwestTransport, TransportOptions};
pub use transport::{HeaderText, HttpRequest, HttpResponse, Sent, Transport, TransportFailure};
