//! `docs/benchmarks.md` and its figures, from the report and the template beside this file. A page is for the full sizes
//! only: smaller runs leave the committed one alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::Report;
use crate::settings::Settings;
use crate::{Error, bars, figures, while_doing};

/// The page with its places in braces.
const TEMPLATE: &str = include_str!("document.md");

/// What was found out about the shipped program besides.
const PROGRAM: &str = include_str!("program.md");

/// How long a full run takes, in minutes. Measured on 2 cores.
const MINUTES: &str = "45";

/// Whether everything in the report is of the sizes that the bars are about, so that it belongs on the page.
pub fn is_full_size(report: &Report) -> bool {
    let full = Settings::default();
    let sizes = [
        ("create.objects", full.creates),
        ("recover.objects", full.creates),
        ("settled.objects", full.resident),
        ("start.resident", full.resident),
        ("react.resident", full.resident),
        ("react_busy.resident", full.resident),
        ("react_busy.others", full.others),
    ];
    #[allow(clippy::cast_precision_loss)] // sizes are far below 2^52
    let fits = |(path, size): (&str, usize)| report.number(path).is_none_or(|number| number >= size as f64);
    sizes.into_iter().all(fits)
}

/// Writes the page and the figures below `docs`, or below `target/bench` where the sizes are smaller. Returns the page.
pub fn write(report: &Report, docs: &Path, other: &Path, date: &str) -> Result<PathBuf, Error> {
    let folder = if is_full_size(report) { docs } else { other };
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
        .replace("{machine}", &machine)
        .replace("{program}", PROGRAM.trim_end())
        .replace("{minutes}", MINUTES);
    // Nothing stays of figures that were not drawn, not even their empty lines.
    if pictures.is_empty() {
        page.replace("{figures}\n\n", "")
    } else {
        page.replace("{figures}", &pictures.join("\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn smaller_sizes_do_not_belong_on_the_page() {
        let full = |figures| is_full_size(&Report::of(&figures, &json!({})));
        assert!(full(json!({})));
        assert!(full(json!({"create": {"objects": 1000}, "settled": {"objects": 10_000}})));
        assert!(!full(json!({"create": {"objects": 999}})));
        assert!(!full(json!({"create": {"objects": 1000}, "react": {"resident": 50}})));
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
    fn a_page_without_figures_says_so() {
        assert!(text(&Report::of(&json!({}), &json!({})), "2026-11-26").contains("Not yet measured at full size."));
    }
}
