//! Starting a worker and waiting for it: the parent's side.

use super::job::{Job, Line, Outcome, SECONDS_PER_PAGE};
use crate::domain::finding::FindingCode;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest line that a worker may say.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// How often a request to stop is looked for.
const TICK: Duration = Duration::from_millis(200);
/// Where a worker's complaints go, in the job's folder.
const STDERR: &str = "stderr";

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Answered(Box<Outcome>),
    /// Without one, for this reason.
    Failed {
        /// What becomes of it.
        code: FindingCode,
        /// In German, for people.
        detail: String,
    },
    /// We were asked to stop.
    Stopped,
}

/// What a worker did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub end: End,
    /// Pages that the document has, as far as it got to say so.
    pub pages: u32,
    /// The page it was reading last.
    pub page: Option<u32>,
}

/// Runs a job in a child process and waits for it.
///
/// # Errors
/// When the child cannot be started: nothing is known about the file then.
pub fn run(program: &Path, folder: &Path, job: &Job, stop: &AtomicBool) -> io::Result<Ended> {
    let started = Instant::now();
    let mut line = serde_json::to_string(job)?;
    line.push('\n');
    let mut command = Command::new(program);
    command.arg("worker").current_dir(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(folder.join(STDERR))?);
    command.env_clear();
    for name in ["PATH", "TESSDATA_PREFIX", "LANG", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    let mut child = Group(command.spawn()?);
    let stdout = child.0.stdout.take();
    let stdin = child.0.stdin.take();
    if let Some(mut stdin) = stdin {
        // A child that ends without reading its job has its reasons; they show below.
        let _ = stdin.write_all(line.as_bytes());
    }
    let (said, lines) = channel();
    let listener = std::thread::Builder::new().name("worker-answers".to_owned()).spawn(move || {
        let mut reader = BufReader::new(stdout?);
        loop {
            let mut line = Vec::new();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            if read.ok()? == 0 {
                return None::<()>;
            }
            said.send(serde_json::from_slice::<Line>(&line).ok()?).ok()?;
        }
    })?;
    let (heard, cut) = listen(&lines, started, job, stop);
    let status = child.end(cut.is_none());
    let _ = listener.join();
    let end = match (cut, heard.outcome) {
        (Some(Cut::Stopped), _) => End::Stopped,
        (Some(Cut::Late), None) => End::Failed {
            code: FindingCode::TimeLimit,
            detail: "Text fehlt: Zeitlimit beim Lesen überschritten.".to_owned(),
        },
        (_, Some(outcome)) => End::Answered(Box::new(outcome)),
        (None, None) => failed(status?, folder),
    };
    Ok(Ended { end, pages: heard.pages, page: heard.page })
}

#[derive(Default)]
struct Heard {
    outcome: Option<Outcome>,
    pages: u32,
    page: Option<u32>,
}

#[derive(Clone, Copy)]
enum Cut {
    Stopped,
    Late,
}

/// Listens until the worker falls silent, or is to be ended.
fn listen(lines: &Receiver<Line>, started: Instant, job: &Job, stop: &AtomicBool) -> (Heard, Option<Cut>) {
    let mut heard = Heard::default();
    loop {
        let seconds =
            job.limits.wall_seconds + SECONDS_PER_PAGE * u64::from(heard.pages.min(job.limits.pages));
        let left = (started + Duration::from_secs(seconds)).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (heard, Some(Cut::Late));
        }
        if stop.load(Ordering::Acquire) {
            return (heard, Some(Cut::Stopped));
        }
        match lines.recv_timeout(left.min(TICK)) {
            Ok(Line::Pages(pages)) => heard.pages = pages,
            Ok(Line::Page(page)) => heard.page = Some(page),
            Ok(Line::Done(outcome)) => heard.outcome = Some(outcome),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return (heard, None),
        }
    }
}

/// Why a worker gave no answer.
fn failed(status: ExitStatus, folder: &Path) -> End {
    let mut said = String::new();
    if let Ok(file) = File::open(folder.join(STDERR)) {
        let _ = file.take(8 * 1024).read_to_string(&mut said);
    }
    let crashed = |detail: String| (FindingCode::WorkerCrashed, detail);
    let (code, detail) = match status.signal() {
        Some(24) => (
            FindingCode::TimeLimit,
            "Text fehlt: Zeitlimit (Rechenzeit) beim Lesen überschritten.".to_owned(),
        ),
        Some(25) => crashed("Text fehlt: Das Ergebnis wurde zu groß.".to_owned()),
        Some(6) | None if said.contains("memory allocation of") => {
            (FindingCode::MemoryLimit, "Text fehlt: Speichergrenze beim Lesen überschritten.".to_owned())
        }
        Some(signal) => crashed(format!("Text fehlt: Das Leseprogramm wurde beendet (Signal {signal}).")),
        None => {
            let code = status.code().unwrap_or_default();
            crashed(format!("Text fehlt: Das Leseprogramm endete ohne Ergebnis (Code {code})."))
        }
    };
    End::Failed { code, detail }
}

/// A child that leads a process group; when this goes, all of them go.
struct Group(Child);

impl Group {
    /// Ends whatever is left of the group, and says how its leader ended. With `grace` the leader, which has said all
    /// it had to say, may end by itself.
    fn end(&mut self, grace: bool) -> io::Result<ExitStatus> {
        const GRACE: Duration = Duration::from_secs(2);
        let pid = Pid::from_child(&self.0);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let deadline = Instant::now() + GRACE;
        // The leader is not reaped while it is looked at: its number cannot be given to another process, and the
        // group can be ended without a doubt whose it is.
        while grace && Instant::now() < deadline {
            match waitid(WaitId::Pid(pid), options) {
                Ok(Some(_)) | Err(_) => break,
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        let _ = kill_process_group(pid, Signal::KILL);
        self.0.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once waited for, the child has no number any more and this does nothing.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}
