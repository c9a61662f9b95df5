//! Step 7 to 10: intent, send, persist.

use super::*;

/// At the moment when a create reaches the cloud, its intent stands in the status.
fn every_create_was_announced(world: &World) {
    let all = arrivals(world, "CreatePaiInstance");
    assert!(!all.is_empty(), "nothing was sent");
    for arrival in all {
        let announced = arrival.objects.iter().any(|object| attempt_state(object) == "Sending");
        assert!(announced, "a create without its intent: {:?}", arrival.objects);
    }
}

#[test]
fn an_object_is_read_from_no_cache() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        let seen = world.state().seen;
        assert!(seen.reads > 0);
        assert_eq!(seen.cached_reads, 0, "of {} reads", seen.reads);
    });
}

#[test]
fn the_intent_stands_before_the_send() {
    run(1, |world| async move {
        note_arrivals(&world);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        every_create_was_announced(&world);
    });
}

#[test]
fn a_conflict_stops_the_create() {
    run(1, |world| async move {
        note_arrivals(&world);
        world.state().faults.once(Place::StatusWrite, Trouble::Refuse(409, "Conflict"));
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        every_create_was_announced(&world);
        assert_eq!(creates(&world), 1);
    });
}

#[test]
fn an_edit_during_the_lookup_stops_the_create() {
    run(1, |world| async move {
        let slow = Trouble::SlowAnswer(Duration::from_secs(5));
        world.state().faults.once(Place::Cloud("DescribeInstances"), slow);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        sleep(Duration::from_secs(2)).await;
        world.annotate("web", "paused", &"true".into());
        sleep(Duration::from_mins(2)).await;
        assert_eq!(creates(&world), 0);
    });
}

#[test]
fn a_lost_answer_to_the_intent_stops_the_create() {
    run(1, |world| async move {
        world.state().faults.once(Place::StatusWrite, Trouble::LoseAnswer);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        assert_eq!((ordinal(&web(&world)), creates(&world)), (Some(2), 1), "the first was announced and never sent");
    });
}

#[test]
fn a_crd_that_prunes_the_intent_stops_the_create() {
    run(1, |world| async move {
        let (group, plural, name) =
            ("apiextensions.k8s.io", "customresourcedefinitions", "paiinstances.pai.tencentcloud.io");
        let mut crd = world.state().api.peek(group, plural, "", name).unwrap().clone();
        let place = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        assert!(crd.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("createAttempt").is_some());
        world.ask("PUT", &format!("/apis/{group}/v1/{plural}/{name}"), crd);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(30)).await;
        assert_eq!(creates(&world), 0);
        assert!(Ready::of(&web(&world)).message.contains("older than the operator"), "{:?}", Ready::of(&web(&world)));
    });
}

#[test]
fn a_freeze_between_intent_and_send_stops_the_create() {
    run(1, |world| async move {
        world.state().faults.once(Place::StatusWrite, Trouble::FreezeAfter(Duration::from_secs(11)));
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        assert_eq!((ordinal(&web(&world)), creates(&world)), (Some(2), 1), "the first was announced and never sent");
    });
}

#[test]
fn without_leadership_nothing_is_announced() {
    run(1, |world| async move {
        start(&world).lose_leadership();
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(5)).await;
        assert!(calls(&world, "DescribePaiInstances") > 0, "it works up to there");
        assert_eq!((attempt_state(&web(&world)), creates(&world)), ("", 0));
    });
}

#[test]
fn a_burst_of_objects_keeps_to_the_rate() {
    run(1, |world| async move {
        let _operator = Process::start(&world, "operator", Options { concurrency: 80, ..Options::default() });
        world.state().arrivals = Some(Vec::new());
        for nth in 0..80 {
            world.apply(&format!("web{nth}"), &json!({}));
        }
        settle(&world).await;
        let state = world.state();
        let refused = state.cloud.calls(0).filter(|call| call.outcome.starts_with("RequestLimitExceeded"));
        let refused: Vec<&str> = refused.map(|call| call.action.as_str()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        // And nobody waits with a signature: an intent stands unsent for a moment only.
        let sending = |object: &Value| attempt_state(object) == "Sending";
        let arrivals = state.arrivals.iter().flatten().filter(|arrival| arrival.action == "CreatePaiInstance");
        let most = arrivals.map(|arrival| arrival.objects.iter().filter(|object| sending(object)).count()).max();
        assert!(most.is_some_and(|most| (1..16).contains(&most)), "{most:?} intents stood unsent at once");
    });
}

#[test]
fn a_dropped_pass_does_not_cut_the_send() {
    run(1, |world| async move {
        let slow = Trouble::SlowAnswer(Duration::from_secs(5));
        world.state().faults.once(Place::Cloud("CreatePaiInstance"), slow);
        let operator = start(&world);
        world.apply("web", &json!({}));
        while bought(&world) == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        operator.abandon();
        sleep(Duration::from_mins(1)).await;
        assert_eq!((attempt_state(&web(&world)), ids(&web(&world)).len()), ("Created", 1));
    });
}

#[test]
fn ids_are_written_until_they_land() {
    run(1, |world| async move {
        let refuse = Trouble::Refuse(500, "InternalError");
        world.state().faults.add(Rule { at: Place::StatusWrite, skip: 1, times: 5, trouble: refuse });
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        assert_eq!(ids(&web(&world)).len(), 1);
        assert_eq!(world.state().seen.unknown, 0, "they came from the answer, not from a search");
    });
}

#[test]
fn ids_of_an_object_that_is_gone_do_not_go_to_its_namesake() {
    run(1, |world| async move {
        let slow = Trouble::SlowAnswer(Duration::from_secs(10));
        world.state().faults.once(Place::Cloud("CreatePaiInstance"), slow);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        while bought(&world) == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        tear_out(&world, "web");
        world.apply("web", &json!({}));
        sleep(Duration::from_mins(2)).await;
        assert_eq!((ids(&web(&world)).len(), Ready::of(&web(&world)).reason.as_str()), (0, "DomainTaken"));
    });
}

#[test]
fn how_it_is_paid_is_always_sent() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        let state = world.state();
        let create = state.cloud.calls(0).find(|call| call.action == "CreatePaiInstance").unwrap();
        assert_eq!(create.parameters["InstanceChargeType"], "POSTPAID_BY_HOUR");
    });
}

#[test]
fn three_unknowns_in_a_row_are_one_too_many() {
    run(1, |world| async move {
        spoil_after(&world, "CreatePaiInstance", 0, 9, Effect::Drop { commit: false });
        let _operator = start(&world);
        world.apply("web", &json!({}));
        rest(&world, Duration::from_hours(3), |_| false).await.unwrap();
        assert_eq!((attempt_state(&web(&world)), creates(&world)), ("Held", 3));
    });
}
