//! How files come in: a file per step. [`Intake::receive`] takes one; [`run`] takes many as a batch.

mod batch;
mod identify;
mod intake;
pub mod manifest;
mod run;
mod source;
pub mod template;
mod upload;
mod version;

pub use batch::BatchFacts;
pub use identify::identify;
pub use intake::{Accepted, Declared, Intake, IntakeError, Outcome};
pub use run::{Entry, FileReport, FileStatus, RunError, RunReport, run};
pub use source::{Found, Walk, shown_path};
pub use upload::{receive_in_batch, reject_in_batch};
pub use version::NewVersion;
