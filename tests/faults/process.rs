//! One operator process under test: the product's own controller, with every call it makes led through the world.
//!
//! It dies by being cut off: from then on none of its calls leaves and none of its answers arrives, and its controller is dropped.
//! What it had sent before goes on.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};
use kube::Client;
use kube_apiserver_model::{Reply, Verb};
use pai_operator::clock::Clock;
use pai_operator::controller::cloud_watch::CloudWatch;
use pai_operator::controller::credentials::CredentialsReader;
use pai_operator::controller::events::EventPublisher;
use pai_operator::controller::lookup::SharedListings;
use pai_operator::controller::memory::Memory;
use pai_operator::controller::objects::Objects;
use pai_operator::controller::queue::Queue;
use pai_operator::controller::turns::Turns;
use pai_operator::controller::{self, Context};
use pai_operator::leader::Leadership;
use pai_operator::telemetry::metrics::Metrics;
use pai_operator::tencent::{self, Endpoints};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::{Call, Trouble};
use crate::run::PLANTED_PANIC;
use crate::world::World;

/// How a process is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub settle_window: Duration,
    pub sweep_interval: Duration,
    /// How far the process's wall clock is ahead of the true time, in seconds.
    pub clock_ahead: i64,
    /// Most passes at a time.
    pub concurrency: u16,
    /// Where it watches; none: everywhere.
    pub namespaces: &'static [&'static str],
    /// Decides jitter and attempt ids.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle_window: Duration::from_mins(5),
            sweep_interval: Duration::from_mins(5),
            clock_ahead: 0,
            concurrency: 4,
            namespaces: &[],
            seed: 1,
        }
    }
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was sent.
    NotSent,
    /// Something may have been.
    Broken,
}

/// One process.
pub struct Process {
    pub world: Arc<World>,
    pub name: String,
    /// Cancelled when it dies.
    pub dead: CancellationToken,
    /// Cancelled when its passes are dropped.
    abandoned: CancellationToken,
    frozen_until: Mutex<Instant>,
    /// When the calls of the last second left it, by key, region and action.
    pub sent: Mutex<BTreeMap<String, Vec<Instant>>>,
    leadership: watch::Sender<Option<Instant>>,
    /// Cancelled when it is told to stop, and when its work has ended after that.
    stop: CancellationToken,
    stopped: CancellationToken,
    /// What its passes share, for questions about what it remembers.
    context: OnceLock<Weak<Context>>,
}

impl Process {
    /// Starts one that believes that it leads.
    pub fn start(world: &Arc<World>, name: &str, options: Options) -> Arc<Self> {
        let far = Instant::now() + Duration::from_hours(1000);
        let (leadership, expires) = watch::channel(Some(far));
        let process = Arc::new(Self {
            world: Arc::clone(world),
            name: name.to_owned(),
            dead: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            frozen_until: Mutex::new(Instant::now()),
            sent: Mutex::default(),
            leadership,
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
            context: OnceLock::new(),
        });
        let base = world.now() + jiff::SignedDuration::from_secs(options.clock_ahead);
        let clock = Clock::simulated(base, options.seed);
        let api = crate::kubernetes::client(&process, crate::kubernetes::API_DEADLINE);
        let endpoints = Endpoints::new("tencentcloudapi.com", &[], false).unwrap();
        let context = Arc::new(Context {
            cloud: tencent::Client::new(Arc::new(crate::cloud::Wire(Arc::clone(&process))), endpoints),
            memory: Memory::default(),
            credentials: CredentialsReader::default(),
            listings: SharedListings::default(),
            objects: Objects::default(),
            queue: Queue::default(),
            turns: Turns::default(),
            cloud_watch: CloudWatch::default(),
            settle_window: options.settle_window,
            leadership: Leadership::new(expires),
            events: EventPublisher::new(api.clone(), clock.clone(), name.to_owned()),
            metrics: Arc::new(Metrics::default()),
            purchases: TaskTracker::new(),
            sweep_interval: options.sweep_interval,
            api,
            clock,
        });
        let _ = process.context.set(Arc::downgrade(&context));
        let watches = crate::kubernetes::client(&process, crate::kubernetes::WATCH_DEADLINE);
        process.run(context, watches, options);
        process
    }

    /// Runs the controller. A panic that no pass catches ends the whole process by itself, once its purchases are done (`run.rs`).
    fn run(self: &Arc<Self>, context: Arc<Context>, watches: Client, options: Options) {
        let settings = controller::Settings {
            namespaces: options.namespaces.iter().map(ToString::to_string).collect(),
            label_selector: None,
            max_concurrent_reconciles: options.concurrency,
        };
        let (dead, abandoned) = (self.dead.clone(), self.abandoned.clone());
        self.world.log(|| format!("{} starts", self.name));
        let process = Arc::clone(self);
        tokio::spawn(async move {
            let (sight, stop) = (Arc::default(), process.stop.clone());
            let work = AssertUnwindSafe(controller::run(context, &watches, &settings, sight, stop)).catch_unwind();
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = abandoned.cancelled() => {}
                result = work => match result {
                    Ok(()) => {
                        assert!(process.stop.is_cancelled(), "the controller ended by itself");
                        process.stopped.cancel();
                    }
                    Err(_) => process.abandon(),
                },
            }
        });
    }

    /// Gives it the belief that it leads.
    pub fn lead_again(&self) {
        self.leadership.send_replace(Some(Instant::now() + Duration::from_hours(1000)));
    }

    /// Takes the belief away that it leads.
    pub fn lose_leadership(&self) {
        self.leadership.send_replace(None);
    }

    /// Drops its passes where they stand; a purchase under way has a task of its own and goes on.
    pub fn abandon(&self) {
        self.world.log(|| format!("{} drops its passes", self.name));
        self.abandoned.cancel();
    }

    /// Tells it to stop, as SIGTERM does, and waits until its passes and purchases have ended.
    pub async fn stop(&self) {
        let purchases = self.context().purchases.clone();
        self.stop.cancel();
        self.stopped.cancelled().await;
        purchases.close();
        purchases.wait().await;
        self.dead.cancel();
    }

    /// Returns when it works on nothing any more.
    async fn ended(&self) {
        tokio::select! {
            biased;
            () = self.dead.cancelled() => {}
            () = self.abandoned.cancelled() => {}
        }
    }

    /// What its passes share.
    pub fn context(&self) -> Arc<Context> {
        self.context.get().and_then(Weak::upgrade).unwrap()
    }

    /// Kills it at once.
    pub fn kill(&self) {
        if !self.dead.is_cancelled() {
            self.world.log(|| format!("{} dies", self.name));
            self.world.note_crash();
            self.dead.cancel();
        }
    }

    /// Lets it stand still: nothing leaves it and nothing reaches it.
    pub fn freeze(&self, span: Duration) {
        self.world.log(|| format!("{} freezes for {span:?}", self.name));
        *self.frozen_until.lock().unwrap() = Instant::now() + span;
    }

    /// Waits until it may move.
    pub async fn thawed(&self) {
        loop {
            let until = *self.frozen_until.lock().unwrap();
            if Instant::now() >= until {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Makes a call: `serve` is what the other side does when it arrives, `refuse` how it says no.
    pub fn call<T: Send + 'static>(
        self: &Arc<Self>,
        call: Call,
        one_way: Duration,
        serve: impl FnOnce(&World) -> T + Send + 'static,
        refuse: impl FnOnce(Reply) -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Lost>> {
        let process = Arc::clone(self);
        Box::pin(async move {
            let dead = process.dead.clone();
            tokio::select! {
                biased;
                () = dead.cancelled() => pending().await,
                result = process.exchange(call, one_way, serve, refuse) => result,
            }
        })
    }

    async fn exchange<T: Send + 'static>(
        self: Arc<Self>,
        call: Call,
        one_way: Duration,
        serve: impl FnOnce(&World) -> T + Send + 'static,
        refuse: impl FnOnce(Reply) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        self.thawed().await;
        let (nth, trouble) = self.world.next_trouble(&call);
        let down = matches!(call, Call::Api { .. }) && self.world.api_is_down();
        self.world.log(|| {
            let trouble = trouble.as_ref().map(|trouble| format!(" !! {trouble:?}")).unwrap_or_default();
            format!("{} #{nth} {}{trouble}", self.name, call.describe())
        });
        let (mut there, mut back, mut after) = (one_way, one_way, Duration::ZERO);
        match trouble {
            None if down => return Err(Lost::Broken),
            None => {}
            Some(Trouble::CrashBefore) => {
                self.kill();
                return pending().await;
            }
            Some(Trouble::NoConnection) => return Err(Lost::NotSent),
            Some(Trouble::LoseRequest) => {
                sleep(one_way * 2).await;
                return Err(Lost::Broken);
            }
            Some(Trouble::BlackHole) => return pending().await,
            Some(Trouble::Refuse(code, reason)) => {
                sleep(one_way * 2).await;
                return Ok(refuse(Reply::failure(code, reason, "refused by a fault of the test")));
            }
            Some(Trouble::CrashInFlight(late)) => {
                self.dispatch(one_way + late, one_way, serve);
                self.kill();
                return pending().await;
            }
            Some(Trouble::CrashAfter) => {
                let arrived = self.dispatch(there, Duration::ZERO, serve);
                let _ = arrived.await;
                self.kill();
                return pending().await;
            }
            Some(Trouble::LoseAnswer) => {
                let arrived = self.dispatch(there, back, serve);
                let _ = arrived.await;
                if matches!(&call, Call::Api { verb, .. } if *verb != Verb::Get) {
                    self.world.state().seen.lost_writes += 1;
                }
                return Err(Lost::Broken);
            }
            Some(Trouble::Delay(late)) => there += late,
            Some(Trouble::SlowAnswer(late)) => back += late,
            Some(Trouble::Freeze(span)) => {
                self.freeze(span);
                self.thawed().await;
            }
            Some(Trouble::FreezeAfter(span)) => after = span,
            Some(Trouble::Abandon) => self.abandon(),
            Some(Trouble::PanicAfter) => {
                let _ = self.dispatch(there, back, serve).await;
                self.panic_at(&call)
            }
        }
        let answer = self.dispatch(there, back, serve).await.map_err(|_| Lost::Broken)?;
        if !after.is_zero() {
            self.freeze(after);
        }
        self.thawed().await;
        Ok(answer)
    }

    /// What a panic at a call comes to: in a pass or a purchase it stays there, in the watch it ends the process.
    fn panic_at(&self, call: &Call) -> ! {
        if matches!(call, Call::Api { verb: Verb::List | Verb::Watch, .. }) {
            self.kill();
        }
        self.world.state().planted_panics += 1;
        std::panic::panic_any(PLANTED_PANIC);
    }

    /// Sends it on its way, which nothing that happens to the process can stop.
    fn dispatch<T: Send + 'static>(
        &self,
        there: Duration,
        back: Duration,
        serve: impl FnOnce(&World) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (send, receive) = oneshot::channel();
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            sleep(there).await;
            let answer = serve(&world);
            sleep(back).await;
            let _ = send.send(answer);
        });
        receive
    }
}

/// Lets a process be followed by another whenever it dies, until the run ends.
pub fn keep_running(world: &Arc<World>, slot: &str, options: Options, downtime: Duration) -> Arc<Slot> {
    let first = Process::start(world, &format!("{slot}.0"), options);
    let slot = Arc::new(Slot { current: Mutex::new(first), options: Mutex::new(options) });
    let (world, kept, name) = (Arc::clone(world), Arc::clone(&slot), slot.current().name.clone());
    let name = name.trim_end_matches(".0").to_owned();
    tokio::spawn(async move {
        for nth in 1_u64.. {
            kept.current().ended().await;
            sleep(downtime).await;
            let options = *kept.options.lock().unwrap();
            let options = Options { seed: options.seed.wrapping_add(nth * 7919), ..options };
            *kept.current.lock().unwrap() = Process::start(&world, &format!("{name}.{nth}"), options);
        }
    });
    slot
}

/// The place of a process and its successors.
pub struct Slot {
    current: Mutex<Arc<Process>>,
    /// How the next one is started.
    options: Mutex<Options>,
}

impl Slot {
    pub fn current(&self) -> Arc<Process> {
        Arc::clone(&self.current.lock().unwrap())
    }

    /// Takes its lease away: its passes are dropped, its purchases end by themselves, and another one follows.
    pub fn lose_its_lease(&self) {
        let process = self.current();
        process.lose_leadership();
        process.abandon();
    }

    /// How far its clock is ahead of the true time, in seconds.
    pub fn clock_ahead(&self) -> i64 {
        self.options.lock().unwrap().clock_ahead
    }

    /// Sets the clock of the machine it runs on right. A process keeps the clock that it began with, so another one follows.
    pub fn mend_the_clock(&self) {
        self.options.lock().unwrap().clock_ahead = 0;
        self.current().kill();
    }
}
