//! eakte: the paperless town hall's record system (e-Akte).

pub mod api;
pub mod archive;
pub mod backup;
pub mod catalogue;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod digitise;
pub mod domain;
pub mod extract;
pub mod ingest;
pub mod journal;
pub mod project;
#[cfg(test)]
mod schema;
pub mod search;
pub mod serve;
pub mod store;
pub mod tasks;
pub mod verify;
pub mod wake;
pub mod watch;
pub mod wording;
