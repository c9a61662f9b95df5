//! Wall clocks that step, by hours and while the process runs: nobody judges a Lease by what another's clock wrote into it.
//!
//! One process's wall clock cannot be set apart from the machine's, so a small library of ours answers in its place: see
//! `shifted_clock.c`. The monotonic clock stays as it is, as it does on a machine whose wall clock is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use pai_harness::Operator;

use crate::scene::{Scene, leads, wait_leads};

/// Renewals that are watched after each step: longer than the lease of 15 s, as one comes every three seconds.
const RENEWALS: usize = 6;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// A wall clock that the test sets.
struct ShiftedClock {
    library: PathBuf,
    file: PathBuf,
}

impl ShiftedClock {
    fn build(folder: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leadership/shifted_clock.c");
        let library = folder.join("shifted_clock.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
        let output = cc.output().unwrap_or_else(|error| panic!("cc, which Rust needs as well: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let clock = Self { library, file: folder.join("shifted_clock") };
        clock.set(0);
        clock
    }

    fn set(&self, seconds: i64) {
        // In one piece: a file that is being written would read as no shift.
        let new = self.file.with_extension("new");
        fs::write(&new, seconds.to_string()).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }

    fn given_to(&self, operator: Operator) -> Operator {
        operator
            .with_env("LD_PRELOAD", &self.library.display().to_string())
            .with_env("SHIFTED_CLOCK", &self.file.display().to_string())
    }
}

#[test]
fn a_stepped_wall_clock_makes_nobody_early_or_late() {
    let scene = Scene::start();
    let clock = ShiftedClock::build(scene.stack.control_plane().folder());
    let stepping = clock.given_to(scene.replica("stepping"));
    let right = scene.replica("right");
    stepping.start().unwrap();
    stepping.wait_ready().unwrap();
    right.start().unwrap();
    right.wait_standby().unwrap();
    // Backwards no further than the API server's certificate is old, which it makes an hour older than it is.
    for step in [6 * HOUR, -45 * MINUTE, 3 * HOUR] {
        clock.set(step);
        stays(&scene, &stepping, &right, step);
    }
    // Three hours ahead, and dead: its last renewal lies in the future of all others.
    assert!(stepping.kill9());
    wait_leads(&right, &stepping);
    // The other way round: for this standby the leader's renewals are hours old.
    stepping.start().unwrap();
    stepping.wait_standby().unwrap();
    stays(&scene, &right, &stepping, 0);
    assert!(right.kill9());
    wait_leads(&stepping, &right);
    // By its right time again, for else the cloud takes none of its signatures.
    clock.set(0);
    scene.apply("after");
    scene.wait_object_ready("after");
    scene.assert_bought(1);
}

/// The leader renews by a clock that is this far off, and the standby never takes itself for the leader.
fn stays(scene: &Scene, leader: &Operator, standby: &Operator, step: i64) {
    let mut last = scene.lease().unwrap();
    let transitions = last.transitions;
    for _ in 0..RENEWALS {
        let next = scene.wait_lease("a renewal", |lease| {
            assert!(!leads(standby), "{step} s: taken while its leader renews it");
            lease.renewed != last.renewed
        });
        last = next;
    }
    let off = last.renewed.unwrap().duration_since(Timestamp::now()) - SignedDuration::from_secs(step);
    assert!(off.abs() < SignedDuration::from_mins(30), "the wall clock did not step: off by {off}");
    assert!(leads(leader));
    assert_eq!((last.holder, last.transitions), (leader.pod_name().unwrap(), transitions));
    standby.check_alive().unwrap();
}
