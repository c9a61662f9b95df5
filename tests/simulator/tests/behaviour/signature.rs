//! Every test vector, through the pure function and through the check at the door.

use jiff::Timestamp;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tencentcloud_simulator::signature::{Parts, sign};
use tencentcloud_simulator::{Account, HttpRequest, verify};

#[derive(Deserialize)]
struct Vectors {
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
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/signature-vectors.json");
    let file = std::env::var_os("PAI_SIGNATURE_VECTORS").map_or(checked_in, PathBuf::from);
    let text = std::fs::read_to_string(&file).unwrap();
    let vectors = serde_json::from_str::<Vectors>(&text).unwrap().vectors;
    assert!(!vectors.is_empty());
    vectors
}

impl Vector {
    fn header(&self, name: &str) -> &str {
        match name {
            "content-type" => &self.content_type,
            "host" => &self.host,
            "x-tc-action" => &self.action,
            other => panic!("{}: no value for the header {other}", self.name),
        }
    }

    fn request(&self) -> HttpRequest {
        let mut headers = vec![
            ("Content-Type", self.content_type.clone()),
            ("Host", self.host.clone()),
            ("X-TC-Action", self.action.clone()),
            ("X-TC-Timestamp", self.timestamp.to_string()),
            ("Authorization", self.authorization.clone()),
        ];
        if let Some(token) = &self.token {
            headers.push(("X-TC-Token", token.clone()));
        }
        if self.unsigned_payload {
            headers.push(("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD".to_owned()));
        }
        HttpRequest {
            method: self.method.clone(),
            path: "/".to_owned(),
            query: self.query_string.clone(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: self.payload.clone().into_bytes(),
        }
    }

    fn account(&self) -> Account {
        let account = Account::new(&self.secret_id, &self.secret_key);
        match &self.token {
            Some(token) => account.token(token),
            None => account,
        }
    }
}

#[test]
fn every_vector_is_signed_alike() {
    for vector in vectors() {
        let headers: Vec<_> = vector.signed_headers.split(';').map(|name| (name, vector.header(name))).collect();
        let parts = Parts {
            method: &vector.method,
            query: &vector.query_string,
            headers: &headers,
            payload: vector.payload.as_bytes(),
            unsigned_payload: vector.unsigned_payload,
            service: &vector.service,
            timestamp: vector.timestamp,
        };
        let signed = sign(&parts, &vector.secret_id, &vector.secret_key).unwrap();
        let name = &vector.name;
        assert_eq!(signed.canonical_request, vector.canonical_request, "{name}");
        assert_eq!(signed.string_to_sign, vector.string_to_sign, "{name}");
        assert_eq!(signed.signature, vector.signature, "{name}");
        assert_eq!(signed.authorization, vector.authorization, "{name}");
    }
}

#[test]
fn every_vector_passes_the_door_and_no_changed_one_does() {
    for vector in vectors() {
        let now = Timestamp::from_second(vector.timestamp).unwrap();
        let accounts = [vector.account()];
        let check = |request: &HttpRequest| verify(request, &accounts, now).map_err(|error| error.code.into_owned());
        let verified = check(&vector.request()).expect(&vector.name);
        assert_eq!(verified.service, vector.service);
        let refused = Err("AuthFailure.SignatureFailure".to_owned());

        let mut body = vector.request();
        body.body.push(b' ');
        assert_eq!(check(&body).is_ok(), vector.unsigned_payload, "{}", vector.name);
        let mut query = vector.request();
        query.query.push('&');
        assert_eq!(check(&query), refused, "{}", vector.name);
        for name in ["Host", "Content-Type"] {
            let mut header = vector.request();
            let changed = header.headers.iter_mut().find(|(key, _)| key == name).unwrap();
            changed.1.push('0');
            assert_eq!(check(&header), refused, "{}", vector.name);
        }
    }
}
