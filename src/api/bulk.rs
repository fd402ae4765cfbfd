//! Multipart bodies: many files in one request, streamed one after another.

use super::auth::Caller;
use super::bodies::BatchForm;
use super::extract::{Id, Json, json};
use super::fields::{Announced, DocumentFacts, Target};
use super::rows::{BulkAnswer, BulkLine};
use super::upload::{Paced, read_stream};
use super::{Api, Limits, Problem};
use crate::archive::{Archive, Error, Kind, Permission, Permit};
use crate::domain::BatchId;
use crate::domain::finding::{Finding, FindingCode};
use crate::domain::text::source_name;
use crate::ingest::{Accepted, FileStatus};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _};
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Largest `metadata` part.
const MAX_FACTS_BYTES: usize = 64 * 1024;

/// What a body of parts looks like.
const ORDER: &str = "Zu jeder Datei gehört ein Teil „file“ mit ihrem Inhalt; Angaben zu ihr stehen als JSON in einem Teil \
                     „metadata“ unmittelbar davor (er kann fehlen).";

/// Whether a body comes in parts.
pub(super) fn is_multipart(headers: &HeaderMap) -> bool {
    content_type(headers)
        .trim_start()
        .get(..19)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The files of a multipart body, one after another.
pub(super) struct Parts {
    multipart: multer::Multipart<'static>,
    unread: Arc<AtomicUsize>,
    limits: Limits,
}

/// One file of a multipart body. It is a stream of its bytes.
pub(super) struct FilePart {
    /// What the transfer calls the file.
    pub(super) name: Option<String>,
    /// What the part before it said.
    pub(super) facts: Option<DocumentFacts>,
    /// What was wrong with that.
    pub(super) wrong: Option<Problem>,
    field: multer::Field<'static>,
    unread: Arc<AtomicUsize>,
}

impl Stream for FilePart {
    type Item = Result<Bytes, multer::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.field).poll_next(context);
        if polled.is_ready() {
            self.unread.store(0, Ordering::Relaxed);
        }
        polled
    }
}

/// What was wrong behind the last file.
pub(super) type Afterwards = Arc<Mutex<Option<Problem>>>;

fn broken(_: multer::Error) -> Problem {
    Problem::malformed("Die Teile der Übertragung sind nicht verständlich, oder die Übertragung brach ab.")
}

impl Parts {
    /// Begins to read a body.
    pub(super) fn begin(api: &Api, request: Request) -> Result<Self, Problem> {
        let boundary = multer::parse_boundary(content_type(request.headers()));
        let boundary = boundary.map_err(|_| {
            let detail = "Erwartet wird multipart/form-data mit einer Trennmarke (boundary).";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
        })?;
        let (paced, unread) = Paced::new(request.into_body().into_data_stream());
        let limits = api.0.limits.clone();
        Ok(Self { multipart: multer::Multipart::new(paced, boundary), unread, limits })
    }

    async fn next(&mut self) -> Result<Option<multer::Field<'static>>, Problem> {
        let next = tokio::time::timeout(self.limits.idle, self.multipart.next_field()).await;
        self.unread.store(0, Ordering::Relaxed);
        next.map_err(|_| Problem::too_slow())?.map_err(broken)
    }

    /// The next file, with what the part before it said about it.
    pub(super) async fn next_file(&mut self) -> Result<Option<FilePart>, Problem> {
        let (mut facts, mut wrong) = (None, None);
        while let Some(field) = self.next().await? {
            match field.name() {
                Some("metadata") if facts.is_none() && wrong.is_none() => {
                    match json::<DocumentFacts>(&self.small(field).await?) {
                        Ok(read) => facts = Some(read),
                        Err(problem) => wrong = Some(problem),
                    }
                }
                Some("file" | "files" | "files[]") => {
                    let name = field.file_name().map(str::to_owned);
                    return Ok(Some(FilePart { name, facts, wrong, field, unread: self.unread.clone() }));
                }
                Some("metadata") => {
                    let detail = format!("Zwei Teile „metadata“ stehen hintereinander. {ORDER}");
                    return Err(Problem::malformed(detail));
                }
                name => {
                    let name = source_name(name.unwrap_or_default());
                    let detail = format!("Der Teil „{name}“ gehört nicht hierher. {ORDER}");
                    return Err(Problem::malformed(detail));
                }
            }
        }
        if facts.is_some() || wrong.is_some() {
            let detail = format!("Nach dem Teil „metadata“ kam keine Datei mehr. {ORDER}");
            return Err(Problem::malformed(detail));
        }
        Ok(None)
    }

    /// The bytes of a file that must be the last part: they end well only if nothing follows. What followed is noted in
    /// the second place, for the answer.
    pub(super) fn only(
        mut self,
        part: FilePart,
    ) -> (impl Stream<Item = io::Result<Bytes>> + Unpin, Afterwards) {
        let afterwards = Afterwards::default();
        let noted = afterwards.clone();
        let end = async move {
            let problem = match self.next_file().await {
                Ok(None) => return None,
                Ok(Some(_)) => Problem::malformed(format!(
                    "Hier kommt genau eine Datei an; viele auf einmal nimmt POST /batches/{{id}}/files. {ORDER}"
                )),
                Err(problem) => problem,
            };
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
            Some(Err(io::ErrorKind::InvalidData.into()))
        };
        let end = futures_util::stream::once(end).filter_map(std::future::ready);
        (Box::pin(part.map(|chunk| chunk.map_err(io::Error::other)).chain(end)), afterwards)
    }

    async fn small(&self, mut field: multer::Field<'static>) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        loop {
            let chunk = tokio::time::timeout(self.limits.idle, field.chunk()).await;
            self.unread.store(0, Ordering::Relaxed);
            let Some(chunk) = chunk.map_err(|_| Problem::too_slow())?.map_err(broken)? else {
                return Ok(bytes);
            };
            if bytes.len() + chunk.len() > MAX_FACTS_BYTES {
                let detail = format!("„metadata“ ist größer als {MAX_FACTS_BYTES} Byte.");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

/// Viele Dateien in eine Charge einliefern
///
/// `multipart/form-data`: je Datei ein Teil `file` (sein Dateiname ist der Pfad in der Quelle), davor wahlweise ein
/// Teil `metadata` mit JSON. Jede Datei steht für sich: sie ist gespeichert oder abgelehnt und hat ihre Zeile in der
/// Charge, auch wenn eine spätere scheitert. 207, wenn einzelne Dateien noch einmal zu senden sind (`failed`); eine
/// Wiederholung fügt nichts doppelt hinzu.
#[utoipa::path(
    post, path = "/batches/{id}/files", tag = "Chargen", operation_id = "uploadFiles",
    params(("id" = String, Path, description = "Kennung der Charge")),
    request_body(content = BatchForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "Jede Datei hat ihre Zeile", body = BulkAnswer),
        (status = 207, description = "Einzelne Dateien sind noch einmal zu senden", body = BulkAnswer),
    )
)]
pub(super) async fn upload(
    State(api): State<Api>,
    caller: Caller,
    Id(batch): Id<BatchId>,
    request: Request,
) -> Result<Response, Problem> {
    let open = api.read(&caller, move |archive, permit| {
        permit.require(Permission::Ingest)?;
        let row = archive.batch(permit, batch)?;
        if row.closed.is_some() {
            return Err(Error::new(Kind::Conflict, "Die Charge ist abgeschlossen."));
        }
        Ok(())
    });
    open.await?;
    let mut parts = Parts::begin(&api, request)?;
    let mut answer = BulkAnswer::default();
    loop {
        let next = parts.next_file().await;
        let mut part = match next {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(problem) => return Err(after(problem, &answer)),
        };
        if answer.files.len() >= api.0.limits.files {
            let detail = format!("Mehr als {} Dateien in einer Übertragung.", api.0.limits.files);
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
            return Err(after(problem, &answer));
        }
        let line = take(&api, &caller, batch, &mut part).await;
        count(&api, &mut answer, line);
    }
    if answer.files.is_empty() {
        return Err(Problem::malformed("Die Übertragung enthält keine Datei."));
    }
    let status = if answer.summary.failed > 0 { StatusCode::MULTI_STATUS } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

/// A problem in the middle: what came before it stands.
fn after(problem: Problem, answer: &BulkAnswer) -> Problem {
    let detail = format!(
        "{} Bis dahin sind {} Dateien erledigt; die Übertragung kann gefahrlos wiederholt werden.",
        problem.detail,
        answer.files.len()
    );
    Problem { detail, ..problem }
}

fn count(api: &Api, answer: &mut BulkAnswer, line: BulkLine) {
    let summary = &mut answer.summary;
    summary.files += 1;
    let (counter, outcome) = match line.status.as_str() {
        "received" => (&mut summary.received, "received"),
        "duplicate" => (&mut summary.duplicate, "duplicate"),
        "rejected" => (&mut summary.rejected, "rejected"),
        _ => (&mut summary.failed, "failed"),
    };
    *counter += 1;
    api.0.metrics.file(outcome, line.bytes.unwrap_or(0));
    answer.files.push(line);
}

async fn take(api: &Api, caller: &Caller, batch: BatchId, part: &mut FilePart) -> BulkLine {
    let name = part.name.clone();
    let facts = part.facts.take().unwrap_or_default();
    let path = facts.path.clone().or_else(|| name.clone()).or_else(|| facts.name.clone());
    let path = source_name(path.as_deref().unwrap_or("ohne Namen"));
    let failed = |problem: Problem| BulkLine {
        path: path.clone(),
        status: "failed".to_owned(),
        reason: Some(problem.kind.trim_start_matches("/problems/").to_owned()),
        detail: Some(problem.detail),
        ..BulkLine::default()
    };
    let parsed = part.wrong.take().map_or_else(|| facts.parse(last_name(name.as_deref()), None), Err);
    let mut announced = match parsed {
        Ok(announced) => announced,
        Err(problem) => {
            skip(api, part).await;
            return failed(problem);
        }
    };
    announced.arrival.source_path = Some(path.clone());
    let who = caller.clone();
    let room = api.0.pools.uploads.room(api.0.limits.idle).await;
    let taken = match room {
        Ok(room) => {
            read_stream(api, room, part, move |body| {
                receive(&who.archive, &who.permit, batch, announced, body)
            })
            .await
        }
        Err(error) => Err(error.into()),
    };
    skip(api, part).await;
    match taken {
        Ok(status) => line(path, status),
        Err(problem) => failed(problem),
    }
}

/// Reads a file's part to its end, so that the next one can follow.
async fn skip(api: &Api, part: &mut FilePart) {
    while let Ok(Some(Ok(_))) = tokio::time::timeout(api.0.limits.idle, part.next()).await {}
}

/// The last part of a path: what the file itself is called.
fn last_name(path: Option<&str>) -> Option<&str> {
    path.map(|path| path.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or(path))
}

fn receive(
    archive: &Archive,
    permit: &Permit,
    batch: BatchId,
    mut announced: Announced,
    body: &mut dyn Read,
) -> Result<FileStatus, Error> {
    // As in a run: a case file that there is none of sends the document to the inbox, with a finding.
    let target = match announced.resolve(archive, permit)? {
        Target::Inbox => None,
        Target::CaseFile(id) => Some(id),
        Target::Unknown => {
            announced.filing.push(Finding { code: FindingCode::Unfiled, page: None, detail: None });
            None
        }
    };
    let Announced { arrival, declared, filing, .. } = &mut announced;
    archive.receive_in_batch(permit, batch, arrival, target, filing, body, declared)
}

fn line(path: String, status: FileStatus) -> BulkLine {
    let accepted = |word: &str, accepted: &Accepted| BulkLine {
        path: path.clone(),
        status: word.to_owned(),
        document_id: Some(accepted.document.to_string()),
        sha256: Some(accepted.sha256.to_string()),
        bytes: Some(accepted.size),
        position: Some(accepted.position),
        ..BulkLine::default()
    };
    match status {
        FileStatus::Received(ref file) => accepted("received", file),
        FileStatus::Duplicate(ref file) => accepted("duplicate", file),
        FileStatus::Rejected(rejection, detail) => BulkLine {
            status: "rejected".to_owned(),
            reason: Some(rejection.word().to_owned()),
            detail: Some(detail.unwrap_or_else(|| rejection.sentence().to_owned())),
            path,
            ..BulkLine::default()
        },
        FileStatus::Failed(detail) => {
            BulkLine { status: "failed".to_owned(), detail: Some(detail), path, ..BulkLine::default() }
        }
    }
}
