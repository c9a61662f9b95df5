//! Looks ahead: what the first pass of a new or a deleted object will ask of the cloud is asked while that pass still waits for its turn
//! or reads the object, since a busy API server takes longer for one read than the cloud for its answer.
//!
//! It goes by the event of the watch, which may be old. So it only reads, and decides nothing: its answer is used where the pass, going by
//! what it read itself, would ask the very same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::Context;
use super::cloud_watch::{Look, RECENT};
use super::lookup::{Looked, Question};
use super::name::instance_name;
use super::observe::{has_finalizer, is_paused};
use super::problem::Problem;
use super::queue::{Key, Lane};
use crate::api::PaiInstance;
use crate::tencent::{Account, AccountKey, Action};

/// How old credentials may be that a look ahead goes by: a pass reads its own. Source: our choice: as long as the conditions promise that a
/// change of them takes to be seen.
const CREDENTIALS: Duration = Duration::from_mins(1);

/// What was seen of an object's machines before the object was read, or why nothing was.
#[derive(Debug)]
pub struct Ahead {
    account: AccountKey,
    ids: Vec<String>,
    looks: Result<BTreeMap<String, Look>, Problem>,
    ended: Instant,
}

impl Ahead {
    /// What was seen, or why nothing was, if it is of these machines under these credentials, and not older than [`RECENT`].
    pub fn answers(self, account: &Account, ids: &[String]) -> Option<Result<BTreeMap<String, Look>, Problem>> {
        let since = match &self.looks {
            Ok(looks) => looks.values().map(|look| look.begun).min()?,
            Err(_) => self.ended,
        };
        (self.account == account.key() && self.ids == ids && since.elapsed() <= RECENT).then_some(self.looks)
    }
}

/// Whether there is something to ask ahead for an object that a watch has just shown.
pub fn is_worth_it(shown: &PaiInstance) -> bool {
    !is_paused(shown) && (is_new(shown) || !condemned(shown).is_empty())
}

/// A look under way, which ends when nobody waits for it any more.
pub type Looking = AbortOnDropHandle<Option<Ahead>>;

/// Looks ahead for an object that a watch has just shown.
pub fn begin(context: Arc<Context>, key: Key, shown: Box<PaiInstance>) -> Looking {
    let span = key.span();
    AbortOnDropHandle::new(tokio::spawn(async move { look_ahead(&context, &key, &shown).await }.instrument(span)))
}

/// Looks for the machine of a new object, whose answer is kept for its next pass, or at the machines of a deleted one. Where anything is
/// in the way, the pass asks itself.
async fn look_ahead(context: &Arc<Context>, key: &Key, shown: &PaiInstance) -> Option<Ahead> {
    let account = account_of(context, shown).await?;
    if is_new(shown) {
        look_for_new(context, &account, key, shown).await;
        return None;
    }
    let ids = condemned(shown).to_vec();
    if context.cloud_watch.outage(key, &account).is_some() {
        return None;
    }
    let looks = context.cloud_watch.look_first(context, &account, &ids).await;
    Some(Ahead { account: account.key(), ids, looks, ended: Instant::now() })
}

/// Whether it has no finalizer yet, and nothing of ours in its status.
fn is_new(shown: &PaiInstance) -> bool {
    let untouched = shown.status.as_ref().is_none_or(|status| status.create_attempt.is_none());
    shown.metadata.deletion_timestamp.is_none() && !has_finalizer(shown) && untouched && ids(shown).is_empty()
}

/// The machines of an object that is being deleted.
fn condemned(shown: &PaiInstance) -> &[String] {
    if shown.metadata.deletion_timestamp.is_some() && has_finalizer(shown) { ids(shown) } else { &[] }
}

fn ids(shown: &PaiInstance) -> &[String] {
    shown.status.as_ref().map(|status| status.instance_ids.as_slice()).unwrap_or_default()
}

async fn account_of(context: &Context, shown: &PaiInstance) -> Option<Account> {
    let namespace = shown.metadata.namespace.as_deref().unwrap_or_default();
    let name = &shown.spec.credentials_ref.name;
    let now = context.clock.monotonic();
    let found = match context.credentials.known(now, namespace, name, CREDENTIALS) {
        Some(found) => found,
        None => context.credentials.read(&context.api, now, namespace, name, false).await.ok()?.ok()?,
    };
    Account::new(found.credentials, &shown.spec.region).ok()
}

/// Of a flood only some are looked for: the others look when their turn comes.
async fn look_for_new(context: &Arc<Context>, account: &Account, key: &Key, shown: &PaiInstance) {
    // Kept while it looks: of two objects with one domain the second looks when the first is done.
    let Some(_claim) = context.objects.claim(shown) else { return };
    let name = instance_name(shown).0;
    let known = context.memory.recall(shown.metadata.uid.as_deref().unwrap_or_default()).question;
    if known.is_some_and(|known| known.is(account, Some(&name)) && !known.takes_a_call()) {
        return;
    }
    let Some(turn) = context.cloud.urgent_turn(account, Action::DescribeInstances).await else { return };
    let mut question = Question::new(account, Some(&name), context.clock.monotonic());
    if let Looked::Failed(_) = question.ask(context, account, key, Lane::Called, turn).await {
        return;
    }
    // One that went meanwhile, which it may without a finalizer, was forgotten and must stay so.
    context.objects.with_uid(key, |uid| {
        if Some(uid) == shown.metadata.uid.as_deref() {
            context.memory.update(uid, |known| known.question = Some(question));
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::api::Reason;

    fn object(metadata: &serde_json::Value, status: &serde_json::Value) -> PaiInstance {
        let spec = serde_json::json!({
            "credentialsRef": {"name": "a"}, "region": "ap-guangzhou", "domainName": "a.test", "instanceType": "S5.SMALL2",
            "internetAccessible": {},
        });
        serde_json::from_value(serde_json::json!({
            "apiVersion": "pai.tencentcloud.io/v1alpha1", "kind": "PaiInstance", "metadata": metadata, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn only_what_is_new_or_leaves_a_machine_behind_is_looked_for() {
        use serde_json::{Value, json};
        let gone = "2026-11-29T08:00:00Z";
        let machine = json!({"instanceIds": ["ins-1"]});
        let is_worth_it = |metadata: &Value, status: &Value| is_worth_it(&object(metadata, status));
        assert!(is_worth_it(&json!({}), &Value::Null), "new");
        let paused = json!({"annotations": {crate::api::PAUSED_ANNOTATION: "true"}});
        assert!(!is_worth_it(&paused, &Value::Null), "paused");
        assert!(!is_worth_it(&json!({"finalizers": [crate::api::FINALIZER]}), &Value::Null), "under way");
        assert!(!is_worth_it(&json!({}), &machine), "its machine is known");
        let deleted = json!({"deletionTimestamp": gone, "finalizers": [crate::api::FINALIZER]});
        assert!(is_worth_it(&deleted, &machine), "deleted");
        assert!(!is_worth_it(&deleted, &Value::Null), "deleted without a machine");
        assert!(!is_worth_it(&json!({"deletionTimestamp": gone}), &machine), "let go");
    }

    fn ahead() -> Ahead {
        let look = Look { begun: Instant::now(), instance: None };
        let ids = vec!["ins-1".to_owned()];
        let looks = Ok(BTreeMap::from([(ids[0].clone(), look)]));
        Ahead { account: Account::of_test("AKIDa").key(), ids, looks, ended: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn it_answers_the_same_question_for_as_long_as_it_is_young() {
        let (ours, ids) = (Account::of_test("AKIDa"), ["ins-1".to_owned()]);
        assert!(ahead().answers(&ours, &ids).is_some());
        assert!(ahead().answers(&Account::of_test("AKIDb"), &ids).is_none(), "under other credentials");
        assert!(ahead().answers(&ours, &["ins-2".to_owned()]).is_none(), "of another machine");
        let two = ["ins-1".to_owned(), "ins-2".to_owned()];
        assert!(ahead().answers(&ours, &two).is_none(), "of one among more");
        let failed = || Ahead { looks: Err(Problem::new(Reason::CloudUnavailable, "no answer")), ..ahead() };
        assert!(failed().answers(&ours, &ids).is_some_and(|looks| looks.is_err()), "it is not asked again at once");
        let (old, failed) = (ahead(), failed());
        advance(RECENT + Duration::from_millis(1)).await;
        assert!(old.answers(&ours, &ids).is_none(), "from before the object was read for so long");
        assert!(failed.answers(&ours, &ids).is_none(), "the cloud may answer by now");
    }
}
