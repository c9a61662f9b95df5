//! `target/bench/report.json`, one object with a member for each scenario, and `series.json` beside it for the plots. A
//! run replaces the members that it measured and leaves the others as they are. Must not fill in what was not measured.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::scenarios::Outcome;
use crate::{Error, while_doing};

/// The report and the series, as they are on disk.
#[derive(Clone, Debug)]
pub struct Report {
    folder: PathBuf,
    figures: Map<String, Value>,
    series: Map<String, Value>,
}

impl Report {
    /// What earlier runs left in the folder; empty where there is nothing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(while_doing(&folder.display().to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            figures: read(&folder.join("report.json"))?,
            series: read(&folder.join("series.json"))?,
        })
    }

    /// A report that is only looked at.
    pub fn of(figures: &Value, series: &Value) -> Self {
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        Self { folder: PathBuf::new(), figures: object(figures), series: object(series) }
    }

    /// Sets `machine` or `versions`.
    pub fn set(&mut self, name: &str, value: Value) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Puts a scenario's figures in the place of older ones, and writes the files.
    pub fn keep(&mut self, outcome: Outcome) -> Result<(), Error> {
        let name = outcome.scenario.name().to_owned();
        self.figures.insert(name.clone(), without_null(outcome.figures));
        match outcome.series {
            Some(series) => self.series.insert(name, series),
            None => self.series.remove(&name),
        };
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        for (file, members) in [("report.json", &self.figures), ("series.json", &self.series)] {
            let path = self.folder.join(file);
            let text = format!("{:#}\n", Value::Object(members.clone()));
            fs::write(&path, text).map_err(while_doing(&path.display().to_string()))?;
        }
        Ok(())
    }

    /// A figure by its path, such as `create.ratio`.
    pub fn figure(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let first = self.figures.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// A figure as a number.
    pub fn number(&self, path: &str) -> Option<f64> {
        self.figure(path)?.as_f64()
    }

    /// A figure as a number, or of a list how long it is.
    pub fn size(&self, path: &str) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)] // lists are far shorter than 2^52
        let length = |list: &Vec<Value>| list.len() as f64;
        let figure = self.figure(path)?;
        figure.as_f64().or_else(|| figure.as_array().map(length))
    }

    /// The series of a scenario.
    pub fn series(&self, scenario: &str) -> &[Value] {
        self.series.get(scenario).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(Map::new());
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::Other(format!("{} is no report ({error}): remove it to begin a new one", path.display()))
    })
}

/// What was not measured is left out.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, member)| !member.is_null());
            kept.map(|(name, member)| (name, without_null(member))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::Scenario;
    use serde_json::json;

    fn outcome(scenario: Scenario, figures: Value, series: Option<Value>) -> Outcome {
        Outcome { scenario, figures, series }
    }

    #[test]
    fn a_run_replaces_what_it_measured_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("pai-bench-report-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let mut report = Report::open(&folder).unwrap();
        report.keep(outcome(Scenario::Create, json!({"objects": 5, "ratio": 2.0}), Some(json!([1.0])))).unwrap();
        report.keep(outcome(Scenario::Sign, json!({"nanoseconds": 9.5}), None)).unwrap();
        let mut later = Report::open(&folder).unwrap();
        later.keep(outcome(Scenario::Create, json!({"objects": 7, "seconds": null}), None)).unwrap();
        let last = Report::open(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(last.figure("create"), Some(&json!({"objects": 7})));
        assert_eq!(last.number("sign.nanoseconds"), Some(9.5));
        assert_eq!(last.figure("create.ratio"), None);
        assert!(last.series("create").is_empty());
    }

    #[test]
    fn a_broken_report_is_refused() {
        let folder = std::env::temp_dir().join(format!("pai-bench-broken-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("report.json"), "[").unwrap();
        let refusal = Report::open(&folder).unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert!(refusal.contains("report.json") && refusal.contains("remove it"), "{refusal}");
    }
}
