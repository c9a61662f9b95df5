//! What both sides of the table can do. Must not judge an answer: the rows do.

use std::time::Duration;

use serde_json::Value;

/// A request whose variables are filled in.
#[derive(Clone, Debug)]
pub struct Call {
    /// HTTP method in capitals.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// `Content-Type` header.
    pub content_type: String,
    /// Whether the metadata alone is asked for: of an `object` or of a `list`.
    pub only_metadata: Option<String>,
    /// Body; null for none.
    pub body: Value,
}

impl Call {
    /// The `Accept` header.
    pub fn accept(&self) -> String {
        let form = match self.only_metadata.as_deref() {
            None => return "application/json".to_owned(),
            Some("object") => "PartialObjectMetadata",
            Some("list") => "PartialObjectMetadataList",
            Some(other) => panic!("{other} is neither an object nor a list"),
        };
        format!("application/json;as={form};g=meta.k8s.io;v=v1")
    }
}

/// The model or a real server.
pub trait Side {
    /// How long what happens in the background may take.
    fn patience(&self) -> Duration;

    /// Answers one request: HTTP status and body.
    fn send(&mut self, call: &Call) -> (u16, Value);

    /// Begins a watch: HTTP status, and the body if it is no watch after all.
    fn watch(&mut self, call: &Call) -> (u16, Value);

    /// The next event of the watch.
    fn event(&mut self, word: &str) -> Result<Value, String>;

    /// Whether the watch ends with no more events.
    fn ended(&mut self) -> Result<(), String>;

    /// Forgets the history.
    fn forget(&mut self);
}
