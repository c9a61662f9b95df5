//! The simulation itself: the main job, and that runs repeat.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::oracle;
use crate::person::SECRET_KEY;
use crate::process::{Options, keep_running};
use crate::run::{fixed_point, plain, rest, run};

/// The log of one plain life: create, ready, delete.
fn life(seed: u64) -> Vec<String> {
    run(seed, |world| async move {
        let _slot = keep_running(&world, "operator", Options::default(), Duration::from_secs(1));
        world.apply("web", &plain());
        rest(&world, Duration::from_mins(5), |_| false).await.unwrap();
        fixed_point(&world, Duration::from_mins(30)).await.unwrap();
        oracle::machines_and_objects_agree(&world, &BTreeSet::new()).unwrap();
        assert_eq!(
            oracle::end_state(&world),
            ["web ready=true Available Created ids=1", r#"{"created":1,"launchFailed":0,"terminated":0}"#]
        );
        world.delete("web");
        rest(&world, Duration::from_mins(5), |_| false).await.unwrap();
        assert_eq!(oracle::end_state(&world), [r#"{"created":1,"launchFailed":0,"terminated":1}"#]);
        oracle::no_duplicates(&world).unwrap();
        oracle::nothing_shown_nothing_broken(&world).unwrap();
        std::mem::take(&mut world.state().log)
    })
}

#[test]
fn a_life_without_faults() {
    println!("{}", life(1).join("\n"));
}

#[test]
fn runs_repeat_from_their_seed() {
    assert_eq!(life(7), life(7));
}

/// The oracle itself: a secret in a log line, and one in what is written, does not pass.
#[test]
fn a_secret_that_shows_is_noticed() {
    run(1, |world| async move {
        oracle::nothing_shown_nothing_broken(&world).unwrap();
        tracing::info!(key = SECRET_KEY, "planted by the test");
        let shown = oracle::nothing_shown_nothing_broken(&world);
        assert!(shown.is_err_and(|why| why.contains("a log line")));
    });
}
