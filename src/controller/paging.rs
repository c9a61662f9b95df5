//! Paging through a listing so that its end proves that nothing was left out. Pure: the caller fetches.

use std::collections::BTreeMap;

use crate::tencent::CallError;
use crate::tencent::cvm::MAX_PAGE;

/// How far the next page begins after the last: one less than a page, so that pages overlap by one entry and a shift between two
/// requests shows. Source: reliability step 5.
const STRIDE: u64 = 99;

/// Most pages of one listing. Source: our choice: 49,500 machines, at 20 pages a second; a longer listing would be too old at its end.
const MOST_PAGES: u64 = 500;

/// A listing being read.
///
/// It is complete if each page begins with the last entry of the page before, paging reached a page that is not full, and there are
/// at least as many different entries as the first page announced.
pub struct Paging<T> {
    page: u64,
    announced: Option<u64>,
    last_id: Option<String>,
    entries: BTreeMap<String, T>,
    done: bool,
}

impl<T> Default for Paging<T> {
    fn default() -> Self {
        Self { page: 0, announced: None, last_id: None, entries: BTreeMap::new(), done: false }
    }
}

impl<T> Paging<T> {
    /// The offset to ask for next; `None` once the listing is complete.
    pub fn next_offset(&self) -> Option<u64> {
        (!self.done).then_some(self.page * STRIDE)
    }

    /// Takes the page at that offset. An error means that the listing proves nothing.
    pub fn take(&mut self, total: Option<u64>, items: Vec<(String, T)>) -> Result<(), CallError> {
        let total = total.ok_or_else(|| incomplete("a listing does not say how many entries there are"))?;
        let announced = *self.announced.get_or_insert(total);
        if self.last_id.is_some() && items.first().map(|(id, _)| id) != self.last_id.as_ref() {
            return Err(incomplete("the pages of a listing shifted while it was read"));
        }
        let full = items.len() >= MAX_PAGE;
        self.last_id = items.last().map(|(id, _)| id.clone());
        self.entries.extend(items);
        self.page += 1;
        if full {
            return if self.page < MOST_PAGES { Ok(()) } else { Err(incomplete("a listing has too many pages")) };
        }
        self.done = true;
        if u64::try_from(self.entries.len()).is_ok_and(|count| count >= announced) {
            Ok(())
        } else {
            Err(incomplete("a listing has fewer entries than it announced"))
        }
    }

    /// The entries.
    pub fn entries(self) -> BTreeMap<String, T> {
        self.entries
    }
}

fn incomplete(reason: &str) -> CallError {
    CallError::Garbled { status: 200, reason: reason.to_owned(), request_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a listing of `count` entries that claims `total` and loses its first `shift` entries after the first page.
    fn read(count: usize, total: Option<u64>, shift: usize) -> Result<usize, CallError> {
        let mut paging = Paging::default();
        while let Some(offset) = paging.next_offset() {
            let skip = usize::try_from(offset).unwrap() + if offset > 0 { shift } else { 0 };
            let page = (0..count).skip(skip).take(MAX_PAGE).map(|n| (n.to_string(), n)).collect();
            paging.take(total, page)?;
        }
        Ok(paging.entries().len())
    }

    #[test]
    fn complete_and_incomplete_listings() {
        let rows: Vec<(&str, usize, Option<u64>, usize, bool)> = vec![
            ("empty", 0, Some(0), 0, true),
            ("one page", 7, Some(7), 0, true),
            ("exactly a full page", 100, Some(100), 0, true),
            ("three pages", 250, Some(250), 0, true),
            ("it grew meanwhile", 250, Some(240), 0, true),
            ("fewer than announced", 250, Some(251), 0, false),
            ("empty, but something was announced", 0, Some(1), 0, false),
            ("no total", 7, None, 0, false),
            ("an entry before us vanished", 250, Some(250), 1, false),
            ("ten thousand", 10_000, Some(10_000), 0, true),
            ("too many", 60_000, Some(60_000), 0, false),
        ];
        for (name, count, total, shift, complete) in rows {
            let result = read(count, total, shift);
            assert_eq!(result.clone().ok(), complete.then_some(count), "{name}: {result:?}");
        }
    }
}
