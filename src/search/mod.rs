//! The search index: a projection of the journal that finds documents by their words.
//!
//! It holds nothing that the journal and the object store do not hold: on any doubt it is thrown away and
//! replayed from [`SearchIndex::position`]. Everything here is synchronous; only this folder knows tantivy.

mod analysis;
mod entry;
mod evaluate;
mod fold;
mod index;
mod parse;
mod plan;
mod query;
mod schema;
mod snippet;
#[cfg(test)]
mod tests;

pub use entry::{DocumentEntry, Indexed, MAX_DOCUMENT_BYTES, MAX_PAGE_BYTES, PageEntry};
pub use index::{IndexError, OpenError, Purged, SearchIndex, Settings};
pub use query::{Filter, Hit, Query, Results, Visible};
pub use snippet::Snippet;
