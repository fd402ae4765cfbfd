//! eakte: the paperless town hall's record system (e-Akte).

pub mod catalogue;
pub mod clock;
pub mod domain;
pub mod journal;
pub mod store;
