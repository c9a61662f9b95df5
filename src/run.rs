//! Wiring and supervision of `pai-operator run`: clients, leader, controller, servers, and the order in which they stop.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::cli::{Address, RunOptions};
use crate::clock::Clock;
use crate::controller::census;
use crate::controller::cloud_watch::CloudWatch;
use crate::controller::credentials::CredentialsReader;
use crate::controller::events::EventPublisher;
use crate::controller::lookup::SharedListings;
use crate::controller::memory::Memory;
use crate::controller::objects::Objects;
use crate::controller::queue::Queue;
use crate::controller::turns::Turns;
use crate::controller::{self, Context};
use crate::leader::{self, Election, Leadership, Stepdown};
use crate::telemetry::connections::{Certificate, Connections};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::reviews::Reviews;
use crate::telemetry::{logs, server};
use crate::tencent::{self, Endpoints, Observer, ReqwestTransport, TransportOptions};

/// Deadline of a read or write on the API server. Source: our choice: far below the lease, far above a slow answer.
const API_DEADLINE: Duration = Duration::from_secs(15);

/// Deadline of silence on a watch: the server's 290 s and the watcher's 5 s, and some.
const WATCH_SILENCE: Duration = Duration::from_secs(310);

/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Start {
    /// The log options are wrong.
    #[error(transparent)]
    Logs(#[from] logs::InvalidLogLevel),
    /// An endpoint is wrong.
    #[error(transparent)]
    Endpoint(#[from] tencent::InvalidEndpoint),
    /// The HTTP client for the cloud cannot be built.
    #[error("the client for the cloud cannot be built: {0}")]
    Transport(#[from] tencent::BuildTransport),
    /// There is no usable way to the API server.
    #[error("no Kubernetes API server is configured: set KUBECONFIG or run in a pod: {0}")]
    KubeConfig(#[from] kube::config::InferConfigError),
    /// The client for the API server cannot be built.
    #[error("the client for the API server cannot be built: {0}")]
    KubeClient(#[from] kube::Error),
    /// An address is taken or not ours.
    #[error("cannot listen on {address} ({option}): {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The option that names it.
        option: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The metrics cannot be served by TLS.
    #[error("--metrics-cert-dir: {0}")]
    Certificate(#[from] Certificate),
    /// The process cannot be told to stop.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the operator until a signal, or until leadership is lost. The exit code is zero only after a clean stop.
pub async fn run(options: RunOptions) -> Result<ExitCode, Start> {
    // First, as a signal that comes before its handler ends the process as a failure.
    let stop = stop_signal()?;
    logs::init(options.log_format, &options.log_level)?;
    let endpoints = Endpoints::new(&options.endpoint_root, &options.endpoint, options.allow_insecure_endpoints)?;
    let clock = Clock::system();
    let identity = options.identity.clone().unwrap_or_else(|| format!("pai-operator-{:016x}", clock.random()));
    let (api, watch, own_namespace) = kubernetes_clients().await?;
    let health = Arc::new(Health::default());
    let metrics = Arc::new(Metrics::default());
    serve(&options, &api, &health, &metrics).await?;

    let lease = leader::Settings {
        namespace: options.lease_namespace.clone().unwrap_or(own_namespace),
        name: options.lease_name.clone(),
        identity: identity.clone(),
        duration: options.lease_duration,
    };
    let (election, leadership) = Election::new(api.clone(), lease, clock.clone());
    let context = Arc::new(Context {
        cloud: cloud_client(endpoints)?
            .limited_to(options.rate_limit.clone())
            .observed_by(Arc::clone(&metrics) as Arc<dyn Observer>),
        memory: Memory::default(),
        credentials: CredentialsReader::default(),
        listings: SharedListings::default(),
        objects: Objects::default(),
        queue: Queue::default(),
        turns: Turns::default(),
        cloud_watch: CloudWatch::default(),
        settle_window: options.settle_window,
        leadership: leadership.clone(),
        events: EventPublisher::new(api.clone(), clock.clone(), identity),
        metrics,
        purchases: TaskTracker::new(),
        sweep_interval: options.sweep_interval,
        api,
        clock,
    });
    let seen = Arc::downgrade(&context);
    context.metrics.show(move || seen.upgrade().map(|context| census::take(&context)).unwrap_or_default());
    let settings = controller::Settings {
        namespaces: options.watch_namespace.clone(),
        label_selector: options.watch_label_selector.clone(),
        max_concurrent_reconciles: options.max_concurrent_reconciles,
    };
    info!(version = env!("CARGO_PKG_VERSION"), "started");
    Ok(supervise(election, leadership, context, watch, settings, health, stop).await)
}

/// Leads, works, and stops in order: no new work, then the passes and purchases under way, then the lease.
///
/// The lease is renewed until the last purchase is written down, so that no other process takes it for lost meanwhile.
async fn supervise(
    election: Election,
    leadership: Leadership,
    context: Arc<Context>,
    watch: Client,
    settings: controller::Settings,
    health: Arc<Health>,
    stop: CancellationToken,
) -> ExitCode {
    let (stop_work, give_back) = (CancellationToken::new(), CancellationToken::new());
    let alive = Arc::clone(&health);
    let mut election = tokio::spawn(election.run(give_back.clone(), move || alive.heard_from_api()));
    let mut work = tokio::spawn(work(leadership, Arc::clone(&context), watch, settings, health, stop_work.clone()));
    let mut worked = None;
    let stepdown = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        stepdown = &mut election => {
            error!("leadership ended: nothing new is started");
            Some(stepdown.unwrap_or(Stepdown::Lost))
        }
        result = &mut work => {
            error!(?result, "the controller ended by itself");
            worked = Some(false);
            None
        }
    };
    info!(purchases = context.purchases.len(), "stopping: passes and purchases under way are finished first");
    stop_work.cancel();
    let worked = match worked {
        Some(worked) => worked,
        None => work.await.is_ok(),
    };
    context.purchases.close();
    context.purchases.wait().await;
    give_back.cancel();
    let stepdown = match stepdown {
        Some(stepdown) => stepdown,
        None => election.await.unwrap_or(Stepdown::Lost),
    };
    info!(?stepdown, "stopped");
    if stepdown == Stepdown::Released && worked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits for leadership and then works until `stop`.
async fn work(
    mut leadership: Leadership,
    context: Arc<Context>,
    watch: Client,
    settings: controller::Settings,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = leadership.acquired() => {}
    }
    health.leads();
    controller::run(context, &watch, &settings, health.sight(), stop).await;
}

/// Two clients: one whose calls have short deadlines and no retries, one whose watches may be silent for minutes.
///
/// kube repeats a write up to 15 times by default and has no deadline on reads; both would break the creation protocol.
async fn kubernetes_clients() -> Result<(Client, Client, String), Start> {
    let config = Config::infer().await?;
    let namespace = own_namespace(&config);
    let (api, watch) = clients(config)?;
    Ok((api, watch, namespace))
}

fn clients(mut config: Config) -> Result<(Client, Client), kube::Error> {
    config.reset_reader_on_write = true;
    config.read_timeout = Some(WATCH_SILENCE);
    let watch = Client::try_from(config.clone())?;
    config.read_timeout = Some(API_DEADLINE);
    config.default_retry = false;
    Ok((Client::try_from(config)?, watch))
}

/// The namespace of the pod, or of the kubeconfig's context.
fn own_namespace(config: &Config) -> String {
    let in_pod = std::fs::read_to_string(Path::new(NAMESPACE_FILE)).ok().map(|text| text.trim().to_owned());
    in_pod.filter(|text| !text.is_empty()).unwrap_or_else(|| config.default_namespace.clone())
}

fn cloud_client(endpoints: Endpoints) -> Result<tencent::Client, Start> {
    let transport = ReqwestTransport::new(&TransportOptions {
        allow_insecure: endpoints.allow_insecure(),
        ..TransportOptions::default()
    })?;
    Ok(tencent::Client::new(Arc::new(transport), endpoints))
}

/// Starts the servers; a server that ends by itself is an error in the log, and the probes then restart the pod.
async fn serve(options: &RunOptions, api: &Client, health: &Arc<Health>, metrics: &Arc<Metrics>) -> Result<(), Start> {
    if let Some(listener) = listen(options.health_address, "--health-address").await? {
        let server = server::serve_health(Connections::plain(listener), Arc::clone(health));
        tokio::spawn(async move { report_end("health", &server.await) });
    }
    let Some(listener) = listen(options.metrics_address, "--metrics-address").await? else { return Ok(()) };
    let metrics = Arc::clone(metrics);
    if let Some(folder) = &options.metrics_cert_dir {
        let connections = Connections::tls(listener, folder.clone())?;
        let server = server::serve_secured_metrics(connections, metrics, Arc::new(Reviews::new(api.clone())));
        tokio::spawn(async move { report_end("metrics", &server.await) });
    } else {
        let server = server::serve_metrics(Connections::plain(listener), metrics);
        tokio::spawn(async move { report_end("metrics", &server.await) });
    }
    Ok(())
}

fn report_end(server: &str, result: &std::io::Result<()>) {
    error!(server, ?result, "a server ended by itself");
}

async fn listen(address: Address, option: &'static str) -> Result<Option<TcpListener>, Start> {
    match address {
        Address::Off => Ok(None),
        Address::At(address) => {
            let listener = TcpListener::bind(address).await;
            listener.map(Some).map_err(|source| Start::Listen { address, option, source })
        }
    }
}

/// A token that the first SIGTERM or Ctrl-C cancels. A second one changes nothing: a purchase is never cut.
fn stop_signal() -> Result<CancellationToken, Start> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Start::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Start::Signals)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        info!("asked to stop");
        stopped.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use kube::Api;
    use kube::api::PostParams;

    use super::*;
    use crate::api::PaiInstance;

    /// An API server that is busy when it is asked first, and how often it was asked.
    async fn busy_server() -> (Config, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let busy = move || async move {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            if first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(busy)).await });
        // Without a provider no client is built, though this one speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        (Config::new(url.parse().unwrap()), asked)
    }

    #[tokio::test]
    async fn a_write_is_sent_once() {
        let (config, asked) = busy_server().await;
        let (client, _) = clients(config).unwrap();
        let spec = serde_json::json!({
            "region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}
        });
        let object = PaiInstance::new("web", serde_json::from_value(spec).unwrap());
        let api: Api<PaiInstance> = Api::namespaced(client, "default");
        assert!(api.replace_status("web", &PostParams::default(), &object).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
