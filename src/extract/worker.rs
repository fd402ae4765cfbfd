//! The hidden `worker` command: one job in a child process under limits. The job comes as a line of JSON on standard
//! input, the answers go as lines to standard output, files into the folder it is started in.

use super::job::{Job, Line, Outcome};
use super::{confine, reading};
use crate::domain::finding::{Finding, FindingCode};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Longest job.
const MAX_JOB_BYTES: u64 = 1024 * 1024;
/// Stack of the thread that reads: nested structures are followed by recursion.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs one job.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent keeps this for nobody but whoever looks for a fault.
            let _ = writeln!(io::stderr(), "eakte worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    // When the parent dies, nobody waits for the answer.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut line = String::new();
    io::stdin().lock().take(MAX_JOB_BYTES).read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    confine::limit(&job.limits)?;
    // Before any other thread begins: it counts for this one and those that it starts.
    let isolated = job.isolate && confine::isolate(Path::new("."), job.ocr.as_ref()).unwrap_or(false);
    let outcome = std::thread::Builder::new()
        .name("reader".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || reading::read(&job, Path::new("."), &say))?
        .join();
    let outcome = match outcome {
        Ok(outcome) => outcome?,
        Err(_) => Outcome {
            engine: concat!("eakte ", env!("CARGO_PKG_VERSION")).to_owned(),
            findings: vec![Finding {
                code: FindingCode::WorkerCrashed,
                page: None,
                detail: Some("Beim Lesen trat ein Programmfehler auf.".to_owned()),
            }],
            ..Outcome::default()
        },
    };
    say(&Line::Done(Outcome { isolated, ..outcome }));
    Ok(())
}

fn say(line: &Line) {
    let Ok(mut text) = serde_json::to_string(line) else { return };
    text.push('\n');
    let mut out = io::stdout().lock();
    // A parent that no longer listens will end us.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
