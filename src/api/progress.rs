//! `/batches/{id}/progress`: how far a batch is, as server-sent events, until everything is found.

use super::auth::Caller;
use super::extract::Id;
use super::rows::Progress;
use super::{Api, Problem};
use crate::archive::{Archive, Error, Permit};
use crate::domain::batch::Balance;
use crate::domain::{BatchId, DocumentId};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Shortest time between two events; counting large batches may need more.
const TICK: Duration = Duration::from_secs(1);
/// Lines looked at in one go.
const PAGE: usize = 1_000;

/// What is known of a batch between two events.
#[derive(Clone, Debug)]
struct Watching {
    batch: BatchId,
    /// Lines at the last full count.
    lines: u64,
    /// Documents that are not found by their text yet.
    pending: Vec<DocumentId>,
    searchable: u64,
    last: Option<(Instant, Progress)>,
    pause: Duration,
}

/// Dem Fortschritt einer Charge folgen
///
/// Server-Sent Events: `progress` bei jeder Änderung, höchstens jede Sekunde, mit einem JSON-Objekt; `done` als
/// letztes, wenn die Charge abgeschlossen und alles auffindbar ist. Bricht der Strom vorher ab, beginnt ein neuer
/// Abruf einfach von vorn.
#[utoipa::path(
    get, path = "/batches/{id}/progress", tag = "Chargen", operation_id = "followBatch",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Ein Strom von Ereignissen, deren Daten so aussehen", body = Progress, content_type = "text/event-stream"))
)]
pub(super) async fn follow(
    State(api): State<Api>,
    caller: Caller,
    Id(batch): Id<BatchId>,
) -> Result<Response, Problem> {
    let slot = api.0.streams.clone().try_acquire_owned();
    let slot = slot.map_err(|_| {
        let detail = "Es verfolgen schon zu viele den Fortschritt; bitte später noch einmal versuchen.";
        Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(10)
    })?;
    let watching =
        Watching { batch, lines: 0, pending: Vec::new(), searchable: 0, last: None, pause: Duration::ZERO };
    // Once before the answer begins, so that a batch that there is none of is 404.
    let watching = api.read(&caller, move |archive, permit| look(watching, archive, permit)).await?;
    let first = watching.last.as_ref().map(|(_, progress)| progress.clone());
    let state = (api.clone(), caller, Some(watching), first, slot);
    let events = futures_util::stream::unfold(state, |(api, caller, watching, ready, slot)| async move {
        let mut watching = watching?;
        let progress = match ready {
            Some(progress) => progress,
            None => loop {
                let mut stopping = api.0.stopping.clone();
                let stop = stopping.wait_for(|stop| *stop);
                if tokio::time::timeout(watching.pause.max(TICK), stop).await.is_ok() {
                    return None;
                }
                let before = watching.last.as_ref().map(|(_, progress)| progress.clone());
                let looked = api.read(&caller, move |archive, permit| look(watching, archive, permit)).await;
                // What is wrong is in the log; the asker sees the stream end and asks again.
                watching = looked.ok()?;
                let now = watching.last.as_ref().map(|(_, progress)| progress.clone())?;
                if before.is_none_or(|before| differs(&before, &now)) {
                    break now;
                }
            },
        };
        let name = if progress.done { "done" } else { "progress" };
        let event = Event::default().event(name).data(serde_json::to_string(&progress).unwrap_or_default());
        let rest = (!progress.done).then_some(watching);
        Some((Ok::<_, Infallible>(event), (api, caller, rest, None, slot)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn differs(before: &Progress, now: &Progress) -> bool {
    let facts = |progress: &Progress| {
        let Progress { balance, seen, received, duplicate, rejected, searchable, done, .. } = progress;
        (balance.clone(), *seen, *received, *duplicate, *rejected, *searchable, *done)
    };
    facts(before) != facts(now)
}

/// Counts again. Only documents that were not found yet are looked up, unless there are new lines.
fn look(mut watching: Watching, archive: &Archive, permit: &Permit) -> Result<Watching, Error> {
    let begun = Instant::now();
    let row = archive.batch(permit, watching.batch)?;
    let lines = row.counts().total();
    if lines != watching.lines || watching.last.is_none() {
        watching.lines = lines;
        (watching.pending, watching.searchable) = count(watching.batch, archive, permit)?;
    } else {
        let mut still = Vec::new();
        for id in std::mem::take(&mut watching.pending) {
            // A document that was erased meanwhile is waited for no longer.
            match archive.document(permit, id) {
                Ok(state) if !state.searchable => still.push(id),
                Ok(_) => watching.searchable += 1,
                Err(error) if error.kind == crate::archive::Kind::Missing => {}
                Err(error) => return Err(error),
            }
        }
        watching.pending = still;
    }
    let balance = row.state(watching.batch).balance();
    let per_second = |now: u64, then: fn(&Progress) -> u64| {
        let Some((at, last)) = &watching.last else { return 0.0 };
        let more = u32::try_from(now.saturating_sub(then(last))).unwrap_or(u32::MAX);
        (f64::from(more) / at.elapsed().as_secs_f64().max(0.001) * 10.0).round() / 10.0
    };
    let progress = Progress {
        balance: super::rows::balance(balance).to_owned(),
        seen: row.closed.as_ref().map(|closed| closed.seen),
        received: row.received,
        duplicate: row.duplicate,
        rejected: row.rejected,
        searchable: watching.searchable,
        files_per_second: per_second(lines, |last| last.received + last.duplicate + last.rejected),
        searchable_per_second: per_second(watching.searchable, |last| last.searchable),
        done: balance != Balance::Open && watching.pending.is_empty(),
    };
    watching.last = Some((Instant::now(), progress));
    // Counting takes at most a fifth of the time.
    watching.pause = begun.elapsed() * 4;
    Ok(watching)
}

fn count(batch: BatchId, archive: &Archive, permit: &Permit) -> Result<(Vec<DocumentId>, u64), Error> {
    let (mut pending, mut searchable, mut from) = (Vec::new(), 0, None);
    loop {
        let page = archive.batch_lines(permit, batch, from.as_ref(), PAGE)?;
        for id in page.items.iter().filter_map(|line| line.document) {
            match archive.document(permit, id) {
                Ok(state) if state.searchable => searchable += 1,
                Ok(_) => pending.push(id),
                Err(error) if error.kind == crate::archive::Kind::Missing => {}
                Err(error) => return Err(error),
            }
        }
        from = page.next;
        if from.is_none() {
            return Ok((pending, searchable));
        }
    }
}
