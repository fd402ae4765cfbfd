//! Files to a server, one batch after the other, several files at once.

use super::super::args::Ingest;
use super::super::context::Context;
use super::super::failure::{Exit, Failure};
use super::super::ingest::{Plan, Run, plan, present_line, present_summary};
use super::super::out::{Out, hint};
use super::super::progress::Bars;
use super::super::rows::{FileLine, FindingLine, Summary};
use super::super::stop;
use super::batch::RemoteBatch;
use super::client;
use super::frame::Remote;
use crate::api::rows::{Batch, Document, Receipt};
use crate::client::{Client, ClientError, Sent};
use crate::domain::Digest;
use crate::domain::batch::PageCheck;
use crate::domain::finding::FindingCode;
use crate::ingest::Entry;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Files under way at once.
const AT_ONCE: usize = 4;

/// What uploading threads leave for the one that prints.
#[derive(Default)]
struct Arrived {
    lines: VecDeque<FileLine>,
    failed: u64,
    failed_in_a_row: u32,
}

pub(in crate::cli) fn ingest(
    context: &Context,
    url: &str,
    args: &Ingest,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let remote = Remote { client: client(context, url)? };
    let client = &remote.client;
    let stop = stop::on_interrupt();
    let started = Instant::now();
    let bars = Bars::new();
    let (runs, skipped) = match plan(&remote, args, &bars, out)? {
        Plan::Take { runs, skipped } => (runs, skipped),
        Plan::Checked(exit) => return Ok(exit),
    };
    let bar = bars.counting("angenommen", runs.iter().map(|run| run.total).sum::<Option<u64>>());
    let arrived = Mutex::new(Arrived::default());
    let mut summary = Summary::default();
    let batches = std::thread::scope(|scope| {
        let work = scope.spawn(|| take(client, runs, !args.no_wait, &arrived, &stop));
        loop {
            let more = !work.is_finished();
            let Some(line) = arrived.lock().unwrap_or_else(PoisonError::into_inner).lines.pop_front() else {
                if more {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                break;
            };
            if let Some(line) = settle(client, line, !args.no_wait, &stop, &arrived) {
                bar.inc(1);
                count(&mut summary, &line);
                bars.aside(|| present_line(&line, out));
            }
        }
        work.join().map_err(|_| Failure::unavailable("Die Übertragung ist abgestürzt."))
    });
    bar.finish_and_clear();
    bars.clear();
    let was_stopped = stop.load(Ordering::Acquire);
    present_summary(&mut summary, started.elapsed().as_secs_f64(), out);
    let batches = batches??;
    if was_stopped || summary.failed > 0 {
        hint("Nicht alles ist angekommen. Derselbe Aufruf setzt die Charge fort; nichts wird doppelt.");
    }
    let mut is_red = false;
    for batch in batches {
        // Pages are counted when they are read: that may be after the batch was closed.
        let batch = client.batch(&batch.id)?.unwrap_or(batch);
        is_red |= tell_balance(&batch);
    }
    let is_clean = summary.rejected + summary.failed == 0 && !is_red && !was_stopped && !skipped;
    Ok(if is_clean { Exit::Done } else { Exit::Findings })
}

/// Says how a closed batch balances. Whether it is red, or paper that was counted is not there: that is as bad.
fn tell_balance(batch: &Batch) -> bool {
    let is_red = batch.balance == "red";
    let verdict = if is_red { "NICHT AUSGEGLICHEN" } else { "ausgeglichen" };
    hint(format!(
        "Charge „{}“: {} gesehen = {} angenommen + {} doppelt + {} abgelehnt: {verdict}",
        super::super::out::plain(&batch.name),
        batch.seen.unwrap_or(0),
        batch.received,
        batch.duplicate,
        batch.rejected
    ));
    if let Some(note) = &batch.page_note {
        hint(format!("Charge „{}“: {note}", super::super::out::plain(&batch.name)));
    }
    is_red || batch.page_check == PageCheck::Differs.word()
}

/// Sends the files of all runs. Gives the batches that were closed. `is_urgent`: someone waits for these files, not for
/// what others have left to be read.
fn take(
    client: &Client,
    runs: Vec<Run<'_>>,
    is_urgent: bool,
    arrived: &Mutex<Arrived>,
    stop: &AtomicBool,
) -> Result<Vec<Batch>, ClientError> {
    let mut closed = Vec::new();
    for Run { facts, entries, .. } in runs {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let failed = || arrived.lock().unwrap_or_else(PoisonError::into_inner).failed;
        let before = failed();
        let batch = RemoteBatch::find(client, &facts, is_urgent)?;
        let (entries, walked) = (Mutex::new(entries), Mutex::new(HashSet::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| send_all(&batch, &entries, &walked, arrived, stop));
            }
        });
        // What is not done has no line: the batch stays open, and a repetition goes on with it.
        if failed() == before && !stop.load(Ordering::Acquire) {
            let walked = walked.into_inner().unwrap_or_else(PoisonError::into_inner);
            closed.extend(batch.close(&walked)?);
        }
    }
    Ok(closed)
}

fn send_all(
    batch: &RemoteBatch<'_>,
    entries: &Mutex<impl Iterator<Item = Entry>>,
    walked: &Mutex<HashSet<Digest>>,
    arrived: &Mutex<Arrived>,
    stop: &AtomicBool,
) {
    const GIVE_UP_AFTER: u32 = 8;
    while !stop.load(Ordering::Acquire) {
        let Some(entry) = entries.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
        let line = line(batch, &entry);
        let path = Digest::of(entry.found.shown.as_bytes());
        walked.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
        let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        if line.status == "failed" {
            arrived.failed += 1;
            arrived.failed_in_a_row += 1;
        } else {
            arrived.failed_in_a_row = 0;
        }
        if arrived.failed_in_a_row >= GIVE_UP_AFTER {
            stop.store(true, Ordering::Release);
        }
        arrived.lines.push_back(line);
    }
}

fn line(batch: &RemoteBatch<'_>, entry: &Entry) -> FileLine {
    let path = entry.found.path.to_string_lossy().into_owned();
    let unstored = |status, code: String, detail: String| {
        FileLine::unstored(path.clone(), status, FindingLine { code, page: None, detail: Some(detail) })
    };
    match batch.send(entry) {
        Ok(Sent::Stored(receipt)) => stored(path.clone(), &receipt),
        Ok(Sent::Rejected { reason, detail }) => unstored("rejected", reason, detail),
        Err(error) => unstored("failed", "failed".to_owned(), error.to_string()),
    }
}

fn stored(path: String, receipt: &Receipt) -> FileLine {
    FileLine {
        path,
        status: if receipt.status == "duplicate" { "duplicate" } else { "received" },
        document_id: Some(receipt.document_id.clone()),
        sha256: Some(receipt.sha256.clone()),
        bytes: Some(receipt.bytes),
        position: Some(receipt.position),
        searchable: false,
        pages: None,
        findings: receipt.filing.iter().cloned().map(FindingLine::from).collect(),
    }
}

/// The line in its final state; `None` puts it back, because others may be done sooner.
fn settle(
    client: &Client,
    mut line: FileLine,
    waits: bool,
    stop: &AtomicBool,
    arrived: &Mutex<Arrived>,
) -> Option<FileLine> {
    const LOOK: Duration = Duration::from_millis(800);
    let Some(id) = line.document_id.clone() else { return Some(line) };
    let patience = if waits { LOOK } else { Duration::ZERO };
    let is_stopped = || stop.load(Ordering::Acquire);
    // A lookup that fails now may work in a moment; the document is safe either way.
    let known = client.wait_searchable(&id, patience, &is_stopped).ok().flatten();
    if let Some(known) = known {
        complete(&mut line, known);
    }
    if line.searchable || !waits || is_stopped() {
        return Some(line);
    }
    arrived.lock().unwrap_or_else(PoisonError::into_inner).lines.push_back(line);
    None
}

fn complete(line: &mut FileLine, known: Document) {
    line.searchable = known.searchable;
    line.pages = known.pages;
    // About its filing, what this run found: a document that was there already remembers what an earlier run found.
    line.findings.retain(|finding| finding.code == FindingCode::Unfiled.word());
    let others = known.findings.into_iter().filter(|finding| finding.code != FindingCode::Unfiled.word());
    line.findings.extend(others.map(FindingLine::from));
}

fn count(summary: &mut Summary, line: &FileLine) {
    summary.files += 1;
    summary.pages += u64::from(line.pages.unwrap_or(0));
    *match line.status {
        "received" => &mut summary.received,
        "duplicate" => &mut summary.duplicate,
        "rejected" => &mut summary.rejected,
        _ => &mut summary.failed,
    } += 1;
}
