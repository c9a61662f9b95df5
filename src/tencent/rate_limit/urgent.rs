//! Calls for which a person waits: they go before all others, as many as leave those most of the rate. Data only.
//!
//! Some are kept, and a burst must not use them up, since who comes after it would pay for that. So one that follows another at once finds
//! something only while all are kept. Nor do those who find nothing stand in line: only the last of them waits.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::WINDOW;

/// Of so many calls one may be urgent. Source: our choice: ten of the forty descriptions in a second.
pub(super) const SHARE: u32 = 4;
/// How many are kept: one for a burst, the others for who comes after it. Source: our choice.
const KEPT: u32 = 3;
/// One that comes within this time after another belongs to a burst. Source: our choice: a flood of fifty objects a second is one.
const BURST: Duration = Duration::from_millis(40);
/// How long one waits at most. Source: our choice: until all are kept again at the documented rate of descriptions.
const LONGEST: Duration = Duration::from_millis(400);
/// For how long after one of them the others leave room for more. Source: our choice.
pub(super) const ROOM_FOR: Duration = Duration::from_secs(10);

/// What is kept for urgent calls of one key.
#[derive(Debug)]
pub(super) struct Urgent {
    /// Between two of them in the long run; `None` where a [`SHARE`] of the rate is less than one call.
    every: Option<Duration>,
    /// How many may follow each other at once.
    kept: u32,
    /// When as many as that are kept again.
    whole_at: Instant,
    /// When somebody asked for one.
    asked: Option<Instant>,
    /// When the last of them was taken.
    last: Option<Instant>,
    /// Until how many are kept the last one waits; dropped when another does.
    waiting: Option<(u32, oneshot::Sender<()>)>,
}

/// The place of the one who waits.
#[derive(Debug)]
pub(super) struct Place {
    /// How many must be kept.
    pub least: u32,
    /// When they are, if nobody takes one before.
    pub until: Instant,
    /// Until then at most.
    longest: Instant,
    /// Ends early when somebody else waits.
    pub lost: oneshot::Receiver<()>,
}

impl Urgent {
    /// `rate` is in calls a second. No more than a share of it is given out within [`WINDOW`].
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let most = rate / SHARE;
        let kept = most.min(KEPT);
        let every = (most > 0).then(|| WINDOW / (most - kept + 1));
        Self { every, kept, whole_at: now, asked: None, last: None, waiting: None }
    }

    /// Somebody has just come: how many must be kept that one is taken.
    pub(super) fn ask(&mut self, now: Instant) -> u32 {
        let is_of_a_burst = self.asked.replace(now).is_some_and(|asked| now < asked + BURST);
        if is_of_a_burst { self.kept } else { 1 }
    }

    /// Takes one if at least so many are kept.
    pub(super) fn take(&mut self, least: u32, now: Instant) -> bool {
        if self.kept_at(least).is_none_or(|at| at > now) {
            return false;
        }
        let every = self.every.unwrap_or_default();
        self.whole_at = self.whole_at.max(now) + every;
        self.last = Some(now);
        true
    }

    /// Waits until so many are kept, in the place of whoever waited until now, and for no more than that one did. No place where it would
    /// last longer than [`LONGEST`].
    pub(super) fn wait(&mut self, least: u32, now: Instant) -> Option<Place> {
        let before = self.waiting.as_ref().filter(|(_, place)| !place.is_closed());
        let least = before.map_or(least, |(wanted, _)| least.min(*wanted));
        let longest = now + LONGEST;
        let until = self.kept_at(least).filter(|until| *until <= longest)?;
        let (sender, lost) = oneshot::channel();
        self.waiting = Some((least, sender));
        Some(Place { least, until, longest, lost })
    }

    /// Waits on, as others took some meanwhile. Says whether that is not too long.
    pub(super) fn wait_on(&self, place: &mut Place) -> bool {
        let until = self.kept_at(place.least).filter(|until| *until <= place.longest);
        place.until = until.unwrap_or(place.until);
        until.is_some()
    }

    fn kept_at(&self, least: u32) -> Option<Instant> {
        let missing = self.kept.checked_sub(least)?;
        Some(self.whole_at.checked_sub(self.every? * missing).unwrap_or(self.whole_at))
    }

    /// Whether there are such calls at this time.
    pub(super) fn needs_room(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now < last + ROOM_FOR)
    }
}
