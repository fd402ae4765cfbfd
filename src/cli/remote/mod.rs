//! The same commands through a running server (`--server URL`): same fields, same exit codes.

mod batch;
mod document;
mod frame;
mod ingest;
mod show;

pub(super) use document::{add_version, file};
pub(super) use ingest::ingest;
pub(super) use show::show;

use super::args::{Search, Verify};
use super::check::{gathered, tell};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::{Out, hint};
use super::progress::{Bars, set_total};
use super::rows::{FindingLine, HitLine, SearchLine};
use crate::api::rows::{Finding, JobAsked, JobResult, JobState};
use crate::archive::Error;
use crate::client::{Client, ClientError};
use serde_json::json;
use std::time::Duration;

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Error::from(error).into()
    }
}

impl From<Finding> for FindingLine {
    fn from(row: Finding) -> Self {
        Self { code: row.code, page: row.page, detail: row.detail }
    }
}

/// The server that the command line names.
fn client(context: &Context, url: &str) -> Result<Client, Failure> {
    Ok(Client::new(url, &context.token()?)?)
}

/// The id of the case file that a person means.
fn case_file_id(client: &Client, name: &str) -> Result<String, Failure> {
    let found = match name.parse::<crate::domain::CaseFileId>() {
        Ok(_) => client.case_file(name)?,
        Err(_) => client.find_case_file(name)?,
    };
    found.map(|file| file.id).ok_or_else(|| Failure::refused(format!("Die Akte „{name}“ gibt es nicht.")))
}

pub(super) fn search(context: &Context, url: &str, args: &Search, out: &mut Out) -> Result<Exit, Failure> {
    let client = client(context, url)?;
    let case_file = args.case_file.as_ref().map(|name| case_file_id(&client, name)).transpose()?;
    let (text, limit) = (args.query.join(" "), usize::from(args.limit));
    let mut skip = args.offset;
    let mut page = client.search(&text, case_file.as_deref(), limit.max(skip.min(200)), None)?;
    // The server pages by cursor: what is to be skipped is fetched and left out.
    while skip >= page.hits.len() && skip > 0 {
        let Some(next) = page.next.clone() else { break };
        skip -= page.hits.len();
        page = client.search(&text, case_file.as_deref(), limit, Some(&next))?;
    }
    let hits: Vec<HitLine> = page
        .hits
        .into_iter()
        .skip(skip)
        .take(limit)
        .map(|hit| HitLine {
            document_id: hit.document_id,
            file_reference: hit.file_reference,
            title: hit.title,
            source_name: hit.source_name,
            page: hit.page,
            snippet: hit.snippet,
            score: hit.score,
        })
        .collect();
    let result = SearchLine { total: page.total, hits };
    out.object(&result);
    if !out.json {
        super::search::present(&result, &[], args.offset, out);
    }
    for note in page.notes {
        hint(note);
    }
    Ok(Exit::Done)
}

pub(super) fn verify(context: &Context, url: &str, args: &Verify, out: &mut Out) -> Result<Exit, Failure> {
    let client = client(context, url)?;
    let mut job = client.start_verify(&JobAsked {
        kind: "verify".to_owned(),
        sample: args.sample,
        seed: args.seed,
        replay: args.replay,
        since: args.since.map(|since| since.to_string()),
        expect: args.expect.map(|expect| format!("{}:{}", expect.size, expect.root)),
    })?;
    let bars = Bars::new();
    let bar = bars.counting("geprüft", None);
    let mut pause = Duration::from_millis(50);
    while matches!(job.state, JobState::Queued | JobState::Running) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
        job = client.job(&job.id)?.ok_or_else(|| {
            Failure::unavailable("Der Server kennt die Prüfung nicht mehr; ist er neu gestartet worden?")
        })?;
        set_total(&bar, job.total);
        bar.set_position(job.done);
    }
    bar.finish_and_clear();
    let Some(result) = job.result else {
        let why = job.problem.unwrap_or_else(|| "ohne Angabe von Gründen".to_owned());
        return Err(Failure::unavailable(format!("Die Prüfung brach ab: {why}")));
    };
    let is_clean = result.findings.is_empty();
    let JobResult { objects, bytes, commits, leaves, root, findings, notices } = result;
    out.object(&json!({
        "objects": objects,
        "bytes": bytes,
        "commits": commits,
        "leaves": leaves,
        "root": root,
        "findings": findings,
        "notices": notices,
    }));
    let lines = |faults: &[crate::api::rows::VerifyFault]| -> Vec<(String, String, String)> {
        faults.iter().map(|f| (f.kind.clone(), f.object.clone(), f.detail.clone())).collect()
    };
    let notices = lines(&notices);
    let notices = if args.details { notices } else { gathered(notices) };
    tell(None, &lines(&findings), &notices, [objects, bytes, commits, leaves], &root, out);
    Ok(if is_clean { Exit::Done } else { Exit::Findings })
}
