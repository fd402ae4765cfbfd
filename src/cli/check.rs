//! `eakte verify` and `eakte rebuild`.

use super::args::Verify;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::{Out, counted, hint, lasting, number, plain, size};
use super::progress::{Bars, set_total};
use crate::verify::{Fault, FaultKind, Progress, Sample, VerifyOptions, VerifyReport};
use indicatif::ProgressBar;
use serde_json::{Value, json};

/// What the command line asks of a check.
fn options(args: &Verify) -> VerifyOptions {
    let sample = args.sample.map(|count| Sample { count, seed: args.seed.unwrap_or(1) });
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    VerifyOptions { sample, since: args.since, expect: args.expect, replay: args.replay, threads }
}

/// Shows how far something is.
pub(super) fn follow(bar: &ProgressBar) -> impl Fn(Progress) + Sync + '_ {
    |progress| {
        if progress.total.is_some() && progress.total != bar.length() {
            set_total(bar, progress.total);
        }
        bar.set_position(progress.done);
        if progress.bytes > 0 {
            bar.set_message(size(progress.bytes));
        }
    }
}

pub(super) fn verify(context: &Context, args: &Verify, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(url) = context.server() {
        return super::remote::verify(context, url, args, out);
    }
    let installation = context.open(false)?;
    let tenants = context.tenants(&installation)?;
    if args.expect.is_some() && tenants.len() != 1 {
        return Err(Failure::usage("--expect gilt für einen Mandanten; bitte mit --tenant nennen."));
    }
    let is_one = tenants.len() == 1;
    let mut exit = Exit::Done;
    for tenant in tenants {
        let bars = Bars::new();
        let bar = bars.counting("geprüft", None);
        let report = installation.verify(&tenant, &options(args), &follow(&bar));
        bar.finish_and_clear();
        let report = report?;
        if !report.findings.is_empty() {
            exit = Exit::Findings;
        }
        let mut row = row(&report);
        if !is_one {
            row["tenant"] = json!(tenant);
        }
        out.object(&row);
        let counts = [report.objects, report.bytes, report.commits, report.leaves];
        let (findings, notices) = (lines(&report.findings), lines(&report.notices));
        let notices = if args.details { notices } else { gathered(notices) };
        tell(Some(tenant.as_str()), &findings, &notices, counts, &report.root.to_string(), out);
    }
    Ok(exit)
}

fn row(report: &VerifyReport) -> Value {
    let faults = |faults: &[Fault]| -> Vec<Value> {
        faults
            .iter()
            .map(|fault| {
                json!({ "kind": fault.kind.to_string(), "object": fault.object, "detail": fault.detail })
            })
            .collect()
    };
    json!({
        "objects": report.objects,
        "bytes": report.bytes,
        "commits": report.commits,
        "leaves": report.leaves,
        "root": report.root,
        "findings": faults(&report.findings),
        "notices": faults(&report.notices),
    })
}

/// Objects that wait to be cleaned up become one line: after an interrupted run there may be many, and none of them
/// asks anything of the reader.
pub(super) fn gathered(notices: Vec<(String, String, String)>) -> Vec<(String, String, String)> {
    let kind = FaultKind::Unreferenced.word();
    let more = FaultKind::More.word();
    let is_stray = |notice: &(String, String, String)| notice.0 == kind;
    let is_more = |notice: &(String, String, String)| notice.0 == more && notice.1 == kind;
    let count = notices.iter().filter(|notice| is_stray(notice)).count() as u64;
    if count == 0 {
        return notices;
    }
    let more = if notices.iter().any(is_more) { "mehr als " } else { "" };
    let mut kept: Vec<_> =
        notices.into_iter().filter(|notice| !is_stray(notice) && !is_more(notice)).collect();
    let detail = "Reste eines unterbrochenen Laufs, die zu keinem Dokument gehören. Das wird aufgeräumt: „eakte serve“ \
                  entfernt sie nach sieben Tagen. Einzeln zeigt sie --details.";
    kept.push((kind.to_owned(), format!("{more}{}", counted(count, "Objekt", "Objekte")), detail.to_owned()));
    kept
}

fn lines(faults: &[Fault]) -> Vec<(String, String, String)> {
    faults.iter().map(|fault| (fault.kind.to_string(), fault.object.clone(), fault.detail.clone())).collect()
}

/// The result for people. Faults are kind, object and detail; the counts objects, bytes, commits and leaves.
pub(super) fn tell(
    tenant: Option<&str>,
    findings: &[(String, String, String)],
    notices: &[(String, String, String)],
    [objects, bytes, commits, leaves]: [u64; 4],
    root: &str,
    out: &mut Out,
) {
    for (word, faults) in [("BEFUND ", findings), ("Hinweis", notices)] {
        for (kind, object, detail) in faults {
            out.text(format!("{word}  {kind}  {}: {}", plain(object), plain(detail)));
        }
    }
    let verdict = match findings.len() {
        0 => "alles stimmt".to_owned(),
        count => counted(count as u64, "Befund", "Befunde"),
    };
    let tenant = tenant.map(|tenant| format!("Mandant „{tenant}“: ")).unwrap_or_default();
    out.text(format!(
        "{tenant}{} mit {} nachgerechnet, {}: {verdict}.",
        counted(objects, "Objekt", "Objekte"),
        size(bytes),
        counted(commits, "Journaleintrag", "Journaleinträge"),
    ));
    out.text(format!("Stand zum Aufbewahren: {leaves}:{root}"));
}

pub(super) fn rebuild(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("rebuild")?;
    let installation = context.open(false)?;
    for tenant in context.tenants(&installation)? {
        let started = std::time::Instant::now();
        let bars = Bars::new();
        let bar = bars.counting("aufgebaut", None);
        let report = installation.rebuild(&tenant, &follow(&bar));
        bar.finish_and_clear();
        let report = report?;
        let seconds = started.elapsed().as_secs_f64();
        out.object(&json!({
            "tenant": tenant,
            "commits": report.commits,
            "documents": report.documents,
            "seconds": (seconds * 1_000.0).round() / 1_000.0,
        }));
        out.text(format!(
            "Mandant „{tenant}“: Katalog und Suche aus {} neu aufgebaut ({}) in {}.",
            counted(report.commits, "Journaleintrag", "Journaleinträgen"),
            counted(report.documents, "Dokument", "Dokumente"),
            lasting(seconds),
        ));
        if super::progress::is_seen() {
            hint(format!("{} Dokumente je Sekunde", number(rate(report.documents, seconds))));
        }
    }
    Ok(Exit::Done)
}

/// How many a second, rounded down.
fn rate(count: u64, seconds: f64) -> u64 {
    let millis = std::time::Duration::try_from_secs_f64(seconds).map_or(0, |lasting| lasting.as_millis());
    u64::try_from(u128::from(count) * 1_000 / millis.max(1)).unwrap_or(u64::MAX)
}
