//! The controller: observe, decide, act, record, one step a pass. The only place where Kubernetes and the cloud meet.

pub mod act;
pub mod adopt;
pub mod ahead;
pub mod census;
pub mod cloud_watch;
pub mod create;
pub mod credentials;
pub mod decide;
#[cfg(test)]
mod decide_table;
pub mod deletion;
mod driver;
pub mod events;
pub mod failure;
pub mod following;
mod listing;
pub mod lookup;
pub mod memory;
pub mod name;
pub mod objects;
pub mod observe;
pub mod outcome;
pub mod paging;
mod pass;
pub mod problem;
pub mod proof;
pub mod queue;
pub mod recheck;
pub mod record;
pub mod references;
pub mod remedy;
pub mod request;
pub mod resident;
pub mod resolve;
pub mod settling;
pub mod shown;
pub mod step;
pub mod terminate;
pub mod turns;
mod watch;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::leader::Leadership;
use crate::telemetry::metrics::Metrics;
use crate::tencent;

use cloud_watch::CloudWatch;
use credentials::CredentialsReader;
use events::EventPublisher;
use lookup::SharedListings;
use memory::Memory;
use objects::Objects;
use queue::Queue;
use turns::Turns;

pub use driver::run;

/// What every pass needs.
pub struct Context {
    /// Client for reads and writes: deadlines on, retries off.
    pub api: Client,
    /// The cloud.
    pub cloud: tencent::Client,
    /// Time and randomness.
    pub clock: Clock,
    /// What this process remembers.
    pub memory: Memory,
    /// Credentials, briefly cached.
    pub credentials: CredentialsReader,
    /// Listings of the cloud that creations share.
    pub listings: SharedListings,
    /// The other objects, as the watch last showed them.
    pub objects: Objects,
    /// Which object gets the next pass.
    pub queue: Queue,
    /// Whose turn it is to be bought for.
    pub turns: Turns,
    /// Follows the machines of all objects.
    pub cloud_watch: CloudWatch,
    /// Over how long an absence must be seen before a lost create counts as having left nothing behind.
    pub settle_window: Duration,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// Writes Events.
    pub events: EventPublisher,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Purchases under way: the shutdown waits for them.
    pub purchases: TaskTracker,
    /// How often a settled object is looked at.
    pub sweep_interval: Duration,
}

/// How the controller is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces to watch; empty means all.
    pub namespaces: Vec<String>,
    /// Labels that the watched objects have; all if it is left out.
    pub label_selector: Option<String>,
    /// Most passes at one time.
    pub max_concurrent_reconciles: u16,
}
