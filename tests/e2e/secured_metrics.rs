//! Metrics by TLS, for those alone whom the API server lets get them, with the rights of the chart and by the API server's own answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pai_harness::{Operator, Options, Stack, wait_until};
use reqwest::{Certificate, Client, StatusCode};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn stack() -> Stack {
    Stack::start(Options {
        audited: true,
        start_operator: false,
        operator_args: vec!["--log-level=trace".to_owned()],
        helm_values: json!({
            "leaderElection": {"leaseDurationSeconds": 60}, "metrics": {"secure": {"enabled": true, "certSecret": "metrics-tls"}},
        }),
        ..Options::default()
    })
    .unwrap()
}

/// The operator of the Deployment with its certificate in this folder, where no kubelet mounts it.
fn operator(stack: &Stack, folder: &Path) -> Operator {
    let operator = stack.another_operator("secured").unwrap();
    operator.with_args(&[&format!("--metrics-cert-dir={}", folder.display())])
}

/// What the mounted Secret would hold. The certificate of the API server will do: it is for 127.0.0.1, and made anew for each stack.
fn certificates(stack: &Stack) -> PathBuf {
    let (from, to) = (stack.control_plane().folder().join("certs"), stack.control_plane().folder().join("metrics-tls"));
    fs::create_dir_all(&to).unwrap();
    for (source, name) in [("apiserver.crt", "tls.crt"), ("apiserver.key", "tls.key")] {
        fs::copy(from.join(source), to.join(name)).unwrap();
    }
    to
}

/// Somebody with a way to the metrics.
struct Scraper {
    runtime: Runtime,
    client: Client,
    port: u16,
}

impl Scraper {
    fn new(operator: &Operator, folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = Certificate::from_pem_bundle(&fs::read(folder.join("tls.crt")).unwrap()).unwrap();
        let client = Client::builder().tls_certs_only(trusted).timeout(Duration::from_secs(20)).build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, client, port: operator.metrics_port() }
    }

    fn get(&self, authorization: Option<&str>) -> (StatusCode, String) {
        let mut request = self.client.get(format!("https://127.0.0.1:{}/metrics", self.port));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        })
    }
}

#[test]
fn only_who_may_get_the_metrics_gets_them() {
    let stack = stack();
    let folder = certificates(&stack);
    let operator = operator(&stack, &folder);
    operator.start().unwrap();
    operator.wait_ready().unwrap();
    let scraper = Scraper::new(&operator, &folder);
    let token = |account: &str| {
        stack.kubectl(&["create", "serviceaccount", account]).ok().unwrap();
        stack.kubectl(&["create", "token", account]).ok().unwrap().trim().to_owned()
    };
    let (prometheus, stranger) = (token("prometheus"), token("stranger"));
    let role = "--clusterrole=pai-operator-metrics-reader";
    stack
        .kubectl(&["create", "clusterrolebinding", "scrape", role, "--serviceaccount=default:prometheus"])
        .ok()
        .unwrap();

    // Twice each: the second answer needs no question.
    for _ in 0..2 {
        let (status, page) = scraper.get(Some(&format!("Bearer {prometheus}")));
        assert_eq!(status, StatusCode::OK, "{page}");
        assert!(page.contains("pai_operator_leader 1"), "{page}");
        let (status, said) = scraper.get(Some(&format!("Bearer {stranger}")));
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(said.contains("system:serviceaccount:default:stranger may not get /metrics"), "{said}");
    }
    for wrong in [None, Some("Bearer guessed"), Some("Basic cHJvbTpwcm9t"), Some("Bearer ")] {
        let (status, said) = scraper.get(wrong);
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong:?}: {said}");
        assert!(!said.contains("pai_operator_"), "{wrong:?}: {said}");
    }
    assert!(operator.metrics().is_err(), "nothing is said in plain HTTP");
    assert!(operator.log().contains("subjectaccessreviews"), "the log tells of the calls");
    for token in [&prometheus, &stranger] {
        assert!(!operator.log().contains(token.as_str()), "a token of somebody else stands in the log");
    }
    only_reviews_are_asked_for(&stack);
}

/// The rights that the mode adds are used, each answer more than once, and nothing is denied.
fn only_reviews_are_asked_for(stack: &Stack) {
    let user = stack.operator_user().unwrap();
    let log = stack.control_plane().audit_log().unwrap();
    let ours: Vec<&Value> = log.iter().filter(|event| event["user"]["username"] == json!(user)).collect();
    let count = |resource: &str| ours.iter().filter(|event| event["objectRef"]["resource"] == resource).count();
    // Two accounts and one guess; who shows no token is not asked about.
    assert_eq!((count("tokenreviews"), count("subjectaccessreviews")), (3, 2));
    assert!(ours.iter().all(|event| event["responseStatus"]["code"] != 403), "{ours:?}");
}

#[test]
fn a_folder_without_a_certificate_is_told_at_the_start() {
    let stack = Stack::start(Options { start_operator: false, shared: true, ..Options::default() }).unwrap();
    let empty = stack.control_plane().folder().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let operator = operator(&stack, &empty);
    operator.start().unwrap();
    let ended = || operator.exited().ok_or_else(|| "it runs".to_owned());
    wait_until("the operator to end", Duration::from_mins(1), || ended().map(drop)).unwrap();
    let told = operator.log();
    assert!(told.contains("--metrics-cert-dir") && told.contains("tls.crt cannot be read"), "{told}");
}
