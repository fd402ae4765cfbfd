//! `/documents/{id}/file`: out of the inbox into a case file, or out of the wrong one into the right one.

use super::auth::Caller;
use super::documents::{answer_with_etag, seen};
use super::extract::{Id, OptionalJson};
use super::fields::Fields;
use super::rows::{Document, DocumentFiling};
use super::{Api, Problem};
use crate::archive::Error;
use crate::domain::DocumentId;
use crate::domain::text::Line;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

/// Ein Dokument ablegen oder umlegen
///
/// Aus dem Posteingang in eine Akte, oder aus einer falschen Akte in die richtige; alle Versionen gehen mit. Beide Akten
/// müssen offen sein. Liegt das Dokument schon dort, ändert sich nichts: die Anfrage darf wiederholt werden. Mit
/// `If-Match` (`ETag` aus `GET /documents/{id}`) wird sie abgelehnt (412), wenn das Dokument inzwischen geändert wurde; dass
/// sich nur `searchable` änderte, zählt nicht.
#[utoipa::path(
    post, path = "/documents/{id}/file", tag = "Dokumente", operation_id = "fileDocument",
    params(
        ("id" = String, Path, description = "Kennung"),
        ("If-Match" = Option<String>, Header, description = "ETag des Dokuments, wie es gesehen wurde"),
    ),
    request_body = DocumentFiling,
    responses(
        (status = 200, description = "Das Dokument, wo es jetzt liegt", body = Document, headers(("ETag" = String))),
        (status = 404, description = "Dokument oder Akte gibt es nicht", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Eine der Akten ist geschlossen, die neue wird nur auf Papier geführt oder enthält dieselben Bytes schon", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Das Dokument ist nicht mehr das aus `If-Match`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn file(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
    headers: HeaderMap,
    OptionalJson(asked): OptionalJson<DocumentFiling>,
) -> Result<Response, Problem> {
    // What does not exist is missing, whatever else is wrong.
    api.read(&caller, move |archive, permit| archive.document(permit, id)).await?;
    let seen = seen(&headers)?;
    let mut fields = Fields::default();
    let reason = fields.optional::<Line>("reason", asked.reason.as_ref());
    if asked.case_file.is_empty() {
        fields.wrong(
            "case_file",
            "erwartet wird Kennung, Aktenzeichen, altes Zeichen oder Schlüssel einer Akte",
        );
    }
    fields.finish()?;
    let state = api.write(&caller, move |archive, permit| {
        let target = archive.find_case_file(permit, &asked.case_file)?;
        let target = target.ok_or_else(|| Error::missing("Die Akte"))?;
        archive.file_document(permit, id, target, reason.as_ref(), seen)
    });
    answer_with_etag(&state.await?)
}
