//! Batches: many ids in one call, such that one bad id spoils nothing for the others; and what several passes ask at one moment, asked
//! together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Look;
use super::book::Book;
use crate::api::Reason;
use crate::controller::Context;
use crate::controller::problem::Problem;
use crate::controller::queue::Key;
use crate::tencent::cvm::MAX_PAGE;
use crate::tencent::{Account, AccountKey, Action, CallError, DescribeInstances, InstanceId};

/// What a batch showed of each id.
pub type Looks = BTreeMap<String, Result<Look, Problem>>;

/// What is asked in one call of a sweep: the machines of some objects.
#[derive(Debug, Default)]
pub struct Batch {
    /// The objects.
    pub keys: Vec<Key>,
    /// Their machines, at most a page.
    pub ids: Vec<String>,
    /// Whether it was refused because there were too many calls, which says nothing about its machines.
    pub throttled: bool,
}

impl Batch {
    /// Whether one of its machines may spoil it for the others.
    fn may_be_split(&self) -> bool {
        self.keys.len() > 1 && !self.throttled
    }

    /// Takes in an object, unless its machines do not fit beside the others'.
    pub fn takes(&mut self, key: &Key, ids: impl ExactSizeIterator<Item = String>) -> bool {
        let fits = self.ids.len() + ids.len() <= MAX_PAGE;
        if fits {
            self.ids.extend(ids);
            self.keys.push(key.clone());
        }
        fits
    }
}

/// Objects that are asked apart from the others at most, while nothing of an account is answered. Source: our choice: each is one more
/// call a round, and that one of the first three is not answered although the account is well takes as many spoiled machines.
const APART: usize = 3;

/// What is asked next about batches that failed. Where others of the account were just answered something in each batch spoils it, so their
/// halves are asked. Where none was, one object is asked apart from the others, to learn whether it is that or an outage.
pub fn parts(book: &Book, failed: &[Batch], some_were_seen: bool) -> Vec<Batch> {
    let alone = failed.iter().filter(|batch| batch.keys.len() == 1).count();
    let large = failed.iter().position(Batch::may_be_split).filter(|_| alone < APART);
    let parts = failed.iter().enumerate().flat_map(|(nth, batch)| {
        let apart = usize::from(Some(nth) == large);
        let half = if batch.may_be_split() { batch.keys.len() / 2 } else { 0 };
        let (first, rest) = batch.keys.split_at(if some_were_seen { half } else { apart });
        [book.batch_of(first), book.batch_of(rest)]
    });
    parts.filter(|part| !part.ids.is_empty()).collect()
}

/// Questions of passes that wait for the next batch.
#[derive(Debug, Default)]
pub struct Batches {
    waiting: Mutex<BTreeMap<AccountKey, Vec<Asked>>>,
}

#[derive(Debug)]
struct Asked {
    ids: Vec<String>,
    answer: oneshot::Sender<Result<BTreeMap<String, Look>, Problem>>,
}

impl Batches {
    /// Asks the cloud about these ids, in a call that begins after now.
    pub async fn describe(
        &self,
        context: &Arc<Context>,
        account: &Account,
        ids: &[String],
    ) -> Result<BTreeMap<String, Look>, Problem> {
        let (answer, answered) = oneshot::channel();
        let ids = ids.iter().take(MAX_PAGE).cloned().collect();
        let is_first = {
            let mut waiting = self.locked();
            let place = waiting.entry(account.key()).or_default();
            place.push(Asked { ids, answer });
            place.len() == 1
        };
        // The first who waits sees to the call; it has a task of its own, since a pass may be dropped.
        if is_first {
            tokio::spawn(serve(Arc::clone(context), account.clone()));
        }
        answered.await.unwrap_or_else(|_| {
            Err(Problem::new(Reason::CloudUnavailable, "The machine was not looked at. It is tried again by itself."))
        })
    }

    /// What waits for an account, up to what fits into one call. Whether somebody is left who has to be served after it.
    fn take(&self, key: &AccountKey) -> (Vec<Asked>, bool) {
        let mut waiting = self.locked();
        let Some(place) = waiting.get_mut(key) else { return (Vec::new(), false) };
        let mut room = MAX_PAGE;
        let fits = place.iter().take_while(|asked| {
            let fits = asked.ids.len() <= room;
            room = room.saturating_sub(asked.ids.len());
            fits
        });
        let fits = fits.count();
        let taken: Vec<Asked> = place.drain(..fits).collect();
        let more = !place.is_empty();
        if !more {
            waiting.remove(key);
        }
        (taken, more)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<AccountKey, Vec<Asked>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves those who wait for an account until nobody does. The calls themselves overlap.
async fn serve(context: Arc<Context>, account: Account) {
    let key = account.key();
    loop {
        let turn = context.cloud.turn(&account, Action::DescribeInstances).await;
        let (asked, more) = context.cloud_watch.batches.take(&key);
        let (context, account) = (Arc::clone(&context), account.clone());
        tokio::spawn(async move { answer(&context, &account, asked, turn).await });
        if !more {
            return;
        }
    }
}

async fn answer(context: &Context, account: &Account, asked: Vec<Asked>, turn: Result<(), CallError>) {
    let looks = match turn {
        Ok(()) => {
            let ids = asked.iter().flat_map(|asked| &asked.ids).cloned().collect();
            Ok(describe(context, account, ids).await)
        }
        Err(error) => Err(Problem::failed_read(Action::DescribeInstances, &error)),
    };
    for Asked { ids, answer } in asked {
        let of_each = ids.into_iter().map(|id| {
            let look = looks.as_ref().map_err(Clone::clone)?.get(&id).cloned();
            let look = look.unwrap_or_else(|| Err(Problem::new(Reason::CloudUnavailable, "It was not asked about.")));
            look.map(|look| (id, look))
        });
        // Whoever asked may be gone.
        let _ = answer.send(of_each.collect());
    }
}

/// Asks about at most a page of ids, for which the caller has waited for the turn. Where the cloud refuses the whole because of one of
/// them, halves are asked, so that the others are seen all the same.
pub fn describe<'a>(context: &'a Context, account: &'a Account, mut ids: Vec<String>) -> BoxFuture<'a, Looks> {
    Box::pin(async move {
        // Two objects may name one machine: it is asked about once, and both are shown it.
        ids.sort_unstable();
        ids.dedup();
        let begun = context.clock.monotonic();
        let request = DescribeInstances::by_ids(ids.iter().map(InstanceId::new).collect());
        let reply = context.cloud.describe_instances(account, &request, context.clock.now()).await;
        match reply {
            // A list that does not say how long it is proves no absence either.
            Ok(reply) if reply.value.total_count.is_none_or(|total| total > reply.value.instances.len() as u64) => {
                let text =
                    "The machine cannot be looked at: the cloud's list is not complete. It is tried again by itself.";
                all(ids, &Problem::new(Reason::CloudUnavailable, text))
            }
            Ok(reply) => {
                let listed = reply.value.instances.into_iter().map(|one| (one.instance_id.to_string(), one));
                let mut listed: BTreeMap<_, _> = listed.collect();
                let looks = ids.into_iter().map(|id| {
                    let instance = listed.remove(&id);
                    (id, Ok(Look { begun, instance }))
                });
                looks.collect()
            }
            Err(error) if ids.len() > 1 && may_be_one_of_them(&error) => halves(context, account, ids).await,
            Err(error) => {
                let problem = Problem::failed_read(Action::DescribeInstances, &error);
                if problem.reason == Reason::CredentialsInvalid {
                    context.credentials.drop_cached(&account.credentials.secret_id);
                }
                all(ids, &problem)
            }
        }
    })
}

async fn halves(context: &Context, account: &Account, mut ids: Vec<String>) -> Looks {
    let other = ids.split_off(ids.len() / 2);
    let mut looks = Looks::new();
    for half in [ids, other] {
        match context.cloud.turn(account, Action::DescribeInstances).await {
            Ok(()) => looks.extend(describe(context, account, half).await),
            Err(error) => looks.extend(all(half, &Problem::failed_read(Action::DescribeInstances, &error))),
        }
    }
    looks
}

/// Whether a refusal may be about one id among many. Source: the page of `DescribeInstances` (`InvalidInstanceId.Malformed` and the like).
fn may_be_one_of_them(error: &CallError) -> bool {
    error.code().is_some_and(|code| code.starts_with("InvalidInstanceId") || code.starts_with("InvalidParameter"))
}

fn all(ids: Vec<String>, problem: &Problem) -> Looks {
    ids.into_iter().map(|id| (id, Err(problem.clone()))).collect()
}

/// How long ago a look began.
pub fn age(look: &Look) -> std::time::Duration {
    Instant::now().duration_since(look.begun)
}
