//! `/documents`: single uploads, lists, lookups.

use super::auth::Caller;
use super::bodies::{DocumentForm, FileBytes};
use super::bulk::{Parts, is_multipart};
use super::extract::{Id, Json, Query, cursor, idempotency_key, limit};
use super::fields::{Announced, DocumentFacts, Target};
use super::rows::{Document, Finding, Page, Receipt, StoredEvent};
use super::upload::{drain, read_stream};
use super::{Api, Problem, digest_header};
use crate::archive::{Archive, DocumentState, Error, Kind, Permission, Permit};
use crate::domain::codes::Rejection;
use crate::domain::{CaseFileId, Digest, DocumentId};
use crate::ingest::{Accepted, FileStatus, Outcome};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::io::Read;
use std::sync::PoisonError;
use utoipa::IntoParams;

/// What an upload became: a receipt, or why it was not stored.
pub(super) type Taken = Result<Receipt, (Rejection, Option<String>)>;

/// Ein Dokument einliefern
///
/// Der Inhalt ist der Körper der Anfrage, die Angaben stehen in der Adresse; oder `multipart/form-data` mit einem
/// Teil `metadata` (JSON) und danach einem Teil `file`. Steht die Antwort 201 da, ist das Dokument dauerhaft
/// gespeichert. Nach 503 „Ausgang unbekannt“ ist eine Wiederholung mit demselben `Idempotency-Key` gefahrlos.
#[utoipa::path(
    post, path = "/documents", tag = "Dokumente", operation_id = "createDocument",
    params(
        DocumentFacts,
        ("Idempotency-Key" = Option<String>, Header, description = "Schlüssel, unter dem die Anfrage wiederholt werden darf"),
        ("Repr-Digest" = Option<String>, Header, description = "Angekündigte Prüfsumme: `sha-256=:…:` (auch `Content-Digest`)"),
        ("Content-Length" = Option<u64>, Header, description = "Angekündigte Länge"),
        ("Priority" = Option<String>, Header, description = "`u=0` bis `u=2` (RFC 9218): Jemand wartet darauf; das Dokument wird vor dem Rückstand gelesen"),
    ),
    request_body(content((FileBytes = "application/octet-stream"), (DocumentForm = "multipart/form-data"))),
    responses(
        (status = 201, description = "Neues Dokument, dauerhaft gespeichert", body = Receipt, headers(("Location" = String))),
        (status = 200, description = "Dieselben Bytes liegen schon in dieser Akte", body = Receipt, headers(("Location" = String))),
        (status = 409, description = "Der Schlüssel wurde für einen anderen Inhalt benutzt, oder die Akte ist geschlossen", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Nicht gespeichert; `reason` nennt den Grund", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Query(facts): Query<DocumentFacts>,
    request: Request,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Ingest)?;
    let key = idempotency_key(request.headers())?;
    let digest = digest_header::declared(request.headers())?;
    refuse_encodings(request.headers())?;
    let is_urgent = is_urgent(request.headers());
    if is_multipart(request.headers()) {
        if digest.is_some() {
            let detail = "Bei multipart/form-data steht die Prüfsumme der Datei in „metadata“ (sha256).";
            return Err(Problem::malformed(detail));
        }
        let mut parts = Parts::begin(&api, request)?;
        let part = parts.next_file().await?;
        let mut part = part.ok_or_else(|| Problem::malformed("Der Teil „file“ fehlt."))?;
        if let Some(wrong) = part.wrong.take() {
            return Err(wrong);
        }
        let facts = part.facts.take().unwrap_or(facts);
        let mut announced = facts.parse(part.name.as_deref(), key)?;
        announced.is_urgent = is_urgent;
        let (mut stream, afterwards) = parts.only(part);
        let taken = take(&api, &caller, announced, &mut stream).await;
        let noted = afterwards.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What came behind the file says more than that its bytes did not end well.
        return taken.map_err(|problem| noted.unwrap_or(problem));
    }
    let size = announced_size(request.headers());
    let limit = caller.archive.settings().max_file_bytes;
    if let Some(size) = size.filter(|size| *size > limit) {
        return Err(drain_rejected(request, size, limit).await);
    }
    let mut announced = facts.parse(None, key)?;
    announced.is_urgent = is_urgent;
    if digest.is_some_and(|digest| announced.declared.sha256.is_some_and(|known| known != digest)) {
        return Err(Problem::malformed("Die angekündigten Prüfsummen widersprechen sich."));
    }
    announced.declared.sha256 = announced.declared.sha256.or(digest);
    announced.declared.size = announced.declared.size.or(size);
    let mut stream = request.into_body().into_data_stream();
    take(&api, &caller, announced, &mut stream).await
}

/// Whether the sender waits for the result: an urgency above the usual one (RFC 9218).
fn is_urgent(headers: &HeaderMap) -> bool {
    let text = headers.get("priority").and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(',').any(|member| matches!(member.trim(), "u=0" | "u=1" | "u=2"))
}

/// The length that `Content-Length` announces.
pub(super) fn announced_size(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The problem of a body that is announced as too large.
pub(super) async fn drain_rejected(request: Request, size: u64, limit: u64) -> Problem {
    // Whoever waits for our word before sending is not asked for a body that nobody wants.
    if !request.headers().contains_key(header::EXPECT) {
        drain(&mut request.into_body().into_data_stream()).await;
    }
    Problem::rejected(Rejection::TooLarge, Some(format!("{size} Byte, erlaubt sind {limit}")))
}

/// Bytes are stored as they come: a packed body would be stored packed, which nobody wants.
pub(super) fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    match encoding {
        None | Some("identity") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Der Inhalt muss ohne Content-Encoding übertragen werden.",
        )),
    }
}

async fn take<S, E>(
    api: &Api,
    caller: &Caller,
    announced: Announced,
    stream: &mut S,
) -> Result<Response, Problem>
where
    S: futures_util::Stream<Item = Result<axum::body::Bytes, E>> + Unpin,
{
    let room = api.0.pools.uploads.room(api.0.limits.upload_patience).await?;
    let who = caller.clone();
    let taken =
        read_stream(api, room, stream, move |body| receive(&who.archive, &who.permit, announced, body));
    let taken = taken.await;
    let unread = match &taken {
        Ok(taken) => taken.is_err(),
        Err(problem) => !matches!(problem.status, 400 | 408),
    };
    if unread {
        drain(stream).await;
    }
    answer(api, taken?)
}

/// The answer to an upload that reached its end.
pub(super) fn answer(api: &Api, taken: Taken) -> Result<Response, Problem> {
    answer_at(api, taken, |receipt| format!("/api/v1/documents/{}", receipt.document_id))
}

/// The answer to an upload that reached its end; `location` says where its result is found.
pub(super) fn answer_at(
    api: &Api,
    taken: Taken,
    location: impl FnOnce(&Receipt) -> String,
) -> Result<Response, Problem> {
    let receipt = match taken {
        Ok(receipt) => receipt,
        Err((rejection, detail)) => {
            api.0.metrics.file("rejected", 0);
            return Err(Problem::rejected(rejection, detail));
        }
    };
    let is_new = receipt.status == "received";
    api.0.metrics.file(if is_new { "received" } else { "duplicate" }, receipt.bytes);
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location =
        HeaderValue::try_from(location(&receipt)).map_err(|error| Problem::malformed(error.to_string()))?;
    Ok((status, [(header::LOCATION, location)], axum::Json(receipt)).into_response())
}

/// Takes one announced file in, wherever its bytes come from.
pub(super) fn receive(
    archive: &Archive,
    permit: &Permit,
    mut announced: Announced,
    body: &mut dyn Read,
) -> Result<Taken, Error> {
    let target = match announced.resolve(archive, permit)? {
        Target::Inbox => None,
        Target::CaseFile(id) => Some(id),
        Target::Unknown => return Err(Error::missing("Die Akte")),
    };
    let Announced { arrival, declared, filing, .. } = &mut announced;
    let outcome = if let Some(batch) = arrival.batch {
        match archive.receive_in_batch(permit, batch, arrival, target, filing, body, declared)? {
            FileStatus::Received(accepted) => Outcome::Received(accepted),
            FileStatus::Duplicate(accepted) => Outcome::Duplicate(accepted),
            FileStatus::Rejected(rejection, detail) => Outcome::Rejected { rejection, size: None, detail },
            FileStatus::Failed(detail) => return Err(Error::new(Kind::Unavailable, detail)),
        }
    } else {
        if !filing.is_empty() {
            return Err(Error::new(Kind::Invalid, "„unfiled“ gibt es nur zusammen mit „batch“."));
        }
        archive.receive(permit, arrival, target, body, declared)?
    };
    let (status, accepted) = match outcome {
        Outcome::Rejected { rejection, detail, .. } => return Ok(Err((rejection, detail))),
        Outcome::Received(accepted) => ("received", accepted),
        Outcome::Duplicate(accepted) => ("duplicate", accepted),
    };
    if announced.is_urgent {
        archive.read_first(accepted.document);
    }
    let mut receipt = Receipt::accepted(status, &accepted);
    receipt.filing = announced.filing.iter().map(Finding::from).collect();
    prove(&mut receipt, archive, permit, &accepted);
    if status == "duplicate" {
        let place = if target.is_some() { "in dieser Akte" } else { "im Posteingang" };
        receipt.note = Some(format!("Dieselben Bytes lagen schon {place}; es wurde nichts hinzugefügt."));
    } else if permit.require(Permission::Read).is_ok()
        && let Ok(others) = archive.documents_by_digest(permit, &accepted.sha256)
    {
        let others = others.iter().filter(|other| other.id != accepted.document);
        receipt.same_bytes = others.take(10).map(|other| other.id.to_string()).collect();
        if !receipt.same_bytes.is_empty() {
            receipt.note = Some("Dieselben Bytes gibt es auch in anderen Dokumenten.".to_owned());
        }
    }
    Ok(Ok(receipt))
}

/// Adds to a receipt where its version stands in the journal.
pub(super) fn prove(receipt: &mut Receipt, archive: &Archive, permit: &Permit, accepted: &Accepted) {
    // From here on everything is safe: what cannot be told now must not look like a failure.
    if let Ok(views) = archive.receipts(permit, accepted.document)
        && let Some(view) = views.iter().find(|view| view.version == accepted.version)
    {
        receipt.leaf = Some(view.leaf().trim_end().to_owned());
        receipt.payload = Some(view.payload_name());
    }
}

/// Which documents are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DocumentFilter {
    /// Höchstzahl der Einträge, 1 bis 200; fehlt sie, 50.
    limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    cursor: Option<String>,
    /// Nur Dokumente dieser Akte (Kennung, Aktenzeichen oder altes Zeichen).
    case_file: Option<String>,
    /// `true`: nur Dokumente im Posteingang.
    inbox: Option<bool>,
    /// Nur Dokumente mit dieser SHA-256 (ohne Seiten).
    digest: Option<String>,
}

/// Dokumente auflisten
///
/// In der Reihenfolge ihres Eingangs; höchstens eines von `case_file`, `inbox` und `digest`.
#[utoipa::path(
    get, path = "/documents", tag = "Dokumente", operation_id = "listDocuments", params(DocumentFilter),
    responses((status = 200, description = "Ein Teil der Liste", body = Page<Document>))
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(filter): Query<DocumentFilter>,
) -> Result<Json<Page<Document>>, Problem> {
    let limit = limit(filter.limit)?;
    let from = cursor(filter.cursor.as_deref())?;
    let inbox = filter.inbox.unwrap_or(false);
    if usize::from(filter.case_file.is_some()) + usize::from(inbox) + usize::from(filter.digest.is_some()) > 1
    {
        return Err(Problem::malformed("Bitte nur eines von case_file, inbox und digest angeben."));
    }
    if let Some(digest) = filter.digest {
        let digest: Digest =
            digest.parse().map_err(|error| Problem::malformed(format!("digest: {error}")))?;
        let states = api.read(&caller, move |archive, permit| archive.documents_by_digest(permit, &digest));
        let items = states.await?.iter().map(Document::from).collect();
        return Ok(Json(Page { items, next: None }));
    }
    let page = api.read(&caller, move |archive, permit| match filter.case_file {
        Some(text) => {
            let id = archive.find_case_file(permit, &text)?.ok_or_else(|| Error::missing("Die Akte"))?;
            archive.documents_of(permit, Some(id), from.as_ref(), limit)
        }
        None if inbox => archive.documents_of(permit, None, from.as_ref(), limit),
        None => archive.documents(permit, from.as_ref(), limit),
    });
    Ok(Json(Page::of(page.await?, |state| Document::from(&state))))
}

/// Dokumente einer Akte auflisten
#[utoipa::path(
    get, path = "/case-files/{id}/documents", tag = "Akten", operation_id = "listCaseFileDocuments",
    params(("id" = String, Path, description = "Kennung der Akte"), super::extract::Paging),
    responses((status = 200, description = "Ein Teil der Liste", body = Page<Document>))
)]
pub(super) async fn list_of_case_file(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<CaseFileId>,
    Query(paging): Query<super::extract::Paging>,
) -> Result<Json<Page<Document>>, Problem> {
    let (limit, from) = paging.parse()?;
    let page = api
        .read(&caller, move |archive, permit| archive.documents_of(permit, Some(id), from.as_ref(), limit));
    Ok(Json(Page::of(page.await?, |state| Document::from(&state))))
}

/// Ein Dokument ansehen
#[utoipa::path(
    get, path = "/documents/{id}", tag = "Dokumente", operation_id = "getDocument",
    params(
        ("id" = String, Path, description = "Kennung"),
        ("If-None-Match" = Option<String>, Header, description = "ETag der vorigen Antwort"),
    ),
    responses(
        (status = 200, description = "Das Dokument", body = Document, headers(("ETag" = String))),
        (status = 304, description = "Unverändert"),
    )
)]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = api.read(&caller, move |archive, permit| archive.document(permit, id)).await?;
    let etag = etag(&state)?;
    if super::content::matches(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag), FRESH]).into_response());
    }
    answer_with_etag(&state)
}

const FRESH: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));

/// Names the state that is shown: the commit that changed the document last, and whether it is searchable.
fn etag(state: &DocumentState) -> Result<HeaderValue, Problem> {
    let text = format!("\"{}-{}\"", state.row.origin.seq, u8::from(state.searchable));
    HeaderValue::try_from(text).map_err(|error| Problem::malformed(error.to_string()))
}

/// A document with the tag of its state.
pub(super) fn answer_with_etag(state: &DocumentState) -> Result<Response, Problem> {
    Ok(([(header::ETAG, etag(state)?), FRESH], axum::Json(Document::from(state))).into_response())
}

/// The commit that `If-Match` names: the document must not have been changed since. Whether it has become searchable
/// does not count.
pub(super) fn seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let parts = tag.and_then(|tag| tag.split_once('-')).filter(|(_, flag)| matches!(*flag, "0" | "1"));
    let seq = parts.and_then(|(seq, _)| seq.parse().ok());
    seq.map(Some).ok_or_else(|| {
        Problem::malformed("If-Match: erwartet wird der ETag aus GET /documents/{id} (genau einer) oder *.")
    })
}

/// Ereignisse eines Dokuments auflisten
#[utoipa::path(
    get, path = "/documents/{id}/events", tag = "Dokumente", operation_id = "listDocumentEvents",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Alle Ereignisse, älteste zuerst", body = Page<StoredEvent>))
)]
pub(super) async fn events(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
) -> Result<Json<Page<StoredEvent>>, Problem> {
    let events = api.read(&caller, move |archive, permit| {
        archive.document(permit, id)?;
        archive.events(permit, id.into())
    });
    Ok(Json(Page { items: events.await?.iter().map(StoredEvent::from).collect(), next: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn if_match_names_a_commit_and_nothing_else_passes() {
        let seen = |value| seen(&with("if-match", value)).ok();
        assert_eq!(super::seen(&HeaderMap::new()).unwrap(), None);
        for (value, expected) in [
            ("\"12-0\"", Some(Some(12))),
            (" \"12-1\" ", Some(Some(12))),
            ("*", Some(None)),
            ("\"12-2\"", None),
            ("\"12\"", None),
            ("12-0", None),
            ("W/\"12-0\"", None),
            ("\"12-0\", \"13-0\"", None),
            ("", None),
        ] {
            assert_eq!(seen(value), expected, "{value}");
        }
    }

    #[test]
    fn only_an_urgency_above_the_usual_is_urgent() {
        for (value, expected) in
            [("u=1", true), ("i, u=0", true), ("u=3", false), ("u=7", false), ("i", false)]
        {
            assert_eq!(is_urgent(&with("priority", value)), expected, "{value}");
        }
        assert!(!is_urgent(&HeaderMap::new()));
    }
}
