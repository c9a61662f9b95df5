//! Step 3 to 6: one owner a domain, and a lookup that proves something.

use super::*;

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

#[test]
fn a_listing_from_before_is_not_shared() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("first", &json!({}));
        while ids(&world.get("first").unwrap()).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        tear_out(&world, "first");
        world.apply("web", &json!({"domainName": domain("first")}));
        sleep(Duration::from_mins(1)).await;
        assert_eq!(Ready::of(&web(&world)).reason, "DomainTaken");
        assert_eq!(creates(&world), 1);
    });
}

/// Three slow pages and a slow Event: when the create could be sent, the wall clock has not been asked again.
#[test]
fn a_look_that_is_too_old_by_the_monotonic_clock_is_repeated() {
    run(1, |world| async move {
        spoil(&world, "CreatePaiInstance", Effect::Ids { count: 100 });
        let operator = start(&world);
        world.apply("crowd", &json!({}));
        while ids(&world.get("crowd").unwrap()).is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        operator.kill();
        tear_out(&world, "crowd");
        note_arrivals(&world);
        let pages = Trouble::SlowAnswer(Duration::from_millis(19_800));
        world.state().faults.add(Rule { at: Place::AnyCloud, skip: 0, times: 3, trouble: pages });
        let event = Trouble::SlowAnswer(Duration::from_secs(4));
        world.state().faults.once(Place::Api(kube_apiserver_model::Verb::Create, "events"), event);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        world.annotate("web", "resolve-create", &"retry:nothing".into());
        sleep(Duration::from_mins(5)).await;
        let create = arrivals(&world, "CreatePaiInstance").first().unwrap().at;
        let lists = arrivals(&world, "DescribePaiInstances");
        let before = lists.iter().filter(|list| list.at < create).count();
        assert_eq!(before, 4, "the look was two pages, and was repeated");
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
