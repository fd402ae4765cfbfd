//! Files to a server, one batch, several at once.

use super::super::args::Ingest;
use super::super::context::Context;
use super::super::failure::{Exit, Failure};
use super::super::ingest::{Root, facts, present_line, present_summary, sentence};
use super::super::out::{Out, hint};
use super::super::progress::{Bars, is_seen};
use super::super::rows::{FileLine, FindingLine, Summary};
use super::super::stop;
use super::{case_file_id, client};
use crate::api::rows::{BatchOpening, Document, DocumentFacts, Receipt};
use crate::client::{Client, ClientError, Sent, Upload};
use crate::domain::batch::PageCheck;
use crate::domain::finding::FindingCode;
use crate::ingest::{BatchFacts, Found, Walk, shown_path};
use crate::wording;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Files under way at once.
const AT_ONCE: usize = 4;

/// What uploading threads leave for the one that prints.
#[derive(Default)]
struct Arrived {
    lines: VecDeque<FileLine>,
    failed_in_a_row: u32,
}

pub(in crate::cli) fn ingest(
    context: &Context,
    url: &str,
    args: &Ingest,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if !args.manifest.is_empty() || args.template.is_some() {
        return Err(Failure::usage(
            "--manifest und --template arbeiten am Verzeichnis selbst; über --server gehen Dateien und Ordner, \
             auch mit --case-file.",
        ));
    }
    let client = client(context, url)?;
    let case_file = args.case_file.as_ref().map(|name| case_file_id(&client, name)).transpose()?;
    let root = Root::of(&args.paths)?;
    let batch = open_batch(&client, &facts(&args.facts, &root.name, &root.name))?;
    let facts = DocumentFacts {
        case_file,
        origin: Some(args.facts.origin.to_string()),
        classification: args.facts.classification.map(|class| class.to_string()),
        batch: Some(batch.clone()),
        ..DocumentFacts::default()
    };
    // Whoever waits does so for these files, not for what others have left to be read.
    let base = Upload { facts, key: None, is_urgent: !args.no_wait };
    let stop = stop::on_interrupt();
    let started = Instant::now();
    let total = is_seen().then(|| args.paths.iter().map(|path| Walk::new(path).count() as u64).sum());
    let bars = Bars::new();
    let bar = bars.counting("angenommen", total);
    let walk = Mutex::new(args.paths.iter().flat_map(|path: &PathBuf| Walk::new(path)));
    let arrived = Mutex::new(Arrived::default());
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| upload_all(&client, &root, &base, &walk, &arrived, &stop)))
            .collect();
        loop {
            let more = workers.iter().any(|worker| !worker.is_finished());
            let Some(line) = arrived.lock().unwrap_or_else(PoisonError::into_inner).lines.pop_front() else {
                if more {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                break;
            };
            if let Some(line) = settle(&client, line, !args.no_wait, &stop, &arrived) {
                bar.inc(1);
                count(&mut summary, &line);
                bars.aside(|| present_line(&line, out));
            }
        }
    });
    bar.finish_and_clear();
    bars.clear();
    let was_stopped = stop.load(Ordering::Acquire);
    present_summary(&mut summary, started.elapsed().as_secs_f64(), out);
    if was_stopped || summary.failed > 0 {
        hint("Nicht alles ist angekommen. Derselbe Aufruf setzt die Charge fort; nichts wird doppelt.");
        return Ok(Exit::Findings);
    }
    let closed = client.close_batch(&batch, summary.files)?;
    let is_red = closed.balance == "red";
    let verdict = if is_red { "NICHT AUSGEGLICHEN" } else { "ausgeglichen" };
    hint(format!(
        "Charge „{}“: {} gesehen = {} angenommen + {} doppelt + {} abgelehnt: {verdict}",
        super::super::out::plain(&closed.name),
        closed.seen.unwrap_or(0),
        closed.received,
        closed.duplicate,
        closed.rejected
    ));
    if let Some(note) = &closed.page_note {
        hint(format!("Charge „{}“: {note}", super::super::out::plain(&closed.name)));
    }
    let differs = closed.page_check == PageCheck::Differs.word();
    Ok(if summary.rejected > 0 || is_red || differs { Exit::Findings } else { Exit::Done })
}

/// Opens the batch, or takes up the one that an earlier run left open. A closed one is followed by the next number.
fn open_batch(client: &Client, facts: &BatchFacts) -> Result<String, Failure> {
    let mut count = (facts.sheets_expected, facts.pages_expected);
    for number in 1..10_000_u32 {
        let name = if number == 1 { facts.name.clone() } else { format!("{} ({number})", facts.name) };
        if let Some(known) = client.batch_named(&name)? {
            if known.balance == "open" {
                return Ok(known.id);
            }
            // The count was for the whole box, not for what comes later.
            if (known.sheets_expected, known.pages_expected) == (facts.sheets_expected, facts.pages_expected)
            {
                count = (None, None);
            }
            continue;
        }
        let asked = BatchOpening {
            name,
            source: Some(facts.source.clone()),
            box_label: facts.box_label.clone(),
            person: facts.person.clone(),
            station: facts.station.clone(),
            scanner: facts.scanner.clone(),
            profile: facts.profile.clone(),
            scanned_at: facts.scanned_at.map(|at| at.to_string()),
            procedure_version: facts.procedure_version.clone(),
            sheets_expected: count.0,
            pages_expected: count.1,
            anomalies: facts.anomalies.clone(),
        };
        return Ok(client.open_batch(&asked)?.id);
    }
    Err(Failure::refused(
        "Für diese Quelle gibt es schon zu viele Chargen; bitte mit --batch einen Namen geben.",
    ))
}

fn upload_all(
    client: &Client,
    root: &Root,
    base: &Upload,
    walk: &Mutex<impl Iterator<Item = Found>>,
    arrived: &Mutex<Arrived>,
    stop: &AtomicBool,
) {
    const GIVE_UP_AFTER: u32 = 8;
    while !stop.load(Ordering::Acquire) {
        let Some(found) = walk.lock().unwrap_or_else(PoisonError::into_inner).next() else { break };
        let line = upload(client, root, base, &found);
        let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.failed_in_a_row = if line.status == "failed" { arrived.failed_in_a_row + 1 } else { 0 };
        if arrived.failed_in_a_row >= GIVE_UP_AFTER {
            stop.store(true, Ordering::Release);
        }
        arrived.lines.push_back(line);
    }
}

fn upload(client: &Client, root: &Root, base: &Upload, found: &Found) -> FileLine {
    let path = found.path.to_string_lossy().into_owned();
    let unstored = |status, code: &str, detail: String| {
        FileLine::unstored(
            path.clone(),
            status,
            FindingLine { code: code.to_owned(), page: None, detail: Some(detail) },
        )
    };
    if let Some((rejection, detail)) = &found.rejection {
        return unstored("rejected", rejection.word(), sentence(*rejection, Some(detail)));
    }
    let mut upload = base.clone();
    upload.facts.path = Some(shown_path(&root.relative(&found.path)));
    match client.ingest_file(&found.path, &upload) {
        Ok(Sent::Stored(receipt)) => stored(path.clone(), &receipt),
        Ok(Sent::Rejected { reason, detail }) => unstored("rejected", &reason, detail),
        Err(ClientError::Io(error)) => unstored(
            "rejected",
            "unreadable",
            format!("Die Datei konnte nicht gelesen werden ({}).", wording::os(&error)),
        ),
        Err(error) => unstored("failed", "failed", error.to_string()),
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
        findings: Vec::new(),
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
    // A document that was there already remembers how an earlier run filed it: that is not this run's finding.
    let is_old = line.status == "duplicate";
    line.findings = known
        .findings
        .into_iter()
        .filter(|finding| !is_old || finding.code != FindingCode::Unfiled.word())
        .map(|finding| FindingLine { code: finding.code, page: finding.page, detail: finding.detail })
        .collect();
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
