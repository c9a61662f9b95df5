//! The keeper of one operator: kills it, and starts it again as the kubelet does, also when it ended by itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use pai_harness::Operator;

/// The longest time that an operator leads before it is killed. Long enough for a create and its settling, short enough to hit them.
const LONGEST_REIGN: u64 = 4_000;

/// What the threads of a run tell each other.
#[derive(Default)]
pub struct Course {
    /// Kills that hit an operator which led.
    pub kills: AtomicUsize,
    /// How often an operator ended by itself: it had lost its Lease.
    pub own_ends: AtomicUsize,
    over: AtomicBool,
}

impl Course {
    pub fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Ends the run for all when it is dropped, also when its thread has failed: else the others would go on for ever.
    pub fn ends_with_me(&self) -> Ending<'_> {
        Ending(self)
    }
}

pub struct Ending<'a>(&'a Course);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

pub struct Keeper<'a> {
    pub operator: &'a Operator,
    pub course: &'a Course,
    pub kills: usize,
    pub rng: Rng,
}

impl Keeper<'_> {
    /// Kills it as often as it shall, each time after it led again; then keeps it running until the run is over.
    pub fn keep(mut self) {
        let _ending = self.course.ends_with_me();
        let mut left = self.kills;
        while left > 0 && !self.course.over() {
            self.make_it_lead();
            thread::sleep(Duration::from_millis(self.rng.u64(..LONGEST_REIGN)));
            if self.operator.kill9() {
                left -= 1;
                self.course.kills.fetch_add(1, Ordering::Relaxed);
            } else {
                self.course.own_ends.fetch_add(1, Ordering::Relaxed);
            }
        }
        while !self.course.over() {
            self.make_it_lead();
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn make_it_lead(&self) {
        while !self.course.over() {
            let ended = self.operator.exited().is_some();
            self.course.own_ends.fetch_add(usize::from(ended), Ordering::Relaxed);
            // It cannot be started while the API server is away: the harness reads the Deployment there.
            if (ended || self.operator.pid().is_none()) && self.operator.start().is_err() {
                thread::sleep(Duration::from_millis(200));
                continue;
            }
            match self.operator.wait_ready() {
                Ok(()) => return,
                Err(error) if self.operator.exited().is_none() => panic!("{error}"),
                Err(_) => {}
            }
        }
    }
}
