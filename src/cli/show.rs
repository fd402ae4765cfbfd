//! `eakte show`: a document, a case file, a batch, or an overview.

use super::args::Show;
use super::context::{Context, Desk, local_permit};
use super::failure::{Exit, Failure};
use super::history;
use super::out::{Out, counted, day, hint, number, plain, size, table};
use super::rows::DocumentLine;
use crate::archive::DocumentState;
use crate::catalogue::{BatchRow, CaseFileRow};
use crate::domain::batch::Balance;
use crate::domain::codes::Medium;
use crate::domain::digest::Hasher;
use crate::domain::{BatchId, CaseFileId, Digest, DocumentId, EntityId};
use crate::wording;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// What a name means.
enum Thing {
    Document(Box<DocumentState>),
    CaseFile(CaseFileId),
    Batch(BatchId),
}

pub(super) fn run(context: &Context, args: &Show, out: &mut Out) -> Result<Exit, Failure> {
    let is_partial = args.content.is_some() || args.pdf.is_some() || args.text || args.events;
    if is_partial && args.what.is_none() {
        return Err(Failure::usage(
            "Bitte sagen, welches Dokument gemeint ist, etwa: eakte show KENNUNG --pdf DATEI (mit seiner Kennung).",
        ));
    }
    if let Some(url) = context.server() {
        return super::remote::show(context, url, args, out);
    }
    let Some(what) = &args.what else { return overview(context, out) };
    let desk = context.desk(false)?;
    let things = find(&desk, what)?;
    if things.is_empty() {
        return Err(Failure::refused(format!(
            "Zu „{}“ gibt es kein Dokument, keine Akte und keine Charge. Nach Worten sucht „eakte search“.",
            plain(what)
        )));
    }
    if args.content.is_some() || args.pdf.is_some() || args.text {
        let [Thing::Document(document)] = things.as_slice() else {
            return Err(Failure::usage(
                "Inhalt und Text gibt es für genau ein Dokument; bitte seine Kennung nennen.",
            ));
        };
        return content(&desk, document, args, out);
    }
    let zone = desk.archive.zone()?;
    for thing in things {
        if args.events {
            events(&desk, &thing, &zone, out)?;
        } else {
            match thing {
                Thing::Document(state) => {
                    if let Some(mut line) = DocumentLine::new(&state) {
                        line.history = history::local(&desk, state.id);
                        document(&line, &zone, out);
                    }
                }
                Thing::CaseFile(id) => case_file(&desk, id, out)?,
                Thing::Batch(id) => batch(&desk, id, &zone, out)?,
            }
        }
    }
    Ok(Exit::Done)
}

/// Everything that a name may mean; ids are unique, digests and names may not be.
fn find(desk: &Desk, what: &str) -> Result<Vec<Thing>, Failure> {
    let (archive, permit) = (&desk.archive, &desk.permit);
    if let Ok(digest) = what.parse::<Digest>() {
        let states = archive.documents_by_digest(permit, &digest)?;
        return Ok(states.into_iter().map(|state| Thing::Document(Box::new(state))).collect());
    }
    if let Ok(id) = what.parse::<DocumentId>()
        && let Ok(state) = archive.document(permit, id)
    {
        return Ok(vec![Thing::Document(Box::new(state))]);
    }
    if let Ok(id) = what.parse::<BatchId>()
        && archive.batch(permit, id).is_ok()
    {
        return Ok(vec![Thing::Batch(id)]);
    }
    if let Some(id) = archive.find_case_file(permit, what)? {
        return Ok(vec![Thing::CaseFile(id)]);
    }
    // The default name of a batch is the path of its source.
    let path = std::path::absolute(what).map(|path| crate::ingest::shown_path(&path)).ok();
    for name in [Some(what.to_owned()), path].into_iter().flatten() {
        if let Some(id) = archive.batch_named(permit, &name)? {
            return Ok(vec![Thing::Batch(id)]);
        }
    }
    Ok(Vec::new())
}

/// What a finding means, for people.
pub(super) fn finding(code: &str) -> &'static str {
    match code {
        "encrypted" => "mit einem Kennwort geschützt",
        "signed" => "digital signiert",
        "damaged" => "beschädigt",
        "unknown-type" => "unbekannter Dateityp",
        "no-text" => "kein Text gefunden",
        "unfiled" => "ohne Akte im Posteingang",
        "ocr-pending" => "Texterkennung ausstehend",
        "time-limit" => "Text fehlt: Zeitlimit",
        "worker-crashed" => "Text fehlt: Lesen abgebrochen",
        _ => "Befund",
    }
}

/// An instant that programs read, for people.
pub(super) fn moment(text: &str, zone: &TimeZone) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |at| super::out::moment(at, zone))
}

/// A document.
pub(super) fn document(line: &DocumentLine, zone: &TimeZone, out: &mut Out) {
    out.object(line);
    let mut rows = vec![
        vec!["Dokument".to_owned(), plain(&line.title)],
        vec!["Akte".to_owned(), plain(line.file_reference.as_deref().unwrap_or("(Posteingang)"))],
        vec!["Datei".to_owned(), plain(&line.source_name)],
        vec!["Art".to_owned(), format!("{}, {}", line.media_type, size(line.bytes))],
        vec!["Eingang".to_owned(), moment(&line.accepted_at, zone)],
        vec!["SHA-256".to_owned(), line.sha256.clone()],
        vec!["Stelle im Journal".to_owned(), number(line.position)],
        vec!["Kennung".to_owned(), line.document_id.clone()],
    ];
    let pages = line.pages.map_or("noch nicht erschlossen".to_owned(), |pages| {
        let state = if line.searchable { "durchsuchbar" } else { "noch nicht durchsuchbar" };
        format!("{}, {state}", counted(u64::from(pages), "Seite", "Seiten"))
    });
    rows.insert(4, vec!["Seiten".to_owned(), pages]);
    for found in &line.findings {
        let page = found.page.map(|page| format!(" (Seite {page})")).unwrap_or_default();
        let detail = found.detail.as_ref().map(|detail| format!(": {}", plain(detail))).unwrap_or_default();
        rows.push(vec!["Befund".to_owned(), format!("{}{page}{detail}", finding(&found.code))]);
    }
    if line.versions > 1 {
        let version = format!("{} von {}", line.versions, line.versions);
        rows.insert(4, vec!["Version".to_owned(), format!("{version} (frühere: --version-number)")]);
    }
    out.text(table(&rows));
    history::present(&line.history, zone, out);
}

fn case_file(desk: &Desk, id: CaseFileId, out: &mut Out) -> Result<(), Failure> {
    const PAGE: usize = 500;
    let CaseFileRow { data, closed_here_on, .. } = desk.archive.case_file(&desk.permit, id)?;
    let plan_unit = desk.archive.plan_unit(&desk.permit, data.plan_unit)?.data;
    let units = desk.archive.units(&desk.permit)?;
    let unit = units.iter().find(|(unit, _)| *unit == data.unit).map(|(_, row)| row.data.code.clone());
    let closed_on = closed_here_on.or(data.closed_on);
    let mut documents = Vec::new();
    let mut from = None;
    loop {
        let page = desk.archive.documents_of(&desk.permit, Some(id), from.as_ref(), PAGE)?;
        documents.extend(page.items.iter().filter_map(DocumentLine::new));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    out.object(&json!({
        "case_file_id": id,
        "file_reference": data.reference,
        "title": data.title,
        "aliases": data.aliases,
        "plan_unit": plan_unit.code,
        "unit": unit,
        "case_type": data.case_type,
        "protection": data.protection,
        "retention_class": data.retention_class,
        "medium": data.medium,
        "paper_location": data.paper_location,
        "begins_on": data.begins_on,
        "ends_on": data.ends_on,
        "closed_on": closed_on,
        "parties": data.parties,
        "fields": data.fields,
        "documents": documents,
    }));
    let medium = match data.medium {
        Medium::Electronic => "elektronisch",
        Medium::Hybrid => "elektronisch und auf Papier",
        Medium::Paper => "nur auf Papier",
    };
    let mut rows = vec![
        vec!["Akte".to_owned(), plain(&data.reference)],
        vec!["Betreff".to_owned(), plain(&data.title)],
        vec!["Aktenplan".to_owned(), plain(&format!("{} {}", plan_unit.code, plan_unit.title))],
        vec![
            "Stand".to_owned(),
            closed_on.map_or("offen".to_owned(), |on| format!("z.d.A. seit {}", day(on))),
        ],
        vec!["Aufbewahrung".to_owned(), format!("Klasse {}", plain(&data.retention_class))],
        vec!["Medium".to_owned(), medium.to_owned()],
    ];
    rows.extend(data.paper_location.iter().map(|place| vec!["Standort".to_owned(), plain(place)]));
    rows.extend(data.aliases.iter().map(|alias| vec!["Altes Zeichen".to_owned(), plain(alias)]));
    rows.extend(data.parties.iter().map(|party| vec![plain(&party.role), plain(&party.name)]));
    rows.extend(data.fields.iter().map(|(name, value)| vec![plain(name), plain(value)]));
    rows.push(vec!["Kennung".to_owned(), id.to_string()]);
    out.text(table(&rows));
    out.text(format!("\n{}", counted(documents.len() as u64, "Dokument", "Dokumente")));
    let rows: Vec<Vec<String>> = documents
        .iter()
        .map(|line| {
            let pages = line.pages.map_or("?".to_owned(), |pages| number(u64::from(pages)));
            let dated = line.document_date.as_ref().and_then(|on| on.parse().ok()).map(day);
            vec![
                line.document_id.clone(),
                dated.unwrap_or_default(),
                format!("{pages} S."),
                plain(&line.title),
            ]
        })
        .collect();
    out.text(table(&rows));
    Ok(())
}

/// The word for a balance that scripts read.
pub(super) fn balance_word(balance: Balance) -> &'static str {
    match balance {
        Balance::Open => "open",
        Balance::Green => "green",
        Balance::Red => "red",
    }
}

fn batch(desk: &Desk, id: BatchId, zone: &TimeZone, out: &mut Out) -> Result<(), Failure> {
    const PAGE: usize = 1_000;
    let row = desk.archive.batch(&desk.permit, id)?;
    let state = row.state(id);
    let balance = state.balance();
    let (counts, read) = (row.counts(), row.pages_read());
    let (check, note) = (state.page_check(counts, read), state.page_sentence(counts, read));
    let BatchRow { data, closed, received, duplicate, rejected, .. } = row;
    out.object(&json!({
        "batch_id": id,
        "name": data.name,
        "source": data.source,
        "balance": balance_word(balance),
        "seen": closed.as_ref().map(|closed| closed.seen),
        "received": received,
        "duplicate": duplicate,
        "rejected": rejected,
        "pages_read": read.pages,
        "unread": read.unread,
        "page_check": check.word(),
        "page_note": note,
        "box_label": data.box_label,
        "person": data.person,
        "station": data.station,
        "scanner": data.scanner,
        "profile": data.profile,
        "scanned_at": data.scanned_at,
        "procedure_version": data.procedure_version,
        "sheets_expected": data.sheets_expected,
        "pages_expected": data.pages_expected,
        "anomalies": data.anomalies,
    }));
    let verdict = match balance {
        Balance::Open => "offen",
        Balance::Green => "ausgeglichen",
        Balance::Red => "NICHT AUSGEGLICHEN",
    };
    let seen = closed.map_or(String::new(), |closed| format!("{} gesehen = ", number(closed.seen)));
    let mut rows = vec![
        vec!["Charge".to_owned(), plain(&data.name)],
        vec![
            "Bilanz".to_owned(),
            format!(
                "{seen}{} angenommen + {} doppelt + {} abgelehnt: {verdict}",
                number(received),
                number(duplicate),
                number(rejected)
            ),
        ],
    ];
    rows.extend(note.map(|note| vec!["Seiten".to_owned(), note]));
    let instant = data.scanned_at.map(|at| super::out::moment(at, zone));
    for (what, text) in [
        ("Karton", &data.box_label),
        ("Gescannt von", &data.person),
        ("Arbeitsplatz", &data.station),
        ("Scanner", &data.scanner),
        ("Scanprofil", &data.profile),
        ("Gescannt am", &instant),
        ("Verfahren", &data.procedure_version),
    ] {
        rows.extend(text.iter().map(|text| vec![what.to_owned(), plain(text)]));
    }
    rows.extend(data.anomalies.iter().map(|text| vec!["Auffällig".to_owned(), plain(text)]));
    rows.push(vec!["Kennung".to_owned(), id.to_string()]);
    out.text(table(&rows));
    let mut from = None;
    loop {
        let page = desk.archive.batch_lines(&desk.permit, id, from.as_ref(), PAGE)?;
        for line in page.items {
            out.object(&json!({
                "path": line.path,
                "status": line.status,
                "document_id": line.document,
                "rejection": line.rejection,
                "detail": line.detail,
            }));
            if let Some(rejection) = line.rejection {
                let why = line.detail.as_deref().unwrap_or_else(|| rejection.sentence());
                out.text(format!("abgelehnt  {}: {}", plain(&line.path), plain(why)));
            }
        }
        from = page.next;
        if from.is_none() || out.is_closed() {
            return Ok(());
        }
    }
}

fn events(desk: &Desk, thing: &Thing, zone: &TimeZone, out: &mut Out) -> Result<(), Failure> {
    let entity: EntityId = match thing {
        Thing::Document(state) => state.id.into(),
        Thing::CaseFile(id) => (*id).into(),
        Thing::Batch(id) => (*id).into(),
    };
    for event in desk.archive.events(&desk.permit, entity)? {
        out.object(&json!({
            "position": event.position,
            "payload": event.payload,
            "kind": event.kind(),
            "recorded_at": event.recorded.recorded_at,
            "effective_on": event.recorded.context.effective_on,
            "reason": event.recorded.context.reason,
            "software": event.recorded.software,
            "data": event.data(),
        }));
        let at = super::out::moment(event.recorded.recorded_at, zone);
        out.text(format!("{at}  {:>8}  {}", event.position, event.kind()));
    }
    Ok(())
}

fn content(desk: &Desk, state: &DocumentState, args: &Show, out: &mut Out) -> Result<Exit, Failure> {
    if args.text {
        let rendition = desk.archive.rendition(&desk.permit, state.id, "text", None).map_err(|_| {
            Failure::refused("Zu diesem Dokument gibt es (noch) keinen Text; „eakte show“ sagt, warum.")
        })?;
        return pages(io::BufReader::new(rendition.body), out);
    }
    let (content, target) = match (&args.content, &args.pdf) {
        (Some(target), _) => {
            (desk.archive.original(&desk.permit, state.id, args.version_number, None)?, target)
        }
        (None, Some(target)) => (desk.archive.rendition(&desk.permit, state.id, "pdf", None)?, target),
        (None, None) => return Ok(Exit::Usage),
    };
    let wanted = content.object.sha256;
    if target == Path::new("-") {
        return match copy(content.body, &mut |bytes| io::stdout().lock().write_all(bytes)) {
            Ok(found) if found == wanted => Ok(Exit::Done),
            Ok(found) => Err(damaged(wanted, found)),
            // Whoever reads our output has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(error) => Err(unwritten(target, &error)),
        };
    }
    let mut body = Some(content.body);
    download(part(args), target, &mut |file| {
        let Some(body) = body.take() else { return Ok(()) };
        match copy(body, &mut |bytes| file.write_all(bytes)) {
            Ok(found) if found == wanted => Ok(()),
            Ok(found) => Err(damaged(wanted, found)),
            Err(error) => Err(unwritten(target, &error)),
        }
    })
}

fn unwritten(target: &Path, error: &io::Error) -> Failure {
    Failure::unavailable(format!(
        "{} konnte nicht geschrieben werden ({}).",
        target.display(),
        wording::os(error)
    ))
}

fn damaged(wanted: Digest, found: Digest) -> Failure {
    Failure::damaged(format!(
        "Der gespeicherte Inhalt ist beschädigt: seine Prüfsumme ist {found} statt {wanted}. \
             Bitte „eakte verify“ ausführen und aus einer Sicherung wiederherstellen."
    ))
}

/// Copies and hashes.
fn copy(mut body: impl Read, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                write(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What of a document is written to a file.
pub(super) fn part(args: &Show) -> &'static str {
    if args.content.is_some() { "Das Original" } else { "Das durchsuchbare PDF" }
}

/// Writes beside the target first: what appears under its name is whole and right. Nothing is overwritten. Says at
/// the end what (`part`) was written where.
pub(super) fn download(
    what: &str,
    target: &Path,
    write: &mut dyn FnMut(&mut File) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    if target.symlink_metadata().is_ok() {
        return Err(Failure::refused(format!(
            "{} gibt es schon; überschrieben wird nichts.",
            target.display()
        )));
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let partial = target.with_file_name(name);
    let opened = OpenOptions::new().write(true).create(true).truncate(true).open(&partial);
    let mut file = opened.map_err(|error| unwritten(target, &error))?;
    let done = write(&mut file).and_then(|()| {
        let named = file.sync_all().and_then(|()| {
            std::fs::hard_link(&partial, target).or_else(|_| std::fs::rename(&partial, target))?;
            file.metadata()
        });
        let facts = named.map_err(|error| unwritten(target, &error))?;
        hint(format!("{what} ({}) steht jetzt in {}.", size(facts.len()), target.display()));
        Ok(())
    });
    // After a rename it is gone already; a leftover is harmless either way.
    let _ = std::fs::remove_file(&partial);
    done.map(|()| Exit::Done)
}

#[derive(Deserialize)]
struct Pages {
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    number: u32,
    #[serde(default)]
    text: String,
}

/// The page texts, with a form feed between pages, as text tools expect.
pub(super) fn pages(text: impl Read, out: &mut Out) -> Result<Exit, Failure> {
    const MAX: u64 = 256 * 1024 * 1024;
    let pages: Pages = serde_json::from_reader(text.take(MAX)).map_err(|error| {
        Failure::damaged(format!(
            "Der gespeicherte Text ist nicht lesbar ({}); bitte „eakte verify“ ausführen.",
            wording::json(&error)
        ))
    })?;
    let count = pages.pages.len();
    for (at, page) in pages.pages.into_iter().enumerate() {
        out.object(&json!({ "page": page.number, "text": page.text }));
        out.text(format!("{}{}", page.text.trim_end(), if at + 1 < count { "\n\u{c}" } else { "" }));
    }
    Ok(Exit::Done)
}

/// What there is, tenant by tenant.
fn overview(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    let installation = context.open(false)?;
    for tenant in context.tenants(&installation)? {
        let archive = installation.archive(&tenant)?;
        local_permit(&installation, &archive, &tenant)?;
        let health = archive.health()?;
        let waiting: u64 = health.unread.iter().sum();
        let summary = health.summary;
        let name = archive.tenant()?.name;
        out.object(&json!({
            "tenant": tenant,
            "name": name,
            "case_files": summary.case_files,
            "documents": summary.documents,
            "pages": summary.pages,
            "bytes": summary.bytes,
            "waiting": waiting,
            "leaves": health.journal.applied.frontier.size(),
        }));
        out.text(format!(
            "{name} ({tenant}): {}, {}, {}, {}; {} noch zu erschließen",
            counted(summary.case_files, "Akte", "Akten"),
            counted(summary.documents, "Dokument", "Dokumente"),
            counted(summary.pages, "Seite", "Seiten"),
            size(summary.bytes),
            number(waiting)
        ));
    }
    Ok(Exit::Done)
}
