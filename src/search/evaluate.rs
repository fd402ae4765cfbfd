//! Counting and ranking whole documents.
//!
//! A document matches when each clause matches somewhere in it, on any page or in its metadata; what is excluded may
//! stand nowhere in it. It is ranked, and shown, by its best page. All filters act before anything is counted.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use tantivy::columnar::{Column, ColumnValues, StrColumn};
use tantivy::query::{Scorer, Weight};
use tantivy::{DocId, Score, Searcher, SegmentReader, TERMINATED};

use super::query::{Query, Visible};
use super::schema::{DAY, KIND, LABEL, ORDINAL, PAGE, UNIT};

/// What to look for, as weights of one searcher.
pub(super) struct Weights {
    /// Each must match somewhere in the document. A single one may be left out: ranking covers it.
    pub(super) required: Vec<Box<dyn Weight>>,
    /// None may match anywhere in the document.
    pub(super) excluded: Vec<Box<dyn Weight>>,
    /// Ranks entries; only documents with a ranked entry are found.
    pub(super) ranking: Box<dyn Weight>,
}

/// A found document and its best entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) score: Score,
    day: u64,
    pub(super) segment: u32,
    pub(super) first: DocId,
    pub(super) best: DocId,
    pub(super) page: u32,
    pub(super) pages_matched: u32,
}

impl Eq for Found {}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        // Better first: higher score, then younger, then the order of the index.
        let place = |found: &Self| Reverse((found.segment, found.first));
        let by_score = self.score.total_cmp(&other.score);
        by_score.then(self.day.cmp(&other.day)).then_with(|| place(self).cmp(&place(other)))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best `keep` documents, best first, and how many there are.
pub(super) fn evaluate(
    searcher: &Searcher,
    weights: &Weights,
    query: &Query,
    keep: usize,
) -> tantivy::Result<(usize, Vec<Found>)> {
    let mut top = Top { keep, total: 0, heap: BinaryHeap::new() };
    for (ord, reader) in (0..).zip(searcher.segment_readers()) {
        let Some(segment) = Segment::open(ord, reader, query)? else { continue };
        segment.evaluate(weights, &mut top)?;
    }
    let mut found: Vec<Found> = top.heap.into_iter().map(|Reverse(found)| found).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok((top.total, found))
}

struct Top {
    keep: usize,
    total: usize,
    heap: BinaryHeap<Reverse<Found>>,
}

impl Top {
    fn add(&mut self, found: Found) {
        self.total += 1;
        if self.heap.len() < self.keep {
            self.heap.push(Reverse(found));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && found > worst.0
        {
            *worst = Reverse(found);
        }
    }
}

/// A set of documents of one segment, each by its first entry.
struct Documents(Vec<u64>);

impl Documents {
    fn new(entries: u32) -> Self {
        Self(vec![0; entries as usize / 64 + 1])
    }

    fn insert(&mut self, first: DocId) {
        self.0[first as usize / 64] |= 1 << (first % 64);
    }

    fn contains(&self, first: DocId) -> bool {
        self.0[first as usize / 64] & (1 << (first % 64)) != 0
    }

    /// The next member after `first`.
    fn after(&self, first: DocId) -> Option<DocId> {
        let start = first + 1;
        let mut index = start as usize / 64;
        let mut word = self.0.get(index)? & (u64::MAX << (start % 64));
        while word == 0 {
            index += 1;
            word = *self.0.get(index)?;
        }
        Some(u32::try_from(index).ok()? * 64 + word.trailing_zeros())
    }
}

struct Segment<'a> {
    ord: u32,
    reader: &'a SegmentReader,
    ordinals: Arc<dyn ColumnValues<u64>>,
    days: Arc<dyn ColumnValues<u64>>,
    gates: Vec<Gate>,
    from_to: Option<(u64, u64)>,
}

/// Lets documents pass whose name in a column is among the allowed.
struct Gate {
    names: Column<u64>,
    allowed: Vec<bool>,
}

impl Gate {
    /// None when nothing in the segment can pass.
    fn open<'n>(
        column: Option<StrColumn>,
        names: impl Iterator<Item = &'n str>,
    ) -> tantivy::Result<Option<Self>> {
        let Some(column) = column else { return Ok(None) };
        let mut allowed = vec![false; column.num_terms()];
        let mut any = false;
        for name in names {
            if let Some(ord) = column.dictionary().term_ord(name)?
                && let Some(slot) = usize::try_from(ord).ok().and_then(|ord| allowed.get_mut(ord))
            {
                *slot = true;
                any = true;
            }
        }
        Ok(any.then(|| Self { names: column.ords().clone(), allowed }))
    }

    fn passes(&self, entry: DocId) -> bool {
        let ord = self.names.first(entry).and_then(|ord| usize::try_from(ord).ok());
        ord.is_some_and(|ord| self.allowed.get(ord).copied().unwrap_or(false))
    }
}

impl<'a> Segment<'a> {
    /// None when the query's filters let nothing of this segment pass.
    fn open(ord: u32, reader: &'a SegmentReader, query: &Query) -> tantivy::Result<Option<Self>> {
        let fast = reader.fast_fields();
        let mut gates = Vec::new();
        if let Visible::Labels(labels) = &query.visible {
            let Some(gate) = Gate::open(fast.str(LABEL)?, labels.iter().map(String::as_str))? else {
                return Ok(None);
            };
            gates.push(gate);
        }
        for (column, names) in [(UNIT, &query.filter.units), (KIND, &query.filter.kinds)] {
            if !names.is_empty() {
                let names = names.iter().map(String::as_str);
                let Some(gate) = Gate::open(fast.str(column)?, names)? else { return Ok(None) };
                gates.push(gate);
            }
        }
        let column = |name| Ok::<_, tantivy::TantivyError>(fast.u64(name)?.first_or_default_col(0));
        Ok(Some(Self {
            ord,
            reader,
            ordinals: column(ORDINAL)?,
            days: column(DAY)?,
            gates,
            from_to: query.filter.day_numbers(),
        }))
    }

    fn first_entry(&self, entry: DocId) -> DocId {
        entry.saturating_sub(u32::try_from(self.ordinals.get_val(entry)).unwrap_or(0))
    }

    fn passes(&self, first: DocId) -> bool {
        self.reader.alive_bitset().is_none_or(|alive| alive.is_alive(first))
            && self.gates.iter().all(|gate| gate.passes(first))
            && self.from_to.is_none_or(|(from, to)| (from..=to).contains(&self.days.get_val(first)))
    }

    fn evaluate(&self, weights: &Weights, top: &mut Top) -> tantivy::Result<()> {
        let mut candidates = None;
        for weight in &weights.required {
            let mut matched = Documents::new(self.reader.max_doc());
            let mut any = false;
            self.walk(weight.scorer(self.reader, 1.0)?, candidates.as_ref(), |_, first, _| {
                matched.insert(first);
                any = true;
            });
            if !any {
                return Ok(());
            }
            candidates = Some(matched);
        }
        let mut excluded = None;
        for weight in &weights.excluded {
            let set = excluded.get_or_insert_with(|| Documents::new(self.reader.max_doc()));
            self.walk(weight.scorer(self.reader, 1.0)?, candidates.as_ref(), |_, first, _| set.insert(first));
        }
        self.rank(weights, candidates.as_ref(), excluded.as_ref(), top)
    }

    /// Entries come in the index's order, so those of one document follow each other.
    fn rank(
        &self,
        weights: &Weights,
        candidates: Option<&Documents>,
        excluded: Option<&Documents>,
        top: &mut Top,
    ) -> tantivy::Result<()> {
        // The document under way; none while its entries are filtered out.
        let mut current: (DocId, Option<Found>) = (TERMINATED, None);
        let mut take = |entry: DocId, first: DocId, score: Score| {
            if current.0 != first {
                if let Some(done) = current.1.take() {
                    top.add(done);
                }
                let passes = excluded.is_none_or(|set| !set.contains(first)) && self.passes(first);
                current = (first, passes.then(|| self.found(entry, first, score)));
            }
            if let Some(found) = &mut current.1 {
                found.pages_matched += u32::from(entry != first);
                if score > found.score {
                    found.score = score;
                    found.best = entry;
                }
            }
        };
        if candidates.is_some() {
            self.walk(weights.ranking.scorer(self.reader, 1.0)?, candidates, take);
        } else {
            weights
                .ranking
                .for_each(self.reader, &mut |entry, score| take(entry, self.first_entry(entry), score))?;
        }
        if let Some(done) = current.1 {
            top.add(done);
        }
        Ok(())
    }

    fn found(&self, entry: DocId, first: DocId, score: Score) -> Found {
        let day = self.days.get_val(first);
        Found { score, day, segment: self.ord, first, best: entry, page: 0, pages_matched: 0 }
    }

    /// Visits the matching entries of the candidates, or of all documents.
    fn walk(
        &self,
        mut matches: Box<dyn Scorer>,
        candidates: Option<&Documents>,
        mut visit: impl FnMut(DocId, DocId, Score),
    ) {
        let mut entry = matches.doc();
        while entry != TERMINATED {
            let first = self.first_entry(entry);
            if candidates.is_none_or(|set| set.contains(first)) {
                visit(entry, first, matches.score());
                entry = matches.advance();
            } else {
                let Some(next) = candidates.and_then(|set| set.after(first)) else { break };
                entry = matches.seek(next);
            }
        }
    }
}

/// The page numbers of found documents' best entries.
pub(super) fn page_numbers(searcher: &Searcher, found: &mut [Found]) -> tantivy::Result<()> {
    for found in found {
        let pages = searcher.segment_reader(found.segment).fast_fields().u64(PAGE)?;
        found.page = pages.first(found.best).and_then(|page| u32::try_from(page).ok()).unwrap_or(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_member_of_a_set_is_found_across_words() {
        let mut set = Documents::new(300);
        for member in [0, 63, 64, 190] {
            set.insert(member);
        }
        assert_eq!(
            [0, 1, 63, 64, 190].map(|first| set.after(first)),
            [Some(63), Some(63), Some(64), Some(190), None]
        );
        assert!(set.contains(64) && !set.contains(65));
        assert_eq!(set.after(10_000), None);
    }
}
