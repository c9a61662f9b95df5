//! A program that does nothing but watch, to compare the time to a reaction with. It follows objects by their labels, of which few change,
//! and only notes when it is shown them, so that it is no load to speak of. It waits for a processor as the operator does, and the API
//! server has less to send it: what it is shown late, nobody could have been shown much earlier.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use kube::Api;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::task::JoinHandle;

use crate::{Error, while_doing};

/// When which object was first shown, and when it was first shown as deleted.
type Book = Arc<Mutex<BTreeMap<(String, bool), Timestamp>>>;

/// Dropping it ends the watch.
#[derive(Debug)]
pub struct Bystander {
    book: Book,
    task: JoinHandle<()>,
}

impl Bystander {
    /// Follows the objects that a label selector chooses, from now on.
    pub async fn follow(objects: Api<DynamicObject>, labels: &str) -> Result<Self, Error> {
        let list = objects.list_metadata(&ListParams::default().limit(1)).await.map_err(while_doing("listing"))?;
        let version = list.metadata.resource_version.unwrap_or_default();
        let book = Book::default();
        let following = follow(objects, labels.to_owned(), version, Arc::clone(&book));
        let task = tokio::spawn(async { eprintln!("pai-bench: {}", following.await) });
        Ok(Self { book, task })
    }

    /// When it was first shown an object, or its deletion. An error if it no longer watches.
    pub fn shown(&self, name: &str, deletion: bool) -> Result<Option<Timestamp>, Error> {
        if self.task.is_finished() {
            return Err(Error::Other("the watch beside the operator's has ended: measure again".into()));
        }
        Ok(self.book.lock().unwrap_or_else(PoisonError::into_inner).get(&(name.to_owned(), deletion)).copied())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches, and watches on where the server ended it. Returns what went wrong.
async fn follow(objects: Api<DynamicObject>, labels: String, mut version: String, book: Book) -> Error {
    let params = WatchParams::default().labels(&labels).timeout(290);
    loop {
        let mut events = match objects.watch(&params, &version).await {
            Ok(events) => events.boxed(),
            Err(error) => return while_doing("watching")(error),
        };
        while let Some(Ok(event)) = events.next().await {
            let now = Timestamp::now();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let metadata = object.metadata;
                    version = metadata.resource_version.unwrap_or(version);
                    let key = (metadata.name.unwrap_or_default(), metadata.deletion_timestamp.is_some());
                    book.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(now);
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                WatchEvent::Deleted(object) => version = object.metadata.resource_version.unwrap_or(version),
                WatchEvent::Error(status) => return Error::Other(format!("watching: {}", status.message)),
            }
        }
    }
}
