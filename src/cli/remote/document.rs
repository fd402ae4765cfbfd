//! Changing a document through a server.

use super::super::args::{AddVersion, FileDocument};
use super::super::context::Context;
use super::super::document::{no_document, present_filed, present_version, several_documents};
use super::super::failure::{Exit, Failure};
use super::super::out::Out;
use super::super::rows::{DocumentLine, FileLine, VersionLine};
use super::super::stop;
use super::{case_file_id, client};
use crate::api::rows::{Document, DocumentFiling, VersionFacts};
use crate::client::{Client, Sent};
use crate::domain::{Digest, DocumentId};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The one document that is meant.
fn find(client: &Client, what: &str) -> Result<Document, Failure> {
    if what.parse::<Digest>().is_ok() {
        let mut found = client.documents_by_digest(what)?;
        return match found.len() {
            0 | 1 => found.pop().ok_or_else(|| no_document(what)),
            several => Err(several_documents(several)),
        };
    }
    what.parse::<DocumentId>().map_err(|_| no_document(what))?;
    client.document(what)?.ok_or_else(|| no_document(what))
}

pub(in crate::cli) fn file(
    context: &Context,
    url: &str,
    args: &FileDocument,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let client = client(context, url)?;
    let before = find(&client, &args.document)?;
    let case_file = case_file_id(&client, &args.case_file)?;
    let reason = args.reason.as_ref().map(ToString::to_string);
    let after = client.file_document(&before.id, &DocumentFiling { case_file, reason })?;
    let moved = before.case_file != after.case_file;
    present_filed(moved, before.file_reference.as_deref(), &DocumentLine::from(after), out);
    Ok(Exit::Done)
}

pub(in crate::cli) fn add_version(
    context: &Context,
    url: &str,
    args: &AddVersion,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let client = client(context, url)?;
    let stop = stop::on_interrupt();
    let before = find(&client, &args.document)?;
    let facts = VersionFacts { follows: args.follows.or(Some(before.version)), ..VersionFacts::default() };
    let receipt = match client.add_version(&before.id, &args.file, &facts)? {
        Sent::Stored(receipt) => receipt,
        Sent::Rejected { detail, .. } => {
            return Err(Failure::refused(format!("{detail} Es wurde keine Version hinzugefügt.")));
        }
    };
    let is_stopped = || stop.load(Ordering::Acquire);
    let patience = if args.no_wait { Duration::ZERO } else { Duration::MAX };
    let known = client.wait_searchable(&before.id, patience, &is_stopped)?;
    let known = known.ok_or_else(|| no_document(&args.document))?;
    let title = known.title.clone();
    let pages = known.pages.filter(|_| known.searchable);
    let line = DocumentLine::from(known);
    let line = VersionLine {
        file: FileLine {
            path: args.file.to_string_lossy().into_owned(),
            status: if receipt.status == "duplicate" { "duplicate" } else { "received" },
            document_id: Some(receipt.document_id),
            sha256: Some(receipt.sha256),
            bytes: Some(receipt.bytes),
            position: Some(receipt.position),
            searchable: line.searchable,
            pages,
            findings: line.findings,
        },
        version: receipt.version,
    };
    present_version(&title, &line, out);
    Ok(Exit::Done)
}
