//! All integration tests in one binary.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)]

mod backup;
mod beside;
mod bucket;
mod catalogue_damage;
mod cli;
mod cli_changes;
mod contract;
mod damage;
mod digitise;
mod disk;
mod erasing;
mod faults;
mod filing;
mod formats;
mod hot;
mod http;
mod kill;
mod manifest;
mod memory;
mod nodes;
mod pdfa;
mod rebuild;
mod remote;
mod simulation;
mod smoke;
mod support;
mod watch;
mod words;
