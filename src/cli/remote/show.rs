//! Looking at records through a server.

use super::super::args::Show;
use super::super::context::Context;
use super::super::failure::{Exit, Failure};
use super::super::history;
use super::super::out::{Out, counted, number, plain, size};
use super::super::rows::{DocumentLine, FindingLine};
use super::super::show::{document, download, moment, pages, part};
use super::{case_file_id, client};
use crate::api::rows::{Document, StoredEvent};
use crate::client::{Client, ClientError};
use crate::domain::{CaseFileId, Digest, DocumentId};
use jiff::tz::TimeZone;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

impl From<Document> for DocumentLine {
    fn from(row: Document) -> Self {
        Self {
            document_id: row.id,
            title: row.title,
            source_name: row.source_name,
            case_file_id: row.case_file,
            file_reference: row.file_reference,
            document_type: row.document_type,
            document_date: row.document_date,
            batch_id: row.batch,
            media_type: row.media_type,
            bytes: row.bytes,
            sha256: row.sha256,
            position: row.position,
            accepted_at: row.accepted_at,
            versions: row.version,
            searchable: row.searchable,
            pages: row.pages,
            findings: row.findings.into_iter().map(FindingLine::from).collect(),
            history: Vec::new(),
        }
    }
}

pub(in crate::cli) fn show(
    context: &Context,
    url: &str,
    args: &Show,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let client = client(context, url)?;
    let Some(what) = &args.what else { return overview(&client, out) };
    let documents = documents(&client, what)?;
    if args.content.is_some() || args.pdf.is_some() || args.text {
        let [found] = documents.as_slice() else {
            return Err(Failure::usage(
                "Inhalt und Text gibt es für genau ein Dokument; bitte seine Kennung nennen.",
            ));
        };
        return content(&client, &found.id, args, out);
    }
    let zone = TimeZone::get(&client.health()?.time_zone).unwrap_or(TimeZone::UTC);
    if !documents.is_empty() {
        for found in documents {
            if args.events {
                events(client.document_events(&found.id)?, &zone, out);
            } else {
                let mut line = DocumentLine::from(found);
                line.history = history::remote(&client, &line.document_id)?;
                document(&line, &zone, out);
            }
        }
        return Ok(Exit::Done);
    }
    if let Some(batch) = match client.batch_named(what)? {
        None if what.parse::<CaseFileId>().is_ok() => client.batch(what)?,
        found => found,
    } {
        out.text(format!(
            "Charge {}: {} angenommen, {} doppelt, {} abgelehnt: {}",
            plain(&batch.name),
            batch.received,
            batch.duplicate,
            batch.rejected,
            verdict(&batch.balance)
        ));
        if let Some(note) = &batch.page_note {
            out.text(format!("Seiten: {note}"));
        }
        out.object(&batch);
        return Ok(Exit::Done);
    }
    let id = case_file_id(&client, what)?;
    if args.events {
        events(client.case_file_events(&id)?, &zone, out);
        return Ok(Exit::Done);
    }
    case_file(&client, &id, out)
}

/// The word for people.
fn verdict(balance: &str) -> &str {
    match balance {
        "open" => "offen",
        "green" => "ausgeglichen",
        "red" => "NICHT AUSGEGLICHEN",
        other => other,
    }
}

fn documents(client: &Client, what: &str) -> Result<Vec<Document>, Failure> {
    if what.parse::<Digest>().is_ok() {
        return Ok(client.documents_by_digest(what)?);
    }
    match what.parse::<DocumentId>() {
        Ok(_) => Ok(client.document(what)?.into_iter().collect()),
        Err(_) => Ok(Vec::new()),
    }
}

fn events(events: Vec<StoredEvent>, zone: &TimeZone, out: &mut Out) {
    for event in events {
        let at = moment(&event.recorded_at, zone);
        out.text(format!("{at}  {:>8}  {}", event.position, event.kind));
        out.object(&json!({
            "position": event.position,
            "payload": event.payload,
            "kind": event.kind,
            "recorded_at": event.recorded_at,
            "effective_on": event.effective_on,
            "reason": event.reason,
            "software": event.software,
            "data": event.data,
        }));
    }
}

fn case_file(client: &Client, id: &str, out: &mut Out) -> Result<Exit, Failure> {
    let file = client.case_file(id)?.ok_or_else(|| Failure::refused("Die Akte gibt es nicht."))?;
    let (mut lines, mut cursor) = (Vec::<DocumentLine>::new(), None::<String>);
    loop {
        let page = client.documents_of(id, cursor.as_deref())?;
        lines.extend(page.items.into_iter().map(DocumentLine::from));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    out.text(format!("Akte {}: {}", plain(&file.reference), plain(&file.title)));
    out.text(counted(lines.len() as u64, "Dokument", "Dokumente"));
    for line in &lines {
        out.text(format!("{}  {}", line.document_id, plain(&line.title)));
    }
    out.object(&json!({
        "case_file_id": file.id,
        "file_reference": file.reference,
        "title": file.title,
        "aliases": file.aliases,
        "plan_unit": file.plan_unit,
        "unit": file.unit,
        "case_type": file.case_type,
        "protection": file.protection,
        "retention_class": file.retention_class,
        "medium": file.medium,
        "paper_location": file.paper_location,
        "begins_on": file.begins_on,
        "ends_on": file.ends_on,
        "closed_on": file.closed_on,
        "parties": file.parties,
        "fields": file.fields,
        "documents": lines,
    }));
    Ok(Exit::Done)
}

fn content(client: &Client, id: &str, args: &Show, out: &mut Out) -> Result<Exit, Failure> {
    if args.text {
        let mut bytes = Vec::new();
        client.rendition(id, "text", &mut bytes)?;
        return pages(bytes.as_slice(), out);
    }
    let Some(target) = args.content.as_ref().or(args.pdf.as_ref()) else { return Ok(Exit::Usage) };
    let fetch = |to: &mut dyn Write| match args.content {
        Some(_) => client.content(id, args.version_number, to),
        None => client.rendition(id, "pdf", to),
    };
    if target == Path::new("-") {
        return match fetch(&mut io::stdout().lock()) {
            Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            done => done.map(|_| Exit::Done).map_err(Failure::from),
        };
    }
    download(part(args), target, &mut |file| fetch(file).map(drop).map_err(Failure::from))
}

fn overview(client: &Client, out: &mut Out) -> Result<Exit, Failure> {
    let health = client.health()?;
    let waiting: u64 = health.unread.iter().sum();
    out.text(format!(
        "{}, {}, {}, {}; {} noch zu erschließen",
        counted(health.case_files, "Akte", "Akten"),
        counted(health.documents, "Dokument", "Dokumente"),
        counted(health.pages, "Seite", "Seiten"),
        size(health.bytes),
        number(waiting)
    ));
    out.object(&json!({
        "case_files": health.case_files,
        "documents": health.documents,
        "pages": health.pages,
        "bytes": health.bytes,
        "waiting": waiting,
        "leaves": health.leaves,
    }));
    Ok(Exit::Done)
}
