//! Sizes of the scenarios and which of them run, from the environment. Parses only.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Error;
use crate::scenarios::Scenario;

/// What is measured and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PAI_BENCH_CREATES`: objects applied at once.
    pub creates: usize,
    /// `PAI_BENCH_RESIDENT`: settled objects.
    pub resident: usize,
    /// `PAI_BENCH_WINDOW`, in seconds: how long settled objects are watched.
    pub window: Duration,
    /// `PAI_BENCH_SAMPLES`: new objects, and as many deletions, whose reaction is timed.
    pub samples: usize,
    /// `PAI_BENCH_OTHERS`: other creations under way in the busy case.
    pub others: usize,
    /// `PAI_BENCH_RUNS`: how often a start and a hand-over are repeated.
    pub runs: usize,
    /// `PAI_BENCH_ONLY`: the scenarios that run, all if it is not set.
    pub only: BTreeSet<Scenario>,
}

impl Default for Settings {
    /// The sizes that the bars are about.
    fn default() -> Self {
        Self {
            creates: 1000,
            resident: 10_000,
            window: Duration::from_secs(600),
            samples: 30,
            others: 500,
            runs: 7,
            only: Scenario::ALL.into(),
        }
    }
}

impl Settings {
    /// Reads the variables through `read`, such as `std::env::var(..).ok()`. An empty one counts as not set.
    pub fn from(read: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let given = |name: &str| read(name).filter(|value| !value.is_empty());
        let number = |name: &str, default: usize| match given(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(Error::Other(format!("{name}={text}: a whole number above 0 is needed"))),
            },
        };
        let full = Self::default();
        let window = number("PAI_BENCH_WINDOW", usize::try_from(full.window.as_secs()).unwrap_or(usize::MAX))?;
        Ok(Self {
            creates: number("PAI_BENCH_CREATES", full.creates)?,
            resident: number("PAI_BENCH_RESIDENT", full.resident)?,
            window: Duration::from_secs(window as u64),
            samples: number("PAI_BENCH_SAMPLES", full.samples)?,
            others: number("PAI_BENCH_OTHERS", full.others)?,
            runs: number("PAI_BENCH_RUNS", full.runs)?,
            only: given("PAI_BENCH_ONLY").map_or(Ok(full.only), |list| named(&list))?,
        })
    }

    /// Whether a scenario was asked for.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.only.contains(&scenario)
    }
}

fn named(list: &str) -> Result<BTreeSet<Scenario>, Error> {
    let known = || Scenario::ALL.map(Scenario::name).join(", ");
    let find = |name: &str| Scenario::ALL.into_iter().find(|scenario| scenario.name() == name);
    list.split(',')
        .map(str::trim)
        .map(|name| find(name).ok_or_else(|| Error::Other(format!("PAI_BENCH_ONLY: {name} is none of {}", known()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> Result<Settings, Error> {
        Settings::from(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn without_variables_the_sizes_are_those_of_the_bars() {
        assert_eq!(Settings::from(|_| None).unwrap(), Settings::default());
        assert_eq!(with("PAI_BENCH_RESIDENT", "").unwrap().resident, 10_000);
    }

    #[test]
    fn each_variable_counts() {
        assert_eq!(with("PAI_BENCH_CREATES", "7").unwrap().creates, 7);
        assert_eq!(with("PAI_BENCH_RESIDENT", "7").unwrap().resident, 7);
        assert_eq!(with("PAI_BENCH_WINDOW", "7").unwrap().window, Duration::from_secs(7));
        assert_eq!(with("PAI_BENCH_SAMPLES", "7").unwrap().samples, 7);
        assert_eq!(with("PAI_BENCH_OTHERS", "7").unwrap().others, 7);
        assert_eq!(with("PAI_BENCH_RUNS", "9").unwrap().runs, 9);
        let only = with("PAI_BENCH_ONLY", "create, react_busy").unwrap();
        assert!(only.wants(Scenario::Create) && only.wants(Scenario::ReactBusy) && !only.wants(Scenario::React));
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        for value in ["0", "-1", "many"] {
            assert!(with("PAI_BENCH_CREATES", value).unwrap_err().to_string().contains("PAI_BENCH_CREATES"));
        }
        let refusal = with("PAI_BENCH_ONLY", "create,speed").unwrap_err().to_string();
        assert!(refusal.contains("speed is none of sign, "), "{refusal}");
    }
}
