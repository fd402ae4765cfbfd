//! `/health`: how the caller's tenant is doing.

use super::auth::Caller;
use super::extract::Json;
use super::rows::Health;
use super::{Api, Problem};
use axum::extract::State;

/// Wie es dem Mandanten geht
#[utoipa::path(
    get, path = "/health", tag = "Betrieb", operation_id = "getHealth",
    responses((status = 200, description = "Stand von Journal, Verzeichnissen und Lesung", body = Health))
)]
pub(super) async fn show(State(api): State<Api>, caller: Caller) -> Result<Json<Health>, Problem> {
    let found = api.read(&caller, |archive, _| Ok((archive.health()?, archive.tenant()?.time_zone)));
    let (health, time_zone) = found.await?;
    Ok(Json(Health::new(&health, time_zone)))
}
