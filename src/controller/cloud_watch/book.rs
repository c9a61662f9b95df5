//! The book: which machines are followed, in which account, what is known of each, and who is to be woken. Data only.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Look;
use super::batch::{Batch, Looks, age};
use crate::api::{PaiInstance, PaiInstanceStatus};
use crate::controller::problem::Problem;
use crate::controller::queue::Key;
use crate::controller::record::shown;
use crate::controller::resident::{digest, is_at_rest, is_on_its_way};
use crate::tencent::cvm::MAX_PAGE;
use crate::tencent::{Account, AccountKey};

/// What stands for a machine that no complete listing shows.
const ABSENT: u64 = 0;

/// What stands for one about which the cloud refuses to tell.
const UNSEEN: u64 = 1;

/// Whose account an object's machines are in, as the object says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Namespace of object and Secret.
    pub namespace: Box<str>,
    /// Name of the Secret.
    pub secret: Box<str>,
    /// `spec.region`.
    pub region: Box<str>,
}

/// How often a machine is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Every few seconds: it is on its way to somewhere.
    Fresh,
    /// Once a sweep.
    Settled,
}

/// All that is followed.
#[derive(Debug, Default)]
pub struct Book {
    objects: HashMap<Key, Followed>,
    references: BTreeMap<Arc<Reference>, Members>,
    /// Looks of the last seconds, of machines that changed or are on their way.
    looks: BTreeMap<String, (AccountKey, Look)>,
    /// References that cannot be looked at, since when, and whether their objects were told.
    troubles: BTreeMap<Arc<Reference>, Trouble>,
    /// Whether the first listing of the objects is in.
    pub listed: bool,
}

/// The objects of one reference.
#[derive(Debug, Default)]
struct Members {
    fresh: BTreeSet<Key>,
    settled: BTreeSet<Key>,
    /// Those that the sweep under way has not asked about yet.
    left: VecDeque<Key>,
}

#[derive(Debug)]
struct Followed {
    reference: Arc<Reference>,
    pace: Pace,
    machines: Vec<Machine>,
}

#[derive(Debug)]
struct Machine {
    id: Box<str>,
    /// Digest of what the object was last woken for, or of its status.
    known: u64,
    /// When the newest look at it began: calls overlap, and what an older one shows later does not count any more.
    looked: Option<Instant>,
}

impl Followed {
    /// Its machines, at most a page.
    fn ids(&self) -> impl ExactSizeIterator<Item = String> {
        self.machines.iter().take(MAX_PAGE).map(|machine| machine.id.to_string())
    }
}

impl Machine {
    /// Whether nothing newer was seen of it; then this is the newest.
    fn takes(&mut self, look: &Look) -> bool {
        let is_newest = self.looked.is_none_or(|newest| look.begun >= newest);
        if is_newest {
            self.looked = Some(look.begun);
        }
        is_newest
    }
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    problem: Problem,
    /// The account that the cloud refused; none if it did not come so far.
    under: Option<AccountKey>,
    told: bool,
}

impl Book {
    /// Takes an object as the watch shows it.
    pub fn follow(&mut self, key: &Key, object: &PaiInstance) {
        let Some(status) = object.status.as_ref().filter(|status| !status.instance_ids.is_empty()) else {
            return self.forget(key);
        };
        let before = self.objects.remove(key);
        let reference = self.reference_of(key, object);
        let pace = if is_on_its_way(status) { Pace::Fresh } else { Pace::Settled };
        if let Some(old) = before.as_ref().filter(|before| before.reference != reference) {
            self.leave(&Arc::clone(&old.reference), key);
        }
        let members = self.references.entry(Arc::clone(&reference)).or_default();
        let (to, from) = match pace {
            Pace::Fresh => (&mut members.fresh, &mut members.settled),
            Pace::Settled => (&mut members.settled, &mut members.fresh),
        };
        from.remove(key);
        if to.insert(key.clone()) && before.is_none() && pace == Pace::Settled {
            members.left.push_back(key.clone());
        }
        let machines = machines(status, before.as_ref(), is_at_rest(object));
        self.objects.insert(key.clone(), Followed { reference, pace, machines });
    }

    /// The reference of an object, in the one place where it is kept.
    fn reference_of(&self, key: &Key, object: &PaiInstance) -> Arc<Reference> {
        let reference = Reference {
            namespace: key.namespace.as_ref().into(),
            secret: object.spec.credentials_ref.name.as_str().into(),
            region: object.spec.region.as_str().into(),
        };
        match self.references.get_key_value(&reference) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(reference),
        }
    }

    /// Follows an object no longer.
    pub fn forget(&mut self, key: &Key) {
        let Some(followed) = self.objects.remove(key) else { return };
        self.leave(&followed.reference, key);
        for machine in &followed.machines {
            self.looks.remove(&*machine.id);
        }
    }

    fn leave(&mut self, reference: &Arc<Reference>, key: &Key) {
        if let Some(members) = self.references.get_mut(reference) {
            members.fresh.remove(key);
            members.settled.remove(key);
            if members.fresh.is_empty() && members.settled.is_empty() {
                self.references.remove(reference);
                self.troubles.remove(reference);
            }
        }
    }

    /// The references that have machines of a pace; settled ones that are left for the sweep under way.
    pub fn references(&self, pace: Pace) -> Vec<Arc<Reference>> {
        let has = |members: &Members| match pace {
            Pace::Fresh => !members.fresh.is_empty(),
            Pace::Settled => !members.left.is_empty(),
        };
        self.references.iter().filter(|(_, members)| has(members)).map(|(reference, _)| Arc::clone(reference)).collect()
    }

    /// Begins a sweep of the settled machines: all of them are to be asked about.
    pub fn begin_sweep(&mut self) {
        for members in self.references.values_mut() {
            members.left = members.settled.iter().cloned().collect();
        }
    }

    /// Whether a full batch is left for the sweep under way, or, once the objects are listed, any.
    pub fn has_batch(&self, references: &[Arc<Reference>]) -> bool {
        let members = references.iter().filter_map(|reference| self.references.get(reference));
        let left: usize = members.map(|members| members.left.len()).sum();
        left >= MAX_PAGE || (self.listed && left > 0)
    }

    /// The next batch of the sweep under way.
    pub fn next_batch(&mut self, references: &[Arc<Reference>]) -> Batch {
        let mut batch = Batch::default();
        for reference in references {
            let Some(members) = self.references.get_mut(reference) else { continue };
            while let Some(key) = members.left.pop_front() {
                let Some(followed) = self.objects.get(&key) else { continue };
                if !batch.takes(&key, followed.ids()) {
                    members.left.push_front(key);
                    return batch;
                }
            }
        }
        batch
    }

    /// The machines that are on their way, in batches.
    pub fn fresh_batches(&self, references: &[Arc<Reference>]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for key in references.iter().filter_map(|reference| self.references.get(reference)).flat_map(|one| &one.fresh) {
            let Some(followed) = self.objects.get(key) else { continue };
            if !batches.last_mut().is_some_and(|batch| batch.takes(key, followed.ids())) {
                batches.push(self.batch_of(slice::from_ref(key)));
            }
        }
        batches.retain(|batch| !batch.ids.is_empty());
        batches
    }

    /// One object of these references.
    pub fn one_of(&self, references: &[Arc<Reference>]) -> Batch {
        let members = references.iter().filter_map(|reference| self.references.get(reference));
        let one = members.flat_map(|members| members.settled.iter().chain(&members.fresh)).next();
        self.batch_of(one.map(slice::from_ref).unwrap_or_default())
    }

    /// The objects of a batch that are followed still.
    pub fn batch_of(&self, keys: &[Key]) -> Batch {
        let mut batch = Batch::default();
        for key in keys {
            if let Some(followed) = self.objects.get(key) {
                batch.takes(key, followed.ids());
            }
        }
        batch
    }

    /// Notes that an object's machines cannot be seen although others of the account can. Returns whether that is news to it.
    pub fn unseen(&mut self, key: &Key) -> bool {
        let machines = self.objects.get_mut(key).into_iter().flat_map(|followed| &mut followed.machines);
        machines.fold(false, |is_news, machine| is_news | (std::mem::replace(&mut machine.known, UNSEEN) != UNSEEN))
    }

    /// Takes what a batch showed. Returns the objects to which it is news.
    pub fn take(&mut self, account: &Account, batch: &Batch, looks: &Looks) -> Vec<Key> {
        self.looks.retain(|_, (_, look)| age(look) <= 4 * super::RECENT);
        let some_were_seen = looks.values().any(Result::is_ok);
        batch.keys.iter().filter(|key| self.compare(account, key, looks, some_were_seen)).cloned().collect()
    }

    /// Compares one object's machines with what was seen of them, and keeps what its pass will want.
    fn compare(&mut self, account: &Account, key: &Key, looks: &Looks, some_were_seen: bool) -> bool {
        let Some(followed) = self.objects.get_mut(key) else { return false };
        let mut is_news = false;
        for machine in &mut followed.machines {
            let seen = match looks.get(&*machine.id) {
                Some(Ok(look)) if !machine.takes(look) => continue,
                Some(Ok(look)) => {
                    let seen = digest_of(account, &machine.id, look);
                    if seen != machine.known || followed.pace == Pace::Fresh {
                        self.looks.insert(machine.id.to_string(), (account.key(), look.clone()));
                    }
                    seen
                }
                // It alone was refused: its own pass finds out why.
                Some(Err(_)) if some_were_seen => UNSEEN,
                _ => continue,
            };
            is_news |= seen != machine.known;
            machine.known = seen;
        }
        is_news
    }

    /// Takes what an object's own pass saw: no news to it.
    pub fn note_all(&mut self, account: &Account, key: &Key, looks: &BTreeMap<String, Look>) {
        let Some(followed) = self.objects.get_mut(key) else { return };
        for machine in &mut followed.machines {
            let Some(look) = looks.get(&*machine.id) else { continue };
            // However old it is, the status will say this.
            machine.known = digest_of(account, &machine.id, look);
            if machine.takes(look) {
                // No later pass may go by what the watch saw before it.
                self.looks.remove(&*machine.id);
            }
        }
    }

    /// Looks at all these ids under these credentials that are young enough.
    pub fn recent(&self, account: &AccountKey, ids: &[String], most: Duration) -> Option<BTreeMap<String, Look>> {
        let young = |id: &String| {
            let (under, look) = self.looks.get(id)?;
            (under == account && age(look) <= most).then(|| (id.clone(), look.clone()))
        };
        ids.iter().map(young).collect()
    }

    /// Notes that a reference cannot be looked at, with the account under which that was found if it came so far. Returns whom to tell:
    /// everybody once, at once if a person must act, else when it has lasted for `patience`.
    pub fn trouble(
        &mut self,
        reference: &Reference,
        problem: &Problem,
        under: Option<AccountKey>,
        patience: Duration,
    ) -> Vec<Key> {
        let Some((reference, members)) = self.references.get_key_value(reference) else { return Vec::new() };
        let now = Instant::now();
        let fresh = || Trouble { since: now, problem: problem.clone(), under: None, told: false };
        let trouble = self.troubles.entry(Arc::clone(reference)).or_insert_with(fresh);
        // A failure that passes says nothing of credentials that were refused.
        let was_refused = trouble.told && trouble.problem.reason.needs_a_person() && trouble.under == under;
        if was_refused && under.is_some() && !problem.reason.needs_a_person() {
            return Vec::new();
        }
        if trouble.problem.reason.needs_a_person() != problem.reason.needs_a_person() {
            trouble.told = false;
        }
        (trouble.problem, trouble.under) = (problem.clone(), under);
        if trouble.told || !(problem.reason.needs_a_person() || now.duration_since(trouble.since) >= patience) {
            return Vec::new();
        }
        trouble.told = true;
        members.all()
    }

    /// What makes an account useless at present, once its objects were told: their passes need not find that out one by one, each for as
    /// long as a call may take. The sweep goes on asking, and wakes them when it is over. Where a person must act they ask all the same: it may
    /// be one machine alone that the key may not see.
    pub fn outage(&self, key: &Key, account: &AccountKey) -> Option<Problem> {
        let trouble = self.troubles.get(&self.objects.get(key)?.reference)?;
        let is_known = trouble.told && trouble.under.as_ref() == Some(account);
        (is_known && !trouble.problem.reason.needs_a_person()).then(|| trouble.problem.clone())
    }

    /// Notes the trouble of the reference of an object whose pass found that there is no account.
    pub fn trouble_of(&mut self, key: &Key, problem: &Problem) -> Vec<Key> {
        let Some(reference) = self.objects.get(key).map(|followed| Arc::clone(&followed.reference)) else {
            return Vec::new();
        };
        self.trouble(&reference, problem, None, Duration::MAX)
    }

    /// Notes that a reference can be looked at again. Returns whom to tell: those who were told of the trouble.
    pub fn well(&mut self, reference: &Reference) -> Vec<Key> {
        match self.troubles.remove(reference) {
            Some(trouble) if trouble.told => self.references.get(reference).map(Members::all).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The references whose credentials are of no use until a person acts.
    pub fn without_credentials(&self) -> Vec<Arc<Reference>> {
        let stuck = self.troubles.iter().filter(|(_, trouble)| trouble.problem.reason.needs_a_person());
        stuck.map(|(reference, _)| Arc::clone(reference)).collect()
    }

    /// Whether one of these references is among them.
    pub fn are_stuck(&self, references: &[Arc<Reference>]) -> bool {
        let troubles = references.iter().filter_map(|reference| self.troubles.get(reference));
        troubles.into_iter().any(|trouble| trouble.problem.reason.needs_a_person())
    }

    /// Notes which account a reference leads to now. Returns whom to tell if that is not the one that was of no use.
    pub fn leads_to(&mut self, reference: &Reference, account: &AccountKey) -> Vec<Key> {
        match self.troubles.get(reference) {
            Some(trouble) if trouble.under.as_ref() != Some(account) => self.well(reference),
            _ => Vec::new(),
        }
    }

    /// How many objects are followed.
    pub fn count(&self) -> usize {
        self.objects.len()
    }
}

impl Members {
    fn all(&self) -> Vec<Key> {
        self.settled.iter().chain(&self.fresh).cloned().collect()
    }
}

/// The machines of a status, each with what is known of it: what was seen last, or for an object at rest what its status tells, since a
/// status that says something else was written by somebody else and is compared again.
fn machines(status: &PaiInstanceStatus, before: Option<&Followed>, at_rest: bool) -> Vec<Machine> {
    let machine = |id: &String| {
        let seen = before.iter().flat_map(|before| &before.machines).find(|machine| *machine.id == **id);
        let told = || status.instances.iter().find(|known| known.id == *id).map_or(ABSENT, digest);
        let known = seen.filter(|_| !at_rest).map_or_else(told, |machine| machine.known);
        Machine { id: id.as_str().into(), known, looked: seen.and_then(|machine| machine.looked) }
    };
    status.instance_ids.iter().map(machine).collect()
}

fn digest_of(account: &Account, id: &str, look: &Look) -> u64 {
    let secret_id = account.credentials.secret_id.as_str();
    look.instance.as_ref().map_or(ABSENT, |instance| digest(&shown(id, instance, secret_id)))
}
