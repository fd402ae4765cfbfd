//! Commands: parse, call the façade, present.

use std::process::ExitCode;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    ExitCode::FAILURE
}
