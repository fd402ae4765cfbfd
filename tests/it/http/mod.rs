//! The HTTP API, through its router and over real connections.

mod batches;
mod changes;
mod client;
mod content;
mod description;
mod frame;
mod live;
mod matrix;
mod problems;
mod uploads;

use crate::support::{FixedClock, settings};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use eakte::api::{self, Api};
use eakte::archive::{Installation, NewTenant, Place, Settings};
use eakte::clock::SystemEntropy;
use eakte::domain::text::Line;
use serde_json::Value;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// Largest file that the test towns take.
pub(crate) const MAX_FILE_BYTES: u64 = 100_000;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem of this status, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        for field in ["type", "title", "detail", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {problem}");
        }
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        problem
    }

    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

/// Two towns on one installation, behind the router.
pub(crate) struct Towns {
    // First, so that it goes before what it works on.
    pub(crate) runtime: Runtime,
    pub(crate) router: Router,
    api: Api,
    pub(crate) token: String,
    pub(crate) other: String,
    pub(crate) folder: TempDir,
    _stop: watch::Sender<bool>,
}

pub(crate) fn make(folder: &TempDir, settings: Settings) -> (Installation, String, String) {
    let place = Place::directory(&folder.path().join("data"));
    let clock = Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()));
    let installation = Installation::create(place, settings, clock, Arc::new(SystemEntropy)).unwrap();
    let tenant = |slug: &str, name: &str| {
        let new = NewTenant {
            slug: slug.parse().unwrap(),
            name: Line::new(name).unwrap(),
            reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
        };
        installation.create_tenant(&new).unwrap()
    };
    let (token, other) = (tenant("t", "Stadt Steverau"), tenant("u", "Stadt Ullau"));
    (installation, token, other)
}

impl Drop for Towns {
    fn drop(&mut self) {
        // Uploads in parts would keep the runtime waiting for their senders.
        self.api.close();
    }
}

impl Towns {
    pub(crate) fn new() -> Self {
        Self::with(api::Options::default(), Settings { max_file_bytes: MAX_FILE_BYTES, ..settings(false) })
    }

    pub(crate) fn with(options: api::Options, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (installation, token, other) = make(&folder, settings);
        let (stop, stopping) = watch::channel(false);
        let api = Api::new(Arc::new(installation), options, stopping);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, router: api::router(api.clone()), api, token, other, folder, _stop: stop }
    }

    pub(crate) fn send(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let bearer = format!("Bearer {}", self.token);
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, bearer)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Body::empty()).unwrap())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
    }

    /// Uploads bytes as they are.
    pub(crate) fn upload(&self, query: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.request("POST", &format!("/api/v1/documents?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(bytes.to_vec())).unwrap())
    }

    pub(crate) fn multipart(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
        let request = self.request("POST", path);
        let request = request.header("content-type", "multipart/form-data; boundary=grenze");
        self.send(request.body(Body::from(multipart(parts))).unwrap())
    }

    /// What lies in the store's staging.
    pub(crate) fn staged(&self) -> usize {
        staged(&self.folder)
    }
}

/// Incoming bytes on disk: files in staging, and those that have no name there but are open in this process.
pub(crate) fn staged(folder: &TempDir) -> usize {
    fn count(path: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                if entry.path().is_dir() { count(&entry.path()) } else { usize::from(is_part(&entry.path())) }
            })
            .sum()
    }
    fn is_part(path: &std::path::Path) -> bool {
        path.extension().is_some_and(|ending| ending == "part")
    }
    let data = folder.path().canonicalize().unwrap().join("data");
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let nameless = open
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|target| target.starts_with(&data) && target.to_string_lossy().ends_with(" (deleted)"));
    count(&data) + nameless.count()
}

pub(crate) fn multipart(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(
            format!("--grenze\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--grenze--\r\n");
    body
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    eakte::domain::Digest::of(bytes).to_string()
}

pub(crate) fn repr_digest(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let digest = eakte::domain::Digest::of(bytes);
    format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(digest.as_bytes()))
}

/// A unit, a plan unit and a case file; the case file's id.
pub(crate) fn case_file(towns: &Towns) -> String {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    towns.post("/api/v1/units", &json(r#"{"code":"60","name":"Bauen"}"#));
    towns.post(
        "/api/v1/plan-units",
        &json(r#"{"code":"60.10","title":"Baugenehmigungen","retention_class":"30","disposal":"B"}"#),
    );
    let asked =
        json(r#"{"plan_unit":"60.10","unit":"60","title":"Carport Lindenweg 4","case_type":"Bauakte"}"#);
    towns.post("/api/v1/case-files", &asked).ok(201)["id"].as_str().unwrap().to_owned()
}
