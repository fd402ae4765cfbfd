//! The end of a check: what the two passes found is weighed against what others have committed meanwhile.

use super::check::Check;
use super::listing::age;
use super::report::FaultKind;
use crate::domain::event::LeafRange;
use crate::journal::{Reader, payload};
use std::collections::{BTreeMap, HashSet};

impl Check<'_> {
    /// Commits that erase must say the same as their events.
    pub(super) fn erasures(&self) {
        let erasing = Self::lock(&self.erasing);
        if !self.is_full() || self.faults.has(&[FaultKind::PayloadDamaged, FaultKind::PayloadUnreadable]) {
            return;
        }
        let flat = |ranges: Option<&Vec<LeafRange>>| {
            let mut ranges: Vec<_> =
                ranges.into_iter().flatten().map(|range| (range.first, range.last)).collect();
            ranges.sort_unstable();
            ranges
        };
        let seqs: HashSet<u64> = self.chain.erasing.keys().chain(erasing.permitted.keys()).copied().collect();
        for seq in seqs {
            if flat(self.chain.erasing.get(&seq)) != flat(erasing.permitted.get(&seq)) {
                let detail = format!(
                    "Was Journaleintrag {seq} zu löschen erlaubt, stimmt nicht mit seinem Ereignis überein."
                );
                self.faults.add(FaultKind::ErasureMismatch, self.layout.commit(seq), detail);
            }
        }
    }

    /// Takes back what commits made meanwhile explain, and reports the rest.
    pub(super) fn settle(&self) -> BTreeMap<String, i64> {
        let mut strays = std::mem::take(&mut *Self::lock(&self.strays));
        let open = std::mem::take(&mut *Self::lock(&self.open));
        let mut ranges = Vec::new();
        if self.chain.whole && (!strays.is_empty() || !open.is_empty()) {
            let reader = Reader::new(self.store.clone(), self.layout.clone());
            let mut seq = self.head + 1;
            while let Ok(Some((commit, _))) = reader.commit(seq) {
                for leaf in &commit.leaves {
                    let key = self.layout.payload(leaf);
                    strays.remove(self.layout.local(&key).unwrap_or_default());
                    if let Ok(bytes) = self.store.read(&key)
                        && let Ok(events) = payload::read(&bytes)
                    {
                        for object in
                            events.iter().flat_map(|one| one.objects.iter().map(move |o| (one.entity, o)))
                        {
                            let key = self.layout.object(object.0, &object.1.sha256);
                            strays.remove(self.layout.local(&key).unwrap_or_default());
                        }
                    }
                }
                ranges.extend(commit.erases.into_iter().map(|range| (range, seq)));
                seq += 1;
            }
        }
        let later = super::chain::Erases::new(ranges);
        let erasing = Self::lock(&self.erasing);
        for (position, mut fault) in open {
            if fault.kind == FaultKind::ErasedPresent {
                let permit = fault.detail.parse().unwrap_or(0);
                let is_gone = |key: &str| {
                    key.parse().ok().and_then(|key| self.store.size(&key).ok()).is_some_and(|s| s.is_none())
                };
                if erasing.completed.contains(&permit) {
                    fault.detail = format!(
                        "Die Löschung (Journaleintrag {permit}) ist vollzogen, aber das Objekt ist da."
                    );
                    self.faults.push(fault);
                } else if !is_gone(&fault.object) {
                    fault.kind = FaultKind::ErasurePending;
                    fault.detail = format!(
                        "Die Löschung (Journaleintrag {permit}) ist erlaubt und noch nicht vollzogen."
                    );
                    self.notices.push(fault);
                }
            } else if later.permitted_by(position).is_none() {
                self.faults.push(fault);
            }
        }
        for (local, modified) in &strays {
            let detail = format!("Kein Ereignis nennt dieses Objekt (Alter: {}).", age(self.now, *modified));
            self.notices.add(FaultKind::Unreferenced, format!("{}/{local}", self.layout.root()), detail);
        }
        strays
    }
}
