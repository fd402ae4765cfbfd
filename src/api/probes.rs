//! `/livez` and `/readyz`: for whoever watches over the process. Anonymous, so they tell no tenant's name.

use super::{Api, Problem};
use crate::archive::{Error, Installation};
use crate::store::{Key, MARKER};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is good for: whoever asks often costs nothing.
const FRESH: Duration = Duration::from_secs(1);
/// A store that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The last answer.
#[derive(Debug, Default)]
pub(super) struct Probe(Mutex<Option<(Instant, Vec<String>)>>);

impl Probe {
    fn recent(&self) -> Option<Vec<String>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, causes)| causes.clone())
    }
}

/// Why the installation is not ready; nothing when it is.
fn causes(installation: &Installation) -> Result<Vec<String>, Error> {
    let mut causes = Vec::new();
    match installation.store().size(&Key::new(MARKER).map_err(internal)?) {
        Ok(Some(_)) => {}
        Ok(None) => causes.push("store: Der Speicher trägt keine Kennung mehr.".to_owned()),
        Err(error) => {
            tracing::warn!(%error, "the store does not answer");
            causes.push("store: Der Objektspeicher antwortet nicht.".to_owned());
        }
    }
    if installation.is_shut() {
        causes.push("tenants: Kein Mandant lässt sich öffnen.".to_owned());
    }
    let mut halted = Vec::new();
    for archive in installation.open_archives() {
        if let Some(halt) = archive.health()?.journal.halted {
            tracing::warn!(tenant = %archive.slug(), ?halt, "nothing is written any more");
            halted.push(format!("journal: {}.", halt.sentence()));
        }
    }
    halted.sort_unstable();
    halted.dedup();
    causes.extend(halted);
    Ok(causes)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::from_cause(crate::archive::Kind::Internal, error)
}

/// `GET /livez`
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let causes = match api.0.probe.recent() {
        Some(causes) => causes,
        None => look(&api).await,
    };
    if causes.is_empty() {
        return "ok\n".into_response();
    }
    let detail = causes.join(" ");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5).into_response()
}

async fn look(api: &Api) -> Vec<String> {
    if *api.0.stopping.borrow() {
        return vec!["server: Der Server wird beendet.".to_owned()];
    }
    let installation = api.0.installation.clone();
    let asked = api.0.pools.reads.run(move || causes(&installation));
    let causes = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(causes)) => causes,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the readiness check failed");
            vec!["catalogue: Der Katalog antwortet nicht.".to_owned()]
        }
        Err(_) => vec!["store: Der Objektspeicher antwortet nicht.".to_owned()],
    };
    *api.0.probe.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), causes.clone()));
    causes
}
