//! `eakte demo`: a town to look at.

use super::args::Demo;
use super::context::{Context, local_permit};
use super::failure::{Exit, Failure};
use super::out::{Out, counted, hint, lasting};
use super::progress::{Bars, is_seen};
use super::{serve, stop};
use crate::clock::{SystemClock, SystemEntropy};
use crate::demo;
use crate::search::Filter;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(super) fn run(context: &mut Context, args: &Demo, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("demo")?;
    let data = context.data_or("demo");
    let fixtures = demo::find_fixtures(args.fixtures.as_deref())?;
    let place = context.place()?;
    let opened = demo::open(place, context.settings(true), Arc::new(SystemClock), Arc::new(SystemEntropy));
    let installation = opened.map_err(|error| context.explain(error))?;
    let archive = installation.archive(&demo::tenant())?;
    let permit = local_permit(&installation, &archive, &demo::tenant())?;
    if !archive.health()?.ocr_available {
        hint(format!("Hinweis: Tesseract fehlt; Scans bleiben ohne Text. Abhilfe: {}", super::INSTALL_OCR));
    }
    let stop = args.no_serve.then(stop::on_interrupt).unwrap_or_default();
    let bars = Bars::new();
    let received = bars.counting("angenommen", Some(0));
    let searchable = bars.counting("durchsuchbar", Some(0));
    let told = Mutex::new(Instant::now());
    let loaded = demo::load(&archive, &permit, &fixtures, &stop, &|progress| {
        // Where no bar is seen, a line now and then says that it goes on.
        let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_seen() && last.elapsed() >= Duration::from_secs(10) {
            *last = Instant::now();
            hint(format!(
                "{} von {} angenommen, {} durchsuchbar",
                progress.received, progress.files, progress.searchable
            ));
        }
        if progress.received == progress.files {
            received.finish();
        }
        received.set_length(progress.files);
        received.set_position(progress.received);
        searchable.set_length(progress.files);
        searchable.set_position(progress.searchable);
        searchable.set_message(counted(progress.pages, "Seite", "Seiten"));
    });
    received.finish_and_clear();
    let summary = archive.health()?.summary;
    searchable.finish_and_clear();
    let done = loaded?;
    drop(archive);
    out.object(&json!({
        "files": done.progress.files,
        "received": done.new,
        "rejected": done.rejected,
        "searchable": done.progress.searchable,
        "pages": done.progress.pages,
        "accepted_seconds": seconds(done.accepted_after),
        "first_searchable_seconds": done.first_searchable_after.map(seconds),
        "searchable_seconds": seconds(done.searchable_after),
    }));
    out.text(format!(
        "Steverau ist da: {} mit {}; angenommen nach {}, das erste durchsuchbar nach {}, alle nach {}.",
        counted(summary.documents, "Dokument", "Dokumente"),
        counted(summary.pages, "Seite", "Seiten"),
        lasting(seconds(done.accepted_after)),
        lasting(done.first_searchable_after.map_or(0.0, seconds)),
        lasting(seconds(done.searchable_after))
    ));
    if args.no_serve || stop.load(Ordering::Acquire) {
        let is_whole = !stop.load(Ordering::Acquire) && done.rejected == 0;
        return Ok(if is_whole { Exit::Done } else { Exit::Findings });
    }
    let example = example(&installation)?;
    let json = out.json;
    serve::start(context, installation, move |url, opening, is_first| {
        if json {
            return;
        }
        if is_first && opening.failed.is_empty() {
            hint(guide(&data, url, &example));
        } else {
            serve::tell(url, opening, is_first);
        }
    })?;
    Ok(Exit::Done)
}

fn seconds(lasting: Duration) -> f64 {
    (lasting.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// Something to look for in the town, with what is found.
struct Example {
    query: &'static str,
    /// Where it is downloaded, below `/api/v1`.
    path: String,
}

/// A word that stands only on a page that was scanned, if such pages could be read here; else one in a file with text.
fn example(installation: &crate::archive::Installation) -> Result<Example, Failure> {
    const SCANNED: &str = "Quecksilberdampflampen";
    const WRITTEN: &str = "Wildverbiss Eicheln";
    let archive = installation.archive(&demo::tenant())?;
    let permit = local_permit(installation, &archive, &demo::tenant())?;
    let first = |query| -> Result<_, Failure> {
        let page = archive.search(&permit, query, Filter::default(), 0, 1)?;
        Ok(page.hits.first().map(|hit| hit.document))
    };
    if let Some(id) = first(SCANNED)?
        && archive.rendition(&permit, id, "pdf", None).is_ok()
    {
        return Ok(Example { query: SCANNED, path: format!("documents/{id}/renditions/pdf") });
    }
    let written = first(WRITTEN)?;
    let any = archive.documents(&permit, None, 1)?.items.first().map(|state| state.id);
    let id = written.or(any).map(|id| id.to_string()).unwrap_or_default();
    Ok(Example { query: WRITTEN, path: format!("documents/{id}/content") })
}

/// What to try next.
fn guide(data: &Path, url: &str, example: &Example) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "eakte".to_owned());
    let data = data.display();
    let token = format!("{data}/tokens/{}", demo::TENANT);
    let Example { query, path } = example;
    format!(
        "\nDer Server läuft: {url}\n\n\
         Zum Ausprobieren in einem zweiten Fenster:\n\
         \x20 Suchen:         {program} search --server {url} --data {data} {query}\n\
         \x20 Herunterladen:  curl -OJ -H \"Authorization: Bearer $(cat {token})\" {url}/api/v1/{path}\n\
         \x20 Nachrechnen:    {program} verify --server {url} --data {data}\n\
         \x20 Schnittstelle:  {url}/docs\n\n\
         Beenden mit Strg-C; „{program} demo --data {data}“ startet wieder."
    )
}
