//! `/case-files`.

use super::auth::Caller;
use super::extract::{Id, Json, OptionalJson, Query, cursor, idempotency_key, limit};
use super::fields::Fields;
use super::rows::{CaseFile, CaseFileClosing, CaseFileOpening, Page, StoredEvent};
use super::{Api, Problem};
use crate::archive::{NewCaseFile, Permission};
use crate::domain::CaseFileId;
use crate::domain::case_file::OpenCaseFile;
use crate::domain::codes::{Medium, Protection};
use crate::domain::event::Party;
use crate::domain::text::Line;
use crate::domain::{PlanUnitId, UnitId};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Eine Akte anlegen oder übernehmen
///
/// Gibt es sie unter ihrem Aktenzeichen oder Schlüssel schon, ist das die Antwort (200) und nichts ändert sich.
#[utoipa::path(
    post, path = "/case-files", tag = "Akten", operation_id = "openCaseFile",
    params(("Idempotency-Key" = Option<String>, Header, description = "Gilt als `key`, wenn keiner dasteht")),
    request_body = CaseFileOpening,
    responses(
        (status = 201, description = "Angelegt", body = CaseFile, headers(("Location" = String))),
        (status = 200, description = "War schon da", body = CaseFile, headers(("Location" = String))),
    )
)]
pub(super) async fn open(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(asked): Json<CaseFileOpening>,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Manage)?;
    let key = idempotency_key(&headers)?.map(|key| format!("idempotency:{key}"));
    let (unit, new) = parse(asked, key)?;
    let opened = api.write(&caller, move |archive, permit| {
        let unit = archive.unit_named(unit.as_str())?;
        let new = NewCaseFile { wish: OpenCaseFile { unit, ..new.wish }, ..new };
        let (id, is_new) = archive.open_case_file(permit, &new)?;
        Ok((id, is_new, archive.case_file(permit, id)?))
    });
    let (id, is_new, row) = opened.await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("/api/v1/case-files/{id}"))];
    Ok((status, location, Json(CaseFile::of(id, row))).into_response())
}

fn parse(asked: CaseFileOpening, key: Option<String>) -> Result<(Line, NewCaseFile), Problem> {
    let mut fields = Fields::default();
    let plan_unit = fields.line("plan_unit", &asked.plan_unit);
    let unit = fields.line("unit", &asked.unit);
    let title = fields.line("title", &asked.title);
    let case_type = fields.line("case_type", &asked.case_type);
    let aliases: Vec<Line> = asked.aliases.iter().filter_map(|alias| fields.line("aliases", alias)).collect();
    let reference = fields.optional("reference", asked.reference.as_ref());
    let protection = fields.optional("protection", asked.protection.as_ref()).unwrap_or(Protection::Normal);
    let retention_class = fields.optional("retention_class", asked.retention_class.as_ref());
    let medium = fields.optional("medium", asked.medium.as_ref()).unwrap_or(Medium::Electronic);
    let paper_location = fields.optional("paper_location", asked.paper_location.as_ref());
    let begins_on = fields.date("begins_on", asked.begins_on.as_ref());
    let ends_on = fields.date("ends_on", asked.ends_on.as_ref());
    let closed_on = fields.date("closed_on", asked.closed_on.as_ref());
    for party in &asked.parties {
        fields.line("parties.role", &party.role);
        fields.line("parties.name", &party.name);
    }
    for (name, value) in &asked.fields {
        fields.line("fields", name);
        fields.line(&format!("fields.{name}"), value);
    }
    if asked.key.as_ref().is_some_and(|key| key.is_empty() || key.chars().count() > Line::MAX) {
        fields.wrong("key", "erwartet werden 1 bis 1000 Zeichen");
    }
    fields.finish()?;
    let missing = || Problem::malformed("Pflichtfelder fehlen.");
    let wish = OpenCaseFile {
        reference,
        aliases,
        title: title.ok_or_else(missing)?,
        // Replaced once its code has been looked up.
        unit: UnitId::from_uuid(Uuid::nil()),
        case_type: case_type.ok_or_else(missing)?,
        protection,
        retention_class,
        medium,
        paper_location,
        begins_on,
        ends_on,
        closed_on,
        parties: asked
            .parties
            .into_iter()
            .map(|party| Party { role: party.role, name: party.name })
            .collect(),
        fields: asked.fields,
        import_key: asked.key.or(key),
    };
    Ok((unit.ok_or_else(missing)?, NewCaseFile { plan_unit: plan_unit.ok_or_else(missing)?, wish }))
}

/// Which case files are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CaseFileFilter {
    /// Höchstzahl der Einträge, 1 bis 200; fehlt sie, 50.
    limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    cursor: Option<String>,
    /// Nur Akten dieser Aktenplaneinheit (Kennung).
    plan_unit: Option<String>,
    /// Nur die Akte mit diesem Aktenzeichen, alten Zeichen oder Schlüssel.
    reference: Option<String>,
}

/// Akten auflisten
///
/// In der Reihenfolge, in der sie hier angelegt wurden.
#[utoipa::path(
    get, path = "/case-files", tag = "Akten", operation_id = "listCaseFiles", params(CaseFileFilter),
    responses((status = 200, description = "Ein Teil der Liste", body = Page<CaseFile>))
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(filter): Query<CaseFileFilter>,
) -> Result<Json<Page<CaseFile>>, Problem> {
    let limit = limit(filter.limit)?;
    let from = cursor(filter.cursor.as_deref())?;
    if let Some(reference) = filter.reference {
        let found = api.read(&caller, move |archive, permit| {
            let id = archive.find_case_file(permit, &reference)?;
            id.map(|id| Ok((id, archive.case_file(permit, id)?))).transpose()
        });
        let items = found.await?.map(|(id, row)| CaseFile::of(id, row)).into_iter().collect();
        return Ok(Json(Page { items, next: None }));
    }
    let plan_unit = filter.plan_unit.map(|text| text.parse::<PlanUnitId>()).transpose();
    let plan_unit = plan_unit.map_err(|error| Problem::malformed(format!("plan_unit: {error}")))?;
    let page = api.read(&caller, move |archive, permit| {
        if let Some(id) = plan_unit {
            archive.plan_unit(permit, id)?;
        }
        archive.case_files(permit, plan_unit, from.as_ref(), limit)
    });
    Ok(Json(Page::of(page.await?, |(id, row)| CaseFile::of(id, row))))
}

/// Eine Akte ansehen
#[utoipa::path(
    get, path = "/case-files/{id}", tag = "Akten", operation_id = "getCaseFile",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Die Akte", body = CaseFile))
)]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<CaseFileId>,
) -> Result<Json<CaseFile>, Problem> {
    let row = api.read(&caller, move |archive, permit| archive.case_file(permit, id)).await?;
    Ok(Json(CaseFile::of(id, row)))
}

/// Eine Akte schließen (z.d.A.)
#[utoipa::path(
    post, path = "/case-files/{id}/close", tag = "Akten", operation_id = "closeCaseFile",
    params(("id" = String, Path, description = "Kennung")),
    request_body = Option<CaseFileClosing>,
    responses(
        (status = 200, description = "Geschlossen", body = CaseFile),
        (status = 409, description = "Ist schon geschlossen oder wurde gerade geändert", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn close(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<CaseFileId>,
    OptionalJson(asked): OptionalJson<CaseFileClosing>,
) -> Result<Json<CaseFile>, Problem> {
    let mut fields = Fields::default();
    let day = fields.date("closed_on", asked.closed_on.as_ref());
    let reason = fields.optional::<Line>("reason", asked.reason.as_ref());
    fields.finish()?;
    let row = api.write(&caller, move |archive, permit| {
        archive.close_case_file(permit, id, day, reason)?;
        archive.case_file(permit, id)
    });
    Ok(Json(CaseFile::of(id, row.await?)))
}

/// Ereignisse einer Akte auflisten
#[utoipa::path(
    get, path = "/case-files/{id}/events", tag = "Akten", operation_id = "listCaseFileEvents",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Alle Ereignisse, älteste zuerst", body = Page<StoredEvent>))
)]
pub(super) async fn events(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<CaseFileId>,
) -> Result<Json<Page<StoredEvent>>, Problem> {
    let events = api.read(&caller, move |archive, permit| {
        archive.case_file(permit, id)?;
        archive.events(permit, id.into())
    });
    Ok(Json(Page { items: events.await?.iter().map(StoredEvent::from).collect(), next: None }))
}
