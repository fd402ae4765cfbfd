//! `/batches`: files that are uploaded together and counted together.

use super::auth::Caller;
use super::extract::{Id, Json, Query, cursor, limit};
use super::fields::Fields;
use super::rows::{Batch, BatchClosing, BatchLine, BatchOpening, BatchRejections, Page};
use super::{Api, Problem};
use crate::archive::{Kind, Permission};
use crate::domain::BatchId;
use crate::domain::codes::Rejection;
use crate::domain::event::RejectedFile;
use crate::domain::text::source_name;
use crate::ingest::BatchFacts;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// Most files in one report.
const MOST_UNSENT: usize = 1_000;

/// Eine Charge eröffnen
///
/// Ist eine Charge dieses Namens mit denselben Angaben noch offen, ist sie die Antwort (200): so kann die Anfrage
/// wiederholt werden.
#[utoipa::path(
    post, path = "/batches", tag = "Chargen", operation_id = "openBatch", request_body = BatchOpening,
    responses(
        (status = 201, description = "Eröffnet", body = Batch, headers(("Location" = String))),
        (status = 200, description = "War schon offen", body = Batch, headers(("Location" = String))),
        (status = 409, description = "Der Name ist vergeben", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<BatchOpening>,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Ingest)?;
    let facts = parse(asked)?;
    let opened = api.write(&caller, move |archive, permit| match archive.open_batch(permit, &facts) {
        Ok(id) => Ok((id, true, archive.batch(permit, id)?)),
        Err(error) if error.kind == Kind::Conflict => {
            let Some(id) = archive.batch_named(permit, &facts.name)? else { return Err(error) };
            let row = archive.batch(permit, id)?;
            if row.closed.is_none() && row.data == facts { Ok((id, false, row)) } else { Err(error) }
        }
        Err(error) => Err(error),
    });
    let (id, is_new, row) = opened.await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("/api/v1/batches/{id}"))];
    Ok((status, location, Json(Batch::of(id, row))).into_response())
}

fn parse(asked: BatchOpening) -> Result<BatchFacts, Problem> {
    let mut fields = Fields::default();
    let mut line = |name: &str, text: &str| fields.line(name, text).map(|line| line.to_string());
    let facts = BatchFacts {
        name: line("name", &asked.name).unwrap_or_default(),
        source: line("source", asked.source.as_deref().unwrap_or("upload")).unwrap_or_default(),
        box_label: asked.box_label.and_then(|text| line("box_label", &text)),
        person: asked.person.and_then(|text| line("person", &text)),
        station: asked.station.and_then(|text| line("station", &text)),
        scanner: asked.scanner.and_then(|text| line("scanner", &text)),
        profile: asked.profile.and_then(|text| line("profile", &text)),
        scanned_at: None,
        procedure_version: asked.procedure_version.and_then(|text| line("procedure_version", &text)),
        sheets_expected: asked.sheets_expected,
        pages_expected: asked.pages_expected,
        anomalies: asked.anomalies.iter().filter_map(|text| line("anomalies", text)).collect(),
    };
    let scanned_at = fields.instant("scanned_at", asked.scanned_at.as_ref());
    fields.finish()?;
    Ok(BatchFacts { scanned_at, ..facts })
}

/// Chargen auflisten
#[utoipa::path(
    get, path = "/batches", tag = "Chargen", operation_id = "listBatches", params(BatchFilter),
    responses((status = 200, description = "Ein Teil der Liste, älteste zuerst", body = Page<Batch>))
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(filter): Query<BatchFilter>,
) -> Result<Json<Page<Batch>>, Problem> {
    let limit = limit(filter.limit)?;
    let from = cursor(filter.cursor.as_deref())?;
    if let Some(name) = filter.name {
        let found = api.read(&caller, move |archive, permit| {
            let id = archive.batch_named(permit, &name)?;
            id.map(|id| Ok((id, archive.batch(permit, id)?))).transpose()
        });
        let items = found.await?.map(|(id, row)| Batch::of(id, row)).into_iter().collect();
        return Ok(Json(Page { items, next: None }));
    }
    let page = api.read(&caller, move |archive, permit| archive.batches(permit, from.as_ref(), limit));
    Ok(Json(Page::of(page.await?, |(id, row)| Batch::of(id, row))))
}

/// Which batches are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BatchFilter {
    /// Höchstzahl der Einträge, 1 bis 200; fehlt sie, 50.
    limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    cursor: Option<String>,
    /// Nur die Charge dieses Namens.
    name: Option<String>,
}

/// Eine Charge ansehen
#[utoipa::path(
    get, path = "/batches/{id}", tag = "Chargen", operation_id = "getBatch",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Die Charge", body = Batch))
)]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<BatchId>,
) -> Result<Json<Batch>, Problem> {
    let row = api.read(&caller, move |archive, permit| archive.batch(permit, id)).await?;
    Ok(Json(Batch::of(id, row)))
}

/// Was aus den Dateien einer Charge wurde
#[utoipa::path(
    get, path = "/batches/{id}/lines", tag = "Chargen", operation_id = "listBatchLines",
    params(("id" = String, Path, description = "Kennung"), LineFilter),
    responses((status = 200, description = "Ein Teil der Zeilen, eine je Datei", body = Page<BatchLine>))
)]
pub(super) async fn lines(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Query(filter): Query<LineFilter>,
) -> Result<Json<Page<BatchLine>>, Problem> {
    let limit = limit(filter.limit)?;
    let from = cursor(filter.cursor.as_deref())?;
    if let Some(path) = filter.path {
        let line = api.read(&caller, move |archive, permit| archive.batch_line(permit, id, &path)).await?;
        return Ok(Json(Page { items: line.into_iter().map(BatchLine::from).collect(), next: None }));
    }
    let page =
        api.read(&caller, move |archive, permit| archive.batch_lines(permit, id, from.as_ref(), limit));
    Ok(Json(Page::of(page.await?, BatchLine::from)))
}

/// Which lines are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LineFilter {
    /// Höchstzahl der Einträge, 1 bis 200; fehlt sie, 50.
    limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    cursor: Option<String>,
    /// Nur die Zeile dieser Datei (Pfad in der Quelle).
    path: Option<String>,
}

/// Dateien melden, die nicht gesendet werden konnten
///
/// Was der Absender gesehen hat und nicht lesen konnte, braucht auch seine Zeile: sonst ist die Charge rot. Eine Zeile,
/// die schon dasteht, wird nicht noch einmal geschrieben; in einer geschlossenen Charge ist nur das möglich.
#[utoipa::path(
    post, path = "/batches/{id}/rejections", tag = "Chargen", operation_id = "rejectFiles",
    params(("id" = String, Path, description = "Kennung")), request_body = BatchRejections,
    responses(
        (status = 200, description = "Jede Datei hat ihre Zeile", body = Batch),
        (status = 409, description = "Die Charge ist abgeschlossen", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reject(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Json(asked): Json<BatchRejections>,
) -> Result<Json<Batch>, Problem> {
    caller.permit.require(Permission::Ingest)?;
    let mut fields = Fields::default();
    let mut files = Vec::with_capacity(asked.files.len());
    if !(1..=MOST_UNSENT).contains(&asked.files.len()) {
        fields.wrong("files", &format!("erwartet werden 1 bis {MOST_UNSENT} Zeilen"));
    }
    for file in asked.files {
        let reason = fields.optional::<Rejection>("files.reason", Some(&file.reason));
        let detail = file.detail.map(|detail| source_name(&detail));
        files.extend(reason.map(|reason| RejectedFile::new(&file.path, file.bytes, reason, detail)));
    }
    fields.finish()?;
    let row = api.write(&caller, move |archive, permit| {
        archive.reject_in_batch(permit, id, files)?;
        archive.batch(permit, id)
    });
    Ok(Json(Batch::of(id, row.await?)))
}

/// Eine Charge abschließen
///
/// Die Charge ist grün, wenn es so viele Zeilen gibt, wie der Absender Dateien gesehen hat; sonst ist sie rot.
/// Noch einmal mit derselben Zahl abzuschließen ändert nichts.
#[utoipa::path(
    post, path = "/batches/{id}/close", tag = "Chargen", operation_id = "closeBatch",
    params(("id" = String, Path, description = "Kennung")), request_body = BatchClosing,
    responses(
        (status = 200, description = "Abgeschlossen", body = Batch),
        (status = 409, description = "Ist schon mit einer anderen Zahl abgeschlossen", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn close(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<BatchId>,
    Json(asked): Json<BatchClosing>,
) -> Result<Json<Batch>, Problem> {
    let row = api.write(&caller, move |archive, permit| match archive.close_batch(permit, id, asked.seen) {
        Ok(()) => archive.batch(permit, id),
        Err(error) if error.kind == Kind::Conflict => {
            let row = archive.batch(permit, id)?;
            let same = row.closed.as_ref().is_some_and(|closed| closed.seen == asked.seen);
            if same { Ok(row) } else { Err(error) }
        }
        Err(error) => Err(error),
    });
    Ok(Json(Batch::of(id, row.await?)))
}
