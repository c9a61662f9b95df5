//! A cap on the number of machines by the API server's own means, as `docs/spending.md` shows it. Needs the server, on which nobody
//! counts: the controller that does is played by the test, which says once what the namespace has.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pai_harness::wait_until;
use serde_json::json;

use crate::server::Server;

const NAMESPACE: &str = "--namespace=capped";
const COUNT: &str = "count/paiinstances.pai.tencentcloud.io";

#[test]
fn a_quota_on_the_count_refuses_the_object_beyond_it() {
    let server = Server::connect();
    let plane = server.plane();
    plane.kubectl(&["create", "namespace", "capped"]).ok().unwrap();
    plane.kubectl(&["create", "quota", "pai-machines", &format!("--hard={COUNT}=2"), NAMESPACE]).ok().unwrap();
    let counted = json!({"status": {"hard": {COUNT: "2"}, "used": {COUNT: "0"}}}).to_string();
    let patch = ["patch", "quota", "pai-machines", NAMESPACE, "--subresource=status", "--type=merge", "-p", &counted];
    plane.kubectl(&patch).ok().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples");
    let create = |sample: &str| {
        let text = fs::read_to_string(samples.join(sample)).unwrap();
        plane.kubectl_with_input(&["create", NAMESPACE, "-f", "-"], &text)
    };
    // The API server takes the count into its own view after a moment.
    wait_until("the first object", Duration::from_mins(1), || {
        let first = create("hourly.yaml");
        if first.code == 0 { Ok(()) } else { Err(first.stderr) }
    })
    .unwrap();
    create("retain.yaml").ok().unwrap();
    let third = create("spot.yaml");
    assert_ne!(third.code, 0, "{}", third.stdout);
    let said = format!("exceeded quota: pai-machines, requested: {COUNT}=1, used: {COUNT}=2, limited: {COUNT}=2");
    assert!(third.stderr.contains(&said), "{}", third.stderr);
}
