//! Replies of every shape: what a create's means for the money, and what a read's means at all.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::tencent::cvm::{DescribeInstancesReply, InstanceId};
use crate::tencent::errors::{Class, CreateVerdict, create_verdict};

fn response(status: u16, body: impl Into<String>) -> HttpResponse {
    HttpResponse { status, date: None, body: Bytes::from(body.into()) }
}

fn verdict(status: u16, body: impl Into<String>) -> CreateVerdict {
    create_verdict(&open_create(&response(status, body), &Redactor::default()))
}

fn created(ids: &[&str]) -> CreateVerdict {
    CreateVerdict::Created { ids: ids.iter().map(|&id| InstanceId::new(id)).collect() }
}

#[test]
fn ids_win_over_everything_beside_them() {
    let refusal = json!({"Code": "InvalidParameter", "Message": "no"});
    let rows = [
        (200, json!({"InstanceIdSet": ["ins-1"]})),
        (200, json!({"InstanceIdSet": ["ins-1"], "RequestId": 7, "Unknown": [{}]})),
        (200, json!({"InstanceIdSet": ["ins-1"], "Error": null})),
        (200, json!({"InstanceIdSet": ["ins-1"], "Error": "odd"})),
        (200, json!({"InstanceIdSet": ["ins-1"], "Error": refusal})),
        (502, json!({"InstanceIdSet": ["ins-1"], "Error": refusal})),
        (200, json!({"InstanceIdSet": [null, "ins-1", ""]})),
    ];
    for (status, value) in rows {
        let body = json!({ "Response": value }).to_string();
        assert_eq!(verdict(status, body.as_str()), created(&["ins-1"]), "{status} {body}");
    }
    let two = json!({"Response": {"InstanceIdSet": ["ins-1", "ins-2"]}});
    assert_eq!(verdict(200, two.to_string()), created(&["ins-1", "ins-2"]));
}

#[test]
fn a_refusal_counts_with_status_200_alone() {
    let rows = [
        (200, "InvalidParameter", CreateVerdict::RefusedAtTheDoor(Class::Terminal)),
        (200, "ResourcesSoldOut.AvailableZone", CreateVerdict::RefusedByBusiness),
        (200, "InternalError.CallCnsError", CreateVerdict::Unknown),
        (200, "Invalid\u{200b}Parameter", CreateVerdict::Unknown),
        (400, "InvalidParameter", CreateVerdict::Unknown),
        (502, "InvalidParameter", CreateVerdict::Unknown),
    ];
    for (status, code, expected) in rows {
        let body = json!({"Response": {"Error": {"Code": code, "Message": "no"}, "RequestId": "r-1"}});
        assert_eq!(verdict(status, body.to_string()), expected, "{status} {code}");
    }
}

#[test]
fn without_ids_and_without_a_code_the_outcome_is_unknown() {
    let bodies = [
        r#"{"Response":{"InstanceIdSet":[],"RequestId":"r-1"}}"#,
        r#"{"Response":{"InstanceIdSet":null}}"#,
        r#"{"Response":{"InstanceIdSet":"ins-1"}}"#,
        r#"{"Response":{"RequestId":"r-1"}}"#,
        r#"{"Response":{"Error":{}}}"#,
        r#"{"Response":{"Error":{"Code":""}}}"#,
        r#"{"Response":{"Error":{"Code":7}}}"#,
        r#"{"Response":{"Error":"InvalidParameter"}}"#,
        r#"{"Response":{"Error":[{"Code":"InvalidParameter"}]}}"#,
        r#"{"Response":null}"#,
        r#"{"Response":[]}"#,
        r#"{"Error":{"Code":"InvalidParameter"}}"#,
        r#"{"Response":{"InstanceIdSet":["ins-1"#,
        r#"{"Response":{"InstanceIdSet":["ins-1"]}"#,
        r#"{"Response":{}}{"Response":{}}"#,
        "{}",
        "[]",
        "null",
        "",
        "<html>",
        "\u{feff}{}",
    ];
    for body in bodies {
        for status in [200, 302, 500] {
            assert_eq!(verdict(status, body), CreateVerdict::Unknown, "{status} {body}");
        }
    }
    assert_eq!(verdict(200, "[".repeat(100_000)), CreateVerdict::Unknown);
}

#[test]
fn replies_to_a_read_are_judged_by_the_body_first() {
    let listing = json!({"Response": {"TotalCount": 1, "InstanceSet": [{"InstanceId": "ins-1"}], "RequestId": "r-1"}});
    let refusal = json!({"Response": {"Error": {"Code": "ActionOffline"}, "RequestId": "r-1"}});
    let no_id = json!({"Response": {"TotalCount": 1, "InstanceSet": [{}], "RequestId": "r-1"}});
    let no_list = json!({"Response": {"TotalCount": 1, "InstanceSet": "none", "RequestId": "r-1"}});
    let no_code = json!({"Response": {"Error": {"Message": "no"}, "RequestId": "r-1"}});
    let rows = [
        (200, listing.to_string(), "ok"),
        (502, listing.to_string(), "garbled"),
        (200, refusal.to_string(), "refused"),
        (502, refusal.to_string(), "refused"),
        (200, no_id.to_string(), "garbled"),
        (200, no_list.to_string(), "garbled"),
        (200, no_code.to_string(), "garbled"),
        (200, "{}".to_owned(), "garbled"),
        (503, "<html>".to_owned(), "garbled"),
    ];
    for (status, body, expected) in rows {
        let response = response(status, body.as_str());
        let result = open::<DescribeInstancesReply>(&response, &Redactor::default());
        let category = result.as_ref().err().map_or("ok", CallError::category);
        assert_eq!(category, expected, "{status} {body}");
        if body.contains("r-1") {
            let id = match &result {
                Ok(reply) => reply.request_id.as_deref(),
                Err(error) => error.request_id(),
            };
            assert_eq!(id, Some("r-1"), "{status} {body}");
        }
    }
}

#[test]
fn an_empty_listing_says_so_in_any_shape() {
    for value in [json!({}), json!({"TotalCount": null, "InstanceSet": null}), json!({"InstanceSet": []})] {
        let body = json!({ "Response": value }).to_string();
        let reply = open::<DescribeInstancesReply>(&response(200, body.as_str()), &Redactor::default());
        assert_eq!(reply.unwrap().value, DescribeInstancesReply::default(), "{body}");
    }
}
