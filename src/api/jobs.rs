//! `/jobs`: work that takes longer than a request. Jobs live in memory: a restart forgets them, and whoever waits
//! for one starts it again.

use super::auth::Caller;
use super::extract::{Id, Json};
use super::fields::Fields;
use super::rows::{Digitising, Job, JobAsked, JobPage, JobResult, JobState, VerifyFault};
use super::{Api, Problem};
use crate::archive::{Error, Permission};
use crate::clock::Clock;
use crate::domain::TenantSlug;
use crate::verify::{Expect, Fault, Progress, Sample, VerifyOptions, VerifyReport};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Instrument as _;
use uuid::Uuid;

/// Jobs remembered for each tenant.
const REMEMBERED: usize = 50;
/// Jobs of a tenant that may wait or run at once.
const AT_ONCE: usize = 4;
/// Findings kept in a result: the command line shows them all.
const FINDINGS: usize = 10_000;

/// A job and who may see it.
type Entry = Arc<Mutex<Job>>;

/// The jobs of all tenants, newest last.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<BTreeMap<TenantSlug, VecDeque<Entry>>>);

fn locked(entry: &Entry) -> std::sync::MutexGuard<'_, Job> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_over(job: &Job) -> bool {
    matches!(job.state, JobState::Done | JobState::Failed)
}

impl Jobs {
    fn add(&self, tenant: &TenantSlug, job: Job) -> Result<Entry, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = all.entry(tenant.clone()).or_default();
        if jobs.iter().filter(|job| !is_over(&locked(job))).count() >= AT_ONCE {
            let detail = "Es warten schon mehrere Aufträge; bitte abwarten, bis sie fertig sind.";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(60));
        }
        while jobs.len() >= REMEMBERED {
            jobs.pop_front();
        }
        let entry = Arc::new(Mutex::new(job));
        jobs.push_back(entry.clone());
        Ok(entry)
    }

    fn list(&self, tenant: &TenantSlug) -> Vec<Job> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant).into_iter().flatten().rev().map(|entry| locked(entry).clone()).collect()
    }
}

/// Einen Auftrag beginnen
///
/// `verify` liest die Objekte des Mandanten nach und vergleicht sie mit dem Journal. Die Antwort kommt sofort;
/// Fortschritt und Ergebnis stehen unter der Adresse in `Location`.
#[utoipa::path(
    post, path = "/jobs", tag = "Aufträge", operation_id = "startJob", request_body = JobAsked,
    responses(
        (status = 202, description = "Angenommen", body = Job, headers(("Location" = String))),
        (status = 429, description = "Es warten schon mehrere Aufträge", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<JobAsked>,
) -> Result<Response, Problem> {
    caller.permit.require(Permission::Verify)?;
    let options = parse(&asked)?;
    let clock = api.0.installation.clock().clone();
    let job = Job {
        id: Uuid::new_v4().to_string(),
        kind: asked.kind,
        state: JobState::Queued,
        done: 0,
        total: None,
        bytes: 0,
        started_at: clock.now().to_string(),
        ended_at: None,
        result: None,
        problem: None,
    };
    let entry = api.0.jobs.add(caller.permit.tenant(), job.clone())?;
    let work = run(api.clone(), caller, options, entry, clock);
    tokio::spawn(work.instrument(tracing::info_span!("job", id = %job.id)));
    let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
}

fn parse(asked: &JobAsked) -> Result<VerifyOptions, Problem> {
    let mut fields = Fields::default();
    if asked.kind != "verify" {
        fields.wrong("kind", "möglich ist „verify“");
    }
    if asked.sample == Some(0) {
        fields.wrong("sample", "erwartet wird eine Zahl ab 1");
    }
    if asked.seed.is_some() && asked.sample.is_none() {
        fields.wrong("seed", "gilt nur zusammen mit „sample“");
    }
    if asked.replay && (asked.sample.is_some() || asked.since.is_some()) {
        fields.wrong("replay", "geht nur ohne „sample“ und „since“");
    }
    let since = fields.instant("since", asked.since.as_ref());
    let expect = fields.optional::<Expect>("expect", asked.expect.as_ref());
    fields.finish()?;
    let sample = asked.sample.map(|count| Sample { count, seed: asked.seed.unwrap_or(0) });
    Ok(VerifyOptions { sample, since, expect, replay: asked.replay, ..VerifyOptions::default() })
}

async fn run(api: Api, caller: Caller, options: VerifyOptions, entry: Entry, clock: Arc<dyn Clock>) {
    let watched = entry.clone();
    let outcome = api.0.pools.jobs.run(move || {
        locked(&watched).state = JobState::Running;
        let seen = |progress: Progress| {
            let mut job = locked(&watched);
            (job.done, job.total, job.bytes) = (progress.done, progress.total, progress.bytes);
        };
        caller.archive.verify(&caller.permit, &options, &seen)
    });
    let outcome: Result<VerifyReport, Error> = outcome.await;
    let mut job = locked(&entry);
    job.ended_at = Some(clock.now().to_string());
    match outcome {
        Ok(report) => {
            tracing::info!(findings = report.findings.len(), "a job is done");
            job.state = JobState::Done;
            job.result = Some(result(report));
        }
        Err(error) => {
            tracing::error!(kind = ?error.kind, "a job failed");
            job.state = JobState::Failed;
            job.problem = Some(error.public);
        }
    }
}

fn result(report: VerifyReport) -> JobResult {
    let faults = |faults: Vec<Fault>| {
        let rows = faults.into_iter().take(FINDINGS).map(|fault| VerifyFault {
            kind: fault.kind.to_string(),
            object: fault.object,
            detail: fault.detail,
        });
        rows.collect()
    };
    JobResult {
        objects: report.objects,
        bytes: report.bytes,
        commits: report.commits,
        leaves: report.leaves,
        root: report.root.to_string(),
        findings: faults(report.findings),
        notices: faults(report.notices),
    }
}

/// Aufträge auflisten
///
/// Die letzten Aufträge des Mandanten, neueste zuerst, und wie weit das Lesen der Dokumente ist.
#[utoipa::path(
    get, path = "/jobs", tag = "Aufträge", operation_id = "listJobs",
    responses((status = 200, description = "Aufträge und Stand des Lesens", body = JobPage))
)]
pub(super) async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<JobPage>, Problem> {
    caller.permit.require(Permission::Verify)?;
    let health = api.read(&caller, |archive, _| archive.health()).await?;
    let [single, batches, ocr_pending] = health.unread;
    let digitising = Digitising { single, batches, ocr_pending, ocr_available: health.ocr_available };
    Ok(Json(JobPage { items: api.0.jobs.list(caller.permit.tenant()), digitising }))
}

/// Einen Auftrag ansehen
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "Aufträge", operation_id = "getJob",
    params(("id" = String, Path, description = "Kennung")),
    responses((status = 200, description = "Stand oder Ergebnis", body = Job))
)]
pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id<Uuid>,
) -> Result<Json<Job>, Problem> {
    caller.permit.require(Permission::Verify)?;
    let id = id.to_string();
    let job = api.0.jobs.list(caller.permit.tenant()).into_iter().find(|job| job.id == id);
    job.map(Json).ok_or_else(|| Problem::missing("Der Auftrag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState) -> Job {
        Job {
            id: Uuid::new_v4().to_string(),
            kind: "verify".into(),
            state,
            done: 0,
            total: None,
            bytes: 0,
            started_at: String::new(),
            ended_at: None,
            result: None,
            problem: None,
        }
    }

    #[test]
    fn history_and_queue_are_bounded() {
        let jobs = Jobs::default();
        let tenant: TenantSlug = "t".parse().unwrap();
        for _ in 0..2 * REMEMBERED {
            jobs.add(&tenant, job(JobState::Done)).unwrap();
        }
        assert_eq!(jobs.list(&tenant).len(), REMEMBERED);
        for _ in 0..AT_ONCE {
            jobs.add(&tenant, job(JobState::Queued)).unwrap();
        }
        assert_eq!(jobs.add(&tenant, job(JobState::Queued)).unwrap_err().status, 429);
        assert!(jobs.list(&"other".parse().unwrap()).is_empty());
    }

    #[test]
    fn a_job_that_makes_no_sense_is_refused_by_field() {
        let asked = JobAsked {
            kind: "dance".into(),
            sample: Some(0),
            seed: None,
            since: Some("gestern".into()),
            replay: true,
            expect: Some("7".into()),
        };
        let problem = parse(&asked).unwrap_err();
        let named: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(named, ["kind", "sample", "replay", "since", "expect"]);
    }
}
