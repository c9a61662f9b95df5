//! What a person sees through kubectl: strict validation, refusals in our words, columns, selectors and `explain`.
//! Needs the server. Must not repeat the tables.

use pai_harness::Output;
use serde_json::{Value, json};

use crate::row::smallest;
use crate::server::Server;

/// `kubectl create` of an object in a dry run, with one kind of validation.
fn create(server: &Server, validate: &str, object: &str) -> Output {
    let validate = format!("--validate={validate}");
    let args = ["create", "--dry-run=server", "--output=json", &validate, "-f", "-"];
    server.plane().kubectl_with_input(&args, object)
}

fn refused(output: &Output, words: &[&str]) {
    assert_ne!(output.code, 0, "accepted: {output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {}", output.stderr);
    }
}

#[test]
fn unknown_fields_are_refused_warned_of_or_dropped() {
    let server = Server::connect();
    let unknown = [
        ("spec.loginSettings.password", json!("Abcd1234")),
        ("spec.credentialsRef.namespace", json!("elsewhere")),
        ("spec.userData", json!("x")),
        ("spec.instanceTypess", json!(["S4.SMALL2"])),
    ];
    for (path, value) in unknown {
        let mut object = smallest("unknown");
        object["spec"]["loginSettings"] = json!({ "keepImageLogin": true });
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        let object = object.to_string();
        let message = format!("unknown field \"{path}\"");
        refused(&create(&server, "strict", &object), &[&message]);
        let warned = create(&server, "warn", &object);
        assert!(warned.stderr.contains(&message), "{warned:?}");
        for output in [warned, create(&server, "ignore", &object)] {
            let stored: Value = serde_json::from_str(&output.ok().unwrap()).unwrap();
            assert_eq!(stored.pointer(&pointer), None, "{path}");
        }
    }
}

#[test]
fn a_refusal_is_read_in_our_words() {
    let server = Server::connect();
    let mut object = smallest("words");
    object["spec"]["loginSettings"] = json!({});
    object["spec"]["zones"] = json!(["ap-shanghai-2"]);
    refused(
        &create(&server, "strict", &object.to_string()),
        &[
            "spec.loginSettings must have exactly one of passwordSecretRef, keyIds and keepImageLogin",
            "spec.zones must lie in spec.region",
        ],
    );
}

/// An edit by `kubectl apply`, after the operator has recorded a machine.
#[test]
fn apply_to_a_frozen_object_says_what_to_do() {
    let server = Server::connect();
    let plane = server.plane();
    let apply = |object: &Value| plane.kubectl_with_input(&["apply", "-f", "-"], &object.to_string());
    let mut object = smallest("applied");
    object["spec"]["instanceTypes"] = json!(["S4.SMALL2"]);
    apply(&object).ok().unwrap();
    let status = json!({ "status": { "instanceIds": ["ins-1"] } }).to_string();
    let patch = ["patch", "pai", "applied", "--subresource=status", "--type=merge", "--patch", &status];
    plane.kubectl(&patch).ok().unwrap();
    apply(&object).ok().unwrap();
    object["spec"]["instanceTypes"] = json!(["S5.LARGE8"]);
    refused(
        &apply(&object),
        &["spec.instanceTypes must stay as it is", "apply a new PaiInstance with another name and domain"],
    );
    object["spec"]["instanceTypes"] = json!(["S4.SMALL2"]);
    object["spec"]["deletionPolicy"] = json!("Retain");
    apply(&object).ok().unwrap();
}

#[test]
fn columns_category_and_selectors() {
    let server = Server::connect();
    let plane = server.plane();
    let mut object = smallest("listed");
    object["spec"]["domainName"] = json!("listed.example.com");
    server.create(&object);
    let header = |args: &[&str]| {
        let table = plane.kubectl(args).ok().unwrap();
        table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let one = "--field-selector=spec.domainName=listed.example.com,spec.region=ap-guangzhou";
    assert_eq!(header(&["get", "pai", one]), "NAME READY REASON STATE INSTANCE DOMAIN AGE");
    assert_eq!(
        header(&["get", "tencentcloud", one, "--output=wide"]),
        "NAME READY REASON STATE INSTANCE DOMAIN REGION TYPE ADDRESS MESSAGE AGE"
    );
    let names = |selector| plane.kubectl(&["get", "paiinstances", "--output=name", selector]).ok().unwrap();
    assert_eq!(names(one), "paiinstance.pai.tencentcloud.io/listed\n");
    assert_eq!(names("--field-selector=spec.region=ap-nowhere"), "");
}

#[test]
fn explain_prints_the_documentation_of_the_fields() {
    let server = Server::connect();
    let expected: [(&str, &[&str]); 5] = [
        ("paiinstance", &["Applying the object buys the machine, exactly once", "pai.tencentcloud.io"]),
        ("paiinstance.spec", &["region <string> -required-", "instanceTypes <[]string>"]),
        (
            "paiinstance.spec.loginSettings",
            &[
                "exactly one of `passwordSecretRef`, `keyIds` and `keepImageLogin`",
                "the cloud makes a random password",
                "Linux: 8 to 30 characters",
                "The password itself never stands in this object",
                "Not for Windows",
                "only for custom, shared or imported images",
            ],
        ),
        (
            "paiinstance.spec.deletionPolicy",
            &["ENUM: Delete Retain", "leaves it running **and billed**", "Can be changed at any time"],
        ),
        ("paiinstance.spec.region", &["Cannot be changed", "Financial regions"]),
    ];
    for (path, phrases) in expected {
        let text = server.plane().kubectl(&["explain", path]).ok().unwrap();
        // kubectl breaks the lines where it likes.
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for phrase in phrases {
            assert!(flat.contains(phrase), "explain {path} does not say {phrase:?}:\n{text}");
        }
    }
}
