//! The checks that a call passes before its action: signature, clock, product, version, action, region, rate.

use crate::client::{Client, ID, KEY, World, account, code, example, response};
use jiff::SignedDuration;
use serde_json::json;
use tencentcloud_simulator::{Account, Config, HttpRequest};

fn sent_code(world: &mut World, request: &HttpRequest) -> String {
    code(&response(&world.send(request)))
}

fn set(request: &mut HttpRequest, name: &str, value: Option<&str>) {
    request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    if let Some(value) = value {
        request.headers.push((name.to_owned(), value.to_owned()));
    }
}

#[test]
fn a_post_and_a_get_do_the_same() {
    let mut world = World::new();
    let post = world.client.post("DescribeInstances", &json!({"Limit": 5}), world.now);
    let get = world.client.get("DescribeInstances", "Limit=5", world.now);
    for request in [post, get] {
        let response = response(&world.send(&request));
        assert_eq!(response["TotalCount"], 0);
        assert_eq!(response["InstanceSet"], json!([]));
    }
}

#[test]
fn the_door_names_what_is_wrong() {
    type Spoil = fn(&mut HttpRequest);
    let rows: &[(&str, Spoil)] = &[
        ("AuthFailure.InvalidAuthorization", |r| {
            set(r, "Authorization", None);
        }),
        ("AuthFailure.InvalidAuthorization", |r| {
            set(r, "Authorization", Some("SKIP"));
        }),
        ("AuthFailure.InvalidAuthorization", |r| {
            let value = "TC3-HMAC-SHA256 Credential=AKIDtest/2023-11-14/cvm, SignedHeaders=host, Signature=0";
            set(r, "Authorization", Some(value));
        }),
        ("AuthFailure.InvalidAuthorization", |r| {
            let value = r.header("authorization").unwrap().replace(";host;", ";host;user-agent;");
            set(r, "Authorization", Some(&value));
        }),
        ("AuthFailure.SignatureFailure", |r| {
            let value = r.header("authorization").unwrap().replace("2023-11-14", "2023-11-15");
            set(r, "Authorization", Some(&value));
        }),
        ("AuthFailure.SignatureFailure", |r| {
            set(r, "X-TC-Action", Some("TerminateInstances"));
        }),
        ("AuthFailure.TokenFailure", |r| {
            set(r, "X-TC-Token", Some("token"));
        }),
        ("MissingParameter", |r| set(r, "X-TC-Timestamp", None)),
        ("MissingParameter", |r| set(r, "X-TC-Region", None)),
        ("MissingParameter", |r| set(r, "X-TC-Version", None)),
        ("NoSuchVersion", |r| {
            set(r, "X-TC-Version", Some("2018-04-19"));
        }),
        ("UnsupportedRegion", |r| set(r, "X-TC-Region", Some("moon"))),
        ("UnsupportedProtocol", |r| "PUT".clone_into(&mut r.method)),
        ("RequestSizeLimitExceeded", |r| {
            r.body = vec![b' '; 10 * 1024 * 1024 + 1];
        }),
        ("RequestSizeLimitExceeded", |r| {
            r.query = "a".repeat(32 * 1024 + 1);
        }),
    ];
    for (index, (expected, spoil)) in rows.iter().enumerate() {
        let mut world = World::new();
        let mut request = world.client.post("DescribeInstances", &json!({}), world.now);
        spoil(&mut request);
        assert_eq!(&sent_code(&mut world, &request), expected, "row {index}");
    }
}

#[test]
fn an_unsigned_action_can_be_altered_and_a_signed_one_cannot() {
    let mut world = World::new();
    let id = world.running("a.test");
    let query = format!("InstanceIds.0={id}");
    let mut request = world.client.get("DescribeInstances", &query, world.now);
    set(&mut request, "X-TC-Action", Some("TerminateInstances"));
    assert_eq!(sent_code(&mut world, &request), "ok");
}

#[test]
fn the_clock_may_be_five_minutes_off() {
    for (offset, expected) in
        [(-301, "AuthFailure.SignatureExpire"), (-300, "ok"), (300, "ok"), (301, "AuthFailure.SignatureExpire")]
    {
        let mut world = World::new();
        let signed = world.now + SignedDuration::from_secs(offset);
        let request = world.client.post("DescribeInstances", &json!({}), signed);
        assert_eq!(sent_code(&mut world, &request), expected, "{offset}");
    }
}

#[test]
fn keys_and_tokens() {
    let temporary = Account::new("AKIDtemporary", KEY).token("the-token");
    let client = |id: &str, key: &str, token: Option<&str>| Client {
        id: id.to_owned(),
        key: key.to_owned(),
        token: token.map(str::to_owned),
        ..Client::default()
    };
    for (client, expected) in [
        (client(ID, KEY, None), "ok"),
        (client(ID, "wrong", None), "AuthFailure.SignatureFailure"),
        (client("AKIDnobody", KEY, None), "AuthFailure.SecretIdNotFound"),
        (client("AKIDtemporary", KEY, Some("the-token")), "ok"),
        (client("AKIDtemporary", KEY, None), "AuthFailure.TokenFailure"),
        (client("AKIDtemporary", KEY, Some("old")), "AuthFailure.TokenFailure"),
        (client("AKIDtemporary", "wrong", Some("the-token")), "AuthFailure.SignatureFailure"),
    ] {
        let mut world = World::with(Config::default().account(account()).account(temporary.clone()));
        world.client = client;
        assert_eq!(world.code("DescribeInstances", &json!({})), expected);
    }
}

#[test]
fn unknown_actions_products_and_parameters() {
    let mut world = World::new();
    assert_eq!(world.code("RunInstances", &json!({})), "InvalidAction");
    assert_eq!(world.code("DeletePaiInstance", &json!({})), "InvalidAction");
    assert_eq!(world.code("AssumeRole", &json!({})), "NoSuchProduct");
    let mut request = world.client.post("DescribeInstances", &json!({}), world.now);
    let value = request.header("authorization").unwrap().replace("/cvm/", "/moon/");
    set(&mut request, "Authorization", Some(&value));
    // Signed for another service, so the key does not fit either: the signature comes first.
    assert_eq!(sent_code(&mut world, &request), "AuthFailure.SignatureFailure");
}

#[test]
fn forms_of_parameters() {
    for (action, parameters, expected, named) in [
        ("DescribeInstances", json!({"Limt": 1}), "UnknownParameter", "Limt"),
        ("DescribeInstances", json!({"Limit": "1"}), "InvalidParameter", "Limit"),
        ("DescribeInstances", json!({"Limit": -1}), "InvalidParameter", "Limit"),
        ("DescribeInstances", json!({"InstanceIds": "ins-00000000"}), "InvalidParameter", "InstanceIds"),
        ("DescribeInstances", json!({"InstanceIds": [1]}), "InvalidParameter", "InstanceIds.0"),
        ("DescribeInstances", json!({"Filters": [{"Name": "zone"}]}), "MissingParameter", "Filters.0.Values"),
        ("DescribeInstances", json!([]), "InvalidParameter", "object"),
        ("TerminateInstances", json!({}), "MissingParameter", "InstanceIds"),
        ("TerminateInstances", json!({"InstanceIds": []}), "MissingParameter", "InstanceIds"),
        ("PreviewPaiDomainName", json!({"DomainNameType": 1}), "InvalidParameter", "DomainNameType"),
    ] {
        let mut world = World::new();
        let response = world.call(action, &parameters);
        assert_eq!(code(&response), expected, "{parameters}");
        assert!(response["Error"]["Message"].as_str().unwrap().contains(named), "{response}");
    }
}

#[test]
fn the_get_form_is_typed_by_the_parameter() {
    let mut world = World::new();
    let query = "DomainName=a.test&InternetAccessible.InternetMaxBandwidthOut=10\
                 &InternetAccessible.PublicIpAssigned=True&Zones.0=ap-guangzhou-2&InstanceName=%E6%94%AF+x";
    let request = world.client.get("CreatePaiInstance", query, world.now);
    let id = response(&world.send(&request))["InstanceIdSet"][0].as_str().unwrap().to_owned();
    let shown = world.describe(&id);
    assert_eq!(shown["InstanceName"], "支 x");
    assert_eq!(shown["InternetAccessible"]["InternetMaxBandwidthOut"], 10);
    let recorded = world.cloud.calls(0).next().unwrap();
    assert_eq!(
        recorded.parameters,
        json!({
            "DomainName": "a.test",
            "InternetAccessible": {"InternetMaxBandwidthOut": 10, "PublicIpAssigned": true},
            "Zones": ["ap-guangzhou-2"],
            "InstanceName": "支 x",
        })
    );
    let bad = world.client.get("DescribeInstances", "Limit=ten", world.now);
    assert_eq!(sent_code(&mut world, &bad), "InvalidParameter");
}

#[test]
fn rates_are_counted_per_second_account_region_and_action() {
    for (action, parameters, limit) in [
        ("CreatePaiInstance", json!({}), 20),
        ("DescribePaiInstances", json!({}), 20),
        ("PreviewPaiDomainName", json!({}), 20),
        ("DescribeInstances", json!({}), 40),
        ("TerminateInstances", json!({}), 10),
    ] {
        let mut world = World::with(Config::default().account(account()).account(Account::new("AKIDother", KEY)));
        let throttled = |world: &mut World| world.code(action, &parameters) == "RequestLimitExceeded";
        for _ in 0..limit {
            assert!(!throttled(&mut world), "{action}");
        }
        assert!(throttled(&mut world), "{action}");
        world.client.region = Some("ap-beijing".to_owned());
        assert!(!throttled(&mut world), "{action}: another region");
        world.client = Client { id: "AKIDother".to_owned(), ..Client::default() };
        assert!(!throttled(&mut world), "{action}: another account");
        world.client = Client::default();
        assert_eq!(world.code("RunInstances", &json!({})), "InvalidAction");
        world.wait(1);
        assert!(!throttled(&mut world), "{action}: another second");
    }
}

#[test]
fn a_refused_call_counts_against_the_limit_and_limits_can_be_off() {
    let mut world = World::new();
    let mut codes: Vec<_> = (0..25).map(|_| world.code("CreatePaiInstance", &json!({}))).collect();
    codes.dedup();
    assert_eq!(codes, ["MissingParameter", "RequestLimitExceeded"]);
    let mut world = World::with(Config { rate_limits: false, ..Config::default().account(account()) });
    assert!((0..200).all(|_| world.code("DescribeInstances", &json!({})) == "ok"));
}

#[test]
fn accounts_and_regions_see_their_own_machines_only() {
    let config = Config::default()
        .account(account())
        .account(Account::new("AKIDother", KEY))
        .account(Account::new("AKIDrotated", KEY).owner(ID));
    let mut world = World::with(config);
    let id = world.running("a.test");
    let other = Client { id: "AKIDother".to_owned(), ..Client::default() };
    let elsewhere = Client { region: Some("ap-beijing".to_owned()), ..Client::default() };
    for client in [other, elsewhere] {
        world.client = client;
        assert_eq!(world.state(&id), "gone");
        assert_eq!(world.call("DescribePaiInstances", &json!({}))["TotalCount"], 0);
        let code = world.code("TerminateInstances", &json!({"InstanceIds": [id]}));
        assert_eq!(code, "InvalidInstanceId.NotFound");
    }
    world.client = Client { id: "AKIDrotated".to_owned(), ..Client::default() };
    assert_eq!(world.state(&id), "RUNNING");
}

#[test]
fn every_answer_has_a_date_and_a_request_id_of_its_own() {
    let mut world = World::new();
    let request = world.client.post("CreatePaiInstance", &example(), world.now);
    let first = world.send(&request);
    let second = world.send(&request);
    for handling in [&first, &second] {
        let date = ("Date".to_owned(), "Tue, 14 Nov 2023 22:13:20 GMT".to_owned());
        assert!(handling.response.headers.contains(&date));
    }
    let ids = [response(&first), response(&second)].map(|r| r["RequestId"].as_str().unwrap().to_owned());
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
