//! Lines of an `ingest`: each file once, in its final state, in the order in which files get there.

use super::super::context::Desk;
use super::super::failure::Failure;
use super::super::out::{Out, counted, hint, lasting, number, plain};
use super::super::progress::Bars;
use super::super::rows::{FileLine, FindingLine, Summary};
use super::sources::sentence;
use crate::archive::DocumentState;
use crate::domain::finding::{Finding, FindingCode};
use crate::ingest::{Accepted, FileReport, FileStatus};
use indicatif::ProgressBar;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A file that is accepted and not yet searchable.
struct Pending {
    path: String,
    status: &'static str,
    accepted: Accepted,
    /// What is odd about its filing, as of this run.
    filing: Vec<Finding>,
}

struct State<'a> {
    out: &'a mut Out,
    pending: VecDeque<Pending>,
    summary: Summary,
    /// Failures without a success in between.
    failed_in_a_row: u32,
    /// Why the run was ended early, if it was.
    given_up: Option<String>,
}

/// Collects what becomes of files and prints their lines.
pub(super) struct Reporter<'a> {
    desk: &'a Desk,
    state: Mutex<State<'a>>,
    waits: bool,
    bars: &'a Bars,
    accepted: ProgressBar,
    searchable: ProgressBar,
    stop: &'a AtomicBool,
}

/// So many failures one after the other mean that the next file would fail too.
const GIVE_UP_AFTER: u32 = 64;

impl<'a> Reporter<'a> {
    pub(super) fn new(
        desk: &'a Desk,
        out: &'a mut Out,
        waits: bool,
        total: Option<u64>,
        bars: &'a Bars,
        stop: &'a AtomicBool,
    ) -> Self {
        let state = State {
            out,
            pending: VecDeque::new(),
            summary: Summary::default(),
            failed_in_a_row: 0,
            given_up: None,
        };
        let accepted = bars.counting("angenommen", total);
        let searchable = if waits { bars.counting("durchsuchbar", total) } else { ProgressBar::hidden() };
        Self { desk, state: Mutex::new(state), waits, bars, accepted, searchable, stop }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of a file once it is safe.
    pub(super) fn file(&self, report: &FileReport) {
        self.accepted.inc(1);
        let path = report.path.to_string_lossy().into_owned();
        let mut state = self.state();
        state.summary.files += 1;
        let (status, accepted) = match &report.status {
            FileStatus::Received(accepted) => {
                state.summary.received += 1;
                ("received", accepted)
            }
            FileStatus::Duplicate(accepted) => {
                state.summary.duplicate += 1;
                ("duplicate", accepted)
            }
            FileStatus::Rejected(rejection, detail) => {
                state.summary.rejected += 1;
                let finding = FindingLine {
                    code: rejection.to_string(),
                    page: None,
                    detail: Some(sentence(*rejection, detail.as_deref())),
                };
                drop(state);
                self.searchable.inc(1);
                return self.line(&FileLine::unstored(path, "rejected", finding));
            }
            FileStatus::Failed(why) => {
                state.summary.failed += 1;
                state.failed_in_a_row += 1;
                let is_hopeless = state.failed_in_a_row >= GIVE_UP_AFTER || self.is_halted();
                if is_hopeless && state.given_up.is_none() {
                    state.given_up = Some(why.clone());
                    self.stop.store(true, Ordering::Release);
                }
                let finding =
                    FindingLine { code: "failed".to_owned(), page: None, detail: Some(why.clone()) };
                drop(state);
                return self.line(&FileLine::unstored(path, "failed", finding));
            }
        };
        state.failed_in_a_row = 0;
        let pending = Pending { path, status, accepted: accepted.clone(), filing: report.filing.clone() };
        if self.waits {
            // Whoever waits does so for these files, not for what others have left to be read.
            self.desk.archive.read_first(pending.accepted.document);
            state.pending.push_back(pending);
        } else {
            drop(state);
            let known = self.desk.archive.document(&self.desk.permit, pending.accepted.document).ok();
            self.line(&FileLine::stored(pending, known.as_ref()));
        }
    }

    fn is_halted(&self) -> bool {
        self.desk.archive.health().is_ok_and(|health| health.journal.halted.is_some())
    }

    fn line(&self, line: &FileLine) {
        self.bars.aside(|| {
            let mut state = self.state();
            state.summary.pages += u64::from(line.pages.unwrap_or(0));
            present_line(line, state.out);
        });
    }

    /// Prints the lines of files that have become searchable. Says how many are left.
    pub(super) fn settle(&self) -> Result<usize, Failure> {
        // The oldest are done first, mostly; looking far beyond those that are not would cost more than it gives.
        const LOOK_AT: usize = 1_000;
        let mut taken: VecDeque<Pending> = {
            let mut state = self.state();
            let count = state.pending.len().min(LOOK_AT);
            state.pending.drain(..count).collect()
        };
        let mut left = VecDeque::new();
        let mut failure = None;
        while let Some(pending) = taken.pop_front() {
            match self.desk.archive.document(&self.desk.permit, pending.accepted.document) {
                Ok(known) if known.searchable => {
                    self.line(&FileLine::stored(pending, Some(&known)));
                    self.searchable.inc(1);
                }
                Ok(_) => left.push_back(pending),
                Err(error) => {
                    left.push_back(pending);
                    left.append(&mut taken);
                    failure = Some(error);
                }
            }
        }
        let mut state = self.state();
        while let Some(pending) = left.pop_back() {
            state.pending.push_front(pending);
        }
        let count = state.pending.len();
        drop(state);
        failure.map_or(Ok(count), |error| Err(error.into()))
    }

    /// Waits until every file is searchable or someone asks to stop. `is_running` says whether more may come.
    pub(super) fn wait(&self, is_running: &dyn Fn() -> bool) -> Result<(), Failure> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let mut seen = 0;
        loop {
            let more = is_running();
            let left = self.settle()?;
            if (!more && (left == 0 || self.stop.load(Ordering::Acquire))) || self.is_halted() {
                return Ok(());
            }
            seen = self.desk.archive.indexed().wait(seen, PATIENCE);
        }
    }

    /// Prints what is left, as it is, and the summary.
    pub(super) fn finish(self, seconds: f64) -> (Summary, Option<String>) {
        self.accepted.finish_and_clear();
        self.searchable.finish_and_clear();
        self.bars.clear();
        loop {
            let Some(pending) = self.state().pending.pop_front() else { break };
            let known = self.desk.archive.document(&self.desk.permit, pending.accepted.document).ok();
            self.line(&FileLine::stored(pending, known.as_ref()));
        }
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        present_summary(&mut state.summary, seconds, state.out);
        if state.out.is_closed() {
            hint("Die Ausgabe wird nicht mehr gelesen; aufgenommen wurde trotzdem alles.");
        }
        (state.summary, state.given_up)
    }
}

/// One file's line.
pub(in crate::cli) fn present_line(line: &FileLine, out: &mut Out) {
    out.object(line);
    if !line.findings.is_empty() {
        let findings: Vec<String> = line.findings.iter().map(FindingLine::text).collect();
        let status = german(line.status);
        out.text(format!("{status:<11}  {}: {}", plain(&line.path), plain(&findings.join("; "))));
    }
}

/// The end of a run.
pub(in crate::cli) fn present_summary(summary: &mut Summary, seconds: f64, out: &mut Out) {
    summary.seconds = (seconds * 1_000.0).round() / 1_000.0;
    out.object(&serde_json::json!({ "summary": summary }));
    let Summary { files, received, duplicate, rejected, pages, failed, .. } = *summary;
    let failed = if failed > 0 { format!(", {} nicht gelungen", number(failed)) } else { String::new() };
    let pages = if pages > 0 { format!("; {}", counted(pages, "Seite", "Seiten")) } else { String::new() };
    out.text(format!(
        "{} in {}: {} angenommen, {} doppelt, {} abgelehnt{failed}{pages}",
        counted(files, "Datei", "Dateien"),
        lasting(seconds),
        number(received),
        number(duplicate),
        number(rejected)
    ));
}

fn german(status: &str) -> &'static str {
    match status {
        "received" => "angenommen",
        "duplicate" => "doppelt",
        "rejected" => "abgelehnt",
        _ => "misslungen",
    }
}

/// What is odd about a file: about its filing, what this run found. A document that was there already remembers what an
/// earlier run found, which may no longer hold.
fn findings(filing: &[Finding], known: Option<&DocumentState>) -> Vec<Finding> {
    let others = known.map(DocumentState::findings).unwrap_or_default();
    let others = others.into_iter().filter(|finding| finding.code != FindingCode::Unfiled);
    filing.iter().cloned().chain(others).collect()
}

impl FileLine {
    fn stored(pending: Pending, known: Option<&DocumentState>) -> Self {
        let Pending { path, status, accepted, filing } = pending;
        Self {
            path,
            status,
            document_id: Some(accepted.document.to_string()),
            sha256: Some(accepted.sha256.to_string()),
            bytes: Some(accepted.size),
            position: Some(accepted.position),
            searchable: known.is_some_and(|known| known.searchable),
            pages: known.and_then(DocumentState::pages),
            findings: findings(&filing, known).iter().map(FindingLine::from).collect(),
        }
    }
}
