//! All integration tests in one binary.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs, unreachable_pub)]

mod backup;
mod bucket;
mod contract;
mod damage;
mod digitise;
mod disk;
mod erasing;
mod faults;
mod formats;
mod http;
mod kill;
mod pdfa;
mod rebuild;
mod simulation;
mod smoke;
mod support;
