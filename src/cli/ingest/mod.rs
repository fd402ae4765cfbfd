//! `eakte ingest`: files and trees, or what manifests list.

mod report;
mod sources;

use super::args::Ingest;
use super::context::{Context, Desk};
use super::failure::{Exit, Failure};
use super::out::{Out, counted, hint, number};
use super::progress::{self, Bars};
use super::stop;
use crate::domain::batch::{Balance, PageCheck};
use crate::ingest::RunReport;
use report::Reporter;
pub(super) use report::{present_line, present_summary};
use serde_json::json;
pub(super) use sources::{Destination, Run, sentence};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(super) fn run(context: &Context, args: &Ingest, out: &mut Out) -> Result<Exit, Failure> {
    sources::check_paths(args)?;
    if let Some(url) = context.server() {
        return super::remote::ingest(context, url, args, out);
    }
    let waits = !args.no_wait && !args.check;
    let desk = context.desk(waits)?;
    let stop = stop::on_interrupt();
    let started = Instant::now();
    let bars = Bars::new();
    let (runs, skipped) = match plan(&desk, args, &bars, out)? {
        Plan::Take { runs, skipped } => (runs, skipped),
        Plan::Checked(exit) => return Ok(exit),
    };
    let total = runs.iter().map(|run| run.total).sum::<Option<u64>>();
    let reporter = Reporter::new(&desk, out, waits, total, &bars, &stop);
    let reports = take(&desk, runs, &reporter, &stop, waits);
    let was_stopped = stop.load(Ordering::Acquire);
    let (summary, given_up) = reporter.finish(started.elapsed().as_secs_f64());
    let reports = reports?;
    let is_red = tell_balances(&desk, &reports)?;
    if let Some(why) = given_up {
        return Err(Failure::unavailable(format!(
            "Abgebrochen: {why} Nach der Behebung setzt derselbe Aufruf die Charge fort; nichts wird doppelt."
        )));
    }
    if was_stopped {
        hint(
            "Unterbrochen. Derselbe Aufruf macht dort weiter; was angenommen ist, bleibt und wird nicht doppelt.",
        );
    }
    let is_clean = summary.rejected + summary.failed == 0 && !is_red && !was_stopped && !skipped;
    Ok(if is_clean { Exit::Done } else { Exit::Findings })
}

/// What an `ingest` has to do.
pub(super) enum Plan<'a> {
    /// Take these in, one batch after the other.
    Take {
        runs: Vec<Run<'a>>,
        /// Whether rows of a manifest were left out.
        skipped: bool,
    },
    /// Nothing: the manifest was only checked.
    Checked(Exit),
}

/// Reads the manifest, if there is one, writes its frame, and says which files become which batch.
pub(super) fn plan<'a>(
    to: &'a dyn Destination,
    args: &'a Ingest,
    bars: &Bars,
    out: &mut Out,
) -> Result<Plan<'a>, Failure> {
    if args.manifest.is_empty() {
        let runs = vec![sources::trees(to, args, progress::is_seen())?];
        return Ok(Plan::Take { runs, skipped: false });
    }
    let manifest = sources::read_manifest(to, args)?;
    if args.check {
        return Ok(Plan::Checked(checked(manifest.as_ref(), out)));
    }
    let Some(manifest) = manifest else {
        return Err(Failure::usage(
            "Es wurde nichts geschrieben: die Begleitliste hat unbrauchbare Zeilen (oben). \
             Bitte berichtigen, oder mit --skip-invalid auslassen.",
        ));
    };
    let bar = bars.counting("Akten", Some(manifest.case_files.len() as u64));
    let runs = sources::listed(to, args, &manifest, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    Ok(Plan::Take { runs: runs?, skipped: !manifest.problems.is_empty() })
}

/// Takes the runs in, one batch after the other, while their lines are printed.
fn take(
    desk: &Desk,
    runs: Vec<Run<'_>>,
    reporter: &Reporter<'_>,
    stop: &AtomicBool,
    waits: bool,
) -> Result<Vec<(String, RunReport)>, Failure> {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut reports = Vec::with_capacity(runs.len());
            for run in runs {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let report = &|file: &_| reporter.file(file);
                let done = desk.archive.ingest(&desk.permit, &run.facts, run.entries, stop, report)?;
                reports.push((run.facts.name, done));
            }
            Ok::<_, crate::archive::Error>(reports)
        });
        let waited = if waits { reporter.wait(&|| !work.is_finished()) } else { Ok(()) };
        let reports = work.join().map_err(|_| Failure::unavailable("Die Aufnahme ist abgestürzt."))?;
        waited?;
        Ok(reports?)
    })
}

/// Says how every batch balances. Whether one is red.
fn tell_balances(desk: &Desk, reports: &[(String, RunReport)]) -> Result<bool, Failure> {
    let mut is_red = false;
    for (name, report) in reports {
        let Some(id) = report.batch else { continue };
        let row = desk.archive.batch(&desk.permit, id)?;
        let state = row.state(id);
        let (counts, read) = (row.counts(), row.pages_read());
        // Paper that was counted and is not there is as bad as a file without a line.
        is_red |= state.page_check(counts, read) == PageCheck::Differs;
        let name = super::out::plain(if row.data.name.is_empty() { name } else { &row.data.name });
        match state.balance() {
            Balance::Open => hint(format!("Charge „{name}“: noch offen; derselbe Aufruf setzt sie fort.")),
            balance => {
                let closed = row.closed.unwrap_or(crate::domain::event::BatchClosed {
                    seen: 0,
                    received: 0,
                    duplicate: 0,
                    rejected: 0,
                });
                let verdict = if balance == Balance::Green { "ausgeglichen" } else { "NICHT AUSGEGLICHEN" };
                is_red |= balance == Balance::Red;
                hint(format!(
                    "Charge „{name}“: {} gesehen = {} angenommen + {} doppelt + {} abgelehnt: {verdict}",
                    number(closed.seen),
                    number(closed.received),
                    number(closed.duplicate),
                    number(closed.rejected)
                ));
            }
        }
        if let Some(note) = state.page_sentence(counts, read) {
            hint(format!("Charge „{name}“: {note}"));
        }
    }
    Ok(is_red)
}

/// The answer of `--check`.
fn checked(manifest: Option<&crate::ingest::manifest::Manifest>, out: &mut Out) -> Exit {
    let Some(manifest) = manifest else {
        out.object(&json!({ "ok": false }));
        out.text("Die Begleitliste hat unbrauchbare Zeilen; so würde nichts geschrieben.");
        return Exit::Findings;
    };
    let bad = manifest.documents.iter().filter(|document| !document.problems.is_empty()).count();
    let is_good = bad == 0 && manifest.problems.is_empty();
    out.object(&json!({
        "ok": is_good,
        "units": manifest.units.len(),
        "plan_units": manifest.plan_units.len(),
        "case_files": manifest.case_files.len(),
        "batches": manifest.batches.len(),
        "documents": manifest.documents.len(),
        "problems": bad + manifest.problems.len(),
    }));
    out.text(format!(
        "{} und {}; {}. Geschrieben wurde nichts.",
        counted(manifest.case_files.len() as u64, "Akte", "Akten"),
        counted(manifest.documents.len() as u64, "Dokument", "Dokumente"),
        counted((bad + manifest.problems.len()) as u64, "unbrauchbare Zeile", "unbrauchbare Zeilen")
    ));
    if is_good { Exit::Done } else { Exit::Findings }
}
