//! The cloud watch: follows the machines of all objects in batches and wakes an object when something about its machine changed.
//!
//! A settled object costs a hundredth of a call per sweep and no pass, no read and no write at the API server.

mod batch;
mod book;
mod sweep;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Context;
use super::following::FRESH;
use super::problem::Problem;
use super::queue::{Key, Lane};
use crate::api::PaiInstance;
use crate::tencent::cvm::MAX_PAGE;
use crate::tencent::{Account, Action, Instance, Turn};

use batch::Batches;
use book::Book;

/// What one look showed of one machine.
#[derive(Clone, Debug)]
pub struct Look {
    /// The monotonic clock before the request.
    pub begun: Instant,
    /// The machine; `None` if a complete reply left it out.
    pub instance: Option<Instance>,
}

/// How old a look may be that a pass goes by. Source: our choice: as old as one that a fresh machine's sweep just made.
pub const RECENT: Duration = FRESH;

/// The watch of one process.
#[derive(Debug, Default)]
pub struct CloudWatch {
    book: Mutex<Book>,
    batches: Batches,
    /// Rings while the objects are being listed, for each that is followed.
    changed: watch::Sender<()>,
}

impl CloudWatch {
    /// Follows the machines of an object from now on, as its status names them.
    pub fn follow(&self, key: &Key, object: &PaiInstance) {
        let listed = {
            let mut book = self.book();
            book.follow(key, object);
            book.listed
        };
        if !listed {
            self.changed.send_replace(());
        }
    }

    /// Follows the object no longer.
    pub fn forget(&self, key: &Key) {
        self.book().forget(key);
    }

    /// The first listing of the objects is in: what is followed now is everything.
    pub fn listed(&self) {
        self.book().listed = true;
        self.changed.send_replace(());
    }

    /// The machines as they are now: from a look that is no older than `recent`, or else from [`CloudWatch::look_now`]. Of an
    /// account that has been out of reach for minutes nothing is asked, unless `recent` is zero.
    pub async fn look(
        &self,
        context: &Arc<Context>,
        key: &Key,
        account: &Account,
        ids: &[String],
        recent: Duration,
    ) -> Result<BTreeMap<String, Look>, Problem> {
        if let Some(looks) = self.book().recent(&account.key(), ids, recent) {
            return Ok(looks);
        }
        if !recent.is_zero()
            && let Some(problem) = self.outage(key, account)
        {
            return Err(problem);
        }
        let looks = self.look_now(context, account, ids).await?;
        self.note(key, account, &looks);
        Ok(looks)
    }

    /// The machines from a look made at once, together with what other objects of the account ask at this moment.
    pub async fn look_now(
        &self,
        context: &Arc<Context>,
        account: &Account,
        ids: &[String],
    ) -> Result<BTreeMap<String, Look>, Problem> {
        self.batches.describe(context, account, ids).await
    }

    /// The machines of an object for which a person waits: from a call of its own before all others, unless too many are before them.
    pub async fn look_first(
        &self,
        context: &Arc<Context>,
        account: &Account,
        ids: &[String],
    ) -> Result<BTreeMap<String, Look>, Problem> {
        if ids.len() <= MAX_PAGE
            && context.cloud.urgent_turn(account, Action::DescribeInstances).await == Some(Turn::Taken)
        {
            let looks = batch::describe(context, account, ids.to_vec()).await;
            return looks.into_iter().map(|(id, look)| Ok((id, look?))).collect();
        }
        self.look_now(context, account, ids).await
    }

    /// Takes what an object's pass goes by: no news to it.
    pub fn note(&self, key: &Key, account: &Account, looks: &BTreeMap<String, Look>) {
        self.book().note_all(account, key, looks);
    }

    /// Why an account that has been out of reach for minutes is not asked.
    pub fn outage(&self, key: &Key, account: &Account) -> Option<Problem> {
        self.book().outage(key, &account.key())
    }

    /// A pass found that an object's credentials are of no use: whoever shares them is told as well, and again when they are mended.
    pub fn tell_of_trouble(&self, context: &Context, key: &Key, problem: &Problem) {
        for other in self.book().trouble_of(key, problem) {
            if other != *key {
                context.queue.push(&other, Lane::Urgent);
            }
        }
    }

    /// Sweeps for ever.
    pub async fn run(&self, context: &Arc<Context>) {
        sweep::run(context).await;
    }

    /// How many objects are followed.
    pub fn followed(&self) -> usize {
        self.book().count()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
