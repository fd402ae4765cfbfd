//! An S3 server in this process, on 127.0.0.1, that can be told to fail.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use eakte::store::{Bucket, BucketConfig, Secret, StoreError};
use futures_util::StreamExt as _;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answered at once with this status; not applied.
    Status(u16),
    /// Never reaches the server, and no answer comes.
    RequestLost,
    /// Applied, but no answer comes.
    AnswerLost,
    /// The answer's body ends in the middle.
    BodyCut,
}

#[derive(Default)]
struct Plan {
    /// Faults for the next requests of a method; none means that the request passes.
    next: VecDeque<(Method, Fault)>,
    ignores_conditions: bool,
    requests: Vec<String>,
}

struct Shared {
    root: PathBuf,
    service: S3Service,
    plan: Mutex<Plan>,
    /// s3s-fs lets two creates win without it.
    writes: tokio::sync::Mutex<()>,
}

/// A running server with one bucket, `akten`.
pub struct Server {
    shared: Arc<Shared>,
    endpoint: String,
    _folder: TempDir,
    spool: TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// How long the client waits for an answer in these tests.
const SILENCE: Duration = Duration::from_millis(1_500);

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("akten")).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("schluessel", "geheim"));
        let shared = Arc::new(Shared {
            root: folder.path().to_owned(),
            service: builder.build(),
            plan: Mutex::default(),
            writes: tokio::sync::Mutex::new(()),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { shared, endpoint, _folder: folder, spool: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    pub fn config(&self) -> BucketConfig {
        BucketConfig {
            endpoint: Some(self.endpoint.clone()),
            access_key_id: "schluessel".to_owned(),
            secret_access_key: Secret::new("geheim"),
            allow_http: true,
            spool_dir: self.spool.path().to_owned(),
            silence: SILENCE,
            patience: Duration::from_secs(20),
            ..BucketConfig::default()
        }
    }

    pub fn open(&self, url: &str) -> Result<Bucket, StoreError> {
        Bucket::open(url.parse().unwrap(), &self.config())
    }

    /// Fails the next requests of these methods, in this order.
    pub fn fail(&self, faults: impl IntoIterator<Item = (Method, Fault)>) {
        self.plan().next.extend(faults);
    }

    /// Fails nothing any more; returns how many faults were never met.
    pub fn heal(&self) -> usize {
        std::mem::take(&mut self.plan().next).len()
    }

    pub fn ignore_conditions(&self) {
        self.plan().ignores_conditions = true;
    }

    /// Methods and paths of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.plan().requests.clone()
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (fault, ignores) = {
        let mut plan = shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.requests.push(format!("{} {}", request.method(), request.uri()));
        let is_next = plan.next.front().is_some_and(|(method, _)| method == request.method());
        let fault = if is_next { plan.next.pop_front().map(|(_, fault)| fault) } else { None };
        (fault, plan.ignores_conditions)
    };
    if ignores && request.headers().contains_key(header::IF_NONE_MATCH) {
        // The header is signed, so it cannot be taken away: what stands there is, which comes to the same.
        let _ = std::fs::remove_file(shared.root.join(request.uri().path().trim_start_matches('/')));
    }
    match fault {
        Some(Fault::Status(status)) => return refusal(status),
        Some(Fault::RequestLost) => {
            tokio::time::sleep(SILENCE * 4).await;
            return refusal(500);
        }
        _ => {}
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let request = request.map(s3s::Body::http_body_unsync);
    let answered = if is_read {
        shared.service.call(request).await
    } else {
        let _one_at_a_time = shared.writes.lock().await;
        shared.service.call(request).await
    };
    let Ok(response) = answered else { return refusal(500) };
    let response = response.map(Body::new);
    match fault {
        Some(Fault::AnswerLost) => {
            tokio::time::sleep(SILENCE * 4).await;
            refusal(500)
        }
        Some(Fault::BodyCut) => cut(response).await,
        _ => response,
    }
}

fn refusal(status: u16) -> Response<Body> {
    let code = match status {
        403 => "AccessDenied",
        404 => "NoSuchBucket",
        409 => "ConditionalRequestConflict",
        503 => "SlowDown",
        _ => "InternalError",
    };
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>");
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    response.header(header::CONTENT_TYPE, "application/xml").body(Body::from(body)).unwrap()
}

/// Half of the body, then the connection breaks.
async fn cut(response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let half = bytes.slice(..bytes.len() / 2);
    let rest = futures_util::stream::once(async { Err(std::io::Error::other("injected")) });
    let stream = futures_util::stream::once(async move { Ok(half) }).chain(rest);
    Response::from_parts(parts, Body::from_stream(stream))
}
