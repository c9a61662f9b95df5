//! Whether what was printed is what a page shows, but for what differs from one run to the next: ids, times, ages, addresses. An id stands
//! for the same one all over a page. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Ids of machines and attempts, and of requests.
static IDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"ins-[a-z0-9]{8}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}").unwrap());

/// Times, addresses of machines, and ages.
static CHANGING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [0-9:]{8} \d{4}|198\.18\.\d+\.\d+|10\.0\.\d+\.\d+|(?:^|\s)\d+[smhd](?:\d+[smh])?(?:\s|$)",
    )
    .unwrap()
});

/// What ids of the page stand for in this run.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeMap<String, String>);

impl Ids {
    /// A text of the page with this run's ids.
    pub fn put_into(&self, text: &str) -> String {
        let known = |found: &Captures| self.0.get(&found[0]).cloned().unwrap_or_else(|| found[0].to_owned());
        IDS.replace_all(text, known).into_owned()
    }

    /// Takes the ids of a line that is alike.
    fn learn(&mut self, shown: &str, printed: &str) -> bool {
        let mut learned = self.0.clone();
        for (a, b) in IDS.find_iter(shown).zip(IDS.find_iter(printed)) {
            // Two of the page are two here as well.
            let fits = match learned.get(a.as_str()) {
                Some(known) => known == b.as_str(),
                None => learned.values().all(|known| known != b.as_str()),
            };
            if !fits {
                return false;
            }
            learned.insert(a.as_str().to_owned(), b.as_str().to_owned());
        }
        self.0 = learned;
        true
    }

    /// Whether a line is alike; if so its ids are learned.
    fn line(&mut self, shown: &str, printed: &str) -> bool {
        let (a, b) = (masked(shown), masked(printed));
        let alike = match a.strip_suffix("...") {
            Some(beginning) => b.starts_with(beginning.trim_end()),
            None => a == b,
        };
        alike && self.learn(shown, printed)
    }

    /// Learns from what was printed if it is what the page shows, where `...` on a line of its own stands for any lines; else says what is
    /// missing.
    pub fn learn_all(&mut self, shown: &[String], printed: &str) -> Result<(), String> {
        let mut learned = self.clone();
        let printed = lines(printed);
        let mut next = 0;
        let mut skips = false;
        for line in shown {
            if line.trim() == "..." {
                skips = true;
                continue;
            }
            let mut rest = (next..printed.len()).take(if skips { usize::MAX } else { 1 });
            let found = rest.find(|at| learned.line(line, printed[*at]));
            next = found.ok_or_else(|| format!("not printed: {line}"))? + 1;
            skips = false;
        }
        if !skips && next < printed.len() {
            return Err(format!("not on the page: {}", printed[next]));
        }
        *self = learned;
        Ok(())
    }

    /// The same for a table of Events: their order and number do not count, since some happen in one second and some are told again, nor does
    /// what else went well. A kind of warning that the page does not show counts, unless it has `...`: a reader would wonder.
    pub fn learn_events(&mut self, shown: &[String], printed: &str) -> Result<(), String> {
        let mut learned = self.clone();
        let printed = lines(printed);
        let shown_events: Vec<&String> = shown.iter().filter(|line| line.trim() != "...").collect();
        for line in &shown_events {
            let found = printed.iter().any(|printed| learned.line(line, printed));
            found.then_some(()).ok_or_else(|| format!("not printed: {line}"))?;
        }
        let is_warning = |line: &&&str| line.split_whitespace().any(|word| word == "Warning");
        let is_shown = |printed: &str| shown_events.iter().any(|line| learned.clone().line(line, printed));
        let unknown = printed.iter().filter(is_warning).find(|printed| !is_shown(printed));
        if let (Some(warning), true) = (unknown, shown_events.len() == shown.len()) {
            return Err(format!("not on the page: {warning}"));
        }
        *self = learned;
        Ok(())
    }
}

fn lines(printed: &str) -> Vec<&str> {
    printed.lines().filter(|line| !line.trim().is_empty()).collect()
}

/// A line with placeholders and single blanks.
fn masked(line: &str) -> String {
    let line = IDS.replace_all(line, "ID");
    // Twice: two ages may share the blank between them.
    let line = CHANGING.replace_all(&line, " _ ");
    let line = CHANGING.replace_all(&line, " _ ");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(shown: &[&str], printed: &str) -> Result<Ids, String> {
        let mut ids = Ids::default();
        ids.learn_all(&owned(shown), printed).map(|()| ids)
    }

    fn owned(shown: &[&str]) -> Vec<String> {
        shown.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_changes_from_run_to_run_does_not_count() {
        let ids = learned(
            &["NAME  AGE", "a     ins-aaaaaaaa   4m2s", "at 2026-11-24T19:56:53Z: ins-aaaaaaaa runs at 198.18.0.4."],
            "NAME   AGE\na   ins-bbbbbbbb   3s\n\nat 2027-01-01T00:00:00Z: ins-bbbbbbbb runs at 198.18.0.77.\n",
        );
        assert_eq!(ids.unwrap().put_into("adopt:ins-aaaaaaaa ins-cccccccc"), "adopt:ins-bbbbbbbb ins-cccccccc");
    }

    #[test]
    fn all_else_counts() {
        assert!(learned(&["a True"], "a False").is_err());
        assert!(learned(&["a"], "a\nb").is_err());
        assert!(learned(&["a", "b"], "a").is_err());
        assert!(learned(&["a", "b"], "b\na").is_err());
        // One machine is not two.
        assert!(learned(&["ins-aaaaaaaa", "ins-aaaaaaaa"], "ins-bbbbbbbb\nins-cccccccc").is_err());
        assert!(learned(&["ins-aaaaaaaa", "ins-dddddddd"], "ins-bbbbbbbb\nins-bbbbbbbb").is_err());
        assert!(learned(&["ins-aaaaaaaa ins-aaaaaaaa"], "ins-bbbbbbbb ins-cccccccc").is_err());
    }

    #[test]
    fn dots_leave_something_out() {
        assert!(learned(&["...", "b", "..."], "a\na\nb\nc").is_ok());
        assert!(learned(&["...", "b"], "a\nb\nc").is_err());
        assert!(learned(&["the long mess ..."], "the long message").is_ok());
    }

    #[test]
    fn of_events_each_one_shown_and_each_warning_counts() {
        let fits = |shown: &[&str], printed: &str| Ids::default().learn_events(&owned(shown), printed).is_ok();
        assert!(fits(&["5s  Normal b", "7s  Normal a"], "1s  Normal a\n2s  Normal c\n3s  Normal b"));
        assert!(!fits(&["5s  Normal d"], "1s  Normal a"));
        assert!(fits(&["5s  Warning a", "6s  Normal b"], "1s  Warning a\n2s  Warning a\n3s  Normal b"));
        assert!(!fits(&["5s  Normal a"], "1s  Normal a\n2s  Warning b"));
        assert!(fits(&["5s  Normal a", "..."], "1s  Normal a\n2s  Warning b"));
    }
}
