//! Faults as they are found, by several threads, and bounded: a ruined store has millions.

use super::report::{Fault, FaultKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most faults of one kind that are listed; the rest is counted.
const LISTED: usize = 10_000;

/// A list of faults.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<BTreeMap<FaultKind, (Vec<Fault>, u64)>>);

impl Faults {
    /// Notes one.
    pub(crate) fn add(&self, kind: FaultKind, object: impl std::fmt::Display, detail: impl Into<String>) {
        self.push(Fault { kind, object: object.to_string(), detail: detail.into() });
    }

    /// Notes one.
    pub(crate) fn push(&self, fault: Fault) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (listed, more) = kinds.entry(fault.kind).or_default();
        if listed.len() < LISTED { listed.push(fault) } else { *more += 1 }
    }

    /// Whether one of these kinds was found.
    pub(crate) fn has(&self, wanted: &[FaultKind]) -> bool {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().any(|kind| kinds.contains_key(kind))
    }

    /// All of them, by kind and name.
    pub(crate) fn into_list(self) -> Vec<Fault> {
        let mut list = Vec::new();
        for (kind, (mut listed, more)) in self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            listed.sort();
            list.append(&mut listed);
            if more > 0 {
                let detail = format!("und {more} weitere dieser Art");
                list.push(Fault { kind: FaultKind::More, object: kind.word().to_owned(), detail });
            }
        }
        list
    }
}
