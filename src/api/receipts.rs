//! `/receipts`: proof for whoever kept a digest.

use super::auth::Caller;
use super::extract::{Id, Json};
use super::rows::{Page, Receipt};
use super::{Api, Problem};
use crate::archive::Error;
use crate::domain::{Digest, DocumentId};
use axum::extract::State;

/// Quittungen zu einer Prüfsumme
///
/// Alle Dokumente des eigenen Mandanten mit diesen Bytes; 404, wenn es keines gibt.
#[utoipa::path(
    get, path = "/receipts/{sha256}", tag = "Nachweise", operation_id = "listReceipts",
    params(("sha256" = String, Path, description = "SHA-256 der Bytes")),
    responses((status = 200, description = "Die Quittungen", body = Page<Receipt>))
)]
pub(super) async fn by_digest(
    State(api): State<Api>,
    caller: Caller,
    Id(sha256): Id<Digest>,
) -> Result<Json<Page<Receipt>>, Problem> {
    let views = api.read(&caller, move |archive, permit| {
        let views = archive.receipts_by_digest(permit, &sha256)?;
        if views.is_empty() { Err(Error::missing("Eine Quittung zu dieser Prüfsumme")) } else { Ok(views) }
    });
    Ok(Json(Page { items: views.await?.iter().map(Receipt::from).collect(), next: None }))
}

/// Quittungen eines Dokuments, eine je Version
#[utoipa::path(
    get, path = "/documents/{id}/receipts", tag = "Nachweise", operation_id = "listDocumentReceipts",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Die Quittungen", body = Page<Receipt>))
)]
pub(super) async fn of_document(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
) -> Result<Json<Page<Receipt>>, Problem> {
    let views = api.read(&caller, move |archive, permit| archive.receipts(permit, id)).await?;
    Ok(Json(Page { items: views.iter().map(Receipt::from).collect(), next: None }))
}
