//! The way to the cloud: the product's transport on the stand-in cloud's core.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use pai_operator::tencent::{HttpRequest, HttpResponse, Sent, Transport, TransportFailure};
use serde_json::Value;
use tencentcloud_simulator::{Delivery, Handling, HttpRequest as CloudRequest};
use tokio::time::{Instant, sleep, timeout};

use crate::faults::Call;
use crate::process::{Lost, Process};
use crate::world::{Arrival, World};

const ONE_WAY: Duration = Duration::from_millis(20);

/// The transport of one process.
pub struct Wire(pub Arc<Process>);

impl Transport for Wire {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, TransportFailure>> {
        let process = Arc::clone(&self.0);
        async move {
            let deadline = request.deadline;
            match timeout(deadline, exchange(process, request)).await {
                Ok(result) => result,
                Err(_) => Err(failure(Sent::Maybe, "the cloud did not answer in time")),
            }
        }
        .boxed()
    }
}

/// The machines that a request names.
fn ids(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let ids = body["InstanceIds"].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

async fn exchange(process: Arc<Process>, request: HttpRequest) -> Result<HttpResponse, TransportFailure> {
    let request = CloudRequest {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.expose().to_owned())).collect(),
        body: request.body.to_vec(),
    };
    process.note_rate(&request);
    process.world.note_termination(&request);
    let text = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let call = Call::Cloud { action: text("x-tc-action"), region: text("x-tc-region"), ids: ids(&request.body) };
    let serve = move |world: &World| world.serve_cloud(&request);
    // A refusal by HTTP status stands for a gateway in front of the cloud.
    let refuse = |reply: kube_apiserver_model::Reply| Handling {
        response: tencentcloud_simulator::HttpResponse { status: reply.status, headers: Vec::new(), body: Vec::new() },
        latency: Duration::ZERO,
        delivery: Delivery::Send,
    };
    let handling = process.call(call, ONE_WAY, serve, refuse).await.map_err(|lost| match lost {
        Lost::NotSent => failure(Sent::No, "no connection"),
        Lost::Broken => failure(Sent::Maybe, "the connection broke"),
    })?;
    let response = HttpResponse {
        status: handling.response.status,
        date: date(&handling),
        body: Bytes::from(handling.response.body),
    };
    match handling.delivery {
        Delivery::Send => Ok(response),
        Delivery::Close => Err(failure(Sent::Maybe, "the connection was closed")),
        Delivery::Truncate(_) => Err(failure(Sent::Maybe, "the answer was cut off")),
        Delivery::CloseAfter(wait) => {
            sleep(wait).await;
            Err(failure(Sent::Maybe, "the connection was closed"))
        }
        Delivery::SendAfter(wait) | Delivery::Drip(wait) => {
            sleep(wait).await;
            Ok(response)
        }
    }
}

/// Whether the machine stays when its object goes: by the policy, or because it was adopted and no policy says otherwise.
pub fn is_kept(object: &Value, id: &str) -> bool {
    let instances = object.pointer("/status/instances").and_then(Value::as_array);
    let adopted_by = instances
        .into_iter()
        .flatten()
        .filter(|one| one.get("id").and_then(Value::as_str) == Some(id))
        .find_map(|one| one.get("adoptedBy").and_then(Value::as_str));
    match object.pointer("/spec/deletionPolicy").and_then(Value::as_str) {
        Some("Retain") => true,
        Some("Delete") => adopted_by == Some("Name"),
        _ => adopted_by.is_some(),
    }
}

fn date(handling: &Handling) -> Option<Timestamp> {
    let (_, text) = handling.response.headers.iter().find(|(name, _)| name == "Date")?;
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp())
}

fn failure(sent: Sent, reason: &str) -> TransportFailure {
    TransportFailure { sent, reason: reason.to_owned() }
}

impl Process {
    /// O5: notes a call, and tells the world if this process has made more in a second than the cloud takes, whose limit is by key,
    /// region and action. Counted where the call leaves the product: what the world does to it afterwards is not its doing.
    fn note_rate(&self, request: &CloudRequest) {
        let action = request.header("x-tc-action").unwrap_or_default();
        // The vendor's numbers, not the product's.
        let rate = match action {
            "DescribeInstances" => 40,
            "TerminateInstances" => 10,
            _ => 20,
        };
        let header = |name| request.header(name).unwrap_or_default();
        // `TC3-HMAC-SHA256 Credential=AKID.../date/service/tc3_request, ...`
        let key = header("authorization").split('/').next().unwrap_or_default();
        let bucket = format!("{action} {} {key}", header("x-tc-region"));
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap();
        let times = sent.entry(bucket).or_default();
        times.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        times.push(now);
        if times.len() > rate {
            let told = format!("{} made {} calls of {action} in a second", self.name, times.len());
            self.world.state().overrun.get_or_insert(told);
        }
    }
}

impl World {
    /// Notes the first termination that may not be: of several machines at once, or of one that no object gives up. Judged where the call
    /// leaves the product.
    fn note_termination(&self, request: &CloudRequest) {
        if request.header("x-tc-action") != Some("TerminateInstances") {
            return;
        }
        let ids = ids(&request.body);
        let objects = self.objects();
        let gives_up = |object: &Value| {
            object.pointer("/metadata/deletionTimestamp").is_some()
                && ids.iter().all(|id| crate::person::ids(object).iter().any(|own| own == id))
                && !ids.iter().any(|id| is_kept(object, id))
        };
        let mut state = self.state();
        // A second call for a prepaid machine destroys what lies in the recycle bin.
        let is_recycled = |id: &String| {
            state.cloud.instance(id).is_some_and(|one| one.state == "SHUTDOWN" && one.charge_type == "PREPAID")
        };
        let was_given_up = ids.iter().all(|id| state.given_up.contains(id));
        if ids.len() != 1 || !(was_given_up || objects.iter().any(gives_up)) || ids.iter().any(is_recycled) {
            state.wrong_end.get_or_insert(format!("{ids:?} was to be terminated"));
        }
    }

    fn serve_cloud(&self, request: &CloudRequest) -> Handling {
        let now = self.now();
        self.note_arrival(request, now);
        let handling = self.state().cloud.handle(request, now);
        self.audit();
        handling
    }

    fn note_arrival(&self, request: &CloudRequest, at: Timestamp) {
        // A copy of all objects at each call, where a test asked for it.
        if self.state().arrivals.is_none() {
            return;
        }
        let action = request.header("x-tc-action").unwrap_or_default().to_owned();
        let objects = self.objects();
        self.state().arrivals.get_or_insert_default().push(Arrival { at, action, objects });
    }
}
