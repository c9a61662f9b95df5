//! Candidates on the model of the API server, on the paused clock: each has a way of its own to it, which a test makes slow, closes or
//! loses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use kube_apiserver_model::{Answer, ApiServer, Reply, Request};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::leader::{Election, Leadership, Settings, Stepdown};
use crate::telemetry::health::Health;

/// The shortest lease that the command line takes.
pub const LEASE: Duration = Duration::from_secs(15);

/// A way as in a cluster.
pub const FAST: Way = Way::Open(Duration::from_millis(10));

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

/// How a candidate's way to the API server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A call takes this long, half of it to get there.
    Open(Duration),
    /// Connections are refused.
    Refused,
    /// What is sent is lost, and nothing says so.
    Lost,
    /// What is sent arrives once the way is open, whether its sender still waits or not: an API server that stands still.
    Queued,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The API server.
pub struct Place {
    server: Mutex<ApiServer>,
    origin: Instant,
    /// How many replacements of the Lease find that a person has annotated it just before.
    annotations: AtomicU32,
}

impl Place {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { server: Mutex::new(ApiServer::new(1)), origin: Instant::now(), annotations: AtomicU32::new(0) })
    }

    fn handle(&self, request: &Request) -> Reply {
        if request.method == "PUT" && self.annotations.load(Ordering::Relaxed) > 0 {
            self.annotations.fetch_sub(1, Ordering::Relaxed);
            self.change_lease(|lease| lease["metadata"]["annotations"] = json!({"noted": request.body.to_string()}));
        }
        self.ask(request)
    }

    fn ask(&self, request: &Request) -> Reply {
        let now = Timestamp::from_second(1_800_000_000).unwrap() + self.origin.elapsed();
        match self.server.lock().unwrap().handle(request, now) {
            Answer::Reply(reply) => reply,
            Answer::Watch(_) => panic!("{} is a watch", request.path),
        }
    }

    pub fn annotate_before_next_replacements(&self, count: u32) {
        self.annotations.store(count, Ordering::Relaxed);
    }

    /// The Lease as a person sees it, if there is one.
    pub fn lease(&self) -> Option<Value> {
        let reply = self.ask(&Request::new("GET", &format!("{LEASES}/pai-operator"), Value::Null));
        (reply.status == 200).then_some(reply.body)
    }

    pub fn spec(&self, field: &str) -> Value {
        self.lease().map_or(Value::Null, |lease| lease["spec"][field].clone())
    }

    /// Edits the Lease by hand.
    pub fn change_lease(&self, change: impl FnOnce(&mut Value)) {
        let mut lease = self.lease().unwrap();
        change(&mut lease);
        let reply = self.ask(&Request::new("PUT", &format!("{LEASES}/pai-operator"), lease));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    pub fn delete_lease(&self) {
        let reply = self.ask(&Request::new("DELETE", &format!("{LEASES}/pai-operator"), Value::Null));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// One candidate, standing.
pub struct Candidate {
    pub leadership: Leadership,
    pub health: Arc<Health>,
    pub way: watch::Sender<Way>,
    pub stop: CancellationToken,
    pub task: JoinHandle<Stepdown>,
}

/// How a candidate is.
#[derive(Clone, Copy)]
pub struct Is<'a> {
    pub name: &'a str,
    pub duration: Duration,
    pub way: Way,
    /// How far its wall clock is ahead of the true time.
    pub ahead: SignedDuration,
    pub seed: u64,
}

impl Is<'_> {
    pub fn called(name: &str) -> Is<'_> {
        Is { name, duration: LEASE, way: FAST, ahead: SignedDuration::ZERO, seed: 1 }
    }

    pub fn stand(self, place: &Arc<Place>) -> Candidate {
        let (way, ways) = watch::channel(self.way);
        let base = Timestamp::from_second(1_800_000_000).unwrap() + place.origin.elapsed() + self.ahead;
        let settings = Settings {
            namespace: "default".into(),
            name: "pai-operator".into(),
            identity: self.name.into(),
            duration: self.duration,
        };
        let (election, leadership) = Election::new(client(place, ways), settings, Clock::simulated(base, self.seed));
        let stop = CancellationToken::new();
        let health = Arc::new(Health::default());
        let alive = Arc::clone(&health);
        let task = tokio::spawn(election.run(stop.clone(), move || alive.heard_from_api()));
        Candidate { leadership, health, way, stop, task }
    }
}

impl Candidate {
    pub fn leads(&self) -> bool {
        !self.leadership.is_lost()
    }

    /// It dies at once.
    pub fn kill(&self) {
        self.task.abort();
    }

    /// Waits until it leads, at most two minutes; how long that took.
    pub async fn time_to_lead(&self) -> Duration {
        let began = Instant::now();
        while !self.leads() {
            assert!(began.elapsed() < Duration::from_mins(2), "it does not lead");
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }
}

fn client(place: &Arc<Place>, way: watch::Receiver<Way>) -> Client {
    let place = Arc::clone(place);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (place, way) = (Arc::clone(&place), way.clone());
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
            let path = head.uri.path_and_query().map_or("", |path| path.as_str());
            let request = Request::new(head.method.as_str(), path, body);
            // In a task of its own: who gives up waiting does not take back what has left.
            let reply = tokio::spawn(deliver(place, way, request)).await??;
            let body = Full::new(Bytes::from(serde_json::to_vec(&reply.body)?));
            Ok::<_, BoxError>(http::Response::builder().status(reply.status).body(body)?)
        }
    });
    Client::new(service, "default")
}

async fn deliver(place: Arc<Place>, mut way: watch::Receiver<Way>, request: Request) -> Result<Reply, BoxError> {
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Open(span) => {
                sleep(span / 2).await;
                let reply = place.handle(&request);
                sleep(span / 2).await;
                return Ok(reply);
            }
            Way::Refused => return Err("connection refused".into()),
            Way::Lost => return std::future::pending().await,
            Way::Queued => way.changed().await?,
        }
    }
}
