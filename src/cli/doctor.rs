//! `eakte doctor`: is everything ready, and if not, what is to be done?

use super::context::{Context, local_permit, running_server};
use super::failure::{Exit, Failure};
use super::out::{Out, counted, moment, number, size};
use crate::archive::{Archive, Installation, Permit, Place};
use crate::domain::TenantSlug;
use crate::domain::batch::Balance;
use crate::store::StoreLocation;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Good,
    Hint,
    Fault,
}

/// Collects what was looked at.
struct Report<'a> {
    out: &'a mut Out,
    faults: u32,
    hints: u32,
}

impl Report<'_> {
    fn add(&mut self, level: Level, check: &str, detail: impl Into<String>, remedy: &str) {
        let detail = detail.into();
        let word = match level {
            Level::Good => "ok",
            Level::Hint => "Hinweis",
            Level::Fault => "Fehler",
        };
        self.hints += u32::from(level == Level::Hint);
        self.faults += u32::from(level == Level::Fault);
        let way_out = if remedy.is_empty() { String::new() } else { format!("\n           -> {remedy}") };
        self.out.text(format!("{word:<7}  {check}: {detail}{way_out}"));
        let level = match level {
            Level::Good => "ok",
            Level::Hint => "hint",
            Level::Fault => "fault",
        };
        self.out.object(&json!({ "check": check, "level": level, "detail": detail, "remedy": remedy }));
    }

    fn good(&mut self, check: &str, detail: impl Into<String>) {
        self.add(Level::Good, check, detail, "");
    }
}

pub(super) fn run(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("doctor")?;
    let mut report = Report { out, faults: 0, hints: 0 };
    match &context.loaded.file {
        Some(file) => report.good("Konfiguration", format!("{} gelesen", file.display())),
        None => report.good("Konfiguration", "Vorgaben und Umgebung"),
    }
    machine(context, &mut report);
    let data = context.data()?;
    let place = context.place()?;
    permissions(&place, &mut report);
    space(&place, &mut report);
    hot_folders(context, &mut report);
    match context.open(false) {
        Ok(installation) => inside(context, &installation, &mut report),
        Err(failure) => {
            let level = if running_server(data).is_some() { Level::Hint } else { Level::Fault };
            report.add(level, "Archiv", failure.text(), "");
        }
    }
    let Report { faults, hints, .. } = report;
    out.text(match (faults, hints) {
        (0, 0) => "Alles bereit.".to_owned(),
        (0, hints) => format!("Bereit, mit {}.", counted(u64::from(hints), "Hinweis", "Hinweisen")),
        (faults, _) => format!("{} zu beheben.", counted(u64::from(faults), "Fehler ist", "Fehler sind")),
    });
    Ok(if faults == 0 { Exit::Done } else { Exit::Findings })
}

/// What does not depend on an archive: programs and limits.
fn machine(context: &Context, report: &mut Report<'_>) {
    let settings = context.settings(false);
    let program = settings.tesseract.clone().unwrap_or_else(|| PathBuf::from("tesseract"));
    let answer = |argument: &str| {
        let done = Command::new(&program).arg(argument).stdin(Stdio::null()).output().ok()?;
        done.status.success().then(|| {
            let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&done.stderr));
            text
        })
    };
    match answer("--version") {
        None => report.add(
            Level::Hint,
            "Texterkennung",
            format!("„{}“ ist nicht da; Scans warten, bis es da ist", program.display()),
            super::INSTALL_OCR,
        ),
        Some(version) => {
            let known = answer("--list-langs").unwrap_or_default();
            let missing: Vec<&str> = settings
                .ocr_languages
                .split('+')
                .filter(|wanted| !known.lines().any(|line| line.trim() == *wanted))
                .collect();
            if missing.is_empty() {
                let version = version.lines().next().unwrap_or_default().to_owned();
                report.good("Texterkennung", format!("{version}, Sprachen {}", settings.ocr_languages));
            } else {
                let remedy = format!(
                    "apt install {}",
                    missing.iter().map(|name| format!("tesseract-ocr-{name}")).collect::<Vec<_>>().join(" ")
                );
                report.add(
                    Level::Hint,
                    "Texterkennung",
                    format!("Sprachen fehlen: {}", missing.join(", ")),
                    &remedy,
                );
            }
        }
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit < 1_024 {
        report.add(
            Level::Hint,
            "Offene Dateien",
            format!("höchstens {limit}"),
            "ulimit -n 4096 (systemd: LimitNOFILE=4096)",
        );
    } else {
        report.good("Offene Dateien", format!("höchstens {}", number(limit)));
    }
}

/// Tokens and records are for their owner only.
fn permissions(place: &Place, report: &mut Report<'_>) {
    let mut open = Vec::new();
    let mut look = |path: &Path| {
        if let Ok(facts) = fs::metadata(path)
            && facts.permissions().mode() & 0o077 != 0
        {
            open.push(path.display().to_string());
        }
    };
    look(&place.data);
    look(&place.data.join("tokens"));
    for entry in fs::read_dir(place.data.join("tokens")).into_iter().flatten().flatten() {
        look(&entry.path());
    }
    if open.is_empty() {
        report.good("Zugriffsrechte", "Verzeichnis und Zugangstoken gehören nur ihrem Besitzer");
    } else {
        let remedy = format!("chmod go-rwx {}", open.join(" "));
        report.add(
            Level::Fault,
            "Zugriffsrechte",
            "andere Benutzer dieser Maschine kommen an Token oder Akten",
            &remedy,
        );
    }
}

fn space(place: &Place, report: &mut Report<'_>) {
    let mut paths = vec![place.data.clone()];
    if let StoreLocation::Directory(store) = &place.store {
        paths.push(store.clone());
    }
    paths.dedup();
    for path in paths {
        let Ok(facts) = rustix::fs::statvfs(&path) else { continue };
        let free = facts.f_bavail.saturating_mul(facts.f_frsize);
        let detail = format!("{} frei in {}", size(free), path.display());
        let is_inodes_low = facts.f_files > 0 && facts.f_favail < 10_000;
        if free < 200_000_000 || is_inodes_low {
            let detail = if is_inodes_low { format!("{detail}, kaum noch Einträge frei") } else { detail };
            report.add(Level::Fault, "Speicherplatz", detail, "Platz schaffen; vorher nichts aufnehmen");
        } else if free < 5_000_000_000 {
            report.add(Level::Hint, "Speicherplatz", detail, "rechtzeitig für Platz sorgen");
        } else {
            report.good("Speicherplatz", detail);
        }
    }
}

fn hot_folders(context: &Context, report: &mut Report<'_>) {
    for folder in &context.loaded.config.hot_folders {
        let path = folder.path.relative();
        let checked = super::serve::check_folder(folder);
        match checked {
            Err(failure) => report.add(Level::Fault, "Eingangsordner", failure.text(), ""),
            Ok(()) => report.good("Eingangsordner", path.display().to_string()),
        }
    }
}

fn inside(context: &Context, installation: &Installation, report: &mut Report<'_>) {
    // Staging takes the same way as a file that arrives, and leaves nothing behind.
    let probe = installation.store().stage().and_then(|mut staging| {
        staging.write_all(b"probe").map_err(crate::store::StoreError::staging)?;
        staging.finish().map(drop)
    });
    match probe {
        Ok(()) => report.good("Speicher", installation.place().store.to_string()),
        Err(error) => {
            report.add(Level::Fault, "Speicher", error.to_string(), "Rechte, Platz und Zugangsdaten prüfen");
        }
    }
    let tenants = match context.tenants(installation) {
        Ok(tenants) => tenants,
        Err(failure) => return report.add(Level::Fault, "Mandanten", failure.text(), ""),
    };
    if tenants.is_empty() {
        report.add(Level::Hint, "Mandanten", "noch keiner", "eakte create --add --tenant KURZNAME");
    }
    for tenant in tenants {
        let name = format!("Mandant {tenant}");
        match installation.archive(&tenant) {
            Ok(archive) => {
                if let Err(error) = tenant_state(installation, &archive, &tenant, &name, report) {
                    report.add(Level::Fault, &name, error.public, "eakte verify");
                }
            }
            Err(error) => report.add(
                Level::Fault,
                &name,
                error.public,
                "eakte verify, dann aus einer Sicherung wiederherstellen",
            ),
        }
    }
}

fn tenant_state(
    installation: &Installation,
    archive: &Archive,
    tenant: &TenantSlug,
    name: &str,
    report: &mut Report<'_>,
) -> Result<(), crate::archive::Error> {
    let health = archive.health()?;
    if let Some(halt) = health.journal.halted {
        report.add(
            Level::Fault,
            name,
            format!("es wird nichts mehr geschrieben ({halt:?})"),
            "Datenträger prüfen, neu starten, eakte verify",
        );
    }
    let place = installation.place();
    let is_there = place.token_file(tenant).exists();
    let is_good = place.local_token(tenant).and_then(|token| archive.permit(&token)).is_ok();
    // Whoever may work on the directory may have a token: a missing one is made anew, and that is said.
    let permit = local_permit(installation, archive, tenant)?;
    if is_good {
        report.good(name, "Zugangstoken gilt");
    } else {
        let before = if is_there { "galt hier nicht" } else { "fehlte hier" };
        let file = place.token_file(tenant);
        report.add(
            Level::Hint,
            name,
            format!("das Zugangstoken {before}; ein neues ist angelegt: {}", file.display()),
            "Programmen, die mit dem alten arbeiteten, das neue geben",
        );
    }
    let recorded = health.journal.applied.seq;
    if health.indexed_seq < recorded {
        let behind = recorded - health.indexed_seq;
        let detail = format!(
            "die Suche hat {} noch nicht übernommen; das ist kein Fehler",
            counted(behind, "Journaleintrag", "Journaleinträge")
        );
        let remedy =
            "holt sie von selbst nach, sobald „eakte serve“, „eakte ingest“ oder „eakte search“ läuft";
        report.add(Level::Hint, name, detail, remedy);
    }
    let waiting = health.unread[0] + health.unread[1];
    if waiting > 0 {
        report.add(
            Level::Hint,
            name,
            format!("{} zu erschließen", counted(waiting, "Dokument ist", "Dokumente sind")),
            "geschieht, während „eakte serve“ läuft",
        );
    }
    if health.unread[2] > 0 {
        let detail =
            format!("{} auf Texterkennung", counted(health.unread[2], "Dokument wartet", "Dokumente warten"));
        report.add(Level::Hint, name, detail, super::INSTALL_OCR);
    }
    batches(archive, &permit, name, report)?;
    documents(archive, &permit, name, report)?;
    let summary = health.summary;
    report.good(
        name,
        format!(
            "{}, {}, {}",
            counted(summary.case_files, "Akte", "Akten"),
            counted(summary.documents, "Dokument", "Dokumente"),
            size(summary.bytes)
        ),
    );
    clock(archive, &permit, name, report)
}

fn batches(
    archive: &Archive,
    permit: &Permit,
    name: &str,
    report: &mut Report<'_>,
) -> Result<(), crate::archive::Error> {
    const NAMED: usize = 20;
    let (mut from, mut red, mut named, mut open) = (None, 0_u64, Vec::new(), 0_u64);
    loop {
        let page = archive.batches(permit, from.as_ref(), 1_000)?;
        for (id, row) in page.items {
            match row.state(id).balance() {
                Balance::Green => {}
                Balance::Open => open += 1,
                Balance::Red => {
                    red += 1;
                    if named.len() < NAMED {
                        named.push(id.to_string());
                    }
                }
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    if red > 0 {
        let more = if red > NAMED as u64 { " und weitere" } else { "" };
        let detail = format!(
            "{} nicht ausgeglichen: {}{more}",
            counted(red, "Charge ist", "Chargen sind"),
            named.join(", ")
        );
        report.add(Level::Fault, name, detail, "eakte show KENNUNG, dann die Quelle nachzählen");
    }
    if open > 0 {
        report.add(
            Level::Hint,
            name,
            format!("{} noch offen", counted(open, "Charge ist", "Chargen sind")),
            "den unterbrochenen Lauf wiederholen",
        );
    }
    Ok(())
}

fn documents(
    archive: &Archive,
    permit: &Permit,
    name: &str,
    report: &mut Report<'_>,
) -> Result<(), crate::archive::Error> {
    let broken = archive.unreadable_documents(permit)?;
    if broken > 0 {
        let detail = format!(
            "{} ohne Text, weil das Lesen abbrach",
            counted(broken, "Dokument ist", "Dokumente sind"),
        );
        report.add(Level::Hint, name, detail, "Grenzen in [digitise] erhöhen; die Originale sind unversehrt");
    }
    Ok(())
}

/// A clock that is behind the journal would date new records before old ones.
fn clock(
    archive: &Archive,
    permit: &Permit,
    name: &str,
    report: &mut Report<'_>,
) -> Result<(), crate::archive::Error> {
    let (now, zone) = (archive.now(), archive.zone()?);
    match archive.newest_arrival(permit)? {
        Some(latest) if latest > now => {
            let (now, latest) = (moment(now, &zone), moment(latest, &zone));
            let detail = format!("die Uhr zeigt {now}, im Journal steht schon {latest}");
            report.add(Level::Fault, name, detail, "Uhrzeit berichtigen (NTP)");
        }
        _ => report.good("Uhr", format!("{} ({})", moment(now, &zone), zone.iana_name().unwrap_or("UTC"))),
    }
    Ok(())
}
