//! eakte: the paperless town hall's record system (e-Akte).

pub mod domain;
