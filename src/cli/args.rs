//! What the command line takes. Words are English, help is German.

use crate::archive::NewTenant;
use crate::domain::TenantSlug;
use crate::domain::codes::{Classification, Origin};
use crate::domain::reference::Template;
use crate::domain::text::Line;
use crate::ingest::template::PathTemplate;
use crate::verify::Expect;
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Die e-Akte: nimmt Papier und Dateien auf, bewahrt sie unverändert, macht sie durchsuchbar und prüfbar.
#[derive(Debug, Parser)]
#[command(name = "eakte", version)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Common {
    #[arg(help = "Datenverzeichnis (auch EAKTE_DATA)", long, global = true, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    #[arg(
        help = "Ort der Originale: s3://bucket/praefix oder ein Verzeichnis; --data hält dann nur Katalog und Suche",
        long,
        global = true,
        value_name = "URL"
    )]
    pub(super) store: Option<String>,
    /// Konfigurationsdatei; ohne Angabe DIR/eakte.toml
    #[arg(long, global = true, value_name = "DATEI")]
    pub(super) config: Option<PathBuf>,
    /// Mandant; nicht nötig, wenn es nur einen gibt
    #[arg(long = "tenant", global = true, value_name = "KURZNAME")]
    pub(super) tenants: Vec<TenantSlug>,
    /// Ein JSON-Objekt je Zeile statt Text für Menschen
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Laufender Server, der statt des Verzeichnisses gefragt wird (ingest, file, add-version, search, show, verify)
    #[arg(long, global = true, value_name = "URL")]
    pub(super) server: Option<String>,
    #[arg(
        help = "Datei mit dem Zugangstoken für --server; sonst EAKTE_TOKEN oder das Token aus --data",
        long,
        global = true,
        value_name = "DATEI"
    )]
    pub(super) token_file: Option<PathBuf>,
    /// Was auf stderr gemeldet wird: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "STUFE")]
    pub(super) log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ein leeres Archiv anlegen
    Create(Create),
    /// Eine erfundene Stadt anlegen, aufnehmen, erschließen und zeigen
    Demo(Demo),
    /// Den Server starten
    Serve(Serve),
    /// Dateien und Ordner aufnehmen
    Ingest(Box<Ingest>),
    /// Ein Dokument ablegen: aus dem Posteingang oder einer falschen Akte in die richtige
    File(FileDocument),
    /// Einem Dokument eine neue Version hinzufügen; frühere bleiben
    AddVersion(AddVersion),
    /// Suchen
    Search(Search),
    /// Dokument, Akte oder Charge zeigen; ohne Angabe eine Übersicht
    Show(Show),
    /// Alles nachrechnen: jedes Objekt, jede Prüfsumme, die ganze Kette
    Verify(Verify),
    /// Katalog und Suche aus dem Journal neu aufbauen
    Rebuild,
    /// Sichern; wiederholt sichert nur Neues
    Backup(Backup),
    /// Aus einer Sicherung in einen leeren Ort wiederherstellen
    Restore(Restore),
    /// Prüfen, ob alles bereit ist, und sagen, was zu tun ist
    Doctor,
    /// Konfiguration prüfen und zeigen
    Config(Config),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Name des Mandanten, wie er auf Briefen steht; sonst der Kurzname
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<Line>,
    /// Wie Aktenzeichen entstehen [sonst {plan}-{year}/{seq}]
    #[arg(long, value_name = "VORLAGE", default_value = "{plan}-{year}/{seq}")]
    pub(super) reference_template: Template,
    /// Dem vorhandenen Archiv einen weiteren Mandanten hinzufügen
    #[arg(long)]
    pub(super) add: bool,
}

impl Create {
    pub(super) fn tenant(&self, slug: &TenantSlug) -> NewTenant {
        let name = self.name.clone().or_else(|| Line::new(slug.as_str()).ok());
        NewTenant {
            slug: slug.clone(),
            name: name.expect("a slug is a line"),
            reference_template: self.reference_template.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Ordner mit den Dateien der Stadt [sonst fixtures/steverau]
    #[arg(long, value_name = "ORDNER")]
    pub(super) fixtures: Option<PathBuf>,
    /// Adresse und Port des Servers [sonst 127.0.0.1:8437]
    #[arg(long, value_name = "ADRESSE")]
    pub(super) listen: Option<SocketAddr>,
    /// Enden, sobald alles durchsuchbar ist
    #[arg(long)]
    pub(super) no_serve: bool,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Adresse und Port [sonst 127.0.0.1:8437]
    #[arg(long, value_name = "ADRESSE")]
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(super) struct Ingest {
    /// Dateien und Ordner; mit --manifest der Ordner, auf den sich dessen Pfade beziehen
    #[arg(value_name = "PFAD", required_unless_present = "manifest")]
    pub(super) paths: Vec<PathBuf>,
    /// Nicht warten, bis alles erschlossen und durchsuchbar ist
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Akte, in die alles kommt: Aktenzeichen, alte Signatur, Schlüssel oder Kennung
    #[arg(long, value_name = "AKTE", conflicts_with_all = ["template", "manifest"])]
    pub(super) case_file: Option<String>,
    /// Welche Akte ein Pfad meint, etwa {plan}/{reference}/{name}
    #[arg(long, value_name = "VORLAGE", conflicts_with = "manifest")]
    pub(super) template: Option<PathTemplate>,
    /// Akten anlegen, die --template nennt ({plan} und {title}) und die es nicht gibt
    #[arg(long, requires = "template")]
    pub(super) create_case_files: bool,
    /// Organisationseinheit neuer Akten, wenn --template keine nennt
    #[arg(long, value_name = "CODE", requires = "create_case_files")]
    pub(super) unit: Option<Line>,
    /// Aktentyp neuer Akten [sonst Akte]
    #[arg(long, value_name = "TYP", default_value = "Akte", requires = "create_case_files")]
    pub(super) case_type: Line,
    /// Begleitliste (CSV oder JSON-Zeilen, docs/manifest.md); darf mehrfach stehen
    #[arg(long, value_name = "DATEI")]
    pub(super) manifest: Vec<PathBuf>,
    /// Die Begleitliste nur prüfen und nichts schreiben
    #[arg(long, requires = "manifest")]
    pub(super) check: bool,
    /// Unbrauchbare Zeilen der Begleitliste auslassen statt anzuhalten
    #[arg(long, requires = "manifest")]
    pub(super) skip_invalid: bool,
    #[command(flatten)]
    pub(super) facts: Facts,
}

/// Capture facts of the batch.
#[derive(Debug, Args)]
pub(super) struct Facts {
    /// Name der Charge; sonst der Pfad, damit eine Wiederholung dieselbe Charge fortsetzt
    #[arg(long, value_name = "NAME")]
    pub(super) batch: Option<Line>,
    /// Karton
    #[arg(long = "box", value_name = "KARTON")]
    pub(super) box_label: Option<Line>,
    /// Wer gescannt hat (Pseudonym)
    #[arg(long, value_name = "KENNUNG")]
    pub(super) person: Option<Line>,
    /// Arbeitsplatz
    #[arg(long, value_name = "PLATZ")]
    pub(super) station: Option<Line>,
    /// Scanner: Bauart und Nummer
    #[arg(long, value_name = "SCANNER")]
    pub(super) scanner: Option<Line>,
    /// Scanprofil
    #[arg(long, value_name = "PROFIL")]
    pub(super) profile: Option<Line>,
    /// Zeitpunkt des Scannens, etwa 2026-03-02T08:30:00+01:00
    #[arg(long, value_name = "ZEITPUNKT")]
    pub(super) scanned_at: Option<Timestamp>,
    /// Fassung der Verfahrensdokumentation
    #[arg(long, value_name = "FASSUNG")]
    pub(super) procedure_version: Option<Line>,
    /// Gezählte Blätter
    #[arg(long, value_name = "ZAHL")]
    pub(super) sheets: Option<u32>,
    /// Gezählte Seiten
    #[arg(long, value_name = "ZAHL")]
    pub(super) pages: Option<u32>,
    /// Auffälligkeit; darf mehrfach stehen
    #[arg(long, value_name = "TEXT")]
    pub(super) anomaly: Vec<Line>,
    /// Herkunft: scan, upload, mail, ozg [sonst upload]
    #[arg(long, value_name = "HERKUNFT", default_value = "upload")]
    pub(super) origin: Origin,
    /// Geheimhaltungsgrad: offen, vs-nfd (höhere werden abgelehnt)
    #[arg(long, value_name = "GRAD")]
    pub(super) classification: Option<Classification>,
}

#[derive(Debug, Args)]
pub(super) struct FileDocument {
    /// Kennung oder SHA-256 des Dokuments
    #[arg(value_name = "DOKUMENT")]
    pub(super) document: String,
    /// Akte, in die es kommt: Aktenzeichen, alte Signatur, Schlüssel oder Kennung
    #[arg(long, value_name = "AKTE")]
    pub(super) case_file: String,
    /// Warum; steht danach in der Geschichte des Dokuments
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<Line>,
}

#[derive(Debug, Args)]
pub(super) struct AddVersion {
    /// Kennung oder SHA-256 des Dokuments
    #[arg(value_name = "DOKUMENT")]
    pub(super) document: String,
    /// Die Datei mit der neuen Version
    #[arg(value_name = "DATEI")]
    pub(super) file: PathBuf,
    /// Nummer der Version, auf die sie folgen soll; sonst die, die jetzt die neueste ist
    #[arg(long, value_name = "NUMMER")]
    pub(super) follows: Option<u32>,
    /// Nicht warten, bis die Version erschlossen und durchsuchbar ist
    #[arg(long)]
    pub(super) no_wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Search {
    /// Suchworte; „"genau so"“ für eine Wortfolge, -wort schließt aus
    #[arg(value_name = "SUCHE", required = true)]
    pub(super) query: Vec<String>,
    /// Höchstens so viele Treffer [sonst 10]
    #[arg(long, value_name = "ZAHL", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) limit: u16,
    /// So viele Treffer überspringen
    #[arg(long, value_name = "ZAHL", default_value_t = 0)]
    pub(super) offset: usize,
    /// Nur in dieser Akte
    #[arg(long, value_name = "AKTE")]
    pub(super) case_file: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Kennung, SHA-256, Aktenzeichen oder Name einer Charge
    #[arg(value_name = "WAS")]
    pub(super) what: Option<String>,
    /// Das Original in eine Datei schreiben („-“: Standardausgabe)
    #[arg(long, value_name = "DATEI", conflicts_with_all = ["text", "pdf", "events"])]
    pub(super) content: Option<PathBuf>,
    /// Das durchsuchbare PDF in eine Datei schreiben („-“: Standardausgabe)
    #[arg(long, value_name = "DATEI", conflicts_with_all = ["text", "events"])]
    pub(super) pdf: Option<PathBuf>,
    /// Den erkannten Text ausgeben
    #[arg(long, conflicts_with = "events")]
    pub(super) text: bool,
    /// Die Geschichte ausgeben
    #[arg(long)]
    pub(super) events: bool,
    /// Welche Version des Originals (zu --content); sonst die letzte
    #[arg(long, value_name = "NUMMER", requires = "content", conflicts_with_all = ["text", "pdf"])]
    pub(super) version_number: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Nur so viele Objekte nachrechnen (die Kette immer ganz)
    #[arg(long, value_name = "ZAHL")]
    pub(super) sample: Option<u64>,
    /// Startwert der Auswahl, damit sie sich wiederholen lässt
    #[arg(long, value_name = "ZAHL", requires = "sample")]
    pub(super) seed: Option<u64>,
    /// Nur Objekte aus Ereignissen seit diesem Zeitpunkt
    #[arg(long, value_name = "ZEITPUNKT")]
    pub(super) since: Option<Timestamp>,
    /// Dazu den Katalog aus dem Journal neu ableiten und jede Zeile vergleichen
    #[arg(long, conflicts_with_all = ["sample", "since"])]
    pub(super) replay: bool,
    /// Früher ausgegebener Stand, der darin enthalten sein muss
    #[arg(long, value_name = "GRÖSSE:WURZEL")]
    pub(super) expect: Option<Expect>,
    /// Jeden Hinweis einzeln nennen, auch jedes Objekt, das noch aufgeräumt wird
    #[arg(long)]
    pub(super) details: bool,
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    #[arg(help = "Wohin: Verzeichnis oder s3://bucket/praefix", long, value_name = "ORT")]
    pub(super) to: String,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    #[arg(help = "Woher: Verzeichnis oder s3://bucket/praefix", long, value_name = "ORT")]
    pub(super) from: String,
}

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    pub(super) action: ConfigAction,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Prüfen, ob alles verständlich ist
    Check,
    /// Zeigen, was gilt und woher es kommt
    Print,
    /// Eine Beispieldatei mit allen Schlüsseln ausgeben
    Example,
}
