//! Waiting for a condition: looks again and again until it holds or the deadline is over.
//! Must say what it saw last, since "timed out" alone helps nobody.

use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

/// Pause between two looks. Our choice: short beside the 50 ms that one kubectl call takes.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls `probe` until it returns `Ok`, whose value is handed on.
///
/// `Err` of the probe is what it saw instead; the last one stands in the error message. The probe
/// runs at least once, and once more after the deadline, so a slow machine is not blamed.
pub fn wait_until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        let late = started.elapsed() >= deadline;
        match probe() {
            Ok(value) => return Ok(value),
            Err(seen) if late => {
                return Err(Error::Timeout { what: what.to_owned(), seconds: deadline.as_secs(), seen });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_on_the_value_of_the_first_look_that_holds() {
        let mut looks = 0;
        let value = wait_until("the third look", Duration::from_mins(1), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn says_what_it_saw_last() {
        let failure = wait_until::<()>("the moon", Duration::ZERO, || Err("only clouds".into()));
        assert_eq!(failure.unwrap_err().to_string(), "waited 0 s for the moon; last seen: only clouds");
    }
}
