//! Two catalogues of one journal, held against one another row by row, and one against itself.

use super::keys::{self, Table};
use super::{Catalogue, CatalogueError};
use std::cmp::Ordering;
use std::sync::PoisonError;

/// How a row differs from what follows from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// It is not there.
    Missing,
    /// It should not be there.
    Extra,
    /// It says something else.
    Other,
}

impl Catalogue {
    /// Reads every row, and counts: tables that list the same things have as many rows. Names pairs that do not.
    ///
    /// # Errors
    /// When the catalogue is broken.
    pub fn uneven_tables(&self) -> Result<Vec<(String, String)>, CatalogueError> {
        let mut rows = [0_u64; 256];
        self.dump(&mut |key, _| rows[usize::from(key.first().copied().unwrap_or_default())] += 1)?;
        let count = |table: Table| rows[table as usize];
        let uneven = Table::EQUAL.into_iter().filter(|(one, other)| count(*one) != count(*other));
        Ok(uneven.map(|(one, other)| (format!("{one:?}"), format!("{other:?}"))).collect())
    }

    /// Goes through both catalogues at once; `differing` is given the keys of rows that are not equal, in pieces, and
    /// says whether to go on. The marks of the search index are left out.
    ///
    /// # Errors
    /// When one of them is broken.
    pub fn compare(
        &self,
        truth: &Self,
        differing: &mut dyn FnMut(Vec<Vec<u8>>) -> bool,
    ) -> Result<(), CatalogueError> {
        const PIECE: usize = 1_000;
        let is_compared = |entry: &Result<(sled::IVec, sled::IVec), sled::Error>| match entry {
            Ok((key, _)) => key.first() != Some(&(Table::Touched as u8)),
            Err(_) => true,
        };
        let mut ours = self.db.iter().filter(is_compared);
        let mut theirs = truth.db.iter().filter(is_compared);
        let (mut one, mut other) = (ours.next().transpose()?, theirs.next().transpose()?);
        let mut keys = Vec::new();
        loop {
            let order = match (&one, &other) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some((wanted, _))) => key.cmp(wanted),
            };
            let row = if order == Ordering::Greater { &other } else { &one };
            if (order != Ordering::Equal || one != other)
                && let Some((key, _)) = row
            {
                keys.push(key.to_vec());
            }
            if order != Ordering::Greater {
                one = ours.next().transpose()?;
            }
            if order != Ordering::Less {
                other = theirs.next().transpose()?;
            }
            if keys.len() == PIECE && !differing(std::mem::take(&mut keys)) {
                return Ok(());
            }
        }
        if !keys.is_empty() {
            differing(keys);
        }
        Ok(())
    }

    /// How one row differs from that of another catalogue, and the name of its table. `None`: it does not.
    ///
    /// # Errors
    /// When one of them is broken.
    pub fn difference(
        &self,
        truth: &Self,
        key: &[u8],
    ) -> Result<Option<(String, Difference)>, CatalogueError> {
        let difference = match (self.get(key)?, truth.get(key)?) {
            (None, Some(_)) => Difference::Missing,
            (Some(_), None) => Difference::Extra,
            (Some(row), Some(wanted)) if row != wanted => Difference::Other,
            _ => return Ok(None),
        };
        Ok(Some((keys::table_name(key), difference)))
    }

    /// Looks at the catalogue while nothing is taken in; the journal's writer waits meanwhile, so be quick.
    pub fn at_rest<T>(&self, look: impl FnOnce() -> T) -> T {
        let _nobody_writes = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        look()
    }
}
