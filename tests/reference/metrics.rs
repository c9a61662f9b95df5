//! `docs/metrics.md`, from the catalogue; and what alerts and dashboard ask for must be in it.

use std::fmt::Write as _;

use pai_operator::telemetry::catalogue::{ALL, Kind, PREFIX};

use crate::{cell, is_up_to_date, read, root};

const HEAD: &str = "\
# Metrics

`GET /metrics` on port 8080 (`--metrics-address`, the chart's `metrics.port`) answers in the OpenMetrics text form. No label holds the name of an
object, so the number of series does not grow with the number of objects. The chart brings a ServiceMonitor, a PodMonitor, alerts and a dashboard, each
behind its own flag; see [the values](values.md). Counters end in `_total` in a query, histograms in `_bucket`, `_sum` and `_count`.

Only the leader works, so counters of the others stand still, and gauges about objects are empty there: add up over the pods.

They are served in plain HTTP to whoever can reach the port, or with `metrics.secure` by TLS to those alone who may get them:
[how](security.md#metrics).

| metric | kind | labels | says |
|---|---|---|---|
";

#[test]
fn the_page_lists_every_metric() {
    let mut page = HEAD.to_owned();
    for metric in ALL {
        let labels = metric.labels.iter().map(|(label, values)| format!("`{label}`: {values}"));
        let labels = labels.collect::<Vec<_>>().join("; ");
        writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            metric.queried(),
            metric.kind.name(),
            cell(&labels),
            cell(metric.help)
        )
        .unwrap();
    }
    is_up_to_date("docs/metrics.md", &page);
}

/// Names of our metrics in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !word(c)).filter(|name| name.starts_with(&format!("{PREFIX}_")))
}

fn is_known(name: &str) -> bool {
    ALL.iter().any(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].iter().any(|end| format!("{}{end}", metric.queried()) == name),
        Kind::Counter | Kind::Gauge => metric.queried() == name,
    })
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        let text = read(&root().join("charts/pai-operator").join(file));
        let unknown: Vec<&str> = names(&text).filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
        assert!(names(&text).count() > 5, "{file} asks for nothing");
    }
    assert!(!is_known("pai_operator_leaders") && !is_known("pai_operator_create"));
}
