//! The figures of `docs/benchmarks.md`, drawn from the series that the scenarios leave. Pure. A figure without its series
//! is not drawn.

use serde_json::Value;

use crate::bars::{CPU_PERCENT, REACT_BUSY_MS, REACT_MS, RSS_MIB};
use crate::plot::{Axis, Chart, Line, Scale, svg, ticks_to};
use crate::report::Report;
use crate::scenarios::CREATES_A_SECOND;
use crate::statistics::percentile;

const BLUE: &str = "#1f6fb4";
const ORANGE: &str = "#d9730d";
const GREY: &str = "#777";

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// File name.
    pub file: &'static str,
    /// What stands below it.
    pub caption: &'static str,
    /// The picture.
    pub svg: String,
}

/// All figures that can be drawn.
pub fn all(report: &Report) -> Vec<Figure> {
    [creates(report), memory(report), processor(report), latency(report)].into_iter().flatten().collect()
}

fn creates(report: &Report) -> Option<Figure> {
    let times: Vec<f64> = report.series("create").iter().filter_map(Value::as_f64).collect();
    let last = times.iter().copied().reduce(f64::max)?;
    let counted: Vec<f64> = (1_u32..).take(times.len()).map(f64::from).collect();
    let count = counted.last().copied()?;
    let end = last.max(count / CREATES_A_SECOND);
    let limit = vec![(0.0, 0.0), (count / CREATES_A_SECOND, count)];
    let chart = Chart {
        title: "Creates that the cloud carried out, after all objects were applied at once".into(),
        x: Axis { label: "seconds since the first apply".into(), scale: Scale::Linear, ticks: ticks_to(end) },
        y: Axis { label: "machines".into(), scale: Scale::Linear, ticks: ticks_to(count) },
        lines: vec![
            line("the cloud's limit, 20 a second", GREY, true, limit),
            line("carried out", BLUE, false, times.into_iter().zip(counted).collect()),
        ],
    };
    let caption = "Machines bought against time. The dashed line is what the cloud's limit allows.";
    Some(Figure { file: "creates.svg", caption, svg: svg(&chart) })
}

fn memory(report: &Report) -> Option<Figure> {
    let caption = "Resident memory against settled objects: the most at any second of the window.";
    let chart = by_objects(report, "rss_mib", "RSS in MiB", RSS_MIB, "Resident memory at rest")?;
    Some(Figure { file: "memory.svg", caption, svg: svg(&chart) })
}

fn processor(report: &Report) -> Option<Figure> {
    let caption = "Processor time at rest against settled objects, one sweep every 5 minutes.";
    let chart = by_objects(report, "cpu_percent_of_core", "% of one core", CPU_PERCENT, "Processor time at rest")?;
    Some(Figure { file: "processor.svg", caption, svg: svg(&chart) })
}

/// A chart of one measure of the settled objects against their number.
fn by_objects(report: &Report, measure: &str, label: &str, bar: f64, title: &str) -> Option<Chart> {
    let point = |entry: &Value| Some((entry.get("objects")?.as_f64()?, entry.get(measure)?.as_f64()?));
    let points: Vec<(f64, f64)> = report.series("settled").iter().filter_map(point).collect();
    let most = points.iter().map(|(objects, _)| *objects).reduce(f64::max)?;
    let highest = points.iter().map(|(_, value)| *value).fold(bar, f64::max);
    Some(Chart {
        title: title.into(),
        x: Axis { label: "settled objects".into(), scale: Scale::Logarithmic, ticks: powers(10.0, most.max(100.0)) },
        y: Axis { label: label.into(), scale: Scale::Linear, ticks: ticks_to(highest * 1.05) },
        lines: vec![
            line("the bar at 10,000", GREY, true, vec![(10.0, bar), (most, bar)]),
            Line { marked: true, ..line("measured", BLUE, false, points) },
        ],
    })
}

fn latency(report: &Report) -> Option<Figure> {
    let series = |name: &str| -> Vec<f64> { report.series(name).iter().filter_map(Value::as_f64).collect() };
    let measured = [("at rest", BLUE, series("react")), ("busy", ORANGE, series("react_busy"))];
    let highest = measured.iter().flat_map(|(_, _, values)| values).copied().reduce(f64::max)?;
    let bars = [("bar of p99 at rest", BLUE, REACT_MS), ("bar of p99 busy", ORANGE, REACT_BUSY_MS)];
    let mut lines: Vec<Line> =
        bars.map(|(name, colour, bar)| line(name, colour, true, vec![(bar, 0.0), (bar, 100.0)])).into();
    let drawn = measured.into_iter().filter(|(_, _, values)| !values.is_empty());
    lines.extend(drawn.map(|(name, colour, values)| line(name, colour, false, distribution(&values))));
    let chart = Chart {
        title: "From the API server's answer to the first cloud call of the object".into(),
        x: Axis {
            label: "milliseconds".into(),
            scale: Scale::Logarithmic,
            ticks: powers(1.0, highest.max(REACT_BUSY_MS)),
        },
        y: Axis {
            label: "% of the samples at most as long".into(),
            scale: Scale::Linear,
            ticks: vec![0.0, 25.0, 50.0, 75.0, 100.0],
        },
        lines,
    };
    let caption = "Share of new objects and deletions whose first cloud call came within that time.";
    Some(Figure { file: "latency.svg", caption, svg: svg(&chart) })
}

/// The values at each whole percent.
fn distribution(values: &[f64]) -> Vec<(f64, f64)> {
    (1_u8..=100).filter_map(|share| Some((percentile(values, share.into())?, f64::from(share)))).collect()
}

/// Powers of ten from `low` on, up to at least `high`.
fn powers(low: f64, high: f64) -> Vec<f64> {
    let mut ticks = vec![low];
    let mut next = low;
    while next < high {
        next *= 10.0;
        ticks.push(next);
    }
    ticks
}

fn line(name: &str, colour: &'static str, dashed: bool, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.to_owned(), colour, dashed, marked: false, points }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_without_its_series_is_not_drawn() {
        assert!(all(&Report::of(&json!({}), &json!({}))).is_empty());
        let drawn = all(&Report::of(&json!({}), &json!({"create": [0.5, 1.0], "react": [2.0, 4.0]})));
        assert_eq!(drawn.iter().map(|figure| figure.file).collect::<Vec<_>>(), ["creates.svg", "latency.svg"]);
    }

    #[test]
    fn a_distribution_ends_with_the_slowest() {
        let drawn = distribution(&[3.0, 1.0, 2.0, 4.0]);
        assert_eq!(drawn.first(), Some(&(1.0, 1.0)));
        assert_eq!(drawn.last(), Some(&(4.0, 100.0)));
        assert_eq!(drawn.iter().filter(|(value, _)| *value <= 2.0).count(), 50);
    }

    #[test]
    fn powers_reach_the_highest() {
        assert_eq!(powers(10.0, 10_000.0), [10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(powers(1.0, 60_001.0).len(), 6);
    }
}
