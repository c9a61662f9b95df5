//! A server that answers by a script, and what the follower makes of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::channel::mpsc::channel;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tower::BoxError;

use super::*;
use crate::telemetry::sight::Sight;

/// An answer: its status, its body, and what comes after that.
struct Answer(u16, String, End);

#[derive(Clone, Copy)]
enum End {
    Clean,
    Broken,
    /// Nothing more, and no end.
    Dead,
}

/// What the server was asked, in order, with the seconds since the beginning: `list`, or the version from which a watch was to go on; and
/// the label selector.
type Asked = Arc<Mutex<Vec<(String, u64, String)>>>;

/// A client of a server that gives these answers one after the other, and then none any more.
fn client(script: Vec<Answer>, asked: &Asked) -> Client {
    let (script, asked) = (Arc::new(Mutex::new(VecDeque::from(script))), Arc::clone(asked));
    let begun = Instant::now();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let query = request.uri().query().unwrap_or_default();
        let part = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
        let version = part("resourceVersion=").unwrap_or_else(|| "list".to_owned());
        let labels = part("labelSelector=").unwrap_or_default();
        asked.lock().unwrap().push((version, begun.elapsed().as_secs(), labels));
        let answer = script.lock().unwrap().pop_front();
        async move {
            let Some(Answer(status, body, end)) = answer else { return std::future::pending().await };
            // In small pieces, as a network may hand them on.
            let pieces: Vec<Bytes> = body.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
            let end = match end {
                End::Clean => stream::empty().boxed(),
                End::Broken => stream::iter([Err(BoxError::from("the connection broke"))]).boxed(),
                End::Dead => stream::pending().boxed(),
            };
            Ok::<_, BoxError>(http::Response::builder().status(status).body(StreamBody::new(pieces.chain(end)))?)
        }
    });
    Client::new(service, "default")
}

fn object(name: &str, version: u64) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "default", "resourceVersion": version.to_string()},
        "spec": {"region": "r", "credentialsRef": {"name": "c"}, "domainName": "a.b", "internetAccessible": {}},
    })
}

fn whole_list(names: &[&str], version: u64) -> Answer {
    let items: Vec<Value> = names.iter().map(|name| object(name, 1)).collect();
    Answer(200, json!({"items": items, "metadata": {"resourceVersion": version.to_string()}}).to_string(), End::Clean)
}

fn watch_of(events: &[(&str, Value)]) -> Answer {
    let lines = events.iter().map(|(kind, object)| format!("{}\n", json!({"type": kind, "object": object})));
    Answer(200, lines.collect(), End::Clean)
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no", "reason": "no", "code": code})
}

fn shown(seen: Seen) -> String {
    let name = |Watched(object): Watched| object.metadata.name.unwrap_or_default();
    match seen {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(object)) => format!("found {}", name(object)),
        Ok(Event::InitDone) => "listed".to_owned(),
        Ok(Event::Apply(object)) => format!("changed {}", name(object)),
        Ok(Event::Delete(object)) => format!("gone {}", name(object)),
        Err(Error::InitialListFailed(_)) => "the list failed".to_owned(),
        Err(Error::WatchStartFailed(_)) => "the watch did not begin".to_owned(),
        Err(Error::WatchFailed(_)) => "an event failed".to_owned(),
        Err(Error::WatchError(status)) => format!("told of {}", status.code),
        Err(Error::NoResourceVersion) => "no version".to_owned(),
    }
}

/// Follows a server with this script until it has no answer any more: what was seen, and what it was asked.
async fn followed(script: Vec<Answer>) -> (Vec<String>, Vec<(String, u64, String)>) {
    followed_with(&Arc::default(), script).await
}

async fn followed_with(sight: &Arc<Sight>, script: Vec<Answer>) -> (Vec<String>, Vec<(String, u64, String)>) {
    sight.begin(1);
    let asked = Asked::default();
    let (count, client) = (script.len(), client(script, &asked));
    let (sender, seen) = channel(100);
    let api = Api::all(client.clone());
    let follower = tokio::spawn(follow(client, api, Some("a=b".to_owned()), sight.of(0), sender));
    let all_was_asked = async {
        while asked.lock().unwrap().len() <= count {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(Duration::from_hours(1), all_was_asked).await.unwrap();
    follower.abort();
    let seen = seen.map(shown).collect().await;
    let asked = asked.lock().unwrap().clone();
    (seen, asked)
}

fn versions(asked: &[(String, u64, String)]) -> Vec<&str> {
    asked.iter().map(|(version, ..)| version.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_is_begun_again() {
    let Answer(_, list, _) = whole_list(&["a", "b"], 7);
    let cut = list[..list.len() - 30].to_owned();
    let script = vec![
        Answer(200, cut.clone(), End::Broken),
        Answer(200, cut, End::Clean),
        Answer(503, failure(503).to_string(), End::Clean),
        whole_list(&["b", "c"], 9),
    ];
    let (seen, asked) = followed(script).await;
    let half = ["init", "found a", "found b", "the list failed"];
    assert_eq!(seen, [&half[..], &half, &["the list failed", "init", "found b", "found c", "listed"]].concat());
    assert_eq!(versions(&asked), ["list", "list", "list", "list", "9"]);
    assert!(asked.iter().all(|(.., labels)| labels == "a%3Db"), "{asked:?}");
    // 0.8, 1.6 and 3.2 s, each up to twice as long: what half a list found does not begin that anew.
    assert!(asked[3].1 >= 5, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_where_it_was_until_that_is_forgotten() {
    let mark =
        json!({"metadata": {"resourceVersion": "20", "annotations": {}}, "kind": "PaiInstance", "apiVersion": "v1"});
    let without_version = json!({"metadata": {"name": "c"}, "spec": object("c", 1)["spec"]});
    let script = vec![
        whole_list(&["a"], 7),
        watch_of(&[("ADDED", object("b", 8)), ("MODIFIED", object("b", 9))]),
        Answer(503, failure(503).to_string(), End::Clean),
        watch_of(&[("BOOKMARK", mark)]),
        watch_of(&[("ADDED", json!({"metadata": 7})), ("DELETED", object("b", 22)), ("ERROR", failure(500))]),
        watch_of(&[("ERROR", failure(410))]),
        whole_list(&["a"], 30),
        Answer(410, failure(410).to_string(), End::Clean),
        whole_list(&["a"], 40),
        watch_of(&[("ADDED", without_version)]),
        whole_list(&["a"], 50),
    ];
    let (seen, asked) = followed(script).await;
    let expected = [
        "init",
        "found a",
        "listed",
        "changed b",
        "changed b",
        "the watch did not begin",
        "an event failed",
        "gone b",
        "told of 500",
        "told of 410",
        "init",
        "found a",
        "listed",
        "the watch did not begin",
        "init",
        "found a",
        "listed",
        "no version",
        "init",
        "found a",
        "listed",
    ];
    assert_eq!(seen, expected);
    let order = ["list", "7", "9", "9", "20", "22", "list", "30", "list", "40", "list", "50"];
    assert_eq!(versions(&asked), order);
}

/// As after the CRD was removed, and brought back.
#[tokio::test(start_paused = true)]
async fn a_watch_that_does_not_begin_is_blind_until_one_does() {
    let gone = || (0..8).map(|_| Answer(404, failure(404).to_string(), End::Clean));
    let sight = Arc::new(Sight::default());
    followed_with(&sight, [whole_list(&[], 7)].into_iter().chain(gone()).collect()).await;
    assert!(sight.is_blind());
    followed_with(&sight, vec![whole_list(&[], 7)]).await;
    assert!(!sight.is_blind());
    followed_with(&sight, gone().collect()).await;
    assert!(sight.is_blind(), "a list that fails sees nothing, either");
}

/// One event that cannot be read, and good ones after it.
#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_on_after_a_bad_event_sees() {
    let sight = Arc::new(Sight::default());
    sight.begin(1);
    let Answer(status, events, _) = watch_of(&[("ADDED", json!({"metadata": 7})), ("ADDED", object("b", 8))]);
    let client = client(vec![whole_list(&[], 7), Answer(status, events, End::Dead)], &Asked::default());
    let (sender, mut seen) = channel(100);
    let follower = tokio::spawn(follow(client.clone(), Api::all(client), None, sight.of(0), sender));
    for expected in ["init", "listed", "an event failed", "changed b"] {
        assert_eq!(seen.next().await.map(shown).as_deref(), Some(expected));
    }
    sleep(Duration::from_mins(1)).await;
    assert!(!sight.is_blind());
    follower.abort();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_dead_is_begun_again() {
    let Answer(status, change, _) = watch_of(&[("ADDED", object("b", 8))]);
    let (seen, asked) = followed(vec![whole_list(&[], 7), Answer(status, change, End::Dead)]).await;
    assert_eq!(seen, ["init", "listed", "changed b"]);
    assert_eq!(versions(&asked), ["list", "7", "8"]);
    assert!(asked[2].1 >= 290, "the server ends a watch before that: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_each_watch_at_once_is_not_asked_in_a_loop() {
    let script = [whole_list(&[], 7)].into_iter().chain((0..5).map(|_| watch_of(&[]))).collect();
    let (_, asked) = followed(script).await;
    assert!(asked[6].1 >= 20, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_spoils_the_list_and_is_named() {
    let items = [object("a", 1), json!({"metadata": {"name": "odd", "namespace": "n"}, "spec": 7}), object("b", 2)];
    let list = json!({"items": items, "metadata": {"resourceVersion": "7"}});
    let client = client(vec![Answer(200, list.to_string(), End::Clean)], &Asked::default());
    let (sender, mut seen) = channel(100);
    let follower = tokio::spawn(follow(client.clone(), Api::all(client), None, Arc::<Sight>::default().of(0), sender));
    for expected in ["init", "found a"] {
        assert_eq!(seen.next().await.map(shown).as_deref(), Some(expected));
    }
    let error = seen.next().await.unwrap().unwrap_err().to_string();
    assert!(error.contains("the PaiInstance n/odd in it is not as the schema wants it"), "{error}");
    follower.abort();
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_nobody_listens() {
    let client = client(vec![whole_list(&["a"], 7)], &Asked::default());
    let (sender, seen) = channel(1);
    drop(seen);
    let ended = timeout(
        Duration::from_secs(1),
        follow(client.clone(), Api::all(client), None, Arc::<Sight>::default().of(0), sender),
    )
    .await;
    assert_eq!(ended, Ok(()));
}
