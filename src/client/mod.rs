//! Talks to a running server (`--server URL`): the same use cases, the same rows, over HTTP.
//!
//! A request is repeated only where that is safe: lookups; uploads, under one idempotency key; commands that find
//! what an earlier attempt made. "Outcome unknown" is repeated with the same key until the outcome is known.

mod calls;
mod transfer;

pub use transfer::{Sent, Upload};

use crate::api::Problem;
use crate::archive::{Error, Kind};
use crate::domain::Digest;
use crate::wording;
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::{StatusCode, Url, header, redirect};
use serde::de::DeserializeOwned;
use std::io::{self, Read as _};
use std::time::Duration;

/// Largest JSON answer that is read: a result with 10,000 findings is a few MB.
const MAX_JSON_BYTES: u64 = 64 * 1024 * 1024;
/// Attempts at a request that may be repeated.
const ATTEMPTS: u32 = 6;
/// Longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// A lookup that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why the server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("„{0}“ ist keine Adresse eines Servers (erwartet wird http://… oder https://…).")]
    Address(String),
    /// The server answered with a problem.
    #[error("{}", problem_text(.0))]
    Problem(Box<Problem>),
    /// The server cannot be reached.
    #[error("Der Server {server} ist nicht erreichbar: {}.", network(source))]
    Unreachable {
        /// Where.
        server: String,
        /// What the network says.
        source: reqwest::Error,
    },
    /// The answer is not one of ours.
    #[error("Der Server {0} antwortet nicht wie eine e-Akte; stimmt die Adresse?")]
    Strange(String),
    /// The bytes are not those that were promised.
    #[error("Die übertragenen Bytes haben die Prüfsumme {found} statt {wanted}.")]
    Digest {
        /// Promised.
        wanted: Digest,
        /// Received.
        found: Digest,
    },
    /// The file became another one while it was sent; what had arrived of it was thrown away.
    #[error("Die Datei wurde während der Übertragung verändert.")]
    Changed,
    /// Reading or writing here failed.
    #[error("{}", wording::os(.0))]
    Io(#[from] io::Error),
}

fn problem_text(problem: &Problem) -> String {
    let fields: Vec<String> =
        problem.errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
    if fields.is_empty() {
        problem.detail.clone()
    } else {
        format!("{} {}", problem.detail, fields.join("; "))
    }
}

/// What the network says; the operating system's refusal, if that is at the bottom of it.
fn network(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<io::Error>().filter(|io| io.raw_os_error().is_some()) {
            return wording::os(refusal);
        }
        cause = inner.source();
    }
    let known = match error {
        error if error.is_timeout() => "er antwortet nicht in der vorgesehenen Zeit",
        error if error.is_connect() => "die Verbindung kam nicht zustande; stimmt die Adresse?",
        error if error.is_body() || error.is_decode() => "die Verbindung ist abgebrochen",
        _ => "die Anfrage ging nicht durch",
    };
    format!("{known} (technisch: {error})")
}

impl ClientError {
    /// The façade's kind that this failure stands for: the command line turns it into an exit code.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address(_) | Self::Changed => Kind::Invalid,
            Self::Problem(problem) => problem.facade_kind(),
            Self::Unreachable { .. } | Self::Strange(_) | Self::Io(_) => Kind::Unavailable,
            Self::Digest { .. } => Kind::Damaged,
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::from_cause(error.kind(), error)
    }
}

/// A server, with the token of one tenant's account.
#[derive(Clone)]
pub struct Client {
    http: reqwest::blocking::Client,
    base: Url,
    token: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Whether a request may be sent again when it is unknown what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or finds what it made.
    Always,
    /// Only when the server has said that nothing happened.
    Refused,
}

impl Client {
    /// A client for this server; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the address is none.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(crate::domain::text::source_name(url));
        let mut base = Url::parse(url).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(wrong());
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = format!("{}/api/v1/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        // The first one to do this wins; all take the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::blocking::Client::builder()
            .user_agent(crate::archive::SOFTWARE.replace(' ', "/"))
            // The token goes to this server and to no other.
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(None)
            .build()
            .map_err(|source| ClientError::Unreachable { server: base.to_string(), source })?;
        Ok(Self { http, base, token: token.trim().to_owned() })
    }

    /// The address of a resource below `/api/v1`.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn server(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Sends a request, again if that is safe and may help. `make` is called for every attempt.
    fn send(
        &self,
        repeat: Repeat,
        make: impl Fn(&reqwest::blocking::Client) -> Result<RequestBuilder, ClientError>,
    ) -> Result<Response, ClientError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = make(&self.http)?.bearer_auth(&self.token).send();
            let (error, wait) = match sent {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let problem = self.problem(response);
                    let wait = match problem.facade_kind() {
                        Kind::Doubt if repeat == Repeat::Always => problem.retry_after,
                        Kind::Unavailable => problem.retry_after.or(Some(1)),
                        _ => None,
                    };
                    (ClientError::Problem(Box::new(problem)), wait)
                }
                Err(source) => {
                    // An upload that the server breaks off may have its reason in an answer that was not read.
                    let again = source.is_connect() || (repeat == Repeat::Always && !source.is_builder());
                    (
                        ClientError::Unreachable { server: self.server(), source: source.without_url() },
                        again.then_some(1),
                    )
                }
            };
            match wait {
                Some(seconds) if attempt < ATTEMPTS => {
                    let wait = Duration::from_secs(seconds.into()).max(Duration::from_millis(200 << attempt));
                    std::thread::sleep(wait.min(MAX_WAIT));
                }
                _ => return Err(error),
            }
        }
    }

    fn problem(&self, response: Response) -> Problem {
        let status = response.status();
        let mut bytes = Vec::new();
        let read = response.take(MAX_JSON_BYTES).read_to_end(&mut bytes);
        let parsed = read.ok().and_then(|_| serde_json::from_slice::<Problem>(&bytes).ok());
        // Something between us and the server may answer for it.
        parsed.unwrap_or_else(|| Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status: status.as_u16(),
            detail: format!("Der Server {} antwortet mit {status}.", self.server()),
            reason: None,
            errors: Vec::new(),
            request_id: None,
            retry_after: None,
        })
    }

    fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let mut bytes = Vec::new();
        response.take(MAX_JSON_BYTES).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(|_| ClientError::Strange(self.server()))
    }

    /// A lookup.
    fn get<T: DeserializeOwned>(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<T, ClientError> {
        let mut url = self.url(segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let response = self.send(Repeat::Always, |http| Ok(http.get(url.clone()).timeout(PATIENCE)))?;
        self.json(response)
    }

    /// A command.
    fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl serde::Serialize,
        repeat: Repeat,
    ) -> Result<T, ClientError> {
        Ok(self.make(segments, body, repeat)?.0)
    }

    /// A command that makes something or finds it; says whether it was made now.
    fn make<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        body: &impl serde::Serialize,
        repeat: Repeat,
    ) -> Result<(T, bool), ClientError> {
        let url = self.url(segments);
        let make = |http: &reqwest::blocking::Client| Ok(http.post(url.clone()).timeout(PATIENCE).json(body));
        let response = self.send(repeat, make)?;
        let is_new = response.status() == StatusCode::CREATED;
        Ok((self.json(response)?, is_new))
    }

    /// A lookup of something that there may be none of.
    fn find<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<Option<T>, ClientError> {
        match self.get(segments, &[]) {
            Ok(found) => Ok(Some(found)),
            Err(ClientError::Problem(problem)) if problem.status == StatusCode::NOT_FOUND.as_u16() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The SHA-256 that a `Repr-Digest` header names.
fn promised(response: &Response) -> Option<Digest> {
    crate::api::declared_digest(response.headers())
}

/// The length of an answer.
fn length(response: &Response) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_built_from_parts_that_cannot_break_out() {
        let client = Client::new("http://127.0.0.1:8437/eakte/?x#y", "t").unwrap();
        assert_eq!(
            client.url(&["documents", "../a b?"]).as_str(),
            "http://127.0.0.1:8437/eakte/api/v1/documents/..%2Fa%20b%3F"
        );
        for bad in ["", "localhost:8437", "ftp://a", "http://", "/x"] {
            assert!(Client::new(bad, "t").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        let client = Client::new("http://127.0.0.1:8437", "eakte_t_geheim").unwrap();
        assert!(!format!("{client:?}").contains("geheim"));
    }
}
