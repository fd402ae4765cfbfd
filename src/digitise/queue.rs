//! Who reads what: no document is read by two threads at once, and one that failed rests for a while.

use crate::domain::DocumentId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// First and longest rest of a document that could not be read or recorded.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// A document that the holder may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) document: DocumentId,
    /// Whether someone asked for it, whatever the catalogue says.
    pub(super) on_demand: bool,
}

/// How a document came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Someone waits for it.
    First,
    /// Someone asked for it once more.
    Again,
    /// Its turn came.
    Lane,
}

/// What is being read and what rests.
#[derive(Debug, Default)]
pub(super) struct Queue {
    claimed: BTreeMap<DocumentId, Way>,
    resting: BTreeMap<DocumentId, (Instant, u32)>,
    wanted: VecDeque<DocumentId>,
    /// Those that someone waits for, in the order of asking. One that is read meanwhile is found to be so.
    first: VecDeque<DocumentId>,
}

impl Queue {
    /// Puts a document in front of the backlog.
    pub(super) fn again(&mut self, document: DocumentId) {
        if !self.wanted.contains(&document) {
            self.wanted.push_back(document);
        }
    }

    /// Puts a document in front of everything.
    pub(super) fn first(&mut self, document: DocumentId) {
        self.first.push_back(document);
    }

    /// Claims the next document. `waiting` lists a lane after a position, in pieces.
    pub(super) fn claim<E>(
        &mut self,
        lanes: RangeInclusive<u8>,
        mut waiting: impl FnMut(u8, Option<u64>) -> Result<Vec<(u64, DocumentId)>, E>,
    ) -> Result<Option<Claim>, E> {
        let now = Instant::now();
        if let Some(at) = self.first.iter().position(|document| self.is_free(*document, now))
            && let Some(document) = self.first.remove(at)
        {
            return Ok(Some(self.take(document, Way::First)));
        }
        for lane in lanes {
            let mut after = None;
            loop {
                let piece = waiting(lane, after)?;
                let Some((last, _)) = piece.last().copied() else { break };
                if let Some((_, document)) =
                    piece.into_iter().find(|(_, document)| self.is_free(*document, now))
                {
                    return Ok(Some(self.take(document, Way::Lane)));
                }
                after = Some(last);
            }
            // On demand: after the counter, before the backlog.
            if lane == 0
                && let Some(at) = self.wanted.iter().position(|document| self.is_free(*document, now))
                && let Some(document) = self.wanted.remove(at)
            {
                return Ok(Some(self.take(document, Way::Again)));
            }
        }
        Ok(None)
    }

    fn is_free(&self, document: DocumentId, now: Instant) -> bool {
        !self.claimed.contains_key(&document)
            && self.resting.get(&document).is_none_or(|(until, _)| *until <= now)
    }

    fn take(&mut self, document: DocumentId, way: Way) -> Claim {
        self.claimed.insert(document, way);
        Claim { document, on_demand: way == Way::Again }
    }

    /// Gives a document back; one that is to be tried later rests, the longer the more often it failed.
    pub(super) fn release(&mut self, document: DocumentId, later: bool) {
        let way = self.claimed.remove(&document);
        if !later {
            self.resting.remove(&document);
            return;
        }
        match way {
            Some(Way::Again) => self.again(document),
            Some(Way::First) => self.first(document),
            Some(Way::Lane) | None => {}
        }
        let failures = self.resting.get(&document).map_or(0, |(_, failures)| *failures) + 1;
        let rest = REST.0.saturating_mul(1 << failures.min(10)).min(REST.1) / 2;
        self.resting.insert(document, (Instant::now() + rest, failures));
    }

    /// How long until the next resting document may be tried.
    pub(super) fn rest(&self) -> Option<Duration> {
        let now = Instant::now();
        let resting: BTreeSet<Duration> = self
            .resting
            .iter()
            .filter(|(document, _)| !self.claimed.contains_key(document))
            .map(|(_, (until, _))| until.saturating_duration_since(now))
            .collect();
        resting.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use uuid::Uuid;

    fn document(number: u128) -> DocumentId {
        DocumentId::from_uuid(Uuid::from_u128(number))
    }

    /// Lanes with positions that are the documents' numbers, listed two at a time.
    fn claim(queue: &mut Queue, lanes: &[&[u64]]) -> Option<DocumentId> {
        let list = |lane: u8, after: Option<u64>| {
            let lane = lanes.get(usize::from(lane)).copied().unwrap_or_default();
            let later = lane.iter().filter(|at| after.is_none_or(|after| **at > after));
            Ok::<_, Infallible>(later.take(2).map(|at| (*at, document(u128::from(*at)))).collect())
        };
        queue.claim(0..=2, list).unwrap().map(|claim| claim.document)
    }

    #[test]
    fn lanes_go_in_order_and_nothing_is_claimed_twice() {
        let mut queue = Queue::default();
        let lanes: [&[u64]; 3] = [&[5], &[1, 2, 3], &[4]];
        let mut claimed = Vec::new();
        while let Some(document) = claim(&mut queue, &lanes) {
            claimed.push(document);
        }
        assert_eq!(claimed, [5, 1, 2, 3, 4].map(document));
        queue.release(document(2), false);
        assert_eq!(claim(&mut queue, &lanes), Some(document(2)));
    }

    #[test]
    fn what_failed_rests_and_lets_others_through() {
        let mut queue = Queue::default();
        let lanes: [&[u64]; 3] = [&[], &[1, 2], &[]];
        assert_eq!(claim(&mut queue, &lanes), Some(document(1)));
        queue.release(document(1), true);
        assert_eq!(claim(&mut queue, &lanes), Some(document(2)));
        assert_eq!(claim(&mut queue, &lanes), None);
        let rest = queue.rest().unwrap();
        assert!(rest > Duration::ZERO && rest <= REST.1);
    }

    #[test]
    fn what_someone_waits_for_goes_before_everything_and_rests_when_it_fails() {
        let mut queue = Queue::default();
        let lanes: [&[u64]; 3] = [&[5], &[1, 2, 3], &[]];
        assert_eq!(claim(&mut queue, &lanes), Some(document(5)));
        queue.first(document(3));
        queue.first(document(2));
        assert_eq!(claim(&mut queue, &lanes), Some(document(3)));
        queue.release(document(3), true);
        assert_eq!([claim(&mut queue, &lanes), claim(&mut queue, &lanes)], [2, 1].map(|n| Some(document(n))));
        assert_eq!(claim(&mut queue, &lanes), None, "3 rests");
    }

    #[test]
    fn what_is_asked_for_goes_before_the_backlog() {
        let mut queue = Queue::default();
        queue.again(document(9));
        queue.again(document(9));
        let lanes: [&[u64]; 3] = [&[5], &[1], &[]];
        let claimed: Vec<_> = std::iter::from_fn(|| claim(&mut queue, &lanes)).collect();
        assert_eq!(claimed, [5, 9, 1].map(document));
    }
}
