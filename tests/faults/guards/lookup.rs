//! Step 3 to 6: one owner a domain, and a lookup that proves something.

use super::*;
use crate::rows::outside;

#[test]
fn a_machine_of_another_name_is_not_ours() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("other", &json!({}));
        settle(&world).await;
        spoil_after(&world, "DescribeInstances", 0, 1000, Effect::IgnoreFilter {});
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(2)).await;
        let (ours, others) = (ids(&web(&world)), ids(&world.get("other").unwrap()));
        assert_eq!((ours.len(), bought(&world)), (1, 2));
        assert_ne!(ours, others);
    });
}

#[test]
fn a_list_that_fails_is_no_evidence_of_absence() {
    run(1, |world| async move {
        let error = Effect::Error { code: "InternalError".to_owned(), message: String::new(), commit: false };
        spoil_after(&world, "DescribePaiInstances", 0, 1000, error);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(10)).await;
        assert_eq!(creates(&world), 0);
        world.state().cloud.clear_faults();
        settle(&world).await;
        assert_eq!(creates(&world), 1);
    });
}

/// Somebody else buys the domain between the listing for one object and the question of the next.
#[test]
fn a_listing_from_before_is_not_shared() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("first", &json!({}));
        while ids(&world.get("first").unwrap()).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        outside::buy(&world, &domain("web"), "somebody's").await;
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(1)).await;
        assert_eq!(Ready::of(&web(&world)).reason, "DomainTaken");
        assert_eq!(creates(&world), 2, "the first, and that of somebody else");
    });
}

/// A create that is held up after its look, here because the process does not lead, looks again before it is sent.
#[test]
fn a_look_that_is_too_old_is_repeated() {
    run(1, |world| async move {
        let operator = start(&world);
        operator.lose_leadership();
        world.apply("web", &json!({}));
        sleep(Duration::from_secs(10)).await;
        assert!(calls(&world, "DescribePaiInstances") > 0, "it has looked");
        outside::buy(&world, &domain("web"), "somebody's").await;
        sleep(Duration::from_secs(55)).await;
        operator.lead_again();
        sleep(Duration::from_mins(1)).await;
        assert_eq!(Ready::of(&web(&world)).reason, "DomainTaken", "what came meanwhile was seen");
        assert_eq!(creates(&world), 1, "that of somebody else");
    });
}

/// While a create is held up after its look, another object with the domain goes and leaves its machine.
#[test]
fn what_another_object_left_is_looked_for() {
    run(1, |world| async move {
        let operator = start(&world);
        operator.lose_leadership();
        world.apply("web", &json!({}));
        sleep(Duration::from_secs(5)).await;
        world.apply("other", &json!({"domainName": domain("web")}));
        outside::buy(&world, &domain("web"), "the other's").await;
        sleep(Duration::from_secs(1)).await;
        tear_out(&world, "other");
        sleep(Duration::from_secs(5)).await;
        operator.lead_again();
        sleep(Duration::from_mins(1)).await;
        assert_eq!(Ready::of(&web(&world)).reason, "DomainTaken", "what it left was seen");
        assert_eq!(creates(&world), 1, "the other's");
    });
}

/// Two objects with one domain: the second comes, with the better claim, just when the first has made sure that there is none, and the
/// watch is then too late to show what the first has begun.
#[test]
fn two_objects_with_one_domain_never_buy_at_one_moment() {
    for seed in 1..=4 {
        for milliseconds in (60..140).step_by(2) {
            run_in(seed, true, move |world| async move {
                let late = Trouble::Delay(Duration::from_secs(2));
                world.state().faults.once(Place::Cloud("CreatePaiInstance"), late);
                let _operator = start(&world);
                world.apply("first", &json!({"domainName": domain("web")}));
                sleep(Duration::from_millis(milliseconds)).await;
                world.apply("web", &json!({}));
                sleep(Duration::from_millis(3)).await;
                world.state().faults.watch_delay = Duration::from_secs(10);
                sleep(Duration::from_mins(2)).await;
                assert_eq!(bought(&world), 1, "seed {seed}, after {milliseconds} ms");
            });
        }
    }
}
