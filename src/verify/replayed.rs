//! The catalogue, held against one that is built anew from the journal beside it: every row of every table, both
//! ways. Memory stays the same whatever the size: both are read in the order of their keys.

use super::Subject;
use super::faults::Faults;
use super::projections::{CATALOGUE, Opened, Projections, View, damaged, differs, guarded};
use super::report::{FaultKind, Progress};
use crate::catalogue::{Catalogue, Difference};
use crate::clock::{Entropy as _, SystemEntropy};
use crate::domain::digest;
use crate::journal::{Applied, JournalError, Projection as _, Reader, ReplayError, replay_until};
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the names of such catalogues begin with; what a killed check leaves is removed at the next start.
pub(crate) const NAME: &str = "catalogue.check-";
/// Memory for the catalogue that is built.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Takes the directory away when the check is over.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = Catalogue::delete(&self.0);
    }
}

/// Builds the catalogue anew beside the old one and compares.
///
/// # Errors
/// When the store does not answer.
pub(crate) fn compare(
    subject: &Subject<'_>,
    opened: &Opened,
    view: &View,
    faults: &Faults,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), StoreError> {
    let directory = match subject.projections {
        Projections::Closed(directory, _) => directory,
        _ => subject.scratch,
    };
    let mut name = [0; 8];
    SystemEntropy.fill(&mut name);
    let place = Temporary(directory.join(format!("{NAME}{}", digest::hex(&name))));
    let reader = Reader::new(subject.store.clone(), subject.layout.clone());
    let look = || {
        let truth = Catalogue::open(&place.0, CACHE_BYTES)?;
        let ours = &*view.catalogue;
        let last = view.applied.seq;
        replay_until(&reader, &truth, Applied::default(), last, &mut |applied| {
            progress(Progress { done: applied.seq, total: Some(last), bytes: 0 });
        })?;
        let mut found = BTreeMap::<(String, Difference), u64>::new();
        let mut failed = None;
        ours.compare(&truth, &mut |keys| {
            let mut settle = || {
                // Others may have written since: what both know at the same commit is what counts.
                replay_until(&reader, &truth, truth.applied()?, ours.applied()?.seq, &mut |_| {})?;
                for key in &keys {
                    if let Some(difference) = ours.difference(&truth, key)? {
                        *found.entry(difference).or_default() += 1;
                    }
                }
                Ok::<_, super::projections::Cause>(())
            };
            failed = if opened.live { ours.at_rest(settle) } else { settle() }.err();
            failed.is_none()
        })?;
        failed.map_or(Ok(found), Err)
    };
    match guarded(look) {
        Ok(found) => {
            for ((table, difference), count) in found {
                let detail = match difference {
                    Difference::Missing => {
                        format!("In der Tabelle {table} des Katalogs fehlen {count} Zeilen.")
                    }
                    Difference::Extra => {
                        format!("In der Tabelle {table} des Katalogs stehen {count} Zeilen zu viel.")
                    }
                    Difference::Other => {
                        format!("In der Tabelle {table} des Katalogs besagen {count} Zeilen etwas anderes.")
                    }
                };
                faults.push(differs(&detail));
            }
            Ok(())
        }
        Err(error) => match error.downcast::<ReplayError>().map(|error| *error) {
            Ok(ReplayError::Journal(JournalError::Store(error))) => Err(error),
            // What is wrong with the journal has its own findings.
            Ok(error) => {
                let detail = format!("Der Katalog konnte nicht mit dem Journal verglichen werden ({error}).");
                faults.add(FaultKind::CatalogueDiffers, CATALOGUE, detail);
                Ok(())
            }
            Err(error) => {
                faults.push(damaged(&error));
                Ok(())
            }
        },
    }
}
