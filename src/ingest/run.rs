//! Many files as one batch: read in parallel, so that syncs overlap; repeating a run adds nothing.

use super::batch::{BatchFacts, OpenBatch};
use super::intake::{Accepted, Declared, Intake, IntakeError, Outcome, Reading, Received};
use super::source::Found;
use crate::domain::codes::Rejection;
use crate::domain::decision::Refusal;
use crate::domain::document::Arrival;
use crate::domain::event::Context;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::{BatchId, CaseFileId, Digest};
use crate::journal::AppendError;
use crate::wording::os;
use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One file of a run with what is known about it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it lies.
    pub found: Found,
    /// What is known about it; the batch is added here.
    pub arrival: Arrival,
    /// Its case file; none means the inbox.
    pub target: Option<CaseFileId>,
    /// What is odd about its filing.
    pub findings: Vec<Finding>,
    /// What the sender says about its bytes.
    pub declared: Declared,
}

/// What became of a file in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileStatus {
    /// A new document.
    Received(Accepted),
    /// Its bytes were there already.
    Duplicate(Accepted),
    /// Not stored, with the line of the batch.
    Rejected(Rejection, Option<String>),
    /// Not done: it has no line, and the batch stays open for a repetition.
    Failed(String),
}

/// A file of a run and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Where it lies.
    pub path: PathBuf,
    /// Its path below the source.
    pub shown: String,
    /// What is odd about its filing, as of this run.
    pub filing: Vec<Finding>,
    /// What became of it.
    pub status: FileStatus,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Files seen at the source.
    pub files: u64,
    /// New documents.
    pub received: u64,
    /// Bytes that were there already.
    pub duplicate: u64,
    /// Not stored, with a line.
    pub rejected: u64,
    /// Not done.
    pub failed: u64,
    /// Bytes of the new documents.
    pub bytes: u64,
    /// The batch, if anything was new.
    pub batch: Option<BatchId>,
}

/// Why a run could not begin or end; files are never lost by it.
pub type RunError = IntakeError;

/// Takes all entries in as one batch, `threads` at a time. `report` hears of every file once it is safe; `stop`
/// ends the run early, and the batch then stays open.
///
/// # Errors
/// When the batch cannot be found or closed. A file's own failure is in its report.
pub fn run(
    intake: &Intake,
    context: &Context,
    facts: &BatchFacts,
    entries: impl Iterator<Item = Entry> + Send,
    threads: usize,
    stop: &AtomicBool,
    report: &(dyn Fn(&FileReport) + Sync),
) -> Result<RunReport, RunError> {
    let batch = OpenBatch::find(intake, context, facts)?;
    let entries = Mutex::new(entries);
    let total = Mutex::new((RunReport::default(), HashSet::<Digest>::new()));
    let next = || {
        if stop.load(Ordering::Acquire) {
            return None;
        }
        entries.lock().unwrap_or_else(PoisonError::into_inner).next()
    };
    let work = || {
        while let Some(entry) = next() {
            let mut filing = entry.findings.clone();
            let status = take(intake, context, &batch, &entry, &mut filing);
            let (path, shown) = (entry.found.path.clone(), entry.found.shown.clone());
            let report_line = FileReport { path, shown, filing, status };
            {
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                count(&mut total.0, &report_line.status);
                total.1.insert(Digest::of(entry.found.shown.as_bytes()));
            }
            report(&report_line);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Without a thread the others do its share; this one is always there.
            let _ = std::thread::Builder::new().name("ingest".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let (mut sum, walked) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let complete = sum.failed == 0 && !stop.load(Ordering::Acquire);
    if complete {
        batch.close(&|id, is_first| seen(intake, id, is_first, &walked))?;
    } else {
        batch.pause()?;
    }
    sum.batch = batch.opened();
    Ok(sum)
}

/// Files seen for a batch: those of this run that belong to it, and those that an interrupted run had recorded
/// and that are gone from the source since. In a batch that follows closed ones of its name only what was new
/// belongs to it; in the first one every file must have its line.
fn seen(
    intake: &Intake,
    batch: BatchId,
    is_first: bool,
    walked: &HashSet<Digest>,
) -> Result<u64, IntakeError> {
    let (mut gone, mut known, mut from) = (0, 0, None);
    loop {
        let page = intake.catalogue.lines(batch, from.as_ref(), 1_000)?;
        for line in &page.items {
            let count =
                if walked.contains(&Digest::of(line.path.as_bytes())) { &mut known } else { &mut gone };
            *count += 1;
        }
        from = page.next;
        if from.is_none() {
            break Ok(gone + if is_first { walked.len() as u64 } else { known });
        }
    }
}

fn count(total: &mut RunReport, status: &FileStatus) {
    total.files += 1;
    match status {
        FileStatus::Received(accepted) => {
            total.received += 1;
            total.bytes += accepted.size;
        }
        FileStatus::Duplicate(_) => total.duplicate += 1,
        FileStatus::Rejected(..) => total.rejected += 1,
        FileStatus::Failed(_) => total.failed += 1,
    }
}

fn take(
    intake: &Intake,
    context: &Context,
    batch: &OpenBatch<'_>,
    entry: &Entry,
    filing: &mut Vec<Finding>,
) -> FileStatus {
    match try_take(intake, context, batch, entry, filing) {
        Ok(status) => status,
        Err(error) => FileStatus::Failed(error.to_string()),
    }
}

fn try_take(
    intake: &Intake,
    context: &Context,
    batch: &OpenBatch<'_>,
    entry: &Entry,
    filing: &mut Vec<Finding>,
) -> Result<FileStatus, IntakeError> {
    let shown = entry.found.shown.as_str();
    let reject = |rejection, size, detail: Option<String>| {
        batch.reject(shown, size, rejection, detail.clone())?;
        Ok(FileStatus::Rejected(rejection, detail))
    };
    if let Some((rejection, detail)) = &entry.found.rejection {
        return reject(*rejection, None, Some(detail.clone()));
    }
    let mut arrival = entry.arrival.clone();
    arrival.source_path = Some(shown.to_owned());
    let file = Arriving {
        closed: match takes(intake, &arrival, entry.target)? {
            Ok(closed) => closed,
            Err(rejection) => return reject(rejection, None, None),
        },
        arrival,
        target: entry.target,
        declared: &entry.declared,
    };
    let received = match read_unchanged(intake, entry)? {
        Ok(received) => received,
        Err((rejection, detail)) => return reject(rejection, None, detail),
    };
    for _ in 0..3 {
        // A further attempt begins with what the run knew.
        filing.clone_from(&entry.findings);
        match file.settle(intake, context, batch, shown, &received, filing) {
            // Perhaps recorded, perhaps not: the same bytes are one document however often they are sent.
            Err(IntakeError::Append(AppendError::Doubt)) => {}
            done => return done,
        }
    }
    Err(AppendError::Doubt.into())
}

/// Why the case file that a file is for does not take it, if it does not, as far as that is known before its bytes are;
/// or why it is not stored.
pub(super) fn takes(
    intake: &Intake,
    arrival: &Arrival,
    target: Option<CaseFileId>,
) -> Result<Result<Option<&'static str>, Rejection>, IntakeError> {
    match intake.check(arrival, target) {
        Ok(None) => Ok(Ok(None)),
        Ok(Some(rejection)) => Ok(Err(rejection)),
        Err(IntakeError::Refused(Refusal::Closed(_))) => Ok(Ok(Some("die Akte ist geschlossen (z.d.A.)"))),
        Err(IntakeError::Refused(Refusal::PaperOnly(_))) => {
            Ok(Ok(Some("die Akte wird nur auf Papier geführt")))
        }
        Err(IntakeError::NoCaseFile(_)) => Ok(Ok(Some("die Akte gibt es nicht"))),
        Err(error) => Err(error),
    }
}

/// A file on its way into a batch.
pub(super) struct Arriving<'a> {
    pub(super) arrival: Arrival,
    pub(super) target: Option<CaseFileId>,
    /// Why its case file does not take it.
    pub(super) closed: Option<&'static str>,
    pub(super) declared: &'a Declared,
}

impl Arriving<'_> {
    /// Files bytes that were read, and writes the line of the batch. `filing` hears what is odd about its filing.
    pub(super) fn settle(
        &self,
        intake: &Intake,
        context: &Context,
        batch: &OpenBatch<'_>,
        shown: &str,
        received: &Received,
        filing: &mut Vec<Finding>,
    ) -> Result<FileStatus, IntakeError> {
        let reject = |rejection, size, detail: Option<String>| {
            batch.reject(shown, size, rejection, detail.clone())?;
            Ok(FileStatus::Rejected(rejection, detail))
        };
        if let Some(rejection) = received.judge(self.declared) {
            return reject(rejection, Some(received.staged.size_bytes()), None);
        }
        let (mut target, sha256) = (self.target, received.staged.digest());
        if let Some(why) = self.closed {
            // Filed before the case file was closed: a repeated run adds nothing.
            let known = intake.known(&self.arrival, target, &sha256)?;
            if let Some(Outcome::Duplicate(accepted)) = known {
                batch.duplicate(shown, accepted.document)?;
                return Ok(FileStatus::Duplicate(accepted));
            }
            // Nothing that can be stored is refused: what its case file does not take waits in the inbox.
            target = None;
            filing.push(Finding { code: FindingCode::Unfiled, page: None, detail: Some(why.to_owned()) });
        }
        if let Some(accepted) = batch.filed_since(shown, &sha256, [self.target, target])? {
            return Ok(FileStatus::Duplicate(accepted));
        }
        let open = || batch.id().map(Some);
        match intake.file(context, &self.arrival, target, filing, received, &open)? {
            Outcome::Received(accepted) => Ok(FileStatus::Received(accepted)),
            Outcome::Duplicate(accepted) => {
                batch.duplicate(shown, accepted.document)?;
                Ok(FileStatus::Duplicate(accepted))
            }
            Outcome::Rejected { rejection, size, detail } => reject(rejection, size, detail),
        }
    }
}

/// Why a file was not stored, for its line.
type Reason = (Rejection, Option<String>);

/// Reads a file that nobody writes to; one that changes meanwhile is read again, a few times.
fn read_unchanged(intake: &Intake, entry: &Entry) -> Result<Result<Received, Reason>, IntakeError> {
    for attempt in 0..3 {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
        let mut file = match Watched::open(&entry.found.path, intake.max_file_bytes) {
            Ok(file) => file,
            Err(reason) => return Ok(Err(reason)),
        };
        match intake.read(&mut file) {
            Ok(Reading::Whole(received)) if file.is_unchanged() => return Ok(Ok(received)),
            Ok(_) => {}
            Err(IntakeError::Body(error)) => return Ok(Err((Rejection::Unreadable, Some(os(&error))))),
            Err(error) => return Err(error),
        }
    }
    Ok(Err((Rejection::Changed, None)))
}

/// A file being read, watched for changes.
struct Watched {
    file: File,
    before: Metadata,
    read: u64,
}

impl Watched {
    fn open(path: &std::path::Path, limit: u64) -> Result<Self, (Rejection, Option<String>)> {
        let unreadable = |error: io::Error| (Rejection::Unreadable, Some(os(&error)));
        // A pipe or device that took the file's place since the walk must not block us.
        let before = std::fs::metadata(path).map_err(unreadable)?;
        if !before.is_file() {
            return Err((Rejection::NotAFile, None));
        }
        let file = File::open(path).map_err(unreadable)?;
        let before = file.metadata().map_err(unreadable)?;
        if before.len() > limit {
            return Err((Rejection::TooLarge, Some(format!("{} Byte, erlaubt sind {limit}", before.len()))));
        }
        Ok(Self { file, before, read: 0 })
    }

    /// Whether the file is as it was when reading began, and was read to that length.
    fn is_unchanged(&self) -> bool {
        let Ok(now) = self.file.metadata() else { return false };
        let before = &self.before;
        now.len() == before.len()
            && self.read == before.len()
            && (now.mtime(), now.mtime_nsec()) == (before.mtime(), before.mtime_nsec())
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A file that grows while it is read would never end: one byte past its length is enough to notice.
        let left = (self.before.len() + 1).saturating_sub(self.read);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..room])?;
        self.read += count as u64;
        Ok(count)
    }
}
