//! Numbers for the operator (`/metrics`, in the `OpenMetrics` format). Labels are routes, outcomes and tenants, never ids.

use super::{Api, Problem};
use crate::archive::{Archive, Error, Installation};
use crate::domain::Digest;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Who may read `/metrics`: it covers all tenants, so a tenant's token does not open it.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Programs on this machine that connect directly: requests passed on by a proxy are refused.
    #[default]
    Loopback,
    /// Whoever has the operator's token, of which only the digest is kept.
    Token(Digest),
}

impl std::fmt::Debug for MetricsAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loopback => "Loopback",
            Self::Token(_) => "Token",
        })
    }
}

impl MetricsAccess {
    /// Access with the operator's token.
    pub fn token(token: &str) -> Self {
        Self::Token(Digest::of(token.as_bytes()))
    }

    pub(super) fn allows(&self, request: &Request) -> bool {
        match self {
            Self::Loopback => {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
                // A proxy on this machine would make everyone look local.
                let passed_on = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
                peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
                    && !passed_on.iter().any(|name| request.headers().contains_key(*name))
            }
            // Digests are compared: how long that takes says nothing about the token.
            Self::Token(digest) => super::auth::bearer(request.headers())
                .is_some_and(|token| Digest::of(token.as_bytes()) == *digest),
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LaneLabels {
    tenant: String,
    lane: &'static str,
}

type TenantGauge = Family<TenantLabels, Gauge>;

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    outcomes: Family<OutcomeLabels, Counter>,
    received_bytes: Counter,
    sent_bytes: Counter,
    tenants: Tenants,
    memory_bytes: Gauge,
    threads: Gauge,
}

/// What is asked of the archives when somebody reads the numbers.
#[derive(Debug, Default)]
struct Tenants {
    journal_commits: TenantGauge,
    journal_leaves: TenantGauge,
    journal_waiting: TenantGauge,
    journal_halted: TenantGauge,
    index_lag: TenantGauge,
    documents: TenantGauge,
    pages: TenantGauge,
    original_bytes: TenantGauge,
    unread: Family<LaneLabels, Gauge>,
    ocr_available: TenantGauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 9));
        let metrics = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            outcomes: Family::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            tenants: Tenants::default(),
            memory_bytes: Gauge::default(),
            threads: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = Registry::with_prefix("eakte");
        registry.register("http_requests", "Answered requests", self.requests.clone());
        registry.register("http_request_seconds", "Time until the answer began", self.seconds.clone());
        registry.register("ingest_files", "Uploaded files by outcome", self.outcomes.clone());
        registry.register("ingest_bytes", "Bytes of new documents", self.received_bytes.clone());
        registry.register("content_bytes", "Bytes of originals and renditions sent", self.sent_bytes.clone());
        registry.register("process_memory_bytes", "Resident memory", self.memory_bytes.clone());
        registry.register("process_threads", "Threads", self.threads.clone());
        let tenants = &self.tenants;
        registry.register("documents", "Documents", tenants.documents.clone());
        registry.register("pages", "Pages known by now", tenants.pages.clone());
        registry.register("original_bytes", "Bytes of all originals", tenants.original_bytes.clone());
        registry.register("journal_commits", "Last commit", tenants.journal_commits.clone());
        registry.register("journal_leaves", "Leaves", tenants.journal_leaves.clone());
        registry.register("journal_waiting", "Commands that wait", tenants.journal_waiting.clone());
        registry.register("journal_halted", "1 when nothing is written", tenants.journal_halted.clone());
        registry.register("index_lag_commits", "Commits not yet searchable", tenants.index_lag.clone());
        registry.register("unread_documents", "Documents that wait to be read", tenants.unread.clone());
        registry.register("ocr_available", "1 when scans are recognised", tenants.ocr_available.clone());
        *self.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
    }

    pub(super) fn request(&self, method: &str, route: &str, status: u16, taken: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&RouteLabels { route: route.to_owned() }).observe(taken.as_secs_f64());
    }

    /// A file that became something: `received`, `duplicate`, `rejected` or `failed`.
    pub(super) fn file(&self, outcome: &'static str, bytes: u64) {
        self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
        if outcome == "received" {
            self.received_bytes.inc_by(bytes);
        }
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.sent_bytes.inc_by(bytes);
    }

    fn encode(&self, installation: &Installation) -> Result<String, Error> {
        for archive in installation.open_archives() {
            self.tenants.look_at(&archive)?;
        }
        let (memory, threads) = process();
        self.memory_bytes.set(memory);
        self.threads.set(threads);
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))
            .map_err(|error| Error::from_cause(crate::archive::Kind::Internal, error))?;
        Ok(text)
    }
}

impl Tenants {
    fn look_at(&self, archive: &Archive) -> Result<(), Error> {
        let labels = TenantLabels { tenant: archive.slug().to_string() };
        let health = archive.health()?;
        let applied = &health.journal.applied;
        let set = |gauge: &TenantGauge, value: u64| {
            gauge.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.journal_commits, applied.seq);
        set(&self.journal_leaves, applied.frontier.size());
        set(&self.journal_waiting, health.journal.waiting as u64);
        set(&self.journal_halted, u64::from(health.journal.halted.is_some()));
        set(&self.index_lag, applied.seq.saturating_sub(health.indexed_seq));
        set(&self.documents, health.summary.documents);
        set(&self.pages, health.summary.pages);
        set(&self.original_bytes, health.summary.bytes);
        set(&self.ocr_available, u64::from(health.ocr_available));
        for (lane, count) in ["single", "batches", "ocr-pending"].into_iter().zip(health.unread) {
            let labels = LaneLabels { tenant: labels.tenant.clone(), lane };
            self.unread.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

/// Resident memory in bytes and number of threads, as the kernel counts them.
fn process() -> (i64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<i64>().ok()
    };
    (field("VmRSS").unwrap_or(0) * 1_024, field("Threads").unwrap_or(0))
}

/// A method as a label: a closed list, for callers may invent methods.
pub(super) fn method(method: &Method) -> &'static str {
    for known in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        if method.as_str() == known {
            return known;
        }
    }
    "OTHER"
}

/// `GET /metrics`
pub(super) async fn show(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    if !api.0.metrics_access.allows(&request) {
        // As if there were nothing: who may not read it need not know of it.
        return Err(Problem::missing("Diese Adresse"));
    }
    let shared = api.clone();
    let text = api.0.pools.reads.run(move || shared.0.metrics.encode(&shared.0.installation)).await?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_local_requests_or_the_operators_token_open_the_numbers() {
        let request = |peer: &str, headers: &[(&str, &str)]| {
            let mut request = axum::http::Request::new(axum::body::Body::empty());
            let peer: SocketAddr = peer.parse().unwrap();
            request.extensions_mut().insert(ConnectInfo(peer));
            for (name, value) in headers {
                let name = axum::http::HeaderName::try_from(*name).unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            request
        };
        let local = MetricsAccess::Loopback;
        assert!(local.allows(&request("127.0.0.1:5", &[])));
        assert!(local.allows(&request("[::1]:5", &[])));
        assert!(!local.allows(&request("192.0.2.7:5", &[])));
        assert!(!local.allows(&request("127.0.0.1:5", &[("x-forwarded-for", "192.0.2.7")])));
        assert!(!local.allows(&axum::http::Request::new(axum::body::Body::empty())));
        let token = MetricsAccess::token("geheim");
        assert!(!token.allows(&request("127.0.0.1:5", &[])));
        assert!(!token.allows(&request("127.0.0.1:5", &[("authorization", "Bearer anders")])));
        assert!(token.allows(&request("192.0.2.7:5", &[("authorization", "Bearer geheim")])));
        assert!(!format!("{token:?}").contains("geheim"));
    }
}
