//! The rows' requests on a real kube-apiserver. Needs the control plane of `pai-harness`.

use std::pin::Pin;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use http::Request;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pai_harness::{ControlPlane, wait_until};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::run::{PAI, call};
use crate::side::{Call, Side};

/// How long an event, or what happens in the background, may take. Generous: it only matters when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, with blocking calls.
pub struct Real {
    runtime: Runtime,
    client: Client,
    plane: &'static ControlPlane,
    watch: Option<Pin<Box<dyn AsyncBufRead>>>,
}

impl Real {
    /// Starts the control plane and connects.
    pub fn start() -> Self {
        let plane = ControlPlane::shared().unwrap();
        // kube and reqwest both use rustls, which wants to be told its provider; only the first call counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = connect(&runtime, plane);
        Self { runtime, client, plane, watch: None }
    }

    /// Version of the server.
    pub fn version(&self) -> String {
        self.runtime.block_on(self.client.apiserver_version()).unwrap().git_version
    }

    /// The next line of the watch; none at its end.
    fn line(&mut self) -> Result<Option<Value>, String> {
        let stream = self.watch.as_mut().ok_or("no watch has begun")?;
        let mut line = String::new();
        let read = async { tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await };
        match self.runtime.block_on(read) {
            Ok(Ok(0)) => Ok(None),
            Ok(Ok(_)) => serde_json::from_str(&line).map(Some).map_err(|error| format!("{error}: {line}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no event within {} s", PATIENCE.as_secs())),
        }
    }
}

impl Side for Real {
    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn send(&mut self, call: &Call) -> (u16, Value) {
        self.runtime.block_on(async {
            let reply = self.client.send(request(call).map(Body::from)).await.unwrap();
            let status = reply.status().as_u16();
            let body = reply.into_body().collect_bytes().await.unwrap();
            let text = || String::from_utf8_lossy(&body).into_owned().into();
            (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
        })
    }

    fn watch(&mut self, call: &Call) -> (u16, Value) {
        match self.runtime.block_on(self.client.request_stream(request(call))) {
            Ok(stream) => {
                self.watch = Some(Box::pin(stream));
                (200, Value::Null)
            }
            Err(kube::Error::Api(status)) => (status.code, serde_json::to_value(status).unwrap()),
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    fn event(&mut self, _: &str) -> Result<Value, String> {
        self.line()?.ok_or_else(|| "the watch has ended".to_owned())
    }

    fn ended(&mut self) -> Result<(), String> {
        self.line()?.map_or(Ok(()), |event| Err(format!("the watch has one more event: {event}")))
    }

    fn forget(&mut self) {
        self.watch = None;
        self.plane.compact_etcd().unwrap();
        // It keeps a window of the history in its own memory, too.
        self.plane.restart_apiserver().unwrap();
        self.client = connect(&self.runtime, self.plane);
        // For as long as it reads everything anew it refuses lists with 429.
        let list = call("GET", &format!("{PAI}/paiinstances"), Value::Null);
        let is_back = || match self.send(&list) {
            (429, reply) => Err(reply.to_string()),
            _ => Ok(()),
        };
        wait_until("the server to have read everything", PATIENCE, is_back).unwrap();
    }
}

fn connect(runtime: &Runtime, plane: &ControlPlane) -> Client {
    runtime.block_on(async {
        let file = Kubeconfig::read_from(plane.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        config.read_timeout = Some(2 * PATIENCE);
        config.default_retry = false;
        Client::try_from(config).unwrap()
    })
}

fn request(call: &Call) -> Request<Vec<u8>> {
    let body = if call.body.is_null() { Vec::new() } else { call.body.to_string().into_bytes() };
    let request = Request::builder().method(call.method.as_str()).uri(&call.path).header("Accept", call.accept());
    request.header("Content-Type", &call.content_type).body(body).unwrap()
}
