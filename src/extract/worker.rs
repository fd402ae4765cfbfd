//! The hidden `worker` command: one job in a child process under limits. The job comes as a line of JSON on standard
//! input, the answers go as lines to standard output, files into the folder it is started in.

use super::job::{Job, Limits, Line, Outcome};
use super::reading;
use crate::domain::finding::{Finding, FindingCode};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Longest job.
const MAX_JOB_BYTES: u64 = 1024 * 1024;
/// Stack of the thread that reads: nested structures are followed by recursion.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Files and pipes that may be open at once.
const OPEN_FILES: u64 = 64;

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
    confine(&job.limits)?;
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
    say(&Line::Done(outcome));
    Ok(())
}

/// Takes away what reading a file does not need. Child processes inherit the limits.
fn confine(limits: &Limits) -> io::Result<()> {
    let set = |resource, soft, hard| {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) }).map_err(io::Error::from)
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::As, limits.memory_bytes, limits.memory_bytes)?;
    // The soft limit ends us with a signal that says why; the hard one is for those who ignore it.
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 5)?;
    set(Resource::Fsize, limits.output_bytes, limits.output_bytes)?;
    set(Resource::Nofile, OPEN_FILES, OPEN_FILES)
}

fn say(line: &Line) {
    let Ok(mut text) = serde_json::to_string(line) else { return };
    text.push('\n');
    let mut out = io::stdout().lock();
    // A parent that no longer listens will end us.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
