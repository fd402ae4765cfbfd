//! What went wrong, as RFC 9457 wants it told.

use crate::archive::{Error, Kind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::error::Error as _;
use utoipa::ToSchema;

/// Ein Problem (RFC 9457): was nicht ging und was zu tun ist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stabile Art des Problems, eine Adresse relativ zum Server.
    #[serde(rename = "type")]
    #[schema(example = "/problems/missing")]
    pub kind: String,
    /// Die Art in Worten; gleich für alle Probleme dieser Art.
    pub title: String,
    /// HTTP-Status.
    #[schema(example = 404)]
    pub status: u16,
    /// Was in diesem Fall geschah.
    pub detail: String,
    /// Ablehnungsgrund, wenn eine Datei nicht gespeichert wurde.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "empty")]
    pub reason: Option<String>,
    /// Felder, die nicht verständlich waren.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<FieldProblem>,
    /// Kennung der Anfrage; dieselbe steht im Protokoll des Servers und im Kopf `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Nach so vielen Sekunden lohnt ein neuer Versuch (auch im Kopf `Retry-After`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u32>,
}

/// Ein Feld der Anfrage, das nicht verständlich war.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Name des Feldes.
    pub field: String,
    /// Was daran falsch ist.
    pub detail: String,
}

/// Media type of problems.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Kinds of the façade and what they are over HTTP: status, word in `type`, title.
const KINDS: [(Kind, StatusCode, &str, &str); 12] = [
    (Kind::Invalid, StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Die Eingabe ist nicht zulässig"),
    (Kind::Unauthenticated, StatusCode::UNAUTHORIZED, "unauthenticated", "Anmeldung erforderlich"),
    (Kind::Forbidden, StatusCode::FORBIDDEN, "forbidden", "Nicht erlaubt"),
    (Kind::Missing, StatusCode::NOT_FOUND, "missing", "Nicht gefunden"),
    (Kind::Conflict, StatusCode::CONFLICT, "conflict", "Widerspruch zum Bestand"),
    (Kind::Changed, StatusCode::PRECONDITION_FAILED, "changed", "Inzwischen geändert"),
    (Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Zu groß"),
    (Kind::Doubt, StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Ausgang unbekannt"),
    (Kind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Gerade nicht möglich"),
    (Kind::ReadOnly, StatusCode::SERVICE_UNAVAILABLE, "read-only", "Es wird nichts mehr geschrieben"),
    (Kind::Damaged, StatusCode::INTERNAL_SERVER_ERROR, "damaged", "Der Bestand ist beschädigt"),
    (Kind::Internal, StatusCode::INTERNAL_SERVER_ERROR, "internal", "Fehler im Programm"),
];

/// Problems that the HTTP side alone can have: status, word in `type`, title.
const PLAIN: [(StatusCode, &str, &str); 12] = [
    (StatusCode::BAD_REQUEST, "malformed", "Die Anfrage ist nicht verständlich"),
    (StatusCode::NOT_FOUND, "missing", "Nicht gefunden"),
    (StatusCode::METHOD_NOT_ALLOWED, "method", "Diese Methode gibt es hier nicht"),
    (StatusCode::REQUEST_TIMEOUT, "timeout", "Zeit überschritten"),
    (StatusCode::CONFLICT, "conflict", "Widerspruch zum Bestand"),
    (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Zu groß"),
    (StatusCode::URI_TOO_LONG, "uri-too-long", "Die Adresse ist zu lang"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Dieses Format wird nicht angenommen"),
    (StatusCode::RANGE_NOT_SATISFIABLE, "range", "Diesen Bereich gibt es nicht"),
    (StatusCode::UNPROCESSABLE_ENTITY, "rejected", "Die Datei wurde nicht gespeichert"),
    (StatusCode::TOO_MANY_REQUESTS, "busy", "Zu viele Vorgänge"),
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Gerade nicht möglich"),
];

/// The status of a kind of failure.
pub fn status(kind: Kind) -> StatusCode {
    row(kind).1
}

fn row(kind: Kind) -> (Kind, StatusCode, &'static str, &'static str) {
    KINDS.into_iter().find(|row| row.0 == kind).expect("every kind has its row")
}

fn retry_after(kind: Kind) -> Option<u32> {
    match kind {
        Kind::Doubt => Some(2),
        Kind::Unavailable => Some(5),
        Kind::ReadOnly => Some(60),
        _ => None,
    }
}

impl Problem {
    /// A problem of the HTTP side.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let (word, title) = PLAIN
            .into_iter()
            .find(|row| row.0 == status)
            .map_or(("internal", "Fehler im Programm"), |row| (row.1, row.2));
        Self::made(status, word, title, detail.into())
    }

    fn made(status: StatusCode, word: &str, title: &str, detail: String) -> Self {
        Self {
            kind: format!("/problems/{word}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            reason: None,
            errors: Vec::new(),
            request_id: None,
            retry_after: None,
        }
    }

    /// The façade's kind that this problem stands for, for whoever talks to a server.
    pub fn facade_kind(&self) -> Kind {
        let word = self.kind.rsplit('/').next().unwrap_or_default();
        if let Some(row) = KINDS.into_iter().find(|row| row.2 == word) {
            return row.0;
        }
        match self.status {
            408 | 429 | 502..=504 => Kind::Unavailable,
            413 => Kind::TooLarge,
            400..=499 => Kind::Invalid,
            _ => Kind::Internal,
        }
    }

    /// Something in the request cannot be understood.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Fields that cannot be understood.
    pub(super) fn fields(errors: Vec<FieldProblem>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("Nicht verständlich: {}.", names.join(", "));
        Self { errors, ..Self::malformed(detail) }
    }

    /// The façade's answer when there is no such thing.
    pub(super) fn missing(what: &str) -> Self {
        Error::missing(what).into()
    }

    /// A file was not stored.
    pub(super) fn rejected(rejection: crate::domain::codes::Rejection, detail: Option<String>) -> Self {
        let status = match rejection {
            crate::domain::codes::Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let sentence = rejection.sentence();
        let detail = detail.map_or_else(|| sentence.to_owned(), |more| format!("{sentence} ({more})"));
        Self { reason: Some(rejection.word().to_owned()), ..Self::new(status, detail) }
    }

    /// The sender took too long.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Die Daten kamen zu langsam; bitte noch einmal senden.")
    }

    /// Says when to try again.
    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (kind, status, word, title) = row(error.kind);
        if status.is_server_error() {
            // Logged once, here, with the request's span around it.
            let cause = error.source().map(|cause| format!("{cause:?}"));
            tracing::error!(?kind, cause = cause.as_deref().unwrap_or("-"), "a request failed");
        }
        Self { retry_after: retry_after(kind), ..Self::made(status, word, title, error.public) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"eakte\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        // The request's id is added on the way out, see `layers`.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_and_a_stable_type() {
        for (kind, expected) in [
            (Kind::Invalid, 422),
            (Kind::Unauthenticated, 401),
            (Kind::Forbidden, 403),
            (Kind::Missing, 404),
            (Kind::Conflict, 409),
            (Kind::Changed, 412),
            (Kind::TooLarge, 413),
            (Kind::Doubt, 503),
            (Kind::Unavailable, 503),
            (Kind::ReadOnly, 503),
            (Kind::Damaged, 500),
            (Kind::Internal, 500),
        ] {
            let problem = Problem::from(Error::new(kind, "Satz."));
            assert_eq!(problem.status, expected, "{kind:?}");
            assert!(problem.kind.starts_with("/problems/"), "{kind:?}");
            assert_eq!(problem.retry_after.is_some(), expected == 503, "{kind:?}");
            assert_eq!(status(kind), expected);
        }
    }
}
