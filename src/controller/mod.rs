//! The controller: observe, decide, act, record, one step a pass. The only place where Kubernetes and the cloud meet.

pub mod act;
pub mod adopt;
pub mod create;
pub mod credentials;
pub mod decide;
#[cfg(test)]
mod decide_table;
pub mod deletion;
pub mod events;
pub mod following;
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
pub mod recheck;
pub mod record;
pub mod references;
pub mod remedy;
pub mod request;
pub mod resolve;
pub mod settling;
pub mod step;
pub mod terminate;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use kube::runtime::controller::{Action, Config};

use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::DefaultBackoff;
use kube::runtime::{Controller, Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, Client, Resource};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};

use crate::api::PaiInstance;
use crate::clock::Clock;
use crate::leader::Leadership;
use crate::telemetry::metrics::Metrics;
use crate::tencent;

use act::Act;
use credentials::CredentialsReader;
use events::EventPublisher;
use lookup::SharedListings;
use memory::Memory;
use objects::Objects;
use observe::Observe;
use pass::pass;
use record::WriteStatus;

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

/// Why a pass failed. All of it passes: it is repeated with back-off, from a fresh look.
#[derive(Debug, thiserror::Error)]
pub enum Pass {
    /// Nothing could be observed.
    #[error(transparent)]
    Observe(#[from] Observe),
    /// The step could not be carried out.
    #[error(transparent)]
    Act(#[from] Act),
    /// The outcome could not be recorded.
    #[error(transparent)]
    Record(#[from] WriteStatus),
    /// A mistake in the operator. The log holds where.
    #[error("the pass panicked: this is a mistake in the operator, please report it with the log")]
    Panicked,
}

impl Pass {
    /// A word for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            Self::Act(Act::WriteStatus(WriteStatus::Conflict)) | Self::Record(WriteStatus::Conflict) => "conflict",
            Self::Act(_) => "act",
            Self::Record(_) => "record",
            Self::Panicked => "panic",
        }
    }
}

/// How the controller is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces to watch; empty means all.
    pub namespaces: Vec<String>,
    /// Most passes at one time.
    pub max_concurrent_reconciles: u16,
}

/// Runs until `stop`; then lets the passes under way end.
///
/// `watch` is the client for watches: its reads may take as long as a watch does. `ready` is told once the first listing is in.
pub async fn run(
    context: Arc<Context>,
    watch: &Client,
    settings: &Settings,
    ready: CancellationToken,
    stop: CancellationToken,
) {
    let apis: Vec<Api<PaiInstance>> = if settings.namespaces.is_empty() {
        vec![Api::all(watch.clone())]
    } else {
        settings.namespaces.iter().map(|namespace| Api::namespaced(watch.clone(), namespace)).collect()
    };
    // One controller a namespace: a store that several watches fill would forget the others at each new listing.
    let share = u16::try_from(apis.len()).map_or(1, |count| (settings.max_concurrent_reconciles / count.max(1)).max(1));
    let (readers, controllers): (Vec<_>, Vec<_>) =
        apis.into_iter().map(|api| controller(Arc::clone(&context), api, share, stop.clone())).unzip();
    context.objects.set(readers.clone());
    tokio::select! {
        biased;
        _ = join_all(controllers) => {}
        () = async { announce(readers, ready).await; std::future::pending().await } => {}
    }
}

/// The store of one watch, and the controller that runs on it until `stop`.
fn controller(
    context: Arc<Context>,
    api: Api<PaiInstance>,
    concurrency: u16,
    stop: CancellationToken,
) -> (Store<PaiInstance>, impl Future<Output = ()>) {
    let (reader, writer) = reflector::store();
    let passes = Controller::for_stream(triggers(api, writer), reader.clone())
        .with_config(Config::default().concurrency(concurrency))
        .trigger_backoff(DefaultBackoff::default())
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, error_policy, context)
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(%error, "a pass ended with an error");
            }
        });
    // kube's runner does not end while its first listing has not come. No pass of it can have begun then, so it is dropped.
    let listed = reader.clone();
    let stopped_before_its_listing = async move {
        stop.cancelled().await;
        if listed.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    let work = async move {
        tokio::select! {
            biased;
            () = passes => {}
            () = stopped_before_its_listing => warn!("stopped before the PaiInstances were listed"),
        }
    };
    (reader, work)
}

/// Announces that every first listing is in.
async fn announce(readers: Vec<Store<PaiInstance>>, ready: CancellationToken) {
    for reader in &readers {
        if reader.wait_until_ready().await.is_err() {
            return;
        }
    }
    ready.cancel();
}

/// Objects that changed in a way that asks for a pass: spec, deletion, finalizers or annotations; not our own status writes.
fn triggers(
    api: Api<PaiInstance>,
    writer: reflector::store::Writer<PaiInstance>,
) -> impl futures::Stream<Item = Result<PaiInstance, watcher::Error>> + Send + 'static {
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| {
            object.metadata.managed_fields = None;
            if let Some(annotations) = object.metadata.annotations.as_mut() {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        })
        .reflect(writer)
        .touched_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers).combine(predicates::annotations),
            PredicateConfig::default(),
        )
}

/// One pass over one object.
async fn reconcile(object: Arc<PaiInstance>, context: Arc<Context>) -> Result<Action, Pass> {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    let uid = object.metadata.uid.clone().unwrap_or_default();
    let span = info_span!("pass", namespace, name, uid);
    async {
        let api: Api<PaiInstance> = Api::namespaced(context.api.clone(), &namespace);
        // kube ends the whole controller when a pass panics; here it costs one object one pass.
        let pass = AssertUnwindSafe(pass(&context, &api, &name, &uid)).catch_unwind();
        let result = pass.await.unwrap_or(Err(Pass::Panicked));
        if result.is_ok() {
            context.memory.update(&uid, |known| known.failed_passes = 0);
        }
        context.metrics.passed(result.as_ref().err().map_or("ok", Pass::category));
        result
    }
    .instrument(span)
    .await
}

/// When to repeat a failed pass. A conflict means that somebody else wrote: look again at once.
#[allow(clippy::needless_pass_by_value)] // kube's signature
fn error_policy(object: Arc<PaiInstance>, error: &Pass, context: Arc<Context>) -> Action {
    let uid = object.meta().uid.clone().unwrap_or_default();
    if error.category() == "conflict" {
        return Action::requeue(Duration::from_millis(100));
    }
    let mut failures = 0;
    context.memory.update(&uid, |known| {
        known.failed_passes = known.failed_passes.saturating_add(1);
        failures = known.failed_passes;
    });
    let delay = context.clock.jittered(problem::Retry::Soon.create_delay(failures));
    warn!(uid, category = error.category(), %error, ?delay, "the pass failed and is repeated");
    Action::requeue(delay)
}
