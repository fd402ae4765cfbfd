//! `/units` and `/plan-units`: the frame records live in.

use super::auth::Caller;
use super::extract::{Id, Json, Paging, Query};
use super::fields::Fields;
use super::rows::{Page, PlanUnit, PlanUnitMaking, Unit, UnitMaking};
use super::{Api, Problem};
use crate::archive::{Archive, Error, NewPlanUnit, NewUnit, Permission};
use crate::domain::PlanUnitId;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

fn made(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

fn missing() -> Problem {
    Problem::malformed("Pflichtfelder fehlen.")
}

/// Organisationseinheiten auflisten
#[utoipa::path(
    get, path = "/units", tag = "Rahmen", operation_id = "listUnits",
    responses((status = 200, description = "Alle, nach Kürzel", body = Page<Unit>))
)]
pub(super) async fn units(State(api): State<Api>, caller: Caller) -> Result<Json<Page<Unit>>, Problem> {
    let units = api.read(&caller, Archive::units).await?;
    Ok(Json(Page { items: units.into_iter().map(|(id, row)| Unit::of(id, row)).collect(), next: None }))
}

/// Eine Organisationseinheit anlegen
///
/// Gibt es das Kürzel schon, ist das die Antwort (200) und nichts ändert sich.
#[utoipa::path(
    post, path = "/units", tag = "Rahmen", operation_id = "createUnit", request_body = UnitMaking,
    responses((status = 201, description = "Angelegt", body = Unit), (status = 200, description = "War schon da", body = Unit))
)]
pub(super) async fn create_unit(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<UnitMaking>,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Manage)?;
    let mut fields = Fields::default();
    let code = fields.line("code", &asked.code);
    let name = fields.line("name", &asked.name);
    let parent = fields.optional("parent", asked.parent.as_ref());
    fields.finish()?;
    let new = NewUnit { code: code.ok_or_else(missing)?, name: name.ok_or_else(missing)?, parent };
    let unit = api.write(&caller, move |archive, permit| {
        let (id, is_new) = archive.create_unit(permit, &new)?;
        let row = archive.units(permit)?.into_iter().find(|(known, _)| *known == id);
        let (id, row) = row.ok_or_else(|| Error::missing("Die Organisationseinheit"))?;
        Ok((is_new, Unit::of(id, row)))
    });
    let (is_new, unit) = unit.await?;
    Ok((made(is_new), Json(unit)).into_response())
}

/// Aktenplaneinheiten auflisten
#[utoipa::path(
    get, path = "/plan-units", tag = "Rahmen", operation_id = "listPlanUnits", params(Paging),
    responses((status = 200, description = "Ein Teil des Aktenplans, nach Kennzeichen", body = Page<PlanUnit>))
)]
pub(super) async fn plan_units(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<PlanUnit>>, Problem> {
    let (limit, from) = paging.parse()?;
    let page = api.read(&caller, move |archive, permit| archive.plan_units(permit, from.as_ref(), limit));
    Ok(Json(Page::of(page.await?, |(id, row)| PlanUnit::of(id, row))))
}

/// Eine Aktenplaneinheit ansehen
#[utoipa::path(
    get, path = "/plan-units/{id}", tag = "Rahmen", operation_id = "getPlanUnit",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Die Aktenplaneinheit", body = PlanUnit))
)]
pub(super) async fn plan_unit(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<PlanUnitId>,
) -> Result<Json<PlanUnit>, Problem> {
    let row = api.read(&caller, move |archive, permit| archive.plan_unit(permit, id)).await?;
    Ok(Json(PlanUnit::of(id, row)))
}

/// Eine Aktenplaneinheit anlegen
///
/// Gibt es das Kennzeichen schon, ist das die Antwort (200) und nichts ändert sich.
#[utoipa::path(
    post, path = "/plan-units", tag = "Rahmen", operation_id = "createPlanUnit", request_body = PlanUnitMaking,
    responses(
        (status = 201, description = "Angelegt", body = PlanUnit, headers(("Location" = String))),
        (status = 200, description = "War schon da", body = PlanUnit),
    )
)]
pub(super) async fn create_plan_unit(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<PlanUnitMaking>,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Manage)?;
    let mut fields = Fields::default();
    let code = fields.line("code", &asked.code);
    let title = fields.line("title", &asked.title);
    let parent = fields.optional("parent", asked.parent.as_ref());
    let retention_class = fields.optional("retention_class", asked.retention_class.as_ref());
    let disposal = fields.optional("disposal", asked.disposal.as_ref());
    let legal_basis = fields.optional("legal_basis", asked.legal_basis.as_ref());
    fields.finish()?;
    let new = NewPlanUnit {
        code: code.ok_or_else(missing)?,
        title: title.ok_or_else(missing)?,
        parent,
        retention_class,
        disposal,
        legal_basis,
    };
    let made_unit = api.write(&caller, move |archive, permit| {
        let (id, is_new) = archive.create_plan_unit(permit, &new)?;
        Ok((id, is_new, archive.plan_unit(permit, id)?))
    });
    let (id, is_new, row) = made_unit.await?;
    let location = [(header::LOCATION, format!("/api/v1/plan-units/{id}"))];
    Ok((made(is_new), location, Json(PlanUnit::of(id, row))).into_response())
}
