use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::advance;
use tower::service_fn;

use super::*;

/// An API server that knows the token `good`, lets it read, and counts its answers; `silent` it gives none.
fn reviews(silent: bool) -> (Arc<Reviews>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    let service = service_fn(move |request: http::Request<Body>| {
        let asked = Arc::clone(&asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            if silent {
                std::future::pending::<()>().await;
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let review: Value = serde_json::from_slice(&body).unwrap();
            let status = match review["kind"].as_str() {
                Some("TokenReview") if review["spec"]["token"] == "good" => {
                    json!({"authenticated": true, "user": {"username": "jane"}})
                }
                Some("TokenReview") => json!({"authenticated": false}),
                _ => json!({"allowed": review["spec"]["user"] == "jane"}),
            };
            let body = json!({"status": status}).to_string();
            Ok::<_, Infallible>(http::Response::builder().status(201).body(Body::from(body.into_bytes())).unwrap())
        }
    });
    (Arc::new(Reviews::new(Client::new(service, "default"))), count)
}

#[tokio::test(start_paused = true)]
async fn a_yes_is_used_for_a_minute_and_a_no_for_ten_seconds() {
    let (reviews, asked) = reviews(false);
    for (token, verdict, calls, kept) in [("good", Verdict::Allowed, 2, YES), ("bad", Verdict::Unknown, 1, NO)] {
        asked.store(0, Ordering::SeqCst);
        assert_eq!(reviews.judge(token).await, Ok(verdict.clone()));
        advance(kept.saturating_sub(Duration::from_millis(1))).await;
        assert_eq!(reviews.judge(token).await, Ok(verdict.clone()));
        assert_eq!(asked.load(Ordering::SeqCst), calls, "{token}: it was asked again");
        advance(Duration::from_millis(1)).await;
        assert_eq!(reviews.judge(token).await, Ok(verdict));
        assert_eq!(asked.load(Ordering::SeqCst), 2 * calls, "{token}: an old answer was used");
    }
}

#[tokio::test(start_paused = true)]
async fn guessers_push_nobody_out() {
    let (reviews, asked) = reviews(false);
    reviews.judge("good").await.unwrap();
    for guess in 0..3 * MOST {
        assert_eq!(reviews.judge(&format!("guess {guess}")).await, Ok(Verdict::Unknown));
    }
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(reviews.judge("good").await, Ok(Verdict::Allowed));
    assert_eq!(asked.load(Ordering::SeqCst), before);
    assert!(reviews.known.lock().unwrap().len() <= MOST);
}

#[tokio::test(start_paused = true)]
async fn a_silent_api_server_holds_up_a_few_for_a_moment() {
    let (reviews, _) = reviews(true);
    let begun = Instant::now();
    let mut answers = tokio::task::JoinSet::new();
    for nth in 0..100 {
        let reviews = Arc::clone(&reviews);
        answers.spawn(async move { (reviews.judge(&format!("token {nth}")).await, begun.elapsed()) });
    }
    let answers = answers.join_all().await;
    assert!(answers.iter().all(|(verdict, _)| *verdict == Err(NoAnswer)));
    assert_eq!(answers.iter().filter(|(_, took)| took.is_zero()).count(), 100 - WAITING);
    assert!(answers.iter().all(|(_, took)| *took <= DEADLINE + Duration::from_millis(1)));
}

#[tokio::test]
async fn no_token_is_not_asked_about() {
    let (reviews, asked) = reviews(false);
    assert_eq!(reviews.judge("").await, Ok(Verdict::Unknown));
    assert_eq!(reviews.judge(&"x".repeat(LONGEST_TOKEN + 1)).await, Ok(Verdict::Unknown));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn only_a_clear_yes_counts() {
    let known = |status| authenticated(serde_json::from_value(status).unwrap()).map(|user| user.username);
    assert_eq!(known(json!({"authenticated": true, "user": {"username": "jane"}})), Some("jane".to_owned()));
    for no in [
        json!({}),
        json!({"authenticated": true}),
        json!({"authenticated": true, "user": {}}),
        json!({"user": {"username": "jane"}}),
        json!({"authenticated": false, "user": {"username": "jane"}}),
    ] {
        assert_eq!(known(no.clone()), None, "{no}");
    }
    let allowed = |status| is_allowed(&serde_json::from_value(status).unwrap());
    assert!(allowed(json!({"allowed": true})) && allowed(json!({"allowed": true, "denied": false})));
    assert!(!allowed(json!({})) && !allowed(json!({"allowed": true, "denied": true})));
}
