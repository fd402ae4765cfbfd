//! `/documents/{id}/versions`: what a document was and what it has become.

use super::auth::Caller;
use super::bodies::FileBytes;
use super::documents::{Taken, announced_size, answer_at, drain_rejected, prove, refuse_encodings, seen};
use super::extract::{Id, Query, idempotency_key};
use super::fields::Fields;
use super::rows::{Page, Receipt, Version, VersionFacts};
use super::upload::{drain, read_stream};
use super::{Api, Problem, digest_header};
use crate::archive::{Archive, Error, Permission, Permit};
use crate::domain::{Digest, DocumentId};
use crate::ingest::{Declared, NewVersion, Outcome};
use axum::extract::{Request, State};
use axum::response::Response;
use std::io::Read;

/// Versionen eines Dokuments auflisten
#[utoipa::path(
    get, path = "/documents/{id}/versions", tag = "Dokumente", operation_id = "listVersions",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Alle Versionen, älteste zuerst", body = Page<Version>))
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
) -> Result<axum::Json<Page<Version>>, Problem> {
    let state = api.read(&caller, move |archive, permit| archive.document(permit, id)).await?;
    Ok(axum::Json(Page { items: state.row.versions.iter().map(Version::from).collect(), next: None }))
}

/// Eine Version hinzufügen
///
/// Der Inhalt ist der Körper der Anfrage. Frühere Versionen bleiben lesbar (`content?version=1`); die neue wird ihrerseits
/// gelesen. `follows` (oder `If-Match`) sorgt dafür, dass keine Version übersehen wird, die inzwischen hinzukam. Steht die
/// Antwort 201 da, ist die Version dauerhaft gespeichert; eine Wiederholung mit demselben `Idempotency-Key` ist gefahrlos.
#[utoipa::path(
    post, path = "/documents/{id}/versions", tag = "Dokumente", operation_id = "addVersion",
    params(
        ("id" = String, Path, description = "Kennung"),
        VersionFacts,
        ("If-Match" = Option<String>, Header, description = "ETag des Dokuments, wie es gesehen wurde"),
        ("Idempotency-Key" = Option<String>, Header, description = "Schlüssel, unter dem die Anfrage wiederholt werden darf"),
        ("Repr-Digest" = Option<String>, Header, description = "Angekündigte Prüfsumme: `sha-256=:…:` (auch `Content-Digest`)"),
        ("Content-Length" = Option<u64>, Header, description = "Angekündigte Länge"),
    ),
    request_body(content = FileBytes, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "Neue Version, dauerhaft gespeichert", body = Receipt, headers(("Location" = String))),
        (status = 200, description = "Die aktuelle Version hat diese Bytes schon", body = Receipt, headers(("Location" = String))),
        (status = 409, description = "Eine andere Version kam dazwischen, der Schlüssel wurde für einen anderen Inhalt benutzt, oder die Akte ist geschlossen", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Das Dokument ist nicht mehr das aus `If-Match`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Nicht gespeichert; `reason` nennt den Grund", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
    Query(facts): Query<VersionFacts>,
    request: Request,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Ingest)?;
    // What does not exist is missing, whatever else is wrong.
    api.read(&caller, move |archive, permit| archive.document(permit, id)).await?;
    let headers = request.headers();
    let (seen, key) = (seen(headers)?, idempotency_key(headers)?);
    let digest = digest_header::declared(headers)?;
    refuse_encodings(headers)?;
    let mut fields = Fields::default();
    let sha256 = fields.optional::<Digest>("sha256", facts.sha256.as_ref());
    fields.finish()?;
    if digest.is_some_and(|digest| sha256.is_some_and(|known| known != digest)) {
        return Err(Problem::malformed("Die angekündigten Prüfsummen widersprechen sich."));
    }
    let size = announced_size(headers);
    let limit = caller.archive.settings().max_file_bytes;
    if let Some(size) = size.filter(|size| *size > limit) {
        return Err(drain_rejected(request, size, limit).await);
    }
    let declared = Declared { sha256: sha256.or(digest), size: facts.bytes.or(size) };
    let new = NewVersion {
        source_name: facts.name.unwrap_or_else(|| "ohne Namen".to_owned()),
        follows: facts.follows,
        seen,
        idempotency_key: key,
    };
    let room = api.0.pools.uploads.room(api.0.limits.upload_patience).await?;
    let mut stream = request.into_body().into_data_stream();
    let who = caller.clone();
    let work = move |body: &mut dyn Read| take(&who.archive, &who.permit, id, &new, body, &declared);
    let taken = read_stream(&api, room, &mut stream, work).await;
    if !matches!(&taken, Ok(Ok(_))) {
        drain(&mut stream).await;
    }
    answer_at(&api, taken?, |receipt| format!("/api/v1/documents/{id}/content?version={}", receipt.version))
}

fn take(
    archive: &Archive,
    permit: &Permit,
    id: DocumentId,
    new: &NewVersion,
    body: &mut dyn Read,
    declared: &Declared,
) -> Result<Taken, Error> {
    let (status, accepted) = match archive.add_version(permit, id, new, body, declared)? {
        Outcome::Rejected { rejection, detail, .. } => return Ok(Err((rejection, detail))),
        Outcome::Received(accepted) => ("received", accepted),
        Outcome::Duplicate(accepted) => ("duplicate", accepted),
    };
    let mut receipt = Receipt::accepted(status, &accepted);
    prove(&mut receipt, archive, permit, &accepted);
    if status == "duplicate" {
        let number = accepted.version;
        receipt.note = Some(format!("Version {number} hat diese Bytes schon; es wurde nichts hinzugefügt."));
    }
    Ok(Ok(receipt))
}
