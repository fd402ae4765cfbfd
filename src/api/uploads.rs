//! `/uploads`: one file in several requests, as the IETF draft "Resumable Uploads for HTTP" shapes it
//! (`Upload-Offset`, `Upload-Complete`). What has arrived lies in the store's staging and is hashed already, so
//! finishing is as quick as for a small file. Uploads live as long as this process: after a restart the sender
//! begins anew, and the idempotency key keeps that from adding anything.

use super::auth::Caller;
use super::bodies::FileBytes;
use super::documents::{answer, receive};
use super::extract::{Id, Query, idempotency_key};
use super::fields::DocumentFacts;
use super::rows::Receipt;
use super::upload::{Piece, Sent, pipe, pump};
use super::{Api, Problem, digest_header};
use crate::archive::{Error, Permission};
use crate::domain::TenantSlug;
use crate::domain::codes::Rejection;
use crate::domain::event::Actor;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use uuid::Uuid;

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_LIMIT: HeaderName = HeaderName::from_static("upload-limit");

/// An upload that nobody has touched for so long is given up.
const IDLE: Duration = Duration::from_mins(15);
/// Most uploads remembered, finished ones included.
const REMEMBERED: usize = 1_000;

type Taken = Result<Receipt, (Rejection, Option<String>)>;

/// The uploads that have begun.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<Uuid, Arc<Upload>>>);

#[derive(Debug)]
struct Upload {
    tenant: TenantSlug,
    account: Actor,
    offset: AtomicU64,
    used: Mutex<Instant>,
    /// Held by the one request that sends.
    state: tokio::sync::Mutex<Sending>,
}

#[derive(Debug)]
struct Sending {
    pipe: Option<Sender<Piece>>,
    work: Option<JoinHandle<Result<Taken, Error>>>,
    /// How it ended, for whoever lost the answer.
    finished: Option<Result<Taken, Problem>>,
}

impl Uploads {
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Upload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upload, if it is the caller's.
    fn find(&self, id: Uuid, caller: &Caller) -> Result<Arc<Upload>, Problem> {
        let found = self.locked().get(&id).cloned();
        let own = found.filter(|upload| {
            upload.tenant == *caller.permit.tenant() && upload.account == caller.permit.context().actor
        });
        let upload = own.ok_or_else(|| Problem::missing("Diese Übertragung"))?;
        upload.touch();
        Ok(upload)
    }

    /// Forgets what nobody has touched for long; its staged bytes go with it.
    fn sweep(&self) {
        self.locked().retain(|_, upload| upload.idle() < IDLE);
    }

    /// Gives up everything: the server stops.
    pub(super) fn close(&self) {
        self.locked().clear();
    }
}

impl Upload {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn headers(&self, complete: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPLOAD_OFFSET, self.offset.load(Ordering::Acquire).into());
        headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static(if complete { "?1" } else { "?0" }));
        headers
    }
}

/// Eine Übertragung in Teilen beginnen
///
/// Angaben wie bei `POST /documents`. Danach werden die Teile mit `PATCH` an die Adresse in `Location` gesendet;
/// nach einem Abbruch nennt `HEAD`, wie viel angekommen ist.
#[utoipa::path(
    post, path = "/uploads", tag = "Übertragung in Teilen", operation_id = "beginUpload",
    params(
        DocumentFacts,
        ("Idempotency-Key" = Option<String>, Header, description = "Schlüssel, unter dem die Übertragung wiederholt werden darf"),
        ("Upload-Length" = Option<u64>, Header, description = "Angekündigte Länge"),
        ("Repr-Digest" = Option<String>, Header, description = "Angekündigte Prüfsumme: `sha-256=:…:`"),
    ),
    responses((status = 201, description = "Begonnen", headers(("Location" = String), ("Upload-Offset" = u64), ("Upload-Limit" = String))))
)]
pub(super) async fn begin(
    State(api): State<Api>,
    caller: Caller,
    Query(facts): Query<DocumentFacts>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Ingest)?;
    let mut announced = facts.parse(None, idempotency_key(&headers)?)?;
    let digest = digest_header::declared(&headers)?;
    announced.declared.sha256 = announced.declared.sha256.or(digest);
    announced.declared.size = announced.declared.size.or(number(&headers, &UPLOAD_LENGTH)?);
    let limit = caller.archive.settings().max_file_bytes;
    if let Some(size) = announced.declared.size.filter(|size| *size > limit) {
        return Err(Problem::rejected(Rejection::TooLarge, Some(format!("{size} Byte"))));
    }
    api.0.uploads.sweep();
    if api.0.uploads.locked().len() >= REMEMBERED {
        let detail = "Es laufen zu viele Übertragungen; bitte später noch einmal versuchen.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(60));
    }
    let room = api.0.pools.partial_uploads.room(api.0.limits.upload_patience).await?;
    let (pipe, mut reader) = pipe();
    let who = caller.clone();
    let work = room.run(move || receive(&who.archive, &who.permit, announced, &mut reader));
    let upload = Upload {
        tenant: caller.permit.tenant().clone(),
        account: caller.permit.context().actor,
        offset: AtomicU64::new(0),
        used: Mutex::new(Instant::now()),
        state: tokio::sync::Mutex::new(Sending {
            pipe: Some(pipe),
            work: Some(tokio::spawn(work.in_current_span())),
            finished: None,
        }),
    };
    let id = Uuid::new_v4();
    let mut headers = upload.headers(false);
    api.0.uploads.locked().insert(id, Arc::new(upload));
    tokio::spawn(forget(api.clone(), id));
    let limit = HeaderValue::try_from(format!("max-size={limit}")).expect("digits");
    headers.insert(UPLOAD_LIMIT, limit);
    let location = HeaderValue::try_from(format!("/api/v1/uploads/{id}")).expect("an id");
    headers.insert(header::LOCATION, location);
    Ok((StatusCode::CREATED, headers).into_response())
}

/// Waits until an upload has been idle for too long.
async fn forget(api: Api, id: Uuid) {
    let mut stopping = api.0.stopping.clone();
    loop {
        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(IDLE, stop).await.is_ok() {
            return;
        }
        api.0.uploads.sweep();
        if !api.0.uploads.locked().contains_key(&id) {
            return;
        }
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| Problem::malformed(format!("{name}: erwartet wird eine Zahl.")))
}

/// Nachsehen, wie viel angekommen ist
#[utoipa::path(
    head, path = "/uploads/{id}", tag = "Übertragung in Teilen", operation_id = "getUploadOffset",
    params(("id" = String, Path, description = "Kennung der Übertragung")),
    responses((status = 204, description = "Stand", headers(("Upload-Offset" = u64), ("Upload-Complete" = String))))
)]
pub(super) async fn offset(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<Uuid>,
) -> Result<Response, Problem> {
    let upload = api.0.uploads.find(id, &caller)?;
    let complete = upload.state.try_lock().is_ok_and(|state| state.finished.is_some());
    Ok((StatusCode::NO_CONTENT, upload.headers(complete)).into_response())
}

/// Einen Teil senden
///
/// `Upload-Offset` muss der Stand sein. Mit `Upload-Complete: ?1` ist es der letzte Teil (er darf leer sein), und die
/// Antwort ist die von `POST /documents`.
#[utoipa::path(
    patch, path = "/uploads/{id}", tag = "Übertragung in Teilen", operation_id = "sendPart",
    params(
        ("id" = String, Path, description = "Kennung der Übertragung"),
        ("Upload-Offset" = u64, Header, description = "Stelle, an der dieser Teil beginnt"),
        ("Upload-Complete" = String, Header, description = "`?1` beim letzten Teil, sonst `?0`"),
    ),
    request_body(content = FileBytes, content_type = "application/partial-upload"),
    responses(
        (status = 204, description = "Angekommen", headers(("Upload-Offset" = u64))),
        (status = 201, description = "Fertig: neues Dokument, dauerhaft gespeichert", body = Receipt),
        (status = 200, description = "Fertig: dieselben Bytes lagen schon in dieser Akte", body = Receipt),
        (status = 409, description = "Der Stand ist ein anderer; `Upload-Offset` nennt ihn", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn send(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<Uuid>,
    request: Request,
) -> Result<Response, Problem> {
    let upload = api.0.uploads.find(id, &caller)?;
    let from = number(request.headers(), &UPLOAD_OFFSET)?;
    let from = from.ok_or_else(|| Problem::malformed("Der Kopf Upload-Offset fehlt."))?;
    let last = match request.headers().get(&UPLOAD_COMPLETE).map(HeaderValue::as_bytes) {
        Some(b"?1") => true,
        Some(b"?0") | None => false,
        Some(_) => return Err(Problem::malformed("Upload-Complete: erwartet wird ?0 oder ?1.")),
    };
    let Ok(mut state) = upload.state.try_lock() else {
        let detail = "Ein anderer Teil wird gerade übertragen; bitte danach den Stand abfragen.";
        return Err(Problem::new(StatusCode::CONFLICT, detail).retry_after(5));
    };
    if let Some(finished) = &state.finished {
        return finished.clone().and_then(|taken| answer(&api, taken));
    }
    let at = upload.offset.load(Ordering::Acquire);
    if from != at {
        let detail = format!("Angekommen sind {at} Byte.");
        let problem = Problem::new(StatusCode::CONFLICT, detail).into_response();
        return Ok((upload.headers(false), problem).into_response());
    }
    let Some(pipe) = state.pipe.clone() else { return finish(&api, &mut state).await };
    let mut stream = request.into_body().into_data_stream();
    let sent = pump(&mut stream, &pipe, &api.0.limits, |size| {
        upload.offset.fetch_add(size, Ordering::AcqRel);
        upload.touch();
    });
    match sent.await {
        Sent::All if last => {
            // A reader that has left says why in its answer.
            let _ = pipe.send(Piece::End).await;
            state.pipe = None;
            finish(&api, &mut state).await
        }
        Sent::All => Ok((StatusCode::NO_CONTENT, upload.headers(false)).into_response()),
        Sent::NotWanted => {
            state.pipe = None;
            finish(&api, &mut state).await
        }
        Sent::TooSlow => Err(Problem::too_slow()),
        Sent::Broken => Err(Problem::malformed("Die Übertragung brach ab; der Stand kann abgefragt werden.")),
    }
}

async fn finish(api: &Api, state: &mut Sending) -> Result<Response, Problem> {
    let Some(work) = &mut state.work else { return Err(Problem::missing("Diese Übertragung")) };
    // Awaited in place: if the sender goes away now, the next request finds the work still here.
    let outcome = work.await.unwrap_or_else(|panic| {
        Err(Error {
            kind: crate::archive::Kind::Internal,
            public: "Im Programm ist ein Fehler aufgetreten.".to_owned(),
            source: Some(Box::new(panic)),
        })
    });
    state.work = None;
    let finished = outcome.map_err(Problem::from);
    state.finished = Some(finished.clone());
    finished.and_then(|taken| answer(api, taken))
}

/// Eine Übertragung aufgeben
#[utoipa::path(
    delete, path = "/uploads/{id}", tag = "Übertragung in Teilen", operation_id = "cancelUpload",
    params(("id" = String, Path, description = "Kennung der Übertragung")),
    responses((status = 204, description = "Aufgegeben; was angekommen war, ist gelöscht"))
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<Uuid>,
) -> Result<StatusCode, Problem> {
    api.0.uploads.find(id, &caller)?;
    api.0.uploads.locked().remove(&id);
    Ok(StatusCode::NO_CONTENT)
}
