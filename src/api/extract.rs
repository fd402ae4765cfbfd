//! Parts of a request, parsed; what cannot be understood becomes a problem in German.

use super::{Api, Problem};
use crate::catalogue::Cursor;
use crate::wording;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// The id in the path. What is no id names nothing that exists.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let first = params.ok().and_then(|params| params.iter().next().map(|(_, value)| value.to_owned()));
        let id = first.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::missing("Diese Kennung"))
    }
}

/// The second part of the path that varies.
pub(super) struct Second(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Second {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let second = params.ok().and_then(|params| params.iter().nth(1).map(|(_, value)| value.to_owned()));
        second.map(Self).ok_or_else(|| Problem::missing("Diese Adresse"))
    }
}

/// The query.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        const PREFIX: &str = "Failed to deserialize query string: ";
        let limit = api.0.limits.query_bytes;
        if parts.uri.query().is_some_and(|query| query.len() > limit) {
            let detail = format!("Die Angaben in der Adresse sind länger als {limit} Byte.");
            return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
        }
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            let said = error.body_text();
            let said = said.strip_prefix(PREFIX).unwrap_or(&said);
            // What is wrong with one parameter begins with its name.
            let told = match said.split_once(": ") {
                Some((name, said)) if !name.contains(' ') => format!("{name}: {}", wording::value(said)),
                _ => wording::value(said),
            };
            Problem::malformed(format!("Die Angaben in der Adresse sind nicht verständlich: {told}."))
        })
    }
}

/// A JSON body, read within the limits of size and time.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Erwartet wird ein JSON-Objekt (Content-Type: application/json).";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = small_body(request, api).await?;
        json(&bytes).map(Self)
    }
}

impl<T: serde::Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Höchstzahl der Einträge, 1 bis 200; fehlt sie, 50.
    pub(super) limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    pub(super) cursor: Option<String>,
}

/// A list's limit within its bounds.
pub(super) fn limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Problem::malformed("limit: erwartet wird eine Zahl von 1 bis 200.")),
    }
}

/// Where a list goes on.
pub(super) fn cursor(cursor: Option<&str>) -> Result<Option<Cursor>, Problem> {
    let parsed = cursor.map(str::parse::<Cursor>).transpose();
    parsed.map_err(|error| Problem::malformed(error.to_string()))
}

impl Paging {
    /// Both, parsed.
    pub(super) fn parse(&self) -> Result<(usize, Option<Cursor>), Problem> {
        Ok((limit(self.limit)?, cursor(self.cursor.as_deref())?))
    }
}

/// A JSON body that may be missing.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let declared = is_json(request.headers());
        let bytes = small_body(request, api).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false if declared => json(&bytes).map(Self),
            false => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Erwartet wird ein JSON-Objekt.")),
        }
    }
}

/// Reads JSON strictly.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::malformed(format!("Das JSON ist nicht verständlich: {}.", wording::json(&error)))
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn small_body(request: Request, api: &Api) -> Result<Vec<u8>, Problem> {
    let limits = &api.0.limits;
    let read = async {
        let mut stream = request.into_body().into_data_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Problem::malformed("Die Übertragung brach ab."))?;
            if bytes.len() + chunk.len() > limits.json_bytes {
                let detail = format!("Die Angaben sind größer als {} Byte.", limits.json_bytes);
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    tokio::time::timeout(limits.grace, read).await.unwrap_or_else(|_| Err(Problem::too_slow()))
}

/// A key under which a request may be repeated: 1 to 200 visible ASCII characters.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    // The draft writes a structured string, most clients a bare word: both are taken.
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let fits = (1..=200).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(Some(bare.to_owned()))
    } else {
        Err(Problem::malformed("Idempotency-Key: erwartet werden 1 bis 200 sichtbare ASCII-Zeichen."))
    }
}
