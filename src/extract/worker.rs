//! The hidden `worker` command: one job in a child process under limits.

use std::process::ExitCode;

/// Runs one job.
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
