//! The way to the API server: kube's own client on the model.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use kube_apiserver_model::{Answer, Reply, Request, Verb, Watch};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::cloud::is_kept;
use crate::faults::Call;
use crate::person::ids;
use crate::process::{Lost, Process};
use crate::world::{CRD, PLURAL, World, look_for_secrets};

/// As the product sets its two clients up, see `run.rs`.
pub const API_DEADLINE: Duration = Duration::from_secs(15);
pub const WATCH_DEADLINE: Duration = Duration::from_secs(310);

const ONE_WAY: Duration = Duration::from_millis(2);
const BOOKMARKS: Duration = Duration::from_mins(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type WireBody = UnsyncBoxBody<Bytes, BoxError>;

/// A client whose calls go through the process.
pub fn client(process: &Arc<Process>, deadline: Duration) -> Client {
    let process = Arc::clone(process);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let process = Arc::clone(&process);
        async move {
            match timeout(deadline, exchange(process, request)).await {
                Ok(result) => result,
                Err(_) => Err(BoxError::from("the API server did not answer in time")),
            }
        }
    });
    Client::new(service, "default")
}

async fn exchange(process: Arc<Process>, request: http::Request<Body>) -> Result<http::Response<WireBody>, BoxError> {
    let request = read(request).await?;
    let (Some(target), Some(verb)) = (request.target(), request.verb()) else {
        return Err(format!("the operator asks for something odd: {} {}", request.method, request.path).into());
    };
    let call = Call::Api {
        verb,
        namespace: target.namespace,
        plural: target.resource.plural,
        subresource: target.subresource,
        name: target.name.unwrap_or_default(),
    };
    let serve = move |world: &World| world.serve_api(&request);
    let answer = process.call(call, ONE_WAY, serve, Answer::Reply).await;
    match answer {
        Ok(Answer::Reply(reply)) => {
            let body = Full::new(Bytes::from(serde_json::to_vec(&reply.body)?)).map_err(|never| match never {});
            respond(reply.status, body.boxed_unsync())
        }
        Ok(Answer::Watch(watch)) => {
            let (send, receive) = mpsc::unbounded();
            tokio::spawn(deliver(process, watch, send));
            respond(200, StreamBody::new(receive).boxed_unsync())
        }
        Err(Lost::NotSent | Lost::Broken) => Err("the connection to the API server broke".into()),
    }
}

fn respond(status: u16, body: WireBody) -> Result<http::Response<WireBody>, BoxError> {
    Ok(http::Response::builder().status(status).header("content-type", "application/json").body(body)?)
}

async fn read(request: http::Request<Body>) -> Result<Request, BoxError> {
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = body.collect().await?.to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let mut parsed = Request::new(head.method.as_str(), path, body);
    (parsed.accept, parsed.content_type) = (header("accept"), header("content-type"));
    Ok(parsed)
}

type Events = mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>;

/// Sends the news of a watch as long as both sides live.
async fn deliver(process: Arc<Process>, mut watch: Watch, send: Events) {
    let world = Arc::clone(&process.world);
    let mut changes = world.changes();
    let end = sleep(Duration::from_secs(watch.timeout_seconds.unwrap_or(290)));
    let mut end = std::pin::pin!(end);
    loop {
        if world.api_is_down() {
            let _ = send.unbounded_send(Err("the API server is gone".into()));
            return;
        }
        let (news, has_lost_some) = world.watch_news(&mut watch);
        if !news.is_empty() {
            process.thawed().await;
            for event in news {
                let mut line = event.to_string().into_bytes();
                line.push(b'\n');
                if send.unbounded_send(Ok(Frame::data(Bytes::from(line)))).is_err() {
                    return;
                }
            }
        }
        if watch.has_ended() || has_lost_some {
            return;
        }
        tokio::select! {
            biased;
            () = process.dead.cancelled() => return,
            () = &mut end => return,
            _ = changes.changed() => {
                let delay = ONE_WAY + world.state().faults.watch_delay;
                sleep(delay).await;
            }
            () = sleep(BOOKMARKS), if watch.wants_bookmarks() => {
                let mut line = world.state().api.bookmark(&watch).to_string().into_bytes();
                line.push(b'\n');
                if send.unbounded_send(Ok(Frame::data(Bytes::from(line)))).is_err() {
                    return;
                }
            }
        }
    }
}

impl World {
    /// What the API server does with a request of the operator, with what the oracles note of it.
    fn serve_api(&self, request: &Request) -> Answer {
        if request.method != "GET" {
            let place = format!("{} {}", request.method, request.path);
            look_for_secrets(&request.body.to_string(), &place, &mut self.state().leaked);
        }
        if request.verb() == Some(Verb::Get) && request.path.contains("/paiinstances/") {
            let seen = &mut self.state().seen;
            seen.reads += 1;
            seen.cached_reads += u64::from(request.query.contains_key("resourceVersion"));
        }
        if let Some(old) = self.old_answer(request) {
            return old;
        }
        let before = self.object_of(request);
        let answer = self.api(request);
        if let Answer::Reply(reply) = &answer {
            self.state().seen.conflicts += u64::from(reply.status == 409);
        }
        if request.method != "GET" && request.path.contains("/paiinstances/") {
            let after = self.object_of(request);
            if after != before {
                self.state().writes += 1;
                self.note_attempt(request);
            }
            if let (Some(last), None) = (before, after) {
                self.note_end(&last);
            }
        }
        answer
    }

    /// What a replica that lags behind still has.
    fn old_answer(&self, request: &Request) -> Option<Answer> {
        let target = request.target().filter(|target| target.resource.plural == PLURAL)?;
        let faults = &mut self.state().faults;
        let body = match request.verb()? {
            Verb::List => faults.old_list.take()?,
            Verb::Get => {
                let (left, object) = faults.old_object.take()?;
                let is_it = object.pointer("/metadata/name").and_then(Value::as_str) == target.name.as_deref();
                faults.old_object = Some((left - u32::from(is_it), object.clone())).filter(|(left, _)| *left > 0);
                is_it.then_some(object)?
            }
            _ => return None,
        };
        Some(Answer::Reply(Reply { status: 200, body }))
    }

    fn object_of(&self, request: &Request) -> Option<Value> {
        let target = request.target()?;
        let state = self.state();
        let object = state.api.peek(
            &target.resource.group,
            &target.resource.plural,
            target.namespace.as_deref().unwrap_or_default(),
            target.name.as_deref()?,
        );
        object.cloned()
    }

    /// An object went: what its policy, its adoption or the end of the CRD says is left running is no leak.
    fn note_end(&self, last: &Value) {
        let all_stay = self.is_ending(CRD);
        let (kept, given_up): (Vec<String>, Vec<String>) =
            ids(last).into_iter().partition(|id| all_stay || is_kept(last, id));
        let mut state = self.state();
        state.excused.extend(kept);
        state.given_up.extend(given_up);
    }

    /// Whether what is at this path is being deleted, or gone: the CRD goes with the last object.
    fn is_ending(&self, path: &str) -> bool {
        let reply = self.try_ask("GET", path, Value::Null);
        reply.status == 404 || reply.body.pointer("/metadata/deletionTimestamp").is_some()
    }

    /// Counts the attempts that became uncertain or held.
    fn note_attempt(&self, request: &Request) {
        let state = request.body.pointer("/status/createAttempt/state").and_then(Value::as_str).unwrap_or_default();
        let seen = &mut self.state().seen;
        seen.unknown += u64::from(state == "Uncertain");
        seen.held += u64::from(state == "Held");
    }

    /// The news of a watch after what faults do to them, and whether some were lost.
    ///
    /// A server that lost events lets the client begin anew: it ends the watch, and its history no longer reaches back. One that lost them
    /// in silence would be broken beyond what a client can notice.
    fn watch_news(&self, watch: &mut Watch) -> (Vec<Value>, bool) {
        let mut state = self.state();
        let mut delivered = Vec::new();
        let mut lost = false;
        for event in state.api.news(watch) {
            let faults = &mut state.faults;
            let is_error = event.get("type").and_then(Value::as_str) == Some("ERROR");
            if !is_error && faults.watch_drops > 0 {
                faults.watch_drops -= 1;
                lost = true;
                continue;
            }
            if !is_error && faults.watch_doubles > 0 {
                faults.watch_doubles -= 1;
                delivered.push(event.clone());
            }
            delivered.push(event);
        }
        let is_error = |event: &Value| event.get("type").and_then(Value::as_str) == Some("ERROR");
        if state.faults.watch_reversed && !delivered.iter().any(is_error) {
            delivered.reverse();
        }
        if lost {
            state.api.compact();
        }
        (delivered, lost)
    }
}
