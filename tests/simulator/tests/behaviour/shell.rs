//! The HTTP shell with a raw TCP client: what really arrives for each delivery. The waits here are upper bounds
//! against a hang, never expectations.

use crate::client::{Client, account, minimal};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tencentcloud_simulator::{Config, Effect, HttpRequest, Rule, Server, ServerHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(30);

async fn start() -> ServerHandle {
    Server::start(Config::default().account(account())).await.unwrap()
}

/// Everything the server sends before it closes the connection.
async fn exchange(server: &ServerHandle, request: &HttpRequest) -> String {
    exchange_with(server.address(), request).await
}

/// The same with a server of which only the address is known.
pub async fn exchange_with(address: SocketAddr, request: &HttpRequest) -> String {
    let query = match request.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let headers: String = request.headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let text = format!(
        "{} {}{query} HTTP/1.1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        request.method,
        request.path,
        request.body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(&request.body).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut may also end in a reset; what came before it counts.
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
    String::from_utf8(answer).unwrap()
}

async fn create(server: &ServerHandle) -> String {
    let request = Client::default().post("CreatePaiInstance", &minimal("a.test"), Timestamp::now());
    exchange(server, &request).await
}

fn spoil(server: &ServerHandle, effect: &Value) {
    let effect: Effect = serde_json::from_value(effect.clone()).unwrap();
    let rule = Rule { action: "*".to_owned(), after: 0, times: 1, effect };
    server.cloud().add_fault(rule);
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("an answer with a head").1
}

fn length(answer: &str) -> usize {
    let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.expect("a length").parse().unwrap()
}

fn billed(server: &ServerHandle) -> usize {
    server.cloud().instances().count()
}

#[tokio::test]
async fn a_plain_answer_arrives_whole_with_a_date() {
    let server = start().await;
    let answer = create(&server).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(answer.to_lowercase().matches("\r\ndate: ").count(), 1);
    let envelope: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(envelope["Response"]["InstanceIdSet"].as_array().unwrap().len(), 1);
    server.shutdown().await;
}

#[tokio::test]
async fn a_get_passes_with_its_query_as_sent() {
    let server = start().await;
    let query = "Filters.0.Name=instance-name&Filters.0.Values.0=%E6%94%AF+x%2f";
    let request = Client::default().get("DescribeInstances", query, Timestamp::now());
    let answer = exchange(&server, &request).await;
    assert!(body(&answer).contains("\"TotalCount\":0"), "{answer}");
}

#[tokio::test]
async fn a_dropped_connection_carries_no_byte() {
    for (effect, expected) in [
        (json!({"kind": "drop", "commit": true}), 1),
        (json!({"kind": "drop", "commit": false}), 0),
        (json!({"kind": "late", "seconds": 60}), 0),
        (json!({"kind": "stall", "seconds": 0.05, "commit": false}), 0),
    ] {
        let server = start().await;
        spoil(&server, &effect);
        assert_eq!(create(&server).await, "", "{effect}");
        assert_eq!(billed(&server), expected, "{effect}");
    }
}

#[tokio::test]
async fn a_stalled_answer_is_committed_before_it_waits() {
    let server = start().await;
    spoil(&server, &json!({"kind": "stall", "seconds": 3600, "commit": true}));
    let handled = async {
        while server.cloud().calls(0).next().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = create(&server) => panic!("not stalled: {answer}"),
        handled = timeout(LONG, handled) => handled.expect("the call is handled"),
    }
    assert_eq!(billed(&server), 1);
    server.cloud().reset();
    spoil(&server, &json!({"kind": "stall", "seconds": 0.05}));
    assert!(create(&server).await.contains("InstanceIdSet"));
}

#[tokio::test]
async fn a_cut_answer_announces_more_than_it_brings() {
    let server = start().await;
    spoil(&server, &json!({"kind": "truncate", "commit": true}));
    let answer = create(&server).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!body(&answer).is_empty());
    assert_eq!(body(&answer).len(), length(&answer) / 2);
    assert_eq!(billed(&server), 1);
}

#[tokio::test]
async fn a_dripping_answer_comes_in_pieces_and_whole() {
    let server = start().await;
    spoil(&server, &json!({"kind": "drip", "seconds": 0.5}));
    let answer = create(&server).await;
    assert_eq!(body(&answer).len(), length(&answer));
    assert!(body(&answer).contains("InstanceIdSet"));
}

#[tokio::test]
async fn a_gateway_answers_with_its_status() {
    let server = start().await;
    spoil(&server, &json!({"kind": "status", "status": 502, "body": "<html>", "commit": true}));
    let answer = create(&server).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(body(&answer), "<html>");
}

#[tokio::test]
async fn latency_delays_every_answer_and_changes_none() {
    let config = Config { latency: Duration::from_millis(20), ..Config::default().account(account()) };
    let server = Server::start(config).await.unwrap();
    assert!(create(&server).await.contains("InstanceIdSet"));
}

#[tokio::test]
async fn a_clock_that_is_off_shows_in_the_date_and_in_the_check() {
    let config = Config { clock_offset: SignedDuration::from_mins(10), ..Config::default().account(account()) };
    let server = Server::start(config).await.unwrap();
    let refused = create(&server).await;
    assert!(refused.contains("AuthFailure.SignatureExpire"), "{refused}");
    let later = Timestamp::now() + SignedDuration::from_mins(10);
    let request = Client::default().post("CreatePaiInstance", &minimal("a.test"), later);
    assert!(exchange(&server, &request).await.contains("InstanceIdSet"));
}

#[tokio::test]
async fn the_pages_are_served_to_local_callers() {
    let server = start().await;
    create(&server).await;
    let page = |method: &str, path: &str, body: Value| HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: vec![("Host".to_owned(), "x".to_owned())],
        body: body.to_string().into_bytes(),
        ..HttpRequest::default()
    };
    let rule = json!({"action": "*", "effect": {"kind": "drop"}});
    let added = exchange(&server, &page("POST", "/_simulator/faults", rule)).await;
    assert!(added.starts_with("HTTP/1.1 200 OK\r\n"), "{added}");
    assert_eq!(create(&server).await, "");
    let state = exchange(&server, &page("GET", "/_simulator/state", Value::Null)).await;
    let state: Value = serde_json::from_str(body(&state)).unwrap();
    assert_eq!(state["calls"], json!({"CreatePaiInstance": {"ok": 1, "drop": 1}}));
    assert!(exchange(&server, &page("GET", "/elsewhere", Value::Null)).await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_shut_down_server_answers_nobody() {
    let server = start().await;
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    server.shutdown().await;
    let mut rest = Vec::new();
    let _ = timeout(LONG, idle.read_to_end(&mut rest)).await.expect("the connection is closed");
    assert!(rest.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
}
