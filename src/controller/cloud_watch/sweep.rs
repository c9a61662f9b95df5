//! Sweeps: asks about all followed machines and wakes the objects to which the answer is news. Accounts do not wait for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, warn};

use super::batch::{Batch, describe, parts};
use super::book::{Pace, Reference};
use crate::api::Reason;
use crate::controller::Context;
use crate::controller::following::FRESH;
use crate::controller::problem::Problem;
use crate::controller::queue::{Key, Lane};
use crate::tencent::{Account, AccountKey, Action};

/// How soon a batch that failed is asked again, or a Secret that the API server did not give. Source: our choice.
const AGAIN: Duration = Duration::from_secs(15);

/// The same while parts of a batch are asked to find out what spoils it: seven rounds for a page.
const SPLIT_AGAIN: Duration = Duration::from_secs(3);

/// How long an account may fail for a reason that passes before its objects are told: that is a status write for each, and one more when
/// it is over. Source: our choice: as long as a sweep's interval.
const PATIENCE: Duration = Duration::from_mins(5);

/// How often credentials that cannot be used are looked at again. Source: our choice: what the conditions promise.
const CREDENTIALS_AGAIN: Duration = Duration::from_mins(1);

/// Longest round of fresh machines of one account, and the least time that a sweep has. Source: our choice; a slow account loses its own
/// rounds, not those of others.
const LONGEST_ROUND: Duration = Duration::from_mins(1);

/// Secrets that are read at a time. Source: our choice.
const READS: usize = 8;

/// Where references lead.
#[derive(Default)]
struct Groups {
    /// Accounts with the references that lead to them.
    by_account: BTreeMap<AccountKey, (Account, Vec<Arc<Reference>>)>,
    /// How many are left out, since the API server does not say what their Secret holds.
    unread: usize,
}

/// Sweeps for ever: fresh machines every few seconds, settled ones at the sweep interval.
pub async fn run(context: &Arc<Context>) {
    tokio::join!(settled(context), fresh(context), troubled(context));
}

/// The first sweep begins while the objects are still being listed, with what is there.
async fn settled(context: &Arc<Context>) {
    loop {
        let begun = Instant::now();
        let next = begun + context.clock.jittered(context.sweep_interval);
        let mut is_whole = sweep(context).await;
        while !is_whole && Instant::now() + AGAIN < next {
            sleep(AGAIN).await;
            is_whole = sweep(context).await;
        }
        debug!(seconds = begun.elapsed().as_secs_f64(), is_whole, "swept");
        context.metrics.swept(context.clock.now());
        // The last good ones are kept for deletions; where no object is left nobody needs them.
        context.credentials.keep_only(&context.objects.namespaces());
        sleep_until(next).await;
        context.cloud_watch.book().begin_sweep();
    }
}

/// Asks about what is left. Says whether all Secrets could be read: what one leads to that the API server did not give is still left.
async fn sweep(context: &Arc<Context>) -> bool {
    let mut is_whole = true;
    let mut changes = context.cloud_watch.changed.subscribe();
    let mut begun = BTreeSet::new();
    let mut accounts = JoinSet::new();
    loop {
        let listed = context.cloud_watch.book().listed;
        let mut new = context.cloud_watch.book().references(Pace::Settled);
        new.retain(|reference| begun.insert(Arc::clone(reference)));
        let groups = groups(context, new).await;
        is_whole &= groups.unread == 0;
        for (account, references) in groups.by_account.into_values() {
            let (context, changes) = (Arc::clone(context), changes.clone());
            let longest = context.sweep_interval.max(LONGEST_ROUND);
            accounts.spawn(async move { timeout(longest, sweep_one(context, account, references, changes)).await });
        }
        if listed {
            break;
        }
        if changes.changed().await.is_err() {
            break;
        }
    }
    all_ended(accounts, "the sweep of an account").await;
    is_whole
}

/// Waits for work that may take only so long. What took longer, or panicked, is told.
async fn all_ended(mut work: JoinSet<Result<(), Elapsed>>, what: &str) {
    while let Some(ended) = work.join_next().await {
        if !matches!(ended, Ok(Ok(()))) {
            warn!(?ended, "{what} did not come to its end");
        }
    }
}

/// Asks about everything that is left of one account. Batches that fail are asked again until the sweep's time is over.
async fn sweep_one(
    context: Arc<Context>,
    account: Account,
    references: Vec<Arc<Reference>>,
    mut changes: watch::Receiver<()>,
) {
    let references = Arc::new(references);
    let mut calls = JoinSet::new();
    while wait_for_batch(&context, &references, &mut changes).await {
        context.cloud.routine_turn(&account, Action::DescribeInstances).await;
        let batch = context.cloud_watch.book().next_batch(&references);
        if batch.ids.is_empty() {
            // What was left went meanwhile.
            continue;
        }
        calls.spawn(ask(Arc::clone(&context), account.clone(), Arc::clone(&references), batch));
    }
    let answers = calls.join_all().await;
    let some_were_seen = answers.iter().any(Option::is_none);
    ask_again(&context, &account, &references, answers.into_iter().flatten().collect(), some_were_seen).await;
}

/// Asks again about batches that failed, in smaller parts where others of the account are answered, until only the object remains that
/// spoils the rest: that one is told, and asks for itself from then on.
async fn ask_again(
    context: &Arc<Context>,
    account: &Account,
    references: &Arc<Vec<Arc<Reference>>>,
    mut failed: Vec<Batch>,
    mut some_were_seen: bool,
) {
    // Credentials of no use are looked at elsewhere, and asked with again in the next sweep.
    while !failed.is_empty() && !context.cloud_watch.book().are_stuck(references) {
        sleep(context.clock.jittered(if some_were_seen { SPLIT_AGAIN } else { AGAIN })).await;
        let parts = parts(&context.cloud_watch.book(), &failed, some_were_seen);
        let answers = ask_all(context, account, references, parts).await;
        let seen_before = std::mem::replace(&mut some_were_seen, answers.iter().any(Option::is_none));
        failed = answers.into_iter().flatten().collect();
        // Of two that spoil one batch neither is answered in the last round.
        if some_were_seen || seen_before {
            let (spoilers, others) = failed.into_iter().partition(|batch| batch.keys.len() == 1 && !batch.throttled);
            failed = others;
            tell_spoilers(context, references, &spoilers);
        }
    }
}

/// Tells the objects whose machines cannot be seen although others of the account can. The account itself is well.
fn tell_spoilers(context: &Context, references: &[Arc<Reference>], spoilers: &[Batch]) {
    let keys = spoilers.iter().flat_map(|batch| &batch.keys);
    let told: Vec<Key> = keys.filter(|key| context.cloud_watch.book().unseen(key)).cloned().collect();
    wake(context, &told);
    if !spoilers.is_empty() {
        for reference in references {
            let told = context.cloud_watch.book().well(reference);
            wake(context, &told);
        }
    }
}

/// Whether a batch is left. While the objects are being listed, waits until there is a full one.
async fn wait_for_batch(context: &Context, references: &[Arc<Reference>], changes: &mut watch::Receiver<()>) -> bool {
    loop {
        {
            let book = context.cloud_watch.book();
            if book.has_batch(references) {
                return true;
            }
            if book.listed {
                return false;
            }
        }
        if changes.changed().await.is_err() {
            return false;
        }
    }
}

/// Looks at fresh machines every few seconds. An account whose round is not done loses a round.
async fn fresh(context: &Arc<Context>) {
    let mut rounds = JoinSet::new();
    let mut busy: HashMap<tokio::task::Id, AccountKey> = HashMap::new();
    loop {
        sleep(FRESH).await;
        while let Some(ended) = rounds.try_join_next_with_id() {
            let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
            busy.remove(&id);
        }
        let references = context.cloud_watch.book().references(Pace::Fresh);
        for (key, (account, references)) in groups(context, references).await.by_account {
            if busy.values().any(|other| *other == key) {
                continue;
            }
            let round = round(Arc::clone(context), account, references);
            let task = rounds.spawn(async move {
                if timeout(LONGEST_ROUND, round).await.is_err() {
                    warn!("a look at fresh machines took too long");
                }
            });
            busy.insert(task.id(), key);
        }
    }
}

async fn round(context: Arc<Context>, account: Account, references: Vec<Arc<Reference>>) {
    let batches = context.cloud_watch.book().fresh_batches(&references);
    ask_all(&context, &account, &Arc::new(references), batches).await;
}

/// Looks once a minute whether credentials that were of no use are good again.
async fn troubled(context: &Arc<Context>) {
    loop {
        let next = Instant::now() + context.clock.jittered(CREDENTIALS_AGAIN);
        let references = context.cloud_watch.book().without_credentials();
        let mut looks = JoinSet::new();
        for (key, (account, mut references)) in groups(context, references).await.by_account {
            for reference in &references {
                let cured = context.cloud_watch.book().leads_to(reference, &key);
                wake(context, &cured);
            }
            references.retain(|reference| context.cloud_watch.book().are_stuck(slice::from_ref(reference)));
            looks.spawn(timeout(LONGEST_ROUND, look_at_one(Arc::clone(context), account, references)));
        }
        all_ended(looks, "a look with refused credentials").await;
        sleep_until(next).await;
    }
}

/// Asks about one object with credentials that the cloud refused: a permission that is given back changes no Secret.
async fn look_at_one(context: Arc<Context>, account: Account, references: Vec<Arc<Reference>>) {
    let batch = context.cloud_watch.book().one_of(&references);
    if !batch.ids.is_empty() {
        ask_all(&context, &account, &Arc::new(references), vec![batch]).await;
    }
}

/// Asks about these batches, each when its turn has come; the calls themselves overlap.
async fn ask_all(
    context: &Arc<Context>,
    account: &Account,
    references: &Arc<Vec<Arc<Reference>>>,
    batches: Vec<Batch>,
) -> Vec<Option<Batch>> {
    let mut calls = JoinSet::new();
    for batch in batches {
        context.cloud.routine_turn(account, Action::DescribeInstances).await;
        calls.spawn(ask(Arc::clone(context), account.clone(), Arc::clone(references), batch));
    }
    calls.join_all().await
}

/// Makes one call, wakes the objects to which it is news, and returns the batch if the whole of it failed.
async fn ask(
    context: Arc<Context>,
    account: Account,
    references: Arc<Vec<Arc<Reference>>>,
    mut batch: Batch,
) -> Option<Batch> {
    let looks = describe(&context, &account, batch.ids.clone()).await;
    let news = context.cloud_watch.book().take(&account, &batch, &looks);
    wake(&context, &news);
    let problem = looks.values().next().and_then(|look| look.as_ref().err());
    let failed = problem.filter(|_| looks.values().all(Result::is_err));
    for reference in references.iter() {
        let told = match failed {
            None => context.cloud_watch.book().well(reference),
            Some(problem) => context.cloud_watch.book().trouble(reference, problem, Some(account.key()), PATIENCE),
        };
        wake(&context, &told);
    }
    batch.throttled = failed.is_some_and(|problem| problem.reason == Reason::CloudThrottled);
    failed.is_some().then_some(batch)
}

fn wake(context: &Context, keys: &[Key]) {
    for key in keys {
        context.queue.push(key, Lane::Urgent);
    }
}

/// The accounts to which the references lead. Objects whose credentials are of no use are told.
async fn groups(context: &Context, references: Vec<Arc<Reference>>) -> Groups {
    let reads = references.into_iter().map(|reference| async move {
        let account = account_of(context, &reference).await;
        (reference, account)
    });
    let mut reads = stream::iter(reads).buffered(READS);
    let mut groups = Groups::default();
    while let Some((reference, account)) = reads.next().await {
        match account {
            Some(Ok(account)) => {
                groups.by_account.entry(account.key()).or_insert_with(|| (account, Vec::new())).1.push(reference);
            }
            Some(Err(problem)) => {
                let told = context.cloud_watch.book().trouble(&reference, &problem, None, PATIENCE);
                wake(context, &told);
            }
            None => groups.unread += 1,
        }
    }
    groups
}

/// The account of a reference, or why there is none; nothing if the API server does not say.
async fn account_of(context: &Context, reference: &Reference) -> Option<Result<Account, Problem>> {
    let now = context.clock.monotonic();
    let read = context.credentials.read(&context.api, now, &reference.namespace, &reference.secret, false).await;
    let found = match read {
        Ok(Ok(found)) => found,
        Ok(Err(problem)) => return Some(Err(problem)),
        Err(error) => {
            debug!(%error, "a Secret cannot be read now");
            return None;
        }
    };
    let account = Account::new(found.credentials, &reference.region);
    Some(account.map_err(|error| Problem::new(Reason::InvalidSpec, error.to_string())))
}
