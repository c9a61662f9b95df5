//! Stand-in for the Tencent Cloud AS and CVM APIs, faithful enough for the vendor's own SDK.
//!
//! [`Cloud`] is the state machine: requests and the time come in as data, answers go out as data, and
//! nothing in it reads a clock, waits or does IO. The same core therefore runs behind the HTTP shell
//! ([`Server`]) and inside a deterministic simulation on a virtual clock. It shares no code with the
//! operator, so that one mistake about signatures cannot hide on both sides.
//!
//! In a test:
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use tencentcloud_simulator::{Account, Config, Server};
//! let server = Server::start(Config::default().account(Account::new("AKIDtest", "key"))).await?;
//! println!("{}", server.url());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod admin;
mod authentication;
pub mod cli;
mod cloud;
mod config;
mod error;
mod faults;
mod http;
mod journal;
mod parameters;
mod rate;
mod region;
mod schema;
mod shell;
pub mod signature;

pub use admin::{PREFIX as ADMIN_PREFIX, handle as handle_admin};
pub use authentication::{MAX_SKEW_SECS, Verified, verify};
pub use cloud::{Cloud, Instance};
pub use config::{Account, Config, DomainPolicy, SystemDiskPolicy};
pub use error::ApiError;
pub use faults::{Effect, Rule};
pub use http::{Delivery, Handling, HttpRequest, HttpResponse};
pub use journal::Call;
pub use shell::{Server, ServerHandle};
