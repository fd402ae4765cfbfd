//! The HTTP API: parse, call the façade, present. Its routes are listed in [`routes`].
//!
//! Every call under `/api/v1` needs a bearer token; the token names its tenant, so a tenant is never a part of an
//! address. Everything that goes wrong is told as `application/problem+json` (RFC 9457).

mod auth;
mod batches;
mod bodies;
mod bulk;
mod case_files;
mod content;
mod digest_header;
mod docs;
mod documents;
mod extract;
mod fields;
mod filing;
mod health;
mod jobs;
mod layers;
mod metrics;
mod openapi;
mod plan;
mod probes;
mod problem;
mod progress;
mod range;
mod receipts;
mod routes;
pub mod rows;
mod search;
mod upload;
mod uploads;
mod versions;

pub use metrics::MetricsAccess;
pub use openapi::document as openapi;
pub use problem::{Problem, status};
pub use routes::router;

use crate::archive::{Archive, Error, Installation, Permit};
use crate::tasks::Pools;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// The SHA-256 that `Repr-Digest` or `Content-Digest` names.
pub(crate) fn declared_digest(headers: &axum::http::HeaderMap) -> Option<crate::domain::Digest> {
    digest_header::declared(headers).ok().flatten()
}

/// How much of everything a caller may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest JSON body, in bytes.
    pub json_bytes: usize,
    /// Longest query, in bytes.
    pub query_bytes: usize,
    /// Most files in one bulk request.
    pub files: usize,
    /// Longest silence of a sender within a body.
    pub idle: Duration,
    /// Time after which a sender must have reached the slowest rate allowed.
    pub grace: Duration,
    /// Slowest rate of a sender, in bytes per second, measured from the beginning of its body.
    pub min_bytes_per_second: u64,
    /// Uploads at once.
    pub uploads: usize,
    /// Longest wait for a free upload slot.
    pub upload_patience: Duration,
    /// Progress streams at once.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 1024 * 1024,
            query_bytes: 16 * 1024,
            files: 10_000,
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            min_bytes_per_second: 1_024,
            uploads: 32,
            upload_patience: Duration::from_secs(5),
            streams: 64,
        }
    }
}

/// What the API is made with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much callers may take.
    pub limits: Limits,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
}

/// The API's state, shared by all requests.
#[derive(Clone, Debug)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    installation: Arc<Installation>,
    pools: Pools,
    limits: Limits,
    metrics: metrics::Metrics,
    metrics_access: MetricsAccess,
    jobs: jobs::Jobs,
    uploads: uploads::Uploads,
    probe: probes::Probe,
    streams: Arc<Semaphore>,
    /// True once the server is stopping: endless answers then end.
    stopping: watch::Receiver<bool>,
}

impl Api {
    /// The API of an installation. `stopping` turns true when the server stops.
    pub fn new(installation: Arc<Installation>, options: Options, stopping: watch::Receiver<bool>) -> Self {
        Self(Arc::new(Shared {
            installation,
            pools: Pools::new(options.limits.uploads),
            metrics: metrics::Metrics::new(),
            metrics_access: options.metrics,
            jobs: jobs::Jobs::default(),
            uploads: uploads::Uploads::default(),
            probe: probes::Probe::default(),
            streams: Arc::new(Semaphore::new(options.limits.streams)),
            limits: options.limits,
            stopping,
        }))
    }

    /// Gives up what would wait for senders: the server stops.
    pub fn close(&self) {
        self.0.uploads.close();
    }

    /// A lookup in the caller's archive.
    async fn read<T: Send + 'static>(
        &self,
        caller: &auth::Caller,
        work: impl FnOnce(&Archive, &Permit) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let caller = caller.clone();
        Ok(self.0.pools.reads.run(move || work(&caller.archive, &caller.permit)).await?)
    }

    /// A command in the caller's archive.
    async fn write<T: Send + 'static>(
        &self,
        caller: &auth::Caller,
        work: impl FnOnce(&Archive, &Permit) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let caller = caller.clone();
        let room = self.0.pools.writes.room(self.0.limits.upload_patience).await?;
        Ok(room.run(move || work(&caller.archive, &caller.permit)).await?)
    }
}
