//! The alerts: each leads to a page that exists, has a case that fires and one that is silent, and knows the reasons of the code.

use std::collections::BTreeSet;

use pai_operator::api::Reason;
use serde_json::Value;

use crate::{read, root};

fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read(&root().join("charts/pai-operator/files/alerts.yaml"))).unwrap();
    let groups = rules["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} of {value}"))
}

/// The reasons that an expression names.
fn reasons_in(expression: &str) -> BTreeSet<&str> {
    let list = expression.split("reason=~\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    list.split('|').filter(|word| !word.is_empty()).collect()
}

#[test]
fn each_alert_leads_to_a_page_about_it() {
    assert!(alerts().len() > 10);
    for alert in alerts() {
        let name = text(&alert, "/alert");
        let link = text(&alert, "/annotations/runbook_url").strip_prefix("RUNBOOKS/").unwrap();
        if let Some((page, anchor)) = link.split_once('#') {
            assert_eq!(anchor, name.to_lowercase(), "{name}");
            let page = read(&root().join("docs").join(page));
            assert!(page.lines().any(|line| line == format!("## {name}")), "docs/alerts.md has no section {name}");
            continue;
        }
        let reasons = reasons_in(text(&alert, "/expr"));
        let pages: Vec<String> = if link.contains("{{ $labels.reason }}") {
            reasons.iter().map(|reason| link.replace("{{ $labels.reason }}", reason)).collect()
        } else {
            vec![link.to_owned()]
        };
        assert!(!pages.is_empty(), "{name}");
        for page in pages {
            assert!(root().join("docs").join(&page).exists(), "{name} leads to docs/{page}");
        }
    }
}

#[test]
fn an_alert_knows_every_reason_in_which_a_person_must_act() {
    let alerts = alerts();
    let alert = alerts.iter().find(|alert| alert["alert"] == "PaiNeedsPerson").unwrap();
    let wanted = Reason::ALL.iter().filter(|reason| reason.needs_a_person()).map(|reason| reason.as_str());
    assert_eq!(reasons_in(text(alert, "/expr")), wanted.collect());
}

#[test]
fn each_alert_has_a_case_that_fires_and_one_that_is_silent() {
    let cases: Value = serde_saphyr::from_str(&read(&root().join("tests/alerts/alerts.yaml"))).unwrap();
    let names: BTreeSet<&str> = cases["tests"].as_array().unwrap().iter().map(|case| text(case, "/name")).collect();
    let wanted: Vec<String> = alerts()
        .iter()
        .flat_map(|alert| ["fires", "is silent"].map(|how| format!("{} {how}", text(alert, "/alert"))))
        .collect();
    assert_eq!(names, wanted.iter().map(String::as_str).collect());
}
