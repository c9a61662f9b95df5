//! The driver: turns what the watches show into passes, a bounded number at a time, and lets those under way end when it is stopped.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::{BoxStream, SelectAll, select_all};
use futures::{FutureExt, StreamExt};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, warn};

use super::ahead::{self, Looking};
use super::failure::Pass;
use super::pass::{Next, pass};
use super::queue::{Key, Lane};
use super::watch::{Seen, follow, is_refused};
use super::watched::Watched;
use super::{Context, Settings, problem};
use crate::api::PaiInstance;
use crate::telemetry::sight::Sight;

/// What the watches show, each with the number of its watch.
type Events = SelectAll<BoxStream<'static, (usize, Seen)>>;

/// A pass that ended.
type Ended = (Key, Result<Next, Pass>);

/// Runs until `stop`; then lets the passes under way end.
///
/// `watch` is the client for watches: its reads may take as long as a watch does. `sight` is told what they see.
pub async fn run(
    context: Arc<Context>,
    watch: &Client,
    settings: &Settings,
    sight: Arc<Sight>,
    stop: CancellationToken,
) {
    let apis: Vec<Api<Watched>> = if settings.namespaces.is_empty() {
        vec![Api::all(watch.clone())]
    } else {
        settings.namespaces.iter().map(|namespace| Api::namespaced(watch.clone(), namespace)).collect()
    };
    sight.begin(apis.len());
    let mut driver = Driver {
        unlisted: (0..apis.len()).collect(),
        any_listed: false,
        passes: JoinSet::new(),
        ahead: HashMap::new(),
        most_passes: usize::from(settings.max_concurrent_reconciles.max(1)),
        context: Arc::clone(&context),
        sight: Arc::clone(&sight),
    };
    // Dropped, and with that ended, when the work is over.
    let mut watchers = JoinSet::new();
    tokio::select! {
        biased;
        () = driver.run(events(watch, apis, settings.label_selector.as_deref(), &sight, &mut watchers), &stop) => {}
        () = context.cloud_watch.run(&context) => {}
    }
}

/// Events that a watch may be ahead of the driver, so that the listing goes on arriving while one is being noted.
const AHEAD: usize = 1000;

/// The watches, each in a task of its own.
fn events(
    watch: &Client,
    apis: Vec<Api<Watched>>,
    label_selector: Option<&str>,
    sight: &Arc<Sight>,
    ahead: &mut JoinSet<()>,
) -> Events {
    let watches = apis.into_iter().enumerate().map(|(number, api)| {
        let (sender, seen) = mpsc::channel(AHEAD);
        ahead.spawn(follow(watch.clone(), api, label_selector.map(str::to_owned), sight.of(number), sender));
        seen.map(move |event| (number, event)).boxed()
    });
    select_all(watches)
}

/// For how many objects that wait for their pass it is looked ahead at a time. Source: our choice: each account has ten such looks a second,
/// and more accounts than that are seldom flooded at once.
const LOOKS_AHEAD: usize = 32;

struct Driver {
    context: Arc<Context>,
    /// Watches whose first listing is not in yet, and was not refused either.
    unlisted: HashSet<usize>,
    /// Whether one of them was listed.
    any_listed: bool,
    passes: JoinSet<Ended>,
    /// Looks ahead for objects that wait for their pass, at most [`LOOKS_AHEAD`].
    ahead: HashMap<Key, Looking>,
    most_passes: usize,
    sight: Arc<Sight>,
}

impl Driver {
    async fn run(&mut self, mut events: Events, stop: &CancellationToken) {
        let context = Arc::clone(&self.context);
        let mut idling = context.turns.idling();
        loop {
            let has_room = self.passes.len() < self.most_passes + *idling.borrow_and_update();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.passes.join_next() => self.end(ended.ok()),
                event = events.next() => match event {
                    Some((watch, Ok(event))) => self.take(watch, event),
                    Some((watch, Err(error))) => {
                        warn!(%error, "the PaiInstances cannot be watched now: trying again");
                        // A namespace that was deleted took our rights there with it: that must not hold up the others.
                        if matches!(error, watcher::Error::InitialListFailed(_)) && is_refused(&error) {
                            self.no_longer_awaited(watch);
                        }
                    }
                    None => break,
                },
                key = context.queue.next(), if has_room => {
                    let ahead = self.ahead.remove(&key);
                    self.passes.spawn(one_pass(Arc::clone(&context), key, ahead));
                }
                Ok(()) = idling.changed(), if !has_room => {}
            }
        }
        while let Some(ended) = self.passes.join_next().await {
            self.end(ended.ok());
        }
    }

    /// Takes an event of a watch.
    fn take(&mut self, watch: usize, event: Event<Watched>) {
        match event {
            Event::Init => self.context.objects.begin_listing(watch),
            // What a listing shows is only looked at again; what comes after it is new to the cluster.
            Event::InitApply(Watched(object)) => {
                self.note(watch, &object, Lane::Routine);
            }
            Event::Apply(Watched(object)) => {
                if self.note(watch, &object, Lane::Urgent) {
                    self.look_ahead(object);
                }
            }
            Event::Delete(Watched(object)) => self.forget(&Key::of(&object)),
            Event::InitDone => {
                for key in self.context.objects.end_listing(watch) {
                    self.forget(&key);
                }
                self.any_listed = true;
                self.no_longer_awaited(watch);
            }
        }
    }

    /// All objects are listed, as far as we may, when no listing is awaited any more. Who may list nothing is not ready.
    fn no_longer_awaited(&mut self, watch: usize) {
        self.unlisted.remove(&watch);
        if self.any_listed && self.unlisted.is_empty() && !self.sight.is_listed() {
            self.context.cloud_watch.listed();
            self.sight.listed();
        }
    }

    /// Takes what a watch shows of an object. Says whether it gets a pass for that.
    fn note(&self, watch: usize, object: &PaiInstance, lane: Lane) -> bool {
        let key = Key::of(object);
        let news = self.context.objects.note(watch, &key, object);
        if let Some(uid) = news.replaced {
            self.context.memory.forget(&uid);
        }
        self.context.cloud_watch.follow(&key, object);
        if news.needs_pass {
            self.context.queue.push(&key, lane);
        }
        news.needs_pass
    }

    /// Looks ahead for an object's next pass, if there is something to look for.
    fn look_ahead(&mut self, object: Box<PaiInstance>) {
        let key = Key::of(&object);
        if self.ahead.contains_key(&key) || !ahead::is_worth_it(&object) {
            return;
        }
        if self.ahead.len() >= LOOKS_AHEAD {
            self.ahead.retain(|_, look| !look.is_finished());
        }
        if self.ahead.len() < LOOKS_AHEAD {
            self.ahead.insert(key.clone(), ahead::begin(Arc::clone(&self.context), key, object));
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(uid) = self.context.objects.forget(key) {
            self.context.memory.forget(&uid);
        }
        self.context.cloud_watch.forget(key);
        self.ahead.remove(key);
    }

    /// Takes the end of a pass: says when the object gets the next one.
    fn end(&self, ended: Option<Ended>) {
        let Some((key, result)) = ended else { return };
        let queue = &self.context.queue;
        let (delay, lane) = match &result {
            Ok(Next::After(delay)) if *delay <= Duration::from_secs(1) => (Some(*delay), Lane::Urgent),
            Ok(next) => (next.delay(), Lane::Routine),
            // Somebody else wrote: look again at once.
            Err(error) if error.category() == "conflict" => (Some(Duration::from_millis(100)), Lane::Urgent),
            Err(error) => (Some(self.back_off(&key, error)), Lane::Routine),
        };
        if !matches!(result, Ok(Next::Called)) {
            self.context.turns.leave(&key, queue);
        }
        if result.is_ok() {
            self.context.objects.with_uid(&key, |uid| self.context.memory.update(uid, |known| known.failed_passes = 0));
        }
        if let Some(delay) = delay {
            queue.push_after(&key, delay, lane);
        }
        queue.done(&key);
        self.context.metrics.passed(result.as_ref().err().map_or("ok", Pass::category));
    }

    /// How long a failed pass is put off: longer each time.
    fn back_off(&self, key: &Key, error: &Pass) -> Duration {
        let mut failures = 1;
        self.context.objects.with_uid(key, |uid| {
            self.context.memory.update(uid, |known| {
                known.failed_passes = known.failed_passes.saturating_add(1);
                failures = known.failed_passes;
            });
        });
        let delay = self.context.clock.jittered(problem::Retry::Soon.create_delay(failures));
        warn!(object = %key, category = error.category(), %error, ?delay, "the pass failed and is repeated");
        delay
    }
}

/// One pass over one object. A panic costs it that pass.
async fn one_pass(context: Arc<Context>, key: Key, ahead: Option<Looking>) -> Ended {
    let span = key.span();
    let result = async {
        let api: Api<PaiInstance> = Api::namespaced(context.api.clone(), &key.namespace);
        AssertUnwindSafe(pass(&context, &api, &key, ahead)).catch_unwind().await.unwrap_or(Err(Pass::Panicked))
    }
    .instrument(span)
    .await;
    if let Err(error) = &result {
        debug!(%error, "a pass ended with an error");
    }
    (key, result)
}
