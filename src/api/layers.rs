//! What happens around every request: an id, a span, a log line, numbers, careful headers; and whatever goes wrong
//! leaves as a problem.

use super::problem::{self, Problem};
use super::{Api, metrics};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

/// The header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers that every answer has unless it says otherwise.
const CAREFUL: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Goes around every request.
pub(super) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    let method = metrics::method(request.method());
    // The route, never the path: that may hold ids, and a query may hold names.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "-".to_owned());
    let span = tracing::info_span!("request", %id, method, route);
    let begun = Instant::now();
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = async {
        let response = handled.await.unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Im Programm ist ein Fehler aufgetreten.")
                .into_response()
        });
        let response = finish(response, id);
        let (status, taken) = (response.status().as_u16(), begun.elapsed());
        api.0.metrics.request(method, &route, status, taken);
        tracing::info!(
            status,
            milliseconds = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
        response
    };
    outcome.instrument(span).await
}

fn finish(mut response: Response, id: Uuid) -> Response {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>();
    if problem.is_some() || status.is_client_error() || status.is_server_error() {
        let problem = problem.unwrap_or_else(|| Problem::new(status, reason(status)));
        let problem = Problem { request_id: Some(id.to_string()), ..problem };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
        *response.body_mut() = Body::from(body);
    }
    let headers = response.headers_mut();
    for (name, value) in CAREFUL {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn reason(status: StatusCode) -> String {
    format!("Der Server antwortet mit {}.", status.as_u16())
}

/// The answer to an address that there is none of.
pub(super) async fn no_route() -> Problem {
    Problem::missing("Diese Adresse")
}

/// The answer to a method that a route does not have. The `Allow` header is axum's.
pub(super) async fn no_method() -> Problem {
    let detail = "Der Kopf „Allow“ nennt die Methoden, die es unter dieser Adresse gibt.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Options;
    use crate::archive::{Installation, Place, Settings};
    use crate::clock::{SystemClock, SystemEntropy};
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use std::sync::Arc;
    use tower::ServiceExt as _;

    async fn panics() -> Response {
        panic!("broken")
    }

    #[test]
    fn a_panic_and_a_bare_failure_leave_as_problems() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::directory(&folder.path().join("data"));
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let installation = Installation::create(place, Settings::default(), clock, entropy).unwrap();
        let (_stop, stopping) = tokio::sync::watch::channel(false);
        let api = Api::new(Arc::new(installation), Options::default(), stopping);
        let router: Router = Router::new()
            .route("/panic", get(panics))
            .route("/bare", get(|| async { (StatusCode::BAD_GATEWAY, "<h1>no</h1>") }))
            .layer(from_fn_with_state(api, observe));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (path, status) in [("/panic", 500), ("/bare", 502)] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
            let body = runtime.block_on(axum::body::to_bytes(response.into_body(), 10_000)).unwrap();
            let problem: Problem = serde_json::from_slice(&body).unwrap();
            assert_eq!((problem.status, problem.request_id), (status, Some(id)));
            assert!(!problem.detail.contains("broken"));
        }
    }
}
