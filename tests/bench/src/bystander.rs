//! A program that does nothing but watch: what of the time to a reaction is the API server's own. It follows a few objects by their labels
//! and only notes when it is shown them, so that it is no load to speak of.

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
        let task = tokio::spawn(follow(objects, labels.to_owned(), version, Arc::clone(&book)));
        Ok(Self { book, task })
    }

    /// When it was first shown an object, or its deletion.
    pub fn shown(&self, name: &str, deletion: bool) -> Option<Timestamp> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).get(&(name.to_owned(), deletion)).copied()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches, and watches on where the server ended it.
async fn follow(objects: Api<DynamicObject>, labels: String, mut version: String, book: Book) {
    let params = WatchParams::default().labels(&labels).timeout(290);
    loop {
        let Ok(events) = objects.watch(&params, &version).await else { return };
        let mut events = events.boxed();
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
                WatchEvent::Error(_) => return,
            }
        }
    }
}
