//! The `eakte` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The worker reads foreign files under tight limits: it starts nothing else and parses no options.
    if std::env::args_os().nth(1).is_some_and(|word| word == "worker") {
        return eakte::extract::worker::main();
    }
    eakte::cli::main()
}
