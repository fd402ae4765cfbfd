//! eakte: the paperless town hall's record system (e-Akte).

pub mod archive;
pub mod catalogue;
pub mod clock;
pub mod digitise;
pub mod domain;
pub mod extract;
pub mod ingest;
pub mod journal;
pub mod project;
pub mod search;
pub mod store;
pub mod wake;
