//! Wrong input and a cloud that says no: each with condition, reason, message and Event, and recovery without a restart once it is mended.

use serde_json::{Value, json};

use crate::scene::{Scene, condition, text};

/// Keys of a Secret and their values.
type SecretData<'a> = &'a [(&'a str, &'a str)];

/// What a person must see.
struct Expected {
    reason: &'static str,
    /// Whether `Stalled=True` (a person must act) or `Reconciling=True` (it is tried again by itself).
    stalled: bool,
    /// Words of the message: what happened, and what to do.
    words: &'static [&'static str],
}

impl Scene {
    /// Checks conditions, message and Event of an object in trouble. Returns the message.
    fn assert_says(&self, name: &str, expected: &Expected) -> String {
        let object = self.wait_object(name, expected.reason);
        let ready = condition(&object, "Ready").unwrap();
        assert_eq!(ready["status"], "False", "{name}");
        let message = text(&ready["message"]);
        for word in expected.words {
            assert!(message.contains(word), "{name}: {message:?} lacks {word:?}");
        }
        assert_eq!(ready["observedGeneration"], object["metadata"]["generation"], "{name}");
        let (present, absent) = if expected.stalled { ("Stalled", "Reconciling") } else { ("Reconciling", "Stalled") };
        assert_eq!(condition(&object, present).unwrap_or_default()["status"], "True", "{name}: {object}");
        assert_eq!(condition(&object, absent), None, "{name}");
        // A machine that failed is seen for what it is: the look at the cloud itself succeeded.
        let synced = if expected.reason == "InstanceFailed" { "ReconcileSuccess" } else { "ReconcileError" };
        assert_eq!(condition(&object, "Synced").unwrap()["reason"], synced, "{name}");
        let told = self.wait_event(name, expected.reason);
        assert_eq!(told.kind, "Warning", "{name}");
        assert!(told.note.contains(expected.words[0]), "{name}: {told:?}");
        message
    }

    /// Waits for recovery, then removes the object, so that the next case meets an empty cloud.
    fn assert_recovers(&self, name: &str) {
        self.wait_ready(name);
        let object = self.object(name);
        assert_eq!((condition(&object, "Stalled"), condition(&object, "Reconciling")), (None, None), "{name}");
        assert_eq!(self.stack.simulator().instances().unwrap().len(), 1, "{name}");
        self.delete(name);
    }

    /// Runs the last kubectl command in a message, as a person would who copies it.
    fn run_command_of(&self, message: &str) {
        let (_, command) = message.rsplit_once("kubectl ").unwrap();
        let words: Vec<&str> = command.split_whitespace().collect();
        self.stack.kubectl(&words).ok().unwrap();
    }

    fn fault(&self, action: &str, times: u32, effect: &Value) {
        self.stack
            .simulator()
            .add_fault(&json!({"action": action, "after": 0, "times": times, "effect": effect}))
            .unwrap();
    }
}

#[test]
fn credentials() {
    let scene = Scene::start(&[]);
    let good = pai_harness::Account::default();
    let trailing = format!("{}\n", good.key);
    let rows: &[(&str, SecretData<'_>, Expected)] = &[
        (
            "secret-missing",
            &[],
            Expected {
                reason: "CredentialsNotFound",
                stalled: true,
                words: &["There is no Secret", "kubectl create secret generic secret-missing"],
            },
        ),
        (
            "key-missing",
            &[("secretId", &good.id)],
            Expected { reason: "CredentialsNotFound", stalled: true, words: &["no key secretKey"] },
        ),
        (
            "trailing-newline",
            &[("secretId", &good.id), ("secretKey", &trailing)],
            Expected {
                reason: "CredentialsInvalid",
                stalled: true,
                words: &["secretKey", "ends with a line break", "nothing is sent"],
            },
        ),
        (
            "wrong-secret-id",
            &[("secretId", "AKIDnobody"), ("secretKey", &good.key)],
            Expected {
                reason: "CredentialsInvalid",
                stalled: true,
                words: &["Nothing was bought", "AuthFailure.SecretIdNotFound", "RequestId"],
            },
        ),
        (
            "wrong-secret-key",
            &[("secretId", &good.id), ("secretKey", "wrong-key-0000")],
            Expected {
                reason: "CredentialsInvalid",
                stalled: true,
                words: &["Nothing was bought", "AuthFailure.SignatureFailure", "Mend the credentials Secret"],
            },
        ),
    ];
    for (name, data, expected) in rows {
        // A Secret of its own for each: the operator uses what it read again for some seconds.
        if !data.is_empty() {
            scene.secret(name, data);
        }
        scene.instance(name, |spec| spec["credentialsRef"]["name"] = json!(name));
        scene.assert_says(name, expected);
        scene.secret(name, &[("secretId", &good.id), ("secretKey", &good.key)]);
        scene.look_again(name);
        scene.assert_recovers(name);
    }
}

#[test]
fn references() {
    let scene = Scene::start(&[]);
    scene.instance("no-config-map", |spec| {
        spec["initScript"] = json!({"configMapKeyRef": {"name": "script", "key": "run.sh"}});
    });
    scene.assert_says(
        "no-config-map",
        &Expected {
            reason: "ReferenceNotFound",
            stalled: true,
            words: &["There is no ConfigMap", "spec.initScript.configMapKeyRef"],
        },
    );
    let config_map = |script: &str| {
        scene.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "script"}, "data": {"run.sh": script}}));
    };
    config_map(&"x".repeat(16 * 1024 + 1));
    scene.look_again("no-config-map");
    scene.assert_says(
        "no-config-map",
        &Expected { reason: "InvalidSpec", stalled: true, words: &["16385 bytes", "nothing was sent", "Shorten it"] },
    );
    config_map("#!/bin/bash\n");
    scene.look_again("no-config-map");
    scene.assert_recovers("no-config-map");

    scene.secret("hidden", &[("secretId", "AKIDhidden"), ("secretKey", "hidden-key-0042")]);
    scene.instance("forbidden", |spec| spec["credentialsRef"]["name"] = json!("hidden"));
    let forbidden = Expected {
        reason: "CredentialsForbidden",
        stalled: true,
        words: &["may not read the Secret", "kubectl create role pai-read-hidden", "--serviceaccount="],
    };
    let message = scene.assert_says("forbidden", &forbidden);
    let good = pai_harness::Account::default();
    scene.secret("hidden", &[("secretId", &good.id), ("secretKey", &good.key)]);
    allow(&scene, &message);
    scene.look_again("forbidden");
    scene.assert_recovers("forbidden");

    scene.secret("hidden-script", &[("run.sh", "#!/bin/bash\n")]);
    scene.instance("forbidden-script", |spec| {
        spec["initScript"] = json!({"secretKeyRef": {"name": "hidden-script", "key": "run.sh"}});
    });
    let forbidden = Expected {
        reason: "ReferenceForbidden",
        stalled: true,
        words: &["may not read the Secret", "spec.initScript.secretKeyRef", "--serviceaccount="],
    };
    let message = scene.assert_says("forbidden-script", &forbidden);
    allow(&scene, &message);
    scene.look_again("forbidden-script");
    scene.assert_recovers("forbidden-script");
    assert!(
        scene.creates().iter().all(|call| call["outcome"] == "ok"),
        "nothing may be sent while a reference is unfit"
    );
}

/// Types the command that the message holds, as a person would: it must work as it stands.
fn allow(scene: &Scene, message: &str) {
    let (_, command) = message.split_once("Allow it: ").unwrap();
    for part in command.split(" && ") {
        let words: Vec<&str> = part.trim_start_matches("kubectl ").split_whitespace().collect();
        scene.stack.kubectl(&words).ok().unwrap();
    }
}

#[test]
fn two_ways_to_log_in_are_refused_at_apply() {
    let scene = Scene::start(&[]);
    let mut object = crate::scene::example("twice");
    object["metadata"]["namespace"] = json!(scene.stack.namespace());
    object["spec"]["loginSettings"]["keyIds"] = json!(["skey-abc12345"]);
    let refused = scene.stack.apply(&object.to_string());
    assert_ne!(refused.code, 0);
    let words = "spec.loginSettings must have exactly one of passwordSecretRef, keyIds and keepImageLogin";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    scene.instance("twice", |_| ());
    scene.assert_recovers("twice");
}

#[test]
fn refusals_of_the_cloud() {
    let scene = Scene::start(&[]);
    let rows: &[(&str, &str, Expected)] = &[
        (
            "sold-out",
            "ResourcesSoldOut.SpecifiedInstanceType",
            Expected {
                reason: "OutOfStock",
                stalled: false,
                words: &["Nothing was bought", "tried again every few minutes", "RequestId"],
            },
        ),
        (
            "quota",
            "LimitExceeded.QuotaNotEnough",
            Expected { reason: "QuotaExceeded", stalled: false, words: &["Nothing was bought", "quota"] },
        ),
        (
            "balance",
            "InvalidAccount.InsufficientBalance",
            Expected {
                reason: "InsufficientBalance",
                stalled: false,
                words: &["Nothing was bought", "Top the account up"],
            },
        ),
        (
            "invalid-action",
            "InvalidAction",
            Expected { reason: "ApiRetired", stalled: true, words: &["Nothing was bought", "no longer offers"] },
        ),
        (
            "action-offline",
            "ActionOffline",
            Expected { reason: "ApiRetired", stalled: true, words: &["Nothing was bought", "no longer offers"] },
        ),
        (
            "region",
            "UnsupportedRegion",
            Expected { reason: "RegionUnsupported", stalled: true, words: &["Nothing was bought", "another region"] },
        ),
    ];
    for (name, code, expected) in rows {
        scene.fault(
            "CreatePaiInstance",
            1,
            &json!({"kind": "error", "code": code, "message": "the stand-in says no", "commit": false}),
        );
        scene.instance(name, |_| ());
        scene.assert_says(name, expected);
        let creates = scene.creates().len();
        scene.look_again(name);
        scene.assert_recovers(name);
        assert_eq!(scene.creates().len(), creates + 1, "{name}: one more create after it was mended");
    }
}

#[test]
fn a_throttling_and_an_unreachable_cloud_are_waited_for() {
    let scene = Scene::start(&[]);
    scene.fault(
        "CreatePaiInstance",
        1000,
        &json!({"kind": "error", "code": "RequestLimitExceeded", "message": "slowly", "commit": false}),
    );
    scene.instance("throttled", |_| ());
    let throttled =
        Expected { reason: "CloudThrottled", stalled: false, words: &["Nothing was bought", "tried again by itself"] };
    scene.assert_says("throttled", &throttled);
    scene.stack.simulator().clear_faults().unwrap();
    scene.look_again("throttled");
    scene.assert_recovers("throttled");

    scene.stack.simulator().stop();
    scene.instance("unreachable", |_| ());
    let unreachable = Expected {
        reason: "CloudUnavailable",
        stalled: false,
        words: &["Nothing was bought", "tried again by itself"],
    };
    scene.assert_says("unreachable", &unreachable);
    scene.stack.simulator().start().unwrap();
    scene.assert_recovers("unreachable");
}

#[test]
fn a_failed_launch_is_told_and_never_replaced() {
    let scene = Scene::start(&["--launch-failed-time=3s"]);
    scene.fault("CreatePaiInstance", 1, &json!({"kind": "launch-failed"}));
    scene.instance("stillborn", |_| ());
    let failed = Expected {
        reason: "InstanceFailed",
        stalled: true,
        words: &["failed to launch", "nothing is bought in its place", "kubectl "],
    };
    let message = scene.assert_says("stillborn", &failed);
    scene.look_again("stillborn");
    scene.instance("healthy", |_| ());
    scene.wait_ready("healthy");
    assert_eq!(scene.creates().len(), 2, "one create for each object, none in place of the failed one");
    // The way out that the message holds, typed as it stands. It waits until the failed machine is proven gone.
    scene.run_command_of(&message);
    scene.wait_ready("stillborn");
    assert_eq!(scene.creates().len(), 3, "one more, because a person said so");
}
