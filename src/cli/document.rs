//! `eakte file` and `eakte add-version`: changing one document.

use super::args::{AddVersion, FileDocument};
use super::context::{Context, Desk};
use super::failure::{Exit, Failure};
use super::out::{Out, counted, hint, plain};
use super::rows::{DocumentLine, FileLine, FindingLine, VersionLine};
use super::stop;
use crate::archive::DocumentState;
use crate::domain::codes::Rejection;
use crate::domain::{Digest, DocumentId};
use crate::ingest::{Declared, NewVersion, Outcome};
use crate::wording;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A document was to be named by its id or digest, and was not.
pub(super) fn no_document(what: &str) -> Failure {
    Failure::refused(format!(
        "Das Dokument „{}“ gibt es nicht. Erwartet wird seine Kennung oder SHA-256; „eakte search“ nennt Kennungen.",
        plain(what)
    ))
}

/// Several documents have these bytes.
pub(super) fn several_documents(count: usize) -> Failure {
    Failure::usage(format!("{count} Dokumente haben diese Bytes; bitte die Kennung nennen."))
}

/// The one document that is meant.
fn find(desk: &Desk, what: &str) -> Result<DocumentState, Failure> {
    if let Ok(digest) = what.parse::<Digest>() {
        let mut found = desk.archive.documents_by_digest(&desk.permit, &digest)?;
        return match found.len() {
            0 | 1 => found.pop().ok_or_else(|| no_document(what)),
            several => Err(several_documents(several)),
        };
    }
    let id = what.parse::<DocumentId>().map_err(|_| no_document(what))?;
    Ok(desk.archive.document(&desk.permit, id)?)
}

pub(super) fn file(context: &Context, args: &FileDocument, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(url) = context.server() {
        return super::remote::file(context, url, args, out);
    }
    let desk = context.desk(false)?;
    let (archive, permit) = (&desk.archive, &desk.permit);
    let before = find(&desk, &args.document)?;
    let target = archive.find_case_file(permit, &args.case_file)?;
    let target = target
        .ok_or_else(|| Failure::refused(format!("Die Akte „{}“ gibt es nicht.", plain(&args.case_file))))?;
    let after = archive.file_document(permit, before.id, target, args.reason.as_ref(), None)?;
    let moved = before.row.case_file != after.row.case_file;
    if let Some(line) = DocumentLine::new(&after) {
        present_filed(moved, before.file_reference.as_deref(), &line, out);
    }
    Ok(Exit::Done)
}

/// Says where a document lies now. `from` is the case file it lay in before, if it was in one.
pub(super) fn present_filed(moved: bool, from: Option<&str>, line: &DocumentLine, out: &mut Out) {
    out.object(line);
    let (title, to) = (plain(&line.title), plain(line.file_reference.as_deref().unwrap_or_default()));
    out.text(match from {
        _ if !moved => format!("„{title}“ liegt schon in der Akte {to}; es hat sich nichts geändert."),
        None => format!("„{title}“ ist aus dem Posteingang in die Akte {to} abgelegt."),
        Some(from) => format!("„{title}“ ist aus der Akte {} in die Akte {to} umgelegt.", plain(from)),
    });
}

pub(super) fn add_version(context: &Context, args: &AddVersion, out: &mut Out) -> Result<Exit, Failure> {
    let size = check_file(&args.file)?;
    if let Some(url) = context.server() {
        return super::remote::add_version(context, url, args, out);
    }
    let desk = context.desk(!args.no_wait)?;
    let stop = stop::on_interrupt();
    let before = find(&desk, &args.document)?;
    let current = before.row.versions.last().map(|version| version.number);
    let name = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = NewVersion { source_name: name, follows: args.follows.or(current), ..NewVersion::default() };
    let file = std::fs::File::open(&args.file).map_err(|error| unreadable(&args.file, &error))?;
    // A file that grows while it is read would never end: one byte past its length is enough to notice.
    let declared = Declared { size: Some(size), ..Declared::default() };
    let mut body = file.take(size.saturating_add(1));
    let (status, accepted) =
        match desk.archive.add_version(&desk.permit, before.id, &new, &mut body, &declared)? {
            Outcome::Received(accepted) => ("received", accepted),
            Outcome::Duplicate(accepted) => ("duplicate", accepted),
            Outcome::Rejected { rejection, .. } => return Err(not_stored(rejection)),
        };
    let known = if args.no_wait {
        desk.archive.document(&desk.permit, before.id)?
    } else {
        desk.archive.read_first(before.id);
        wait(&desk, before.id, &stop)?
    };
    let line = VersionLine {
        file: FileLine {
            path: args.file.to_string_lossy().into_owned(),
            status,
            document_id: Some(accepted.document.to_string()),
            sha256: Some(accepted.sha256.to_string()),
            bytes: Some(accepted.size),
            position: Some(accepted.position),
            searchable: known.searchable,
            pages: known.pages().filter(|_| known.searchable),
            findings: known.findings().iter().map(FindingLine::from).collect(),
        },
        version: accepted.version,
    };
    present_version(&known.row.received.title, &line, out);
    Ok(Exit::Done)
}

/// Length of a file that can be added.
fn check_file(path: &Path) -> Result<u64, Failure> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(_) => Err(Failure::refused(format!("{} ist keine Datei.", path.display()))),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::refused(format!("{} konnte nicht gelesen werden ({}).", path.display(), wording::os(error)))
}

fn not_stored(rejection: Rejection) -> Failure {
    // Nobody declared anything but the length that we saw.
    let rejection = if rejection == Rejection::DigestMismatch { Rejection::Changed } else { rejection };
    Failure::refused(format!("{} Es wurde keine Version hinzugefügt.", rejection.sentence()))
}

/// Waits until the new version has been read and is found, or someone asks to stop.
fn wait(desk: &Desk, id: DocumentId, stop: &AtomicBool) -> Result<DocumentState, Failure> {
    const PATIENCE: Duration = Duration::from_millis(500);
    let mut seen = 0;
    loop {
        let known = desk.archive.document(&desk.permit, id)?;
        let is_halted = desk.archive.health()?.journal.halted.is_some();
        if known.searchable || is_halted || stop.load(Ordering::Acquire) {
            if !known.searchable {
                hint(
                    "Angenommen ist die Version; erschlossen wird sie, sobald das Archiv wieder geöffnet ist.",
                );
            }
            return Ok(known);
        }
        seen = desk.archive.indexed().wait(seen, PATIENCE);
    }
}

/// Says what became of a version.
pub(super) fn present_version(title: &str, line: &VersionLine, out: &mut Out) {
    out.object(line);
    let (title, number) = (plain(title), line.version);
    if line.file.status == "duplicate" {
        out.text(format!(
            "Version {number} von „{title}“ hat diese Bytes schon; es hat sich nichts geändert."
        ));
    } else {
        let pages = line.file.pages.map(|pages| format!(", {}", counted(pages.into(), "Seite", "Seiten")));
        out.text(format!("„{title}“ hat jetzt Version {number}{}.", pages.unwrap_or_default()));
    }
    for finding in &line.file.findings {
        out.text(format!("Befund: {}", plain(&finding.text())));
    }
}
