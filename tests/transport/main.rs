//! The production transport against raw sockets: what certainly did not leave, what may have left, and that a create is
//! one connection and one request whatever the other side does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use pai_operator::tencent::reqwest_transport::MAX_REPLY_BYTES;
use pai_operator::tencent::{
    Account, CallError, Client, CreatePaiInstance, CreateVerdict, Credentials, Endpoints, HeaderText, HttpRequest,
    HttpResponse, InstanceId, InternetAccessible, Region, ReqwestTransport, Sent, Transport, TransportFailure,
    TransportOptions, create_verdict,
};
use tokio::net::{TcpSocket, TcpStream};

use server::{Manner, Server, answer};

/// Long enough for a busy machine: reached only where the other side never answers.
const PATIENCE: Duration = Duration::from_mins(1);
/// For tests in which the deadline is what is tested. Long enough for a busy machine to connect within it.
const IMPATIENCE: Duration = Duration::from_secs(3);

const GOOD: &str = r#"{"Response":{"InstanceIdSet":["ins-1"],"RequestId":"r-1"}}"#;

fn transport(allow_insecure: bool, connect_timeout: Duration) -> ReqwestTransport {
    ReqwestTransport::new(&TransportOptions { allow_insecure, connect_timeout }).unwrap()
}

fn request(url: String, fresh_connection: bool, deadline: Duration) -> HttpRequest {
    HttpRequest {
        url,
        headers: vec![
            ("Content-Type", HeaderText::Plain("application/json".into())),
            ("Authorization", HeaderText::Sensitive("TC3-HMAC-SHA256 hush-hush".into())),
        ],
        body: Bytes::from_static(br#"{"Password":"PAI@Test123"}"#),
        fresh_connection,
        deadline,
    }
}

async fn send(url: String) -> Result<HttpResponse, TransportFailure> {
    transport(true, PATIENCE).send(request(url, true, PATIENCE)).await
}

fn assert_failure(name: &str, result: Result<HttpResponse, TransportFailure>, sent: Sent) {
    let failure = result.expect_err(name);
    assert_eq!(failure.sent, sent, "{name}: {}", failure.reason);
    for secret in ["hush", "PAI@Test123"] {
        assert!(!failure.reason.contains(secret), "{name}: {}", failure.reason);
    }
}

/// A port that refuses connections: bound, so that nobody else gets it, and never listened on.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let (_reserved, refusing) = refusing();
    assert_failure("refused", send(format!("http://{refusing}/")).await, Sent::No);
    assert_failure("no such name", send("http://no-such-host.invalid/".into()).await, Sent::No);
    assert_failure("not a URL", send("http://".into()).await, Sent::No);
}

#[tokio::test]
async fn without_tls_nothing_was_sent() {
    let rows = [
        ("closed", Manner::CloseAtOnce),
        ("reset", Manner::Reset),
        ("not TLS", Manner::Greet(answer("400 Bad Request", "", "no TLS here"))),
        // Never answers the greeting: ended by the time-out for connecting, not by the deadline of the call.
        ("silent", Manner::Silence),
    ];
    for (name, manner) in rows {
        let server = Server::start(manner).await;
        let secure = transport(false, IMPATIENCE);
        let url = format!("https://{}/", server.address);
        assert_failure(name, secure.send(request(url, true, PATIENCE)).await, Sent::No);
        assert_eq!(server.requests(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_black_hole_got_nothing() {
    // A socket that listens and never accepts: once its queue is full, further attempts get no answer at all.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let hole = socket.listen(1).unwrap();
    let address = hole.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = tokio::time::timeout(IMPATIENCE, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 1000, "the queue of a listening socket never fills here");
    }
    let impatient = transport(true, IMPATIENCE);
    let result = impatient.send(request(format!("http://{address}/"), true, PATIENCE)).await;
    assert_failure("black hole", result, Sent::No);
}

#[tokio::test]
async fn plain_http_is_not_spoken_unless_allowed() {
    let server = Server::start(Manner::Say(answer("200 OK", "", GOOD))).await;
    let secure = transport(false, PATIENCE);
    assert_failure("plain", secure.send(request(server.url(), true, PATIENCE)).await, Sent::No);
    assert_eq!(server.connections().await, 0);
}

/// Every way of failing after the connection stands: with the deadline that ends it.
fn failures_after_connecting() -> Vec<(&'static str, Manner, Duration)> {
    let cut = |headers: &str| {
        let mut bytes = answer("200 OK", headers, GOOD);
        bytes.truncate(bytes.len() - 5);
        bytes
    };
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").into_bytes();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let huge = format!("Content-Length: {}", MAX_REPLY_BYTES * 1000);
    vec![
        ("closed at once", Manner::CloseAtOnce, PATIENCE),
        ("reset", Manner::Reset, PATIENCE),
        ("closed after the request", Manner::CloseAfterRequest, PATIENCE),
        ("silent", Manner::Silence, IMPATIENCE),
        ("cut body", Manner::Say(cut("")), PATIENCE),
        ("cut head", Manner::Say(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()), PATIENCE),
        (
            "cut chunks",
            Manner::Say([head("Transfer-Encoding: chunked"), b"5\r\n{\"Res\r\n".to_vec()].concat()),
            PATIENCE,
        ),
        ("not HTTP", Manner::Say(b"220 mail.example ESMTP\r\n".to_vec()), PATIENCE),
        ("endless chunks", Manner::SayForEver(head("Transfer-Encoding: chunked"), chunk), PATIENCE),
        ("endless body", Manner::SayForEver(head(&huge), vec![b' '; 0x10000]), PATIENCE),
        ("endless head", Manner::SayForEver(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-A: b\r\n".to_vec()), PATIENCE),
    ]
}

#[tokio::test]
async fn after_connecting_a_failure_may_have_sent_something_once() {
    for (name, manner, deadline) in failures_after_connecting() {
        for fresh in [true, false] {
            let server = Server::start(manner.clone()).await;
            let result = transport(true, PATIENCE).send(request(server.url(), fresh, deadline)).await;
            assert_failure(name, result, Sent::Maybe);
            assert_eq!(server.connections().await, 1, "{name}");
            assert!(server.requests() <= 1, "{name}");
        }
    }
}

#[tokio::test]
async fn answers_come_back_as_they_are() {
    let elsewhere = Server::start(Manner::Say(answer("200 OK", "", GOOD))).await;
    let location = format!("Location: {}\r\n", elsewhere.url());
    let dated = "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
    let rows = [
        ("200 OK", dated, GOOD, Some(1_700_000_000)),
        ("200 OK", "", "", None),
        ("200 OK", "Date: soon\r\n", "<html>", None),
        ("502 Bad Gateway", "", "<html>", None),
        ("301 Moved Permanently", &location, "", None),
        ("307 Temporary Redirect", &location, "", None),
        ("308 Permanent Redirect", &location, "", None),
        ("408 Request Timeout", "", "", None),
        ("503 Service Unavailable", "Retry-After: 0\r\n", "", None),
    ];
    for (status, headers, body, date) in rows {
        let server = Server::start(Manner::Say(answer(status, headers, body))).await;
        let response = send(server.url()).await.unwrap();
        assert!(status.starts_with(&response.status.to_string()), "{status}");
        assert_eq!(response.body, body, "{status}");
        assert_eq!(response.date.map(Timestamp::as_second), date, "{status}");
        assert_eq!((server.connections().await, server.requests()), (1, 1), "{status}");
    }
    assert_eq!(elsewhere.connections().await, 0);
}

#[tokio::test]
async fn a_create_never_uses_a_connection_of_the_pool() {
    let server = Server::start(Manner::KeepAlive(answer("200 OK", "", GOOD))).await;
    let transport = transport(true, PATIENCE);
    // Read, read: one connection. Create, create: one more each, though the first stands open.
    for (fresh, connections) in [(false, 1), (false, 1), (true, 2), (true, 3)] {
        transport.send(request(server.url(), fresh, PATIENCE)).await.unwrap();
        assert_eq!(server.connections().await, connections);
    }
    assert_eq!(server.requests(), 4);
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    // The environment is read when a client is built, so that the test runs once more in a process of its own.
    let nobody = "http://127.0.0.1:1";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "answers_come_back_as_they_are"])
        .envs([("HTTP_PROXY", nobody), ("http_proxy", nobody), ("HTTPS_PROXY", nobody), ("ALL_PROXY", nobody)])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
}

fn account() -> Account {
    Account {
        credentials: Credentials::new("AKIDx", "hush-hush".into(), None).unwrap(),
        region: Region::parse("ap-guangzhou").unwrap(),
    }
}

fn order() -> CreatePaiInstance {
    CreatePaiInstance {
        domain_name: "apple.pai.tcloudbase.com".into(),
        internet_accessible: InternetAccessible::default(),
        init_script: None,
        zones: vec![],
        vpc_id: None,
        subnet_ids: vec![],
        instance_name: Some("PAI-TEST".into()),
        instance_types: vec![],
        login_settings: None,
        system_disk: None,
        instance_charge_type: Some("POSTPAID_BY_HOUR".into()),
        instance_charge_prepaid: None,
    }
}

/// The whole way of a create over a socket: what the server does, and what is concluded about the money.
#[tokio::test]
async fn a_create_over_the_wire_is_judged_right() {
    let created = CreateVerdict::Created { ids: vec![InstanceId::new("ins-1")] };
    let mut rows = vec![
        ("created", Manner::Say(answer("200 OK", "", GOOD)), created),
        ("bad gateway", Manner::Say(answer("502 Bad Gateway", "", "<html>")), CreateVerdict::Unknown),
        ("not JSON", Manner::Say(answer("200 OK", "", "<html>")), CreateVerdict::Unknown),
        ("empty", Manner::Say(answer("200 OK", "", "")), CreateVerdict::Unknown),
    ];
    for (name, manner, deadline) in failures_after_connecting() {
        if deadline == PATIENCE {
            rows.push((name, manner, CreateVerdict::Unknown));
        }
    }
    for (name, manner, verdict) in rows {
        let server = Server::start(manner).await;
        let endpoint = format!("as={}", server.url());
        let endpoints = Endpoints::new("tencentcloudapi.com", &[endpoint], true).unwrap();
        let client = Client::new(Arc::new(transport(true, PATIENCE)), endpoints);
        let signed = client.prepare_create(&account(), &order(), Timestamp::UNIX_EPOCH).unwrap();
        let result = client.send_create(signed).await;
        assert_eq!(create_verdict(&result), verdict, "{name}: {result:?}");
        assert_eq!(server.connections().await, 1, "{name}");
        assert!(server.requests() <= 1, "{name}");
    }
}

#[tokio::test]
async fn a_create_that_cannot_connect_was_not_sent() {
    let (_reserved, refusing) = refusing();
    let endpoint = format!("as=http://{refusing}");
    let endpoints = Endpoints::new("tencentcloudapi.com", &[endpoint], true).unwrap();
    let client = Client::new(Arc::new(transport(true, PATIENCE)), endpoints);
    let signed = client.prepare_create(&account(), &order(), Timestamp::UNIX_EPOCH).unwrap();
    let result = client.send_create(signed).await;
    assert!(matches!(result, Err(CallError::NotSent { .. })), "{result:?}");
    assert_eq!(create_verdict(&result), CreateVerdict::NotSent);
}
