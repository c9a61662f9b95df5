//! Signature vectors: every vector of the fixture through each signer and checker that we have. Set
//! `PAI_SIGNATURE_VECTORS` to run over another file of the same form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

use std::path::PathBuf;

use jiff::Timestamp;
use pai_operator::tencent::Credentials;
use pai_operator::tencent::sign::{Payload, RequestParts, Signature, sign};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    method: String,
    host: String,
    service: String,
    action: String,
    timestamp: i64,
    date: String,
    content_type: String,
    signed_headers: String,
    secret_id: String,
    secret_key: String,
    token: Option<String>,
    unsigned_payload: bool,
    payload: String,
    query_string: String,
    canonical_request: String,
    string_to_sign: String,
    signature: String,
    authorization: String,
}

fn vectors() -> Vec<Vector> {
    let given = std::env::var_os("PAI_SIGNATURE_VECTORS");
    let path = given.as_ref().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/signature-vectors.json")),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if given.is_none() {
        assert_eq!(file.vectors.len(), 23, "{} is not whole", path.display());
    }
    assert!(!file.vectors.is_empty(), "{} holds no vectors", path.display());
    file.vectors
}

impl Vector {
    /// The headers that this vector signs, as they would be sent.
    fn headers(&self) -> Vec<(&str, &str)> {
        let value = |name: &str| match name {
            "content-type" => self.content_type.as_str(),
            "host" => self.host.as_str(),
            "x-tc-action" => self.action.as_str(),
            "x-tc-token" => self.token.as_deref().unwrap_or_default(),
            other => panic!("{}: the vectors do not say what the header {other} holds", self.name),
        };
        self.signed_headers.split(';').map(|name| (name, value(name))).collect()
    }

    fn sign(&self) -> Signature {
        let credentials =
            Credentials::new(&self.secret_id, self.secret_key.as_str().into(), self.token.as_deref().map(Into::into));
        let credentials = credentials.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let payload = if self.unsigned_payload { Payload::Unsigned } else { Payload::Signed(self.payload.as_bytes()) };
        let parts = RequestParts {
            method: &self.method,
            query: &self.query_string,
            service: &self.service,
            headers: &self.headers(),
            payload,
        };
        let timestamp = Timestamp::from_second(self.timestamp).expect("a time within jiff's range");
        sign(&parts, &credentials, timestamp)
    }
}

#[test]
fn the_operator_signs_every_vector() {
    let vectors = vectors();
    for vector in &vectors {
        let name = &vector.name;
        let signed = vector.sign();
        // In this order the first difference explains the others.
        assert_eq!(signed.canonical_request, vector.canonical_request, "{name}");
        assert!(
            vector.string_to_sign.contains(&format!("\n{}/", vector.date)),
            "{name}: the vector contradicts itself"
        );
        assert_eq!(signed.string_to_sign, vector.string_to_sign, "{name}");
        assert_eq!(signed.signature, vector.signature, "{name}");
        assert_eq!(signed.authorization, vector.authorization, "{name}");
    }
    println!("{} vectors signed", vectors.len());
}

/// The stand-in cloud checks signatures with code of its own: the two never learn from each other, but face the same file.
#[test]
fn the_stand_in_cloud_reproduces_every_vector() {
    for vector in &vectors() {
        let name = &vector.name;
        let parts = tencentcloud_simulator::signature::Parts {
            method: &vector.method,
            query: &vector.query_string,
            headers: &vector.headers(),
            payload: vector.payload.as_bytes(),
            unsigned_payload: vector.unsigned_payload,
            service: &vector.service,
            timestamp: vector.timestamp,
        };
        let signed = tencentcloud_simulator::signature::sign(&parts, &vector.secret_id, &vector.secret_key)
            .expect("a time within jiff's range");
        assert_eq!(signed.canonical_request, vector.canonical_request, "{name}");
        assert_eq!(signed.string_to_sign, vector.string_to_sign, "{name}");
        assert_eq!(signed.authorization, vector.authorization, "{name}");
    }
}
