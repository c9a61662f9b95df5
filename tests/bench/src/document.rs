//! `docs/benchmarks.md` and its figures, from the report and the template beside this file. The page is for all scenarios of one program
//! at full size: smaller runs, and those of some scenarios only, leave the committed one alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::Report;
use crate::scenarios::Scenario;
use crate::settings::Settings;
use crate::{Error, bars, figures, while_doing};

/// The page with its places in braces.
const TEMPLATE: &str = include_str!("document.md");

/// What was found out about the shipped program besides.
const PROGRAM: &str = include_str!("program.md");

/// How long a full run takes, in minutes. Measured on 2 cores.
const MINUTES: &str = "75";

/// Sizes in the report, each with the one that the bars are about; of a list its length counts.
fn sizes() -> [(&'static str, f64); 14] {
    let full = Settings::default();
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^52
    let [creates, resident, others, samples, runs] =
        [full.creates, full.resident, full.others, full.samples, full.runs].map(|size| size as f64);
    [
        ("create.objects", creates),
        ("recover.objects", creates),
        ("handover.clean_runs", runs),
        ("handover.killed_runs", runs),
        ("settled.objects", resident),
        ("settled.window_seconds", full.window.as_secs_f64()),
        ("start.resident", resident),
        ("start.runs", runs),
        ("react.resident", resident),
        ("react.new.samples", samples),
        ("react.deletion.samples", samples),
        ("react_busy.resident", resident),
        ("react_busy.others", others),
        ("react_busy.new.samples", samples),
    ]
}

/// Whether the report belongs on the page: all scenarios of one and the same program, at the sizes that the bars are about.
pub fn is_whole(report: &Report) -> bool {
    let program = report.figure("versions.operator");
    let is_of_it = |scenario: Scenario| {
        let commit = report.figure(&format!("{}.commit", scenario.name()));
        commit.is_some() && commit == program
    };
    let fits = |(path, size): (&str, f64)| report.size(path).is_some_and(|found| found >= size);
    Scenario::ALL.into_iter().all(is_of_it) && sizes().into_iter().all(fits)
}

/// Writes the page and the figures below `docs`, or below `target/bench` where the report is of less. Returns the page.
pub fn write(report: &Report, docs: &Path, other: &Path, date: &str) -> Result<PathBuf, Error> {
    let folder = if is_whole(report) { docs } else { other };
    let pictures = folder.join("benchmarks");
    fs::create_dir_all(&pictures).map_err(while_doing(&pictures.display().to_string()))?;
    for figure in figures::all(report) {
        let path = pictures.join(figure.file);
        fs::write(&path, figure.svg).map_err(while_doing(&path.display().to_string()))?;
    }
    let page = folder.join("benchmarks.md");
    fs::write(&page, text(report, date)).map_err(while_doing(&page.display().to_string()))?;
    Ok(page)
}

/// The page.
pub fn text(report: &Report, date: &str) -> String {
    let rows = bars::rows(report);
    let measured = rows.iter().filter(|row| row.held.is_some()).count();
    let word = |path: &str| report.figure(path).and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
    let count = |path: &str| report.number(path).map_or_else(|| "unknown".into(), |number| number.to_string());
    let status = if measured == 0 {
        "Not yet measured at full size.".to_owned()
    } else {
        format!(
            "Last run on {date}: {measured} of {} bars measured, operator at commit {}.",
            rows.len(),
            word("versions.operator")
        )
    };
    let machine = if measured == 0 {
        "Not yet measured at full size.".to_owned()
    } else {
        format!(
            "{} cores, {} MiB, {}; Kubernetes {}, etcd {}.",
            count("machine.cores"),
            count("machine.memory_mib"),
            word("machine.cpu"),
            word("versions.kubernetes"),
            word("versions.etcd"),
        )
    };
    let pictures = figures::all(report);
    let pictures: Vec<String> = pictures
        .iter()
        .map(|figure| format!("![{}](benchmarks/{})\n\n{}", figure.caption, figure.file, figure.caption))
        .collect();
    let page = TEMPLATE
        .replace("{status}", &status)
        .replace("{table}", bars::table(&rows).trim_end())
        .replace("{comparison}", &comparison(report))
        .replace("{machine}", &machine)
        .replace("{program}", PROGRAM.trim_end())
        .replace("{minutes}", MINUTES);
    let page = page.replace("{figures}", &pictures.join("\n\n"));
    // Nothing stays of what was not measured or drawn, not even its empty lines.
    page.split("\n\n").filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// How the times to the first cloud call compare with those of a program that only watches.
fn comparison(report: &Report) -> String {
    let of = |scenario: &str, figure: &str| report.number(&format!("{scenario}.{figure}"));
    let lines = [("react", "at rest"), ("react_busy", "busy")].into_iter().filter_map(|(scenario, name)| {
        let (shown, after) = (of(scenario, "shown_p99_ms")?, of(scenario, "after_shown_p99_ms")?);
        Some(format!(
            "- {name}: a program that does nothing but watch was shown the same objects after {shown} ms (p99); by sample, the \
             operator's first call came at most {after} ms (p99) later than that."
        ))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A report that belongs on the page.
    fn whole() -> Value {
        let mut figures = json!({"versions": {"operator": "abc"}});
        for scenario in Scenario::ALL {
            figures[scenario.name()] = json!({"commit": "abc"});
        }
        for (path, size) in sizes() {
            let parts: Vec<&str> = path.split('.').collect();
            let place = parts.iter().fold(&mut figures, |value, part| &mut value[*part]);
            let is_list = path.ends_with("runs");
            *place = if is_list { json!(vec![1.0; Settings::default().runs]) } else { json!(size) };
        }
        figures
    }

    #[test]
    fn all_of_one_program_at_full_size_belongs_on_the_page() {
        assert!(is_whole(&Report::of(&whole(), &json!({}))));
    }

    #[test]
    fn whatever_is_smaller_missing_or_of_another_program_does_not() {
        let spoiled = |spoil: &dyn Fn(&mut Value)| {
            let mut figures = whole();
            spoil(&mut figures);
            Report::of(&figures, &json!({}))
        };
        assert!(!is_whole(&spoiled(&|all| all["create"]["objects"] = json!(999))));
        assert!(!is_whole(&spoiled(&|all| all["settled"]["window_seconds"] = json!(20.0))));
        assert!(!is_whole(&spoiled(&|all| all["start"]["runs"] = json!([3.1]))));
        assert!(!is_whole(&spoiled(&|all| all["react"] = json!({"commit": "abc"}))));
        for scenario in Scenario::ALL {
            assert!(!is_whole(&spoiled(&|all| all[scenario.name()] = json!(null))));
            assert!(!is_whole(&spoiled(&|all| all[scenario.name()]["commit"] = json!("older"))));
        }
    }

    #[test]
    fn every_place_of_the_template_is_filled() {
        for figures in [json!({}), json!({"create": {"objects": 1000, "ratio": 1.01}})] {
            let page = text(&Report::of(&figures, &json!({"create": [0.1, 0.2]})), "2026-11-26");
            assert!(!page.contains('{') && !page.contains('}'), "{page}");
            assert!(!page.contains("\n\n\n"), "{page}");
        }
    }

    #[test]
    fn reactions_are_compared_with_a_program_that_only_watches() {
        let figures = json!({"react_busy": {"shown_p99_ms": 86.1, "after_shown_p99_ms": 21.65}});
        let page = text(&Report::of(&figures, &json!({})), "2026-11-26");
        assert!(
            page.contains("\n\n- busy: a program that does nothing but watch was shown the same objects after 86.1 ms"),
            "{page}"
        );
        assert!(page.contains("at most 21.65 ms (p99) later than that.\n\n"), "{page}");
        assert!(!page.contains("- at rest:"), "not measured");
    }

    #[test]
    fn a_page_without_figures_says_so() {
        assert!(text(&Report::of(&json!({}), &json!({})), "2026-11-26").contains("Not yet measured at full size."));
    }
}
