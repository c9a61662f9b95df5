//! The rows' requests on the model, in the process.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube_apiserver_model::{Answer, ApiServer, Request, Watch};
use serde_json::{Value, json};

use crate::side::{Call, Side};

/// The model with a clock that goes on by a second at each request.
pub struct Model {
    server: ApiServer,
    now: Timestamp,
    watch: Option<Watch>,
    events: VecDeque<Value>,
}

impl Model {
    /// A fresh one.
    pub fn new() -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { server: ApiServer::new(7), now, watch: None, events: VecDeque::new() }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        self.now += SignedDuration::from_secs(1);
        let mut request = Request::new(&call.method, &call.path, call.body.clone());
        request.content_type.clone_from(&call.content_type);
        request.accept = call.accept();
        self.server.handle(&request, self.now)
    }
}

impl Side for Model {
    /// Nothing happens in its background.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn send(&mut self, call: &Call) -> (u16, Value) {
        match self.answer(call) {
            Answer::Reply(reply) => (reply.status, reply.body),
            Answer::Watch(_) => (200, json!("a watch")),
        }
    }

    fn watch(&mut self, call: &Call) -> (u16, Value) {
        self.events.clear();
        match self.answer(call) {
            Answer::Reply(reply) => (reply.status, reply.body),
            Answer::Watch(watch) => {
                self.watch = Some(watch);
                (200, Value::Null)
            }
        }
    }

    fn event(&mut self, word: &str) -> Result<Value, String> {
        let watch = self.watch.as_mut().ok_or("no watch has begun")?;
        self.events.extend(self.server.news(watch));
        // When one is sent is the driver's choice on this side and the server's on the other.
        if self.events.is_empty() && word == "BOOKMARK" && watch.wants_bookmarks() {
            return Ok(self.server.bookmark(watch));
        }
        self.events.pop_front().ok_or_else(|| "there is no event".to_owned())
    }

    fn ended(&mut self) -> Result<(), String> {
        let watch = self.watch.as_mut().ok_or("no watch has begun")?;
        self.events.extend(self.server.news(watch));
        match self.events.pop_front() {
            None if watch.has_ended() => Ok(()),
            None => Err("the watch goes on".to_owned()),
            Some(event) => Err(format!("the watch has one more event: {event}")),
        }
    }

    fn forget(&mut self) {
        self.server.compact();
    }
}
