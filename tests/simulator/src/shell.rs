//! The thin HTTP shell: hands requests and the wall clock to the core and carries out what it says. The only
//! module with IO and a clock; it decides nothing about the API.

mod body;

use crate::admin;
use crate::cloud::Cloud;
use crate::config::Config;
use crate::http::{Delivery, Handling, HttpRequest, HttpResponse};
use body::PacedBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Largest body that is read at all, in bytes: above the API's own limit, which the core enforces.
const MAX_READ: usize = 16 * 1024 * 1024;

/// Wait after the bytes of a cut answer, so that they leave before the connection closes.
const CUT_PAUSE: Duration = Duration::from_millis(20);

/// Starts the stand-in cloud as an HTTP server.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping it ends it at once, [`shutdown`](ServerHandle::shutdown) waits for the end.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    cloud: Arc<Mutex<Cloud>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `config.listen` and serves until the handle is dropped.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(config: Config) -> io::Result<ServerHandle> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let clock = Clock(config.clock_offset);
        let cloud = Arc::new(Mutex::new(Cloud::new(config)));
        let task = tokio::spawn(accept(listener, Arc::clone(&cloud), clock));
        Ok(ServerHandle { address, cloud, task })
    }
}

impl ServerHandle {
    /// Address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The core, to look at or to change between requests.
    pub fn cloud(&self) -> MutexGuard<'_, Cloud> {
        lock(&self.cloud)
    }

    /// Closes the listener and all connections, and waits until that is done.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // The end by abort is the expected one.
        let _ = (&mut self.task).await;
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The cloud's clock: this machine's, shifted.
#[derive(Debug, Clone, Copy)]
struct Clock(SignedDuration);

impl Clock {
    fn now(self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.0).unwrap_or(now)
    }
}

fn lock(cloud: &Mutex<Cloud>) -> MutexGuard<'_, Cloud> {
    cloud.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves connections; its end drops them all, since they live in its set.
async fn accept(listener: TcpListener, cloud: Arc<Mutex<Cloud>>, clock: Clock) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve(stream, peer, Arc::clone(&cloud), clock));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(CUT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, cloud: Arc<Mutex<Cloud>>, clock: Clock) {
    // Byte by byte must also mean packet by packet.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, peer, Arc::clone(&cloud), clock));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended early");
    }
}

/// An error makes hyper close the connection without a byte of an answer.
async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    cloud: Arc<Mutex<Cloud>>,
    clock: Clock,
) -> Result<Response<PacedBody>, io::Error> {
    let request = receive(request).await?;
    if request.path.starts_with(admin::PREFIX) {
        let now = clock.now();
        let local = peer.ip().to_canonical().is_loopback();
        let response = if local {
            admin::handle(&mut lock(&cloud), &request, now)
        } else {
            HttpResponse::json(403, &serde_json::json!({"error": "local callers only"}), now)
        };
        return whole(&response);
    }
    if request.path != "/" {
        let body = serde_json::json!({"error": "the API answers on / only"});
        return whole(&HttpResponse::json(404, &body, clock.now()));
    }
    let handling = lock(&cloud).handle(&request, clock.now());
    tracing::debug!(
        action = request.header("x-tc-action"),
        delivery = ?handling.delivery,
        "answered"
    );
    deliver(&handling).await
}

async fn receive(request: Request<Incoming>) -> Result<HttpRequest, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_READ).collect().await.map_err(|error| io::Error::other(error.to_string()))?;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Ok(HttpRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    })
}

async fn deliver(handling: &Handling) -> Result<Response<PacedBody>, io::Error> {
    tokio::time::sleep(handling.latency).await;
    let body = &handling.response.body;
    let closed = || io::Error::other("the connection is closed on purpose");
    match handling.delivery {
        Delivery::Send => whole(&handling.response),
        Delivery::Close => Err(closed()),
        Delivery::CloseAfter(wait) => {
            tokio::time::sleep(wait).await;
            Err(closed())
        }
        Delivery::SendAfter(wait) => {
            tokio::time::sleep(wait).await;
            whole(&handling.response)
        }
        Delivery::Truncate(at) => response(&handling.response, PacedBody::cut(body, at, CUT_PAUSE)),
        Delivery::Drip(over) => response(&handling.response, PacedBody::drip(body, over)),
    }
}

fn whole(answer: &HttpResponse) -> Result<Response<PacedBody>, io::Error> {
    response(answer, PacedBody::whole(&answer.body))
}

fn response(answer: &HttpResponse, body: PacedBody) -> Result<Response<PacedBody>, io::Error> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).map_err(io::Error::other)
}
