//! The page's example 1 from `kubectl apply` to a running machine and back to nothing, compared parameter by parameter.

use serde_json::json;

use crate::scene::{Scene, condition};

#[test]
fn the_page_example_is_bought_as_the_page_says_and_terminated_on_delete() {
    let scene = Scene::start(&[]);
    scene.instance("apple", |_| ());
    scene.wait_ready("apple");

    let creates = scene.creates();
    assert_eq!(creates.len(), 1);
    // The page's example 1 (GET form there, JSON here), the common parameters aside.
    let page = json!({
        "DomainName": "apple-gz012345.pai.tcloudbase.com",
        "InitScript": "IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==",
        "Zones": ["ap-guangzhou-2"],
        "InstanceChargeType": "POSTPAID_BY_HOUR",
        "InstanceTypes": ["S4.SMALL2"],
        "SystemDisk": {"DiskType": "CLOUD_BASIC", "DiskSize": 50},
        "InternetAccessible": {"InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "InternetMaxBandwidthOut": 10},
        "InstanceName": "PAI-TEST",
        "LoginSettings": {"Password": "PAI@Test123"}
    });
    assert_eq!(creates[0]["parameters"], page);
    let frame = ["service", "action", "version", "region"].map(|key| creates[0][key].clone());
    assert_eq!(frame, ["as", "CreatePaiInstance", "2018-04-19", "ap-guangzhou"].map(|word| json!(word)));

    let object = scene.object("apple");
    let status = &object["status"];
    assert_eq!(status["instanceIds"], creates[0]["created"]);
    assert_eq!(status["requestId"], creates[0]["requestId"]);
    assert_eq!(status["observedGeneration"], object["metadata"]["generation"]);
    assert_eq!(status["createAttempt"]["state"], "Created");
    assert_eq!(status["instances"][0]["state"], "RUNNING");
    assert_eq!(condition(&object, "Synced").unwrap()["status"], "True");
    assert_eq!((condition(&object, "Reconciling"), condition(&object, "Stalled")), (None, None));

    // From the log alone it can be told whose create it was, and the cloud's support knows it by the RequestId.
    let name = format!("{}/apple", scene.stack.namespace());
    for (message, request_id) in [("sending the create", &json!(null)), ("create answered", &status["requestId"])] {
        let lines = scene.logged(message);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["span"]["object"], name);
        assert_eq!(lines[0]["uid"], object["metadata"]["uid"]);
        assert_eq!(lines[0]["attempt"], status["createAttempt"]["id"]);
        assert_eq!(&lines[0]["request_id"], request_id);
    }

    scene.delete("apple");
    assert!(scene.stack.simulator().instances().unwrap().is_empty());
    let told = scene.until("the last Event", || {
        let told = scene.events("apple");
        if told.iter().any(|told| told.reason == "Terminated") { Ok(told) } else { Err(format!("{told:?}")) }
    });
    let told: Vec<(&str, &str)> = told.iter().map(|told| (told.kind.as_str(), told.reason.as_str())).collect();
    assert_eq!(told, ["Provisioning", "Available", "Deleting", "Terminated"].map(|reason| ("Normal", reason)));
}

#[test]
fn as_the_chart_comes_every_namespace_is_watched() {
    let scene = Scene::cluster_wide();
    scene.stack.create_namespace("elsewhere").unwrap();
    scene.stack.allow("elsewhere", "secrets", &["tencentcloud-credentials"]).unwrap();
    scene.instance("apple", |_| ());
    let mut other = crate::scene::example("pear");
    other["metadata"]["namespace"] = json!("elsewhere");
    other["spec"].as_object_mut().unwrap().remove("loginSettings");
    scene.stack.apply(&other.to_string()).ok().unwrap();
    scene.wait_ready("apple");
    scene.until("the object in another namespace to be ready", || {
        let object = scene.stack.get(&["--namespace=elsewhere", "pai", "pear"]).unwrap();
        let ready = condition(&object, "Ready").unwrap_or_default();
        if ready["status"] == "True" { Ok(()) } else { Err(object["status"].to_string()) }
    });
    assert_eq!(scene.stack.simulator().instances().unwrap().len(), 2);
    scene.stack.kubectl(&["delete", "pai", "pear", "--namespace=elsewhere", "--wait=false"]).ok().unwrap();
    scene.delete("apple");
    scene.until("the cloud to be empty", || {
        let machines = scene.stack.simulator().instances().unwrap();
        if machines.is_empty() { Ok(()) } else { Err(json!(machines).to_string()) }
    });
}

#[test]
fn temporary_credentials_and_references_are_sent() {
    let scene = Scene::start(&[]);
    let (id, key, token) = crate::scene::TEMPORARY;
    scene.secret("other-credentials", &[("secretId", id), ("secretKey", key), ("token", token)]);
    scene.instance("pear", |spec| {
        spec["credentialsRef"]["name"] = json!("other-credentials");
        spec["initScript"] = json!({"secretKeyRef": {"name": "script", "key": "run.sh"}});
        spec.as_object_mut().unwrap().remove("instanceName");
    });
    scene.wait_ready("pear");
    let create = &scene.creates()[0];
    assert_eq!(create["secretId"], id);
    assert_eq!(create["parameters"]["InitScript"], "IyEvYmluL2Jhc2gKZXhwb3J0IExJQ0VOQ0U9cGxhbnRlZC1zY3JpcHQtMDQxNwo=");
    let uid = scene.object("pear")["metadata"]["uid"].as_str().unwrap().replace('-', "");
    let name = create["parameters"]["InstanceName"].as_str().unwrap();
    assert!(name.ends_with(&uid) && name.len() <= 60, "{name} is not the marker of {uid}");
}

#[test]
fn a_refused_system_disk_is_named_and_nothing_loops() {
    let scene = Scene::start(&["--system-disk=refuse"]);
    scene.instance("disk", |_| ());
    let ready = scene.wait_reason("disk", "InvalidSpec");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("spec.systemDisk") && message.contains("Nothing was bought"), "{message}");
    let stalled = condition(&scene.object("disk"), "Stalled").unwrap();
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("InvalidSpec")));

    // Passes that a person asks for on other objects go by; this one is left alone until its spec is mended.
    for round in 1..=3 {
        scene.kubectl(&["label", "pai", "disk", &format!("round=r{round}"), "--overwrite"]);
        scene.kubectl(&["annotate", "pai", "disk", &format!("example.com/round=r{round}"), "--overwrite"]);
        scene.instance(&format!("plain{round}"), |spec| {
            spec.as_object_mut().unwrap().remove("systemDisk");
        });
        scene.wait_ready(&format!("plain{round}"));
    }
    let to_disk = |call: &&serde_json::Value| call["parameters"]["DomainName"] == "disk-gz012345.pai.tcloudbase.com";
    assert_eq!(scene.creates().iter().filter(to_disk).count(), 1, "a refused create was repeated");

    scene.patch_spec("disk", &json!({"systemDisk": null}));
    scene.wait_ready("disk");
    assert_eq!(condition(&scene.object("disk"), "Stalled"), None);
}
