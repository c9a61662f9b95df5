//! The bars that the figures are held against, and the table of both. Source of the bars: issue 5. Pure.

use std::fmt::Write as _;

use crate::report::Report;
use crate::statistics::rounded;

/// Resident memory with 10,000 settled objects, in MiB.
pub const RSS_MIB: f64 = 40.0;

/// Processor time with 10,000 settled objects and a sweep every 5 minutes, in percent of one core.
pub const CPU_PERCENT: f64 = 0.2;

/// Time to the first cloud call, 99th percentile, at rest, in milliseconds.
pub const REACT_MS: f64 = 10.0;

/// The same during a full sweep while 500 other machines are bought.
pub const REACT_BUSY_MS: f64 = 50.0;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// The bar in words.
    pub bar: String,
    /// The figure in words.
    pub measured: String,
    /// Whether the bar is held; `None` where it was not measured.
    pub held: Option<bool>,
}

/// How a figure must be.
#[derive(Clone, Copy)]
enum Bar {
    AtMost(f64),
    Under(f64),
    Exactly(f64),
}

impl Bar {
    fn held(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Under(limit) => value < limit,
            Self::Exactly(wanted) => (value - wanted).abs() < 1e-9,
        }
    }

    fn words(self, unit: &str) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit}{unit}"),
            Self::Under(limit) => format!("under {limit}{unit}"),
            Self::Exactly(wanted) => format!("{wanted}{unit}"),
        }
    }
}

/// All lines of the table.
pub fn rows(report: &Report) -> Vec<Row> {
    let count = |path: &str| report.number(path).map_or_else(|| "?".into(), |count| format!("{count}"));
    let (created, settled) = (count("create.objects"), count("settled.objects"));
    let lease = report.number("handover.lease_duration_seconds").unwrap_or(15.0);
    let share = report.number("create.rate_limit_errors").zip(report.number("create.cloud_calls"));
    let refused = share.map(|(refused, calls)| rounded(refused / calls.max(1.0), 5));
    let mib = report.number("binary.bytes").map(|bytes| rounded(bytes / 1e6, 2));
    let machines = (report.number("settled.objects").unwrap_or(10_000.0) / 100.0).ceil();
    let of = |path: &str| report.number(path);
    let row = |measure: String, bar: Bar, unit: &str, value: Option<f64>| Row {
        measure,
        bar: bar.words(unit),
        measured: value.map_or_else(|| "not measured".into(), |value| format!("{value}{unit}")),
        held: value.map(|value| bar.held(value)),
    };
    let reaction = |name: &str, resident: String| format!("{resident} resident, {name}: first cloud call, p99");
    let mut rows = vec![
        row(
            format!("{created} objects applied at once: time until all have ids / limit"),
            Bar::AtMost(1.04),
            "",
            of("create.ratio"),
        ),
        row("the same: share of calls refused for the rate".into(), Bar::AtMost(0.005), "", refused),
        row(
            "the same: API server writes an object".into(),
            Bar::AtMost(4.0),
            "",
            of("create.apiserver_writes_per_object"),
        ),
        row(
            format!("{settled} settled: cloud calls a sweep"),
            Bar::Exactly(machines),
            "",
            of("settled.cloud_calls_per_sweep"),
        ),
        row(format!("{settled} settled: API server writes"), Bar::Exactly(0.0), "", of("settled.apiserver_writes")),
        row(format!("{settled} settled: RSS"), Bar::AtMost(RSS_MIB), " MiB", of("settled.rss_mib")),
        row(
            format!("{settled} settled: CPU"),
            Bar::Under(CPU_PERCENT),
            " % of a core",
            of("settled.cpu_percent_of_core"),
        ),
        row(reaction("at rest", count("react.resident")), Bar::Under(REACT_MS), " ms", of("react.p99_ms")),
        row(reaction("busy", count("react_busy.resident")), Bar::Under(REACT_BUSY_MS), " ms", of("react_busy.p99_ms")),
        row(
            format!("start with {} resident: first full sweep", count("start.resident")),
            Bar::Under(3.5),
            " s",
            of("start.first_sweep_seconds"),
        ),
        row(
            format!("kill -9 while {} are created: duplicates", count("recover.objects")),
            Bar::Exactly(0.0),
            "",
            of("recover.duplicates"),
        ),
    ];
    let converged = of("recover.kill_to_converged_seconds");
    rows.push(Row {
        measure: "the same: from the kill until all are Ready".into(),
        bar: "converges".into(),
        measured: converged.map_or_else(|| "not measured".into(), |seconds| format!("{seconds} s")),
        held: report.figure("recover.converged").and_then(serde_json::Value::as_bool),
    });
    rows.extend([
        row("clean hand-over between replicas".into(), Bar::Under(2.0), " s", of("handover.clean_seconds")),
        row("hand-over after kill -9".into(), Bar::Under(lease + 2.0), " s", of("handover.killed_seconds")),
        row("signing one request".into(), Bar::AtMost(2000.0), " ns", of("sign.nanoseconds")),
        row("program, stripped and static".into(), Bar::AtMost(12.0), " MB", mib),
    ]);
    rows
}

/// The table as Markdown, which a terminal shows as well.
pub fn table(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str, head: usize| rows.iter().map(|row| of(row).len()).max().unwrap_or(0).max(head);
    let widths = [width(|row| &row.measure, 7), width(|row| &row.bar, 3), width(|row| &row.measured, 8)];
    let [first, second, third] = widths;
    let mut text = format!("| {:first$} | {:second$} | {:third$} | held |\n", "measure", "bar", "measured");
    let _ = writeln!(text, "|{:-<1$}|{2:-<3$}|{4:-<5$}|------|", "", first + 2, "", second + 2, "", third + 2);
    for row in rows {
        let held = row.held.map_or("", |held| if held { "yes" } else { "NO" });
        let _ = writeln!(text, "| {:first$} | {:second$} | {:third$} | {held:4} |", row.measure, row.bar, row.measured);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measured(figures: &serde_json::Value) -> Vec<Row> {
        rows(&Report::of(figures, &json!({}))).into_iter().filter(|row| row.held.is_some()).collect()
    }

    #[test]
    fn nothing_is_held_that_was_not_measured() {
        assert!(measured(&json!({})).is_empty());
    }

    #[test]
    fn bars_are_held_or_not() {
        let held = |figures| measured(&figures).iter().map(|row| row.held == Some(true)).collect::<Vec<_>>();
        assert_eq!(held(json!({"create": {"ratio": 1.04}})), [true]);
        assert_eq!(held(json!({"create": {"ratio": 1.05}})), [false]);
        assert_eq!(held(json!({"react": {"p99_ms": 10.0}})), [false]);
        assert_eq!(held(json!({"react": {"p99_ms": 9.99}})), [true]);
        assert_eq!(held(json!({"create": {"rate_limit_errors": 5, "cloud_calls": 1000}})), [true]);
        assert_eq!(held(json!({"create": {"rate_limit_errors": 6, "cloud_calls": 1000}})), [false]);
        assert_eq!(held(json!({"settled": {"objects": 10_000, "cloud_calls_per_sweep": 100}})), [true]);
        assert_eq!(held(json!({"settled": {"objects": 10_000, "cloud_calls_per_sweep": 100.5}})), [false]);
        assert_eq!(held(json!({"settled": {"apiserver_writes": 1}})), [false]);
        assert_eq!(held(json!({"handover": {"killed_seconds": 61.9, "lease_duration_seconds": 60}})), [true]);
        assert_eq!(held(json!({"recover": {"converged": false, "duplicates": 0}})), [true, false]);
        assert_eq!(held(json!({"binary": {"bytes": 12_000_001}})), [true]);
        assert_eq!(held(json!({"binary": {"bytes": 12_010_000}})), [false]);
    }

    #[test]
    fn the_table_has_a_line_for_each_bar() {
        let rows = rows(&Report::of(&json!({"create": {"objects": 1000, "ratio": 1.01}}), &json!({})));
        let table = table(&rows);
        assert_eq!(table.lines().count(), rows.len() + 2);
        assert!(table.contains("| 1000 objects applied at once"), "{table}");
        assert!(table.contains("| 1.01 "), "{table}");
        let lengths: std::collections::BTreeSet<usize> = table.lines().map(str::len).collect();
        assert_eq!(lengths.len(), 1, "{table}");
    }
}
