//! The client over a transport that answers from a list: what is sent, how replies are read, and that no secret comes
//! back.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::tencent::autoscaling::{InternetAccessible, LoginSettings};
use crate::tencent::credentials::Credentials;
use crate::tencent::transport::TransportFailure;

const KEY: &str = "hush-hush-hush-hush";
const TOKEN: &str = "tell-nobody/AA+B==";
const PASSWORD: &str = "PAI@Test123";
const SCRIPT: &str = "#!/bin/sh\nexport PASSWORD=hunter2\nsystemctl start the-program\n";

type Answer = Result<HttpResponse, TransportFailure>;

/// Answers in order, then never again.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Transport for Arc<Script> {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Answer> {
        self.requests.lock().unwrap().push(request);
        match self.answers.lock().unwrap().pop_front() {
            Some(answer) => std::future::ready(answer).boxed(),
            None => std::future::pending().boxed(),
        }
    }
}

fn client(answers: impl IntoIterator<Item = Answer>) -> (Client, Arc<Script>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), ..Script::default() });
    let endpoints = Endpoints::new("tencentcloudapi.com", &["cvm=http://127.0.0.1:9000".into()], true).unwrap();
    (Client::new(Arc::new(Arc::clone(&script)), endpoints), script)
}

fn reply(status: u16, body: &str) -> HttpResponse {
    HttpResponse { status, date: Some(now()), body: Bytes::from(body.to_owned()) }
}

fn envelope(response: &Value) -> HttpResponse {
    reply(200, &json!({ "Response": response }).to_string())
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn account(token: Option<&str>) -> Account {
    Account {
        credentials: Credentials::new("AKIDx", KEY.into(), token.map(Into::into)).unwrap(),
        region: Region::parse("ap-guangzhou").unwrap(),
    }
}

fn order() -> CreatePaiInstance {
    CreatePaiInstance {
        domain_name: "apple.pai.tcloudbase.com".into(),
        internet_accessible: InternetAccessible::default(),
        init_script: Some(CreatePaiInstance::encode_script(SCRIPT)),
        zones: vec![],
        vpc_id: None,
        subnet_ids: vec![],
        instance_name: Some("PAI-TEST".into()),
        instance_types: vec![],
        login_settings: Some(LoginSettings { password: Some(PASSWORD.into()), ..LoginSettings::default() }),
        system_disk: None,
        instance_charge_type: None,
        instance_charge_prepaid: None,
    }
}

async fn create(answer: Answer) -> Result<Reply<CreatePaiInstanceReply>, CallError> {
    let (client, script) = client([answer]);
    let signed = client.prepare_create(&account(Some(TOKEN)), &order(), now()).unwrap();
    let result = client.send_create(signed).await;
    assert_eq!(script.requests.lock().unwrap().len(), 1);
    result
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let found = request.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| text.expose())
}

#[tokio::test]
async fn what_is_signed_is_what_is_sent() {
    let (client, script) = client([Ok(envelope(&json!({"InstanceIdSet": ["ins-1"]})))]);
    let late = now() + Duration::from_millis(900);
    let signed = client.prepare_create(&account(Some(TOKEN)), &order(), late).unwrap();
    assert_eq!(signed.signed_at(), now());
    assert!(script.requests.lock().unwrap().is_empty());
    client.send_create(signed).await.unwrap();

    let request = script.requests.lock().unwrap().remove(0);
    assert_eq!(request.url, "https://as.tencentcloudapi.com/");
    assert!(request.fresh_connection);
    assert_eq!(request.body, serde_json::to_string(&order()).unwrap());
    let expected = [
        ("Host", "as.tencentcloudapi.com"),
        ("Content-Type", "application/json"),
        ("X-TC-Action", "CreatePaiInstance"),
        ("X-TC-Version", "2018-04-19"),
        ("X-TC-Timestamp", "1700000000"),
        ("X-TC-Region", "ap-guangzhou"),
        ("X-TC-Language", "en-US"),
        ("X-TC-Token", TOKEN),
    ];
    for (name, value) in expected {
        assert_eq!(header(&request, name), Some(value), "{name}");
    }
    let parts = RequestParts {
        method: "POST",
        query: "",
        service: "as",
        headers: &[
            ("content-type", "application/json"),
            ("host", "as.tencentcloudapi.com"),
            ("x-tc-action", "CreatePaiInstance"),
        ],
        payload: Payload::Signed(&request.body),
    };
    let again = sign(&parts, &account(None).credentials, now());
    assert_eq!(header(&request, "Authorization"), Some(again.authorization.as_str()));
    assert!(again.authorization.contains("SignedHeaders=content-type;host;x-tc-action,"));
}

#[tokio::test]
async fn reads_share_connections_and_sign_a_host_with_its_port() {
    let (client, script) = client([Ok(envelope(&json!({"TotalCount": 0, "InstanceSet": []})))]);
    let asked = DescribeInstances::by_ids(vec![InstanceId::new("ins-1")]);
    client.describe_instances(&account(None), &asked, now()).await.unwrap();
    let request = script.requests.lock().unwrap().remove(0);
    assert_eq!(request.url, "http://127.0.0.1:9000/");
    assert!(!request.fresh_connection);
    assert_eq!(header(&request, "Host"), Some("127.0.0.1:9000"));
    assert_eq!(header(&request, "X-TC-Token"), None);
    assert_eq!(request.body, r#"{"InstanceIds":["ins-1"],"Limit":1}"#);
    let authorization = header(&request, "Authorization").unwrap();
    assert!(authorization.contains("/2023-11-14/cvm/tc3_request,"), "{authorization}");
}

#[tokio::test]
async fn a_termination_names_one_machine_on_a_connection_of_its_own() {
    let (client, script) = client([Ok(envelope(&json!({"RequestId": "r-1"})))]);
    let reply = client.terminate_instance(&account(None), &InstanceId::new("ins-1"), now()).await.unwrap();
    assert_eq!(reply.request_id.as_deref(), Some("r-1"));
    assert_eq!(reply.cloud_time, Some(now()));
    let request = script.requests.lock().unwrap().remove(0);
    assert!(request.fresh_connection);
    assert_eq!(request.body, r#"{"InstanceIds":["ins-1"]}"#);
}

#[tokio::test]
async fn secrets_that_the_cloud_echoes_come_from_no_call() {
    let encoded = CreatePaiInstance::encode_script(SCRIPT);
    let secrets =
        [KEY, TOKEN, PASSWORD, SCRIPT, encoded.expose_secret(), "export PASSWORD=hunter2", "hunter2\nsystemctl"];
    for secret in secrets {
        let echo = format!("before {secret} after");
        let error = json!({"Code": format!("InvalidParameter.{secret}"), "Message": echo});
        let answers = [
            Ok(envelope(&json!({"Error": error, "RequestId": echo}))),
            Ok(envelope(&json!({"InstanceIdSet": ["ins-1"], "RequestId": echo, "DeprecatedWarning": echo}))),
            Ok(reply(502, &json!({"Response": {"Error": error}}).to_string())),
            Ok(reply(200, &echo)),
            Err(TransportFailure { sent: Sent::Maybe, reason: echo.clone() }),
            Err(TransportFailure { sent: Sent::No, reason: echo.clone() }),
        ];
        for answer in answers {
            let result = create(answer).await;
            let mut shown = format!("{result:?}");
            if let Err(error) = &result {
                shown = format!("{shown} {error}");
            }
            let one_line = secret.replace('\n', "");
            for leaked in [secret, &one_line, "hunter2"] {
                assert!(!shown.contains(leaked), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn an_operation_error_is_cleaned() {
    let instance = json!({"InstanceId": "ins-1", "LatestOperationErrorMsg": format!("bad\n{KEY}")});
    let (client, _) = client([Ok(envelope(&json!({"TotalCount": 1, "InstanceSet": [instance]})))]);
    let reply = client.describe_instances(&account(None), &DescribeInstances::default(), now()).await.unwrap();
    let message = reply.value.instances.first().unwrap().latest_operation_error_msg.clone();
    assert_eq!(message.as_deref(), Some("bad[redacted]"));
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_never_answers_is_left() {
    let (client, _) = client([]);
    let signed = client.prepare_create(&account(None), &order(), now()).unwrap();
    let long = Duration::from_secs(600);
    let result = tokio::time::timeout(long, client.send_create(signed)).await.expect("it still waits");
    assert!(matches!(result, Err(CallError::NoAnswer { .. })), "{result:?}");
}

/// A ninth would wait as long as the eight before it.
#[tokio::test(start_paused = true)]
async fn where_nothing_is_answered_few_reads_wait() {
    let (client, script) = client([]);
    let ask = || {
        let (client, account) = (client.clone(), account(None));
        tokio::spawn(
            async move { client.describe_pai_instances(&account, &DescribePaiInstances::default(), now()).await },
        )
    };
    let waiting: Vec<_> = (0..8).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(1900)).await;
    script.answers.lock().unwrap().push_back(Ok(envelope(&json!({}))));
    ask().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(1900)).await;
    // The first of two would be let through in any case, to find out.
    for _ in 0..2 {
        script.answers.lock().unwrap().push_back(Ok(envelope(&json!({}))));
        ask().await.unwrap().expect("one was answered less than two seconds ago");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let trial = ask();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ninth = ask().await.unwrap();
    assert!(matches!(ninth, Err(CallError::NotSent { .. })), "{ninth:?}");
    assert!(client.urgent_turn(&account(None), Action::DescribePaiInstances).await.is_none());
    assert_eq!(script.requests.lock().unwrap().len(), 12);
    tokio::time::sleep(CALL_DEADLINE + 2 * GRACE).await;
    assert!(waiting.iter().all(tokio::task::JoinHandle::is_finished) && trial.is_finished(), "they gave up");
    let waiting: Vec<_> = (0..9).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _trial = ask();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ninth = ask().await.unwrap();
    assert!(matches!(ninth, Err(CallError::NoAnswer { .. })), "as those before it: {ninth:?}");
    tokio::time::sleep(CALL_DEADLINE + 2 * GRACE).await;
    assert!(waiting.iter().all(tokio::task::JoinHandle::is_finished), "they gave up");
    script.answers.lock().unwrap().push_back(Ok(envelope(&json!({}))));
    ask().await.unwrap().expect("it is asked again");
}

#[tokio::test(start_paused = true)]
async fn permits_and_terminations_do_not_wait_and_reads_do() {
    let empty = || Ok(envelope(&json!({"RequestId": "r-1"})));
    let (client, script) = client([empty(), empty(), empty()]);
    let account = account(None);
    assert!(client.create_permit(&account, Duration::ZERO).await.is_ok());
    assert!(client.create_permit(&account, Duration::ZERO).await.is_err());
    let id = InstanceId::new("ins-1");
    client.terminate_instance(&account, &id, now()).await.unwrap();
    let second = client.terminate_instance(&account, &id, now()).await;
    assert!(matches!(second, Err(CallError::RateLimited { .. })), "{second:?}");
    for _ in 0..2 {
        client.describe_pai_instances(&account, &DescribePaiInstances::default(), now()).await.unwrap();
    }
    assert_eq!(script.requests.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn after_too_many_calls_the_next_waits_and_signs_for_its_own_time() {
    let limited =
        envelope(&json!({"Error": {"Code": "RequestLimitExceeded.UinLimitExceeded", "Message": "slow down"}}));
    let (client, script) = client([Ok(limited), Ok(envelope(&json!({})))]);
    let account = account(None);
    let ask = DescribePaiInstances::default();
    assert!(client.describe_pai_instances(&account, &ask, now()).await.is_err());
    client.describe_pai_instances(&account, &ask, now()).await.unwrap();
    let requests = script.requests.lock().unwrap();
    assert_eq!(header(&requests[0], "X-TC-Timestamp"), Some("1700000000"));
    assert_eq!(header(&requests[1], "X-TC-Timestamp"), Some("1700000001"));
}

#[test]
fn a_request_that_the_cloud_cannot_take_is_not_signed() {
    let (client, _) = client([]);
    let mut order = order();
    order.zones = vec!["z".repeat(MAX_BODY_BYTES)];
    let refused = client.prepare_create(&account(None), &order, now()).err();
    assert!(matches!(refused, Some(PrepareError::TooLarge { .. })), "{refused:?}");
}
