//! Bytes of documents: originals and renditions, whole or in part.

use super::auth::Caller;
use super::bodies::FileBytes;
use super::extract::{Id, Query, Second};
use super::range::{self, Wanted};
use super::{Api, Problem, digest_header};
use crate::archive::{Content, DocumentState, Error, Kind, Permission};
use crate::domain::digest::Hasher;
use crate::domain::{Digest, DocumentId, ObjectRef};
use crate::store::Body as StoreBody;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::{self, Read as _};
use utoipa::IntoParams;

/// Bytes read at once.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Which bytes of a document.
#[derive(Clone, Debug)]
enum Which {
    Original(Option<u32>),
    Rendition(String),
}

/// Which version is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionWanted {
    /// Nummer der Version; fehlt sie, die aktuelle.
    version: Option<u32>,
}

/// Den Inhalt eines Dokuments herunterladen
///
/// Genau die Bytes, die ankamen. `Repr-Digest` und `ETag` nennen ihre SHA-256; `Range` (ein Bereich),
/// `If-Range`, `If-None-Match` und `HEAD` werden verstanden. Passt der Inhalt nicht zu seiner Prüfsumme, bricht die
/// Übertragung ab.
#[utoipa::path(
    get, path = "/documents/{id}/content", tag = "Dokumente", operation_id = "getContent",
    params(
        ("id" = String, Path, description = "Kennung"), VersionWanted,
        ("Range" = Option<String>, Header, description = "Ein Bereich: `bytes=0-1023`"),
        ("If-Range" = Option<String>, Header), ("If-None-Match" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "Der ganze Inhalt", body = FileBytes, content_type = "application/octet-stream",
         headers(("ETag" = String), ("Repr-Digest" = String), ("Content-Disposition" = String))),
        (status = 206, description = "Der Bereich", body = FileBytes, content_type = "application/octet-stream", headers(("Content-Range" = String))),
        (status = 304, description = "Unverändert"),
    )
)]
pub(super) async fn original(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
    Query(wanted): Query<VersionWanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    send(&api, &caller, id, Which::Original(wanted.version), &headers).await
}

/// Eine Darstellung herunterladen
///
/// `text`: die Texte der Seiten (JSON, `schema/text.schema.json`); `pdf`: durchsuchbares PDF (von Scans
/// ein PDF/A-2u).
#[utoipa::path(
    get, path = "/documents/{id}/renditions/{name}", tag = "Dokumente", operation_id = "getRendition",
    params(("id" = String, Path, description = "Kennung"), ("name" = String, Path, description = "`text` oder `pdf`")),
    responses(
        (status = 200, description = "Die Darstellung", body = FileBytes, content_type = "application/octet-stream"),
        (status = 206, description = "Der Bereich", body = FileBytes, content_type = "application/octet-stream"),
        (status = 304, description = "Unverändert"),
    )
)]
pub(super) async fn rendition(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<DocumentId>,
    Second(name): Second,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    send(&api, &caller, id, Which::Rendition(name), &headers).await
}

/// The object that is asked for, without opening it.
fn find(state: &DocumentState, which: &Which) -> Result<ObjectRef, Error> {
    match which {
        Which::Original(None) => state.row.versions.last().map(|version| version.original.clone()),
        Which::Original(Some(number)) => {
            let found = state.row.versions.iter().find(|version| version.number == *number);
            found.map(|version| version.original.clone())
        }
        Which::Rendition(name) => state.row.reading.as_ref().and_then(|reading| {
            let wanted = match name.as_str() {
                "text" => reading.data.text,
                "pdf" => reading.data.pdf,
                _ => None,
            }?;
            reading.renditions.iter().find(|object| object.sha256 == wanted).cloned()
        }),
    }
    .ok_or_else(|| {
        Error::missing(if matches!(which, Which::Original(_)) { "Die Version" } else { "Die Darstellung" })
    })
}

async fn send(
    api: &Api,
    caller: &Caller,
    id: DocumentId,
    which: Which,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let asked = which.clone();
    let object = api.read(caller, move |archive, permit| {
        permit.require(Permission::Read)?;
        find(&archive.document(permit, id)?, &asked)
    });
    let object = object.await?;
    let etag = HeaderValue::try_from(format!("\"{}\"", object.sha256)).expect("hexadecimal digits");
    let mut always = HeaderMap::new();
    always.insert(header::ETAG, etag.clone());
    always.insert(HeaderName::from_static("repr-digest"), digest_header::value(&object.sha256));
    always.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    always.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if matches(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, always).into_response());
    }
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // A part of other bytes than the caller has is of no use: then everything is sent.
    let same = headers.get(header::IF_RANGE).is_none_or(|known| *known == etag);
    let range = match range::parse(asked.filter(|_| same), object.size) {
        Wanted::All => None,
        Wanted::Part(range) => Some(range),
        Wanted::Unsatisfiable => {
            let detail = format!("Der Inhalt hat {} Byte.", object.size);
            let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, detail).into_response();
            let all = HeaderValue::try_from(format!("bytes */{}", object.size)).expect("digits");
            response.headers_mut().insert(header::CONTENT_RANGE, all);
            return Ok(response);
        }
    };
    let wanted = range.clone();
    let content = api.read(caller, move |archive, permit| match which {
        Which::Original(version) => archive.original(permit, id, version, wanted),
        Which::Rendition(name) => archive.rendition(permit, id, &name, wanted),
    });
    let content = content.await?;
    if content.object.sha256 != object.sha256 {
        let detail = "Das Dokument wurde gerade geändert; bitte noch einmal abrufen.";
        return Err(Error::new(Kind::Unavailable, detail).into());
    }
    Ok(respond(api, content, always, range.is_some()))
}

fn respond(api: &Api, content: Content, mut headers: HeaderMap, partial: bool) -> Response {
    let length = content.range.end - content.range.start;
    let kind = HeaderValue::try_from(&content.media_type);
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(unknown));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::CONTENT_DISPOSITION, disposition(&content.file_name));
    // Whatever the bytes are, a browser neither guesses nor runs them.
    let sandbox = HeaderValue::from_static("sandbox; default-src 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, sandbox);
    let mut status = StatusCode::OK;
    if partial {
        status = StatusCode::PARTIAL_CONTENT;
        let (first, last) = (content.range.start, content.range.end.saturating_sub(1));
        let part = HeaderValue::try_from(format!("bytes {first}-{last}/{}", content.object.size));
        headers.insert(header::CONTENT_RANGE, part.expect("digits"));
    }
    let expected = (!partial).then_some(content.object.sha256);
    (status, headers, stream(api, content.body, length, expected)).into_response()
}

struct Sending {
    body: StoreBody,
    left: u64,
    hasher: Option<(Hasher, Digest)>,
}

/// Reads the next piece of a body, and compares the digest before the last one goes out.
fn next(mut sending: Sending) -> Result<(Bytes, Sending), Error> {
    let size = usize::try_from(sending.left.min(CHUNK_BYTES)).unwrap_or(0);
    let mut chunk = vec![0; size];
    let damaged = |error| Error::from_cause(Kind::Damaged, error);
    sending.body.read_exact(&mut chunk).map_err(damaged)?;
    sending.left -= size as u64;
    if let Some((mut hasher, expected)) = sending.hasher.take() {
        hasher.update(&chunk);
        if sending.left > 0 {
            sending.hasher = Some((hasher, expected));
        } else if hasher.finish() != expected {
            let text = "the object's bytes are not those of its digest";
            return Err(damaged(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
    }
    Ok((chunk.into(), sending))
}

fn stream(api: &Api, body: StoreBody, left: u64, expected: Option<Digest>) -> Body {
    let hasher = expected.map(|expected| (Hasher::new(), expected));
    let api = api.clone();
    let chunks = futures_util::stream::try_unfold(Sending { body, left, hasher }, move |sending| {
        let api = api.clone();
        async move {
            if sending.left == 0 {
                return Ok(None);
            }
            let read = api.0.pools.reads.run(move || next(sending)).await;
            match read {
                Ok((chunk, sending)) => {
                    api.0.metrics.sent(chunk.len() as u64);
                    Ok(Some((chunk, sending)))
                }
                Err(error) => {
                    tracing::error!(%error, "a download was broken off");
                    Err(io::Error::other(error))
                }
            }
        }
    });
    Body::from_stream(chunks)
}

/// Whether `If-None-Match` names this entity.
pub(super) fn matches(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
}

/// Under which name the bytes are saved (RFC 6266): always as a file, never shown.
fn disposition(name: &str) -> HeaderValue {
    let safe: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '"' | '<' | '>' | '|' | '*' | '?' => '_',
            c if c.is_control() || ('\u{2400}'..='\u{2424}').contains(&c) => '_',
            c => c,
        })
        .collect();
    let safe = shorten(safe.trim_start_matches('.').trim());
    let plain: String = safe.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in safe.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

/// At most 120 characters, the ending kept: file systems take 255 bytes.
fn shorten(name: &str) -> String {
    const MOST: usize = 120;
    if name.is_empty() {
        return "dokument".to_owned();
    }
    let count = name.chars().count();
    if count <= MOST {
        return name.to_owned();
    }
    let ending =
        name.rsplit_once('.').map(|(_, ending)| ending).filter(|ending| ending.chars().count() <= 10);
    let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
    let head: String = name.chars().take(MOST - ending.chars().count()).collect();
    head + &ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_can_break_neither_header_nor_folder() {
        for (name, expected) in [
            ("Brief.pdf", "attachment; filename=\"Brief.pdf\"; filename*=UTF-8''Brief.pdf"),
            ("Bäume 1.pdf", "attachment; filename=\"B_ume 1.pdf\"; filename*=UTF-8''B%C3%A4ume%201.pdf"),
            ("../../etc/passwd", "attachment; filename=\"_.._etc_passwd\"; filename*=UTF-8''_.._etc_passwd"),
            ("a\"\r\nX: 1", "attachment; filename=\"a___X_ 1\"; filename*=UTF-8''a___X_%201"),
            ("a␊b", "attachment; filename=\"a_b\"; filename*=UTF-8''a_b"),
            ("", "attachment; filename=\"dokument\"; filename*=UTF-8''dokument"),
        ] {
            assert_eq!(disposition(name).to_str().unwrap(), expected, "{name:?}");
        }
        let long = disposition(&format!("{}.pdf", "x".repeat(10_000)));
        assert!(long.to_str().unwrap().len() < 300);
        assert!(long.to_str().unwrap().contains("x.pdf\"; "));
    }

    #[test]
    fn an_etag_is_found_in_a_list() {
        let etag = HeaderValue::from_static("\"abc\"");
        for (text, expected) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("\"abcd\"", false),
            ("abc", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, text.parse().unwrap());
            assert_eq!(matches(&headers, &etag), expected, "{text}");
        }
    }
}
