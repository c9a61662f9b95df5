//! The creation and deletion protocol on real parts: what a fault leaves behind, and what is never done twice.

use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, condition, text};

impl Scene {
    fn machines(&self) -> Vec<Value> {
        self.stack.simulator().instances().unwrap()
    }

    /// Passes that the operator has ended, however.
    fn passes(&self) -> f64 {
        let page = self.stack.operator().metrics().unwrap();
        let counts = page.lines().filter(|line| line.starts_with("pai_operator_reconcile_total{"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    fn calls_of(&self, action: &str) -> Vec<Value> {
        let mut calls = self.stack.simulator().calls().unwrap();
        calls.retain(|call| call["action"] == action);
        calls
    }

    fn fault_once(&self, action: &str, effect: &Value) {
        self.stack.simulator().add_fault(&json!({"action": action, "after": 0, "times": 1, "effect": effect})).unwrap();
    }
}

fn unnamed(spec: &mut Value) {
    spec.as_object_mut().unwrap().remove("instanceName");
}

#[test]
fn a_lost_answer_is_settled_by_looking_not_by_calling_again() {
    let scene = Scene::start(&[]);
    let effects = [
        json!({"kind": "drop", "commit": true}),
        json!({"kind": "truncate", "commit": true}),
        json!({"kind": "status", "status": 502, "body": "<html>bad gateway</html>", "commit": true}),
        json!({"kind": "error", "code": "InternalError.CallCnsError", "message": "the DNS step failed", "commit": true}),
        json!({"kind": "error", "code": "SomethingNobodyListed", "message": "?", "commit": true}),
    ];
    for (round, effect) in effects.iter().enumerate() {
        scene.fault_once("CreatePaiInstance", effect);
        let name = format!("lost{round}");
        scene.instance(&name, |spec| {
            if round % 2 == 0 {
                unnamed(spec);
            }
        });
        scene.wait_ready(&name);
        assert_eq!(scene.creates().len(), round + 1, "{effect}");
        assert_eq!(scene.machines().len(), round + 1, "{effect}");
    }
}

#[test]
fn a_wiped_status_finds_its_machine_again() {
    let scene = Scene::start(&[]);
    scene.instance("wiped", unnamed);
    scene.wait_ready("wiped");
    let ids = scene.object("wiped")["status"]["instanceIds"].clone();
    scene.kubectl(&["patch", "pai", "wiped", "--subresource=status", "--type=merge", "-p", r#"{"status": null}"#]);
    scene.look_again("wiped");
    scene.wait_ready("wiped");
    assert_eq!(scene.object("wiped")["status"]["instanceIds"], ids);
    assert_eq!((scene.creates().len(), scene.machines().len()), (1, 1));
}

#[test]
fn two_objects_with_one_domain_buy_one_machine() {
    let scene = Scene::start(&["--domain-policy=shared"]);
    let same = |spec: &mut Value| {
        unnamed(spec);
        spec["domainName"] = json!("same.pai.tcloudbase.com");
    };
    scene.instance("first", same);
    // Of two that were made within one second the one with the smaller UID would be first.
    scene.until("the create of the first", || {
        let object = scene.object("first");
        if object["status"]["createAttempt"].is_null() { Err(object["status"].to_string()) } else { Ok(()) }
    });
    scene.instance("second", same);
    scene.wait_ready("first");
    let ready = scene.wait_reason("second", "DomainConflict");
    assert!(text(&ready["message"]).contains("/first has the same domain"), "{ready}");
    assert_eq!(scene.creates().len(), 1);
    scene.delete("first");
    scene.look_again("second");
    scene.wait_ready("second");
    assert_eq!(scene.machines().len(), 1);
}

#[test]
fn a_domain_that_somebody_else_has_is_left_alone() {
    let scene = Scene::start(&["--domain-policy=shared"]);
    scene.instance("owner", |spec| spec["deletionPolicy"] = json!("Retain"));
    scene.wait_ready("owner");
    scene.delete("owner");
    assert_eq!(scene.machines().len(), 1, "Retain leaves it running");
    assert!(scene.calls_of("TerminateInstances").is_empty());
    let told = scene.wait_event("owner", "Retained");
    assert!(told.note.contains("still billed"), "{told:?}");

    scene.instance("stranger", |spec| spec["domainName"] = json!("owner-gz012345.pai.tcloudbase.com"));
    let ready = scene.wait_reason("stranger", "DomainTaken");
    assert!(text(&ready["message"]).contains(&text(&scene.machines()[0]["InstanceId"])), "{ready}");
    scene.delete("stranger");
    assert_eq!((scene.creates().len(), scene.machines().len()), (1, 1), "neither bought nor terminated");
}

#[test]
fn a_cloud_without_the_pai_listing_is_enough() {
    let scene = Scene::start(&[]);
    let gone = json!({"kind": "error", "code": "ActionOffline", "message": "taken out of service", "commit": false});
    scene
        .stack
        .simulator()
        .add_fault(&json!({"action": "DescribePaiInstances", "after": 0, "times": 1000, "effect": gone}))
        .unwrap();
    scene.fault_once("CreatePaiInstance", &json!({"kind": "drop", "commit": true}));
    scene.instance("machine-only", unnamed);
    scene.wait_ready("machine-only");
    assert_eq!((scene.creates().len(), scene.machines().len()), (1, 1));
}

#[test]
fn a_listing_that_proves_nothing_buys_nothing() {
    let scene = Scene::start(&[]);
    scene.instance("present", unnamed);
    scene.wait_ready("present");
    let broken = json!({"kind": "error", "code": "InternalError", "message": "down", "commit": false});
    scene
        .stack
        .simulator()
        .add_fault(&json!({"action": "DescribePaiInstances", "after": 0, "times": 1000, "effect": broken}))
        .unwrap();
    scene.instance("waits", unnamed);
    let ready = scene.wait_reason("waits", "CloudUnavailable");
    assert!(text(&ready["message"]).contains("Nothing was bought"), "{ready}");
    assert_eq!(scene.creates().len(), 1);
    scene.stack.simulator().clear_faults().unwrap();
    scene.look_again("waits");
    scene.wait_ready("waits");
}

#[test]
fn a_prepaid_machine_is_returned_with_one_call() {
    let scene = Scene::start(&[]);
    scene.instance("monthly", |spec| {
        spec["instanceChargeType"] = json!("PREPAID");
        spec["instanceChargePrepaid"] = json!({"period": 1});
    });
    scene.wait_ready("monthly");
    // The answer to the one call is lost: it is not asked again, but looked at.
    scene.fault_once("TerminateInstances", &json!({"kind": "drop", "commit": true}));
    scene.delete("monthly");
    assert_eq!(scene.calls_of("TerminateInstances").len(), 1);
    assert_eq!(scene.machines()[0]["InstanceState"], "SHUTDOWN", "in the recycle bin, not destroyed");
    let told = scene.wait_event("monthly", "Recycled");
    assert!(told.note.contains("recycle bin"), "{told:?}");
}

#[test]
fn a_refused_return_is_told_and_tried_again_when_asked() {
    let scene = Scene::start(&[]);
    scene.instance("kept", |spec| {
        spec["instanceChargeType"] = json!("PREPAID");
        spec["instanceChargePrepaid"] = json!({"period": 1});
    });
    scene.wait_ready("kept");
    let refusal = json!({"kind": "error", "code": "FailedOperation.Unreturnable", "message": "not within the refund rules", "commit": false});
    scene.fault_once("TerminateInstances", &refusal);
    scene.kubectl(&["delete", "pai", "kept", "--wait=false"]);
    let ready = scene.wait_reason("kept", "NotReturnable");
    assert!(text(&ready["message"]).contains("still billed") && text(&ready["message"]).contains("Retain"), "{ready}");
    let object = scene.object("kept");
    assert_eq!(condition(&object, "Stalled").unwrap()["status"], "True");
    assert_eq!(
        object["status"]["instances"][0]["terminateSentAt"],
        Value::Null,
        "a definite refusal closes the one call"
    );
    // Whatever else happens to the object, the refusal is not repeated by itself.
    for round in 1..=3 {
        let before = scene.passes();
        scene.kubectl(&["annotate", "pai", "kept", &format!("example.com/round=r{round}"), "--overwrite"]);
        scene.until("a pass over the changed object", || {
            if scene.passes() > before { Ok(()) } else { Err(format!("{before} passes")) }
        });
    }
    scene.wait_reason("kept", "NotReturnable");
    assert_eq!(scene.calls_of("TerminateInstances").len(), 1);
    scene.look_again("kept");
    scene.wait_gone("kept");
    assert_eq!(scene.calls_of("TerminateInstances").len(), 2);
    assert_eq!(scene.machines()[0]["InstanceState"], "SHUTDOWN");
}

#[test]
fn a_deletion_outlives_its_secret() {
    let scene = Scene::start(&[]);
    scene.instance("orphan", unnamed);
    scene.wait_ready("orphan");
    scene.kubectl(&["delete", "secret", "tencentcloud-credentials"]);
    scene.delete("orphan");
    assert!(scene.machines().is_empty());
    // After a restart nobody knows the credentials: the deletion waits, and its message holds the way out.
    let account = pai_harness::Account::default();
    scene.secret("tencentcloud-credentials", &[("secretId", &account.id), ("secretKey", &account.key)]);
    scene.instance("stranded", unnamed);
    scene.wait_ready("stranded");
    scene.assert_metrics_hide();
    scene.stack.operator().terminate().unwrap();
    scene.kubectl(&["delete", "secret", "tencentcloud-credentials"]);
    scene.stack.operator().start().unwrap();
    scene.stack.operator().wait_ready().unwrap();
    scene.kubectl(&["delete", "pai", "stranded", "--wait=false"]);
    let ready = scene.wait_reason("stranded", "CredentialsNotFound");
    let message = text(&ready["message"]);
    let command = format!("kubectl patch pai stranded -n {}", scene.stack.namespace());
    assert!(message.contains(&command), "{message}");
    scene.patch_spec("stranded", &json!({"deletionPolicy": "Retain"}));
    scene.wait_gone("stranded");
    assert_eq!(scene.machines().len(), 1, "left running, as the person said");
}

#[test]
fn a_protected_machine_and_a_paused_object_keep_their_finalizer() {
    let scene = Scene::start(&[]);
    scene.instance("guarded", unnamed);
    scene.wait_ready("guarded");
    let id = text(&scene.machines()[0]["InstanceId"]);
    scene.kubectl(&["annotate", "pai", "guarded", "pai.tencentcloud.io/paused=true"]);
    scene.kubectl(&["delete", "pai", "guarded", "--wait=false"]);
    let ready = scene.wait_reason("guarded", "Deleting");
    assert!(text(&ready["message"]).contains("paused"), "{ready}");
    assert_eq!(condition(&scene.object("guarded"), "Synced").unwrap()["reason"], "Paused");
    assert!(scene.calls_of("TerminateInstances").is_empty());

    scene.stack.simulator().change_instance(&id, &json!({"DisableApiTermination": true})).unwrap();
    scene.kubectl(&["annotate", "pai", "guarded", "pai.tencentcloud.io/paused-"]);
    let ready = scene.wait_reason("guarded", "DeleteProtected");
    assert!(text(&ready["message"]).contains("termination protection"), "{ready}");
    scene.stack.simulator().change_instance(&id, &json!({"DisableApiTermination": false})).unwrap();
    scene.look_again("guarded");
    scene.wait_gone("guarded");
    assert!(scene.machines().is_empty());
}

#[test]
fn two_operators_that_both_lead_buy_each_machine_once() {
    let scene = Scene::start(&["--domain-policy=shared", "--latency=100ms"]);
    scene
        .stack
        .upgrade(&json!({"extraArgs": ["--lease-name=another", "--log-level=trace"], "rbac": {"create": true}}))
        .unwrap();
    let namespace = format!("--namespace={}", scene.stack.system_namespace());
    let user = scene.stack.operator_user().unwrap();
    let allow = [
        "create",
        "role",
        "another-lease",
        &namespace,
        "--verb=get,update",
        "--resource=leases",
        "--resource-name=another",
    ];
    scene.stack.kubectl(&allow).ok().unwrap();
    let bind =
        ["create", "rolebinding", "another-lease", &namespace, "--role=another-lease", &format!("--user={user}")];
    scene.stack.kubectl(&bind).ok().unwrap();
    let second = scene.stack.another_operator("another").unwrap();
    second.start().unwrap();
    for operator in [scene.stack.operator(), &second] {
        scene.until("both to lead", || match operator.metric("pai_operator_leader") {
            Ok(Some(1.0)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    let names: Vec<String> = (0..12).map(|n| format!("both{n}")).collect();
    for name in &names {
        scene.instance(name, unnamed);
    }
    for name in &names {
        scene.wait_ready(name);
    }
    assert_eq!((scene.creates().len(), scene.machines().len()), (names.len(), names.len()));
    let worked =
        |operator: &pai_harness::Operator| operator.metric(r#"pai_operator_reconcile_total{outcome="ok"}"#).unwrap();
    assert!(worked(scene.stack.operator()) > Some(0.0) && worked(&second) > Some(0.0), "only one of them worked");
    scene.assert_hides("the second operator's metrics", &second.metrics().unwrap());
}

/// Waits until a condition of the object has this reason, or is not there.
fn wait_condition(scene: &Scene, name: &str, kind: &str, reason: Option<&str>) -> Value {
    scene.until(&format!("{kind} of {name} to be {reason:?}"), || {
        let found = condition(&scene.object(name), kind);
        let is = found.as_ref().map(|condition| text(&condition["reason"]));
        if is.as_deref() == reason { Ok(found.unwrap_or_default()) } else { Err(format!("{found:?}")) }
    })
}

#[test]
fn a_machine_without_its_domain_is_told_of_until_it_has_it() {
    let scene = Scene::start(&[]);
    // Both ways to such a machine: its id in the answer, and found by its name after the DNS step failed.
    for name in ["answered", "unanswered"] {
        scene.fault_once("CreatePaiInstance", &json!({"kind": "no-domain"}));
        if name == "unanswered" {
            let failed =
                json!({"kind": "error", "code": "InternalError.CallCnsError", "message": "DNS", "commit": true});
            scene.fault_once("CreatePaiInstance", &failed);
        }
        scene.instance(name, unnamed);
        scene.until("the missing domain to be seen", || {
            let ready = condition(&scene.object(name), "Ready").unwrap_or_default();
            if text(&ready["message"]).contains("does not list its domain") { Ok(()) } else { Err(format!("{ready}")) }
        });
        let id = text(&scene.object(name)["status"]["instanceIds"][0]);
        let simulator = scene.stack.simulator();
        simulator.change_instance(&id, &json!({"CreatedTime": "2026-01-01T00:00:00Z"})).unwrap();
        scene.look_again(name);
        let ready = scene.wait_reason(name, "DomainNotBound");
        assert!(text(&ready["message"]).contains(&format!("kubectl delete pai {name}")), "{ready}");
        wait_condition(&scene, name, "Stalled", Some("DomainNotBound"));
        scene.stack.operator().terminate().unwrap();
        scene.stack.operator().start().unwrap();
        scene.stack.operator().wait_ready().unwrap();
        scene.look_again(name);
        scene.wait_reason(name, "DomainNotBound");
        let domain = scene.object(name)["spec"]["domainName"].clone();
        simulator.change_instance(&id, &json!({"DomainName": domain})).unwrap();
        scene.look_again(name);
        scene.wait_ready(name);
        let listings = scene.calls_of("DescribePaiInstances").len();
        let described = scene.calls_of("DescribeInstances").len();
        scene.look_again(name);
        simulator.wait_for_calls("DescribeInstances", described + 1, PATIENCE).unwrap();
        assert_eq!(
            scene.calls_of("DescribePaiInstances").len(),
            listings,
            "a domain that was seen is not asked for again"
        );
        scene.delete(name);
        assert!(scene.machines().is_empty());
    }
}

#[test]
fn a_late_second_machine_is_told_of_until_a_person_removed_it() {
    let scene = Scene::start(&[]);
    scene.instance("first", unnamed);
    scene.wait_ready("first");
    let ours = scene.machines().remove(0);
    scene.instance("twin", |spec| {
        spec["instanceName"] = ours["InstanceName"].clone();
    });
    scene.wait_ready("twin");
    let second = text(&scene.object("twin")["status"]["instanceIds"][0]);
    let lapsed =
        json!({"signedAt": ours["CreatedTime"], "instanceName": ours["InstanceName"], "nameOrigin": "Generated"});
    let status = json!({"status": {"lapsedAttempts": [lapsed]}}).to_string();
    scene.kubectl(&["patch", "pai", "first", "--subresource=status", "--type=merge", "-p", &status]);
    scene.look_again("first");
    let stalled = wait_condition(&scene, "first", "Stalled", Some("DuplicateFound"));
    assert!(text(&stalled["message"]).contains("tccli cvm TerminateInstances --region"), "{stalled}");
    assert!(text(&stalled["message"]).contains(&second), "{stalled}");
    assert_eq!(condition(&scene.object("first"), "Ready").unwrap()["status"], "True", "ours is well");
    assert!(scene.wait_event("first", "DuplicateFound").note.contains(&second));
    scene.stack.simulator().terminate_instance(&second).unwrap();
    scene.look_again("first");
    wait_condition(&scene, "first", "Stalled", None);
    assert_eq!(scene.object("first")["status"]["duplicateInstanceIds"], Value::Null);
    assert!(scene.calls_of("TerminateInstances").is_empty(), "never by the operator");
}

#[test]
fn a_stranger_is_adopted_only_when_a_person_says_so() {
    let scene = Scene::start(&["--domain-policy=shared"]);
    scene.instance("owner", |spec| spec["deletionPolicy"] = json!("Retain"));
    scene.wait_ready("owner");
    let domain = scene.object("owner")["spec"]["domainName"].clone();
    let id = text(&scene.object("owner")["status"]["instanceIds"][0]);
    scene.delete("owner");
    scene.instance("heir", |spec| spec["domainName"] = domain);
    let ready = scene.wait_reason("heir", "DomainTaken");
    assert!(text(&ready["message"]).contains(&format!("resolve-create=adopt:{id}")), "{ready}");
    scene.kubectl(&["annotate", "pai", "heir", &format!("pai.tencentcloud.io/resolve-create=adopt:{id}")]);
    scene.wait_ready("heir");
    assert_eq!(scene.object("heir")["status"]["instances"][0]["adoptedBy"], "Domain");
    scene.delete("heir");
    assert_eq!((scene.creates().len(), scene.machines().len()), (1, 1), "adopted, and left running");
}
