//! The `eakte` command.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// How many heaps the C library may keep side by side.
const ARENAS: &str = "MALLOC_ARENA_MAX";

fn main() -> ExitCode {
    // The worker reads foreign files under tight limits: it starts nothing else and parses no options.
    if env::args_os().nth(1).is_some_and(|word| word == "worker") {
        return eakte::extract::worker::main();
    }
    if env::var_os(ARENAS).is_none() && env::args_os().any(|word| word == "serve" || word == "ingest") {
        start_again_with_few_heaps();
    }
    eakte::cli::main()
}

/// Starts this program anew in its own place, with two heaps instead of sixteen.
///
/// The C library gives threads heaps of their own and rarely takes memory back from them: with dozens of threads that wait
/// for the disk, a server under load held twice the memory it used. The limit can only be set before the program starts.
fn start_again_with_few_heaps() {
    let mut words = env::args_os();
    let name = words.next().unwrap_or_else(|| "eakte".into());
    let Ok(program) = env::current_exe() else { return };
    // Comes back only when it could not be done; then everything works as before.
    let _ = Command::new(program).arg0(name).args(words).env(ARENAS, "2").exec();
}
