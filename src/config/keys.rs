//! The keys there are. A key that is not here is an error wherever it stands.

use super::{ConfigError, ENV_PREFIX};
use crate::domain::text::distance;
use crate::wording;
use figment::Provider;
use figment::value::{Dict, Value};

/// One key.
pub(super) struct Key {
    /// Dotted.
    pub(super) path: &'static str,
    /// What it is for; German.
    pub(super) about: &'static str,
    /// A value for the example, where there is no default.
    pub(super) example: &'static str,
    /// Whether its value is hidden.
    pub(super) is_secret: bool,
}

const fn key(path: &'static str, about: &'static str) -> Key {
    Key { path, about, example: "", is_secret: false }
}

const fn open(path: &'static str, about: &'static str, example: &'static str) -> Key {
    Key { path, about, example, is_secret: false }
}

/// Every key but those of hot folders, in the order of the example.
pub(super) const KEYS: &[Key] = &[
    open(
        "store.url",
        "Ort der Originale und Ereignisse: s3://bucket/praefix oder ein Verzeichnis; ohne Angabe „store“ im Datenverzeichnis.",
        "\"s3://akten/steverau\"",
    ),
    open("store.endpoint", "Adresse des S3-Dienstes; ohne Angabe AWS.", "\"https://s3.example.org\""),
    open("store.region", "Region des S3-Dienstes.", "\"eu-central-1\""),
    open("store.access_key_id", "Zugangsdaten: Name des Schlüssels.", "\"eakte\""),
    open("store.access_key_id_file", "Datei, in der dieser Name steht.", "\"/etc/eakte/access_key_id\""),
    Key {
        path: "store.secret_access_key",
        about: "Zugangsdaten: Geheimnis.",
        example: "\"…\"",
        is_secret: true,
    },
    open(
        "store.secret_access_key_file",
        "Datei, in der das Geheimnis steht (besser als hier).",
        "\"/etc/eakte/secret_access_key\"",
    ),
    key(
        "store.allow_http",
        "Unverschlüsselte Verbindung erlauben: nur auf dieser Maschine oder in einem geschlossenen Netz.",
    ),
    open(
        "store.spool_dir",
        "Ordner für Dateien auf dem Weg in den Bucket; ohne Angabe „spool“ im Datenverzeichnis.",
        "\"/var/spool/eakte\"",
    ),
    open(
        "store.silence",
        "So lange darf der S3-Dienst schweigen, bevor eine Anfrage als verloren gilt.",
        "\"60 s\"",
    ),
    open("store.patience", "So lange wird eine Anfrage wiederholt.", "\"30 s\""),
    key("server.listen", "Adresse und Port des Servers."),
    key("server.shutdown_grace", "So lange dürfen laufende Anfragen beim Beenden noch brauchen."),
    key("limits.max_file_bytes", "Größte Datei, die angenommen wird."),
    key("limits.catalogue_cache_bytes", "Arbeitsspeicher für den Katalog jedes Mandanten."),
    key("limits.ingest_threads", "Dateien, die ein Lauf gleichzeitig liest."),
    key("digitise.threads", "Dokumente, die gleichzeitig erschlossen werden."),
    key("digitise.cpu", "Rechenzeit für ein Dokument."),
    key("digitise.wall", "Längste Dauer für ein Dokument."),
    key("digitise.memory_bytes", "Arbeitsspeicher für ein Dokument."),
    key(
        "digitise.isolate",
        "Leseprozesse vom Betriebssystem einschließen lassen (Landlock); nur für ungewöhnlich installiertes Tesseract abschalten.",
    ),
    open(
        "digitise.tesseract",
        "Programm für die Texterkennung; ohne Angabe wird „tesseract“ gesucht.",
        "\"/usr/bin/tesseract\"",
    ),
    key("digitise.languages", "Sprachen der Texterkennung."),
    open("log.level", "Ab welcher Stufe gemeldet wird: error, warn, info, debug, trace.", "\"info\""),
    key("log.format", "Form der Meldungen: text oder json."),
];

/// The keys of a hot folder.
pub(super) const HOT_FOLDER_KEYS: &[Key] = &[
    open("hot_folders.tenant", "Mandant; nicht nötig, wenn es nur einen gibt.", "\"steverau\""),
    open("hot_folders.path", "Der Ordner.", "\"/srv/scan/eingang\""),
    open("hot_folders.template", "Welche Akte ein Pfad meint.", "\"{plan}/{reference}/{name}\""),
    open(
        "hot_folders.create_case_files",
        "Akten anlegen, die die Vorlage nennt und die es nicht gibt.",
        "false",
    ),
    open("hot_folders.stable_for", "So lange muss eine Datei unverändert sein.", "\"5 s\""),
    open("hot_folders.poll_every", "So oft wird nachgesehen.", "\"2 s\""),
];

fn all() -> impl Iterator<Item = &'static str> {
    KEYS.iter().chain(HOT_FOLDER_KEYS).map(|key| key.path)
}

/// The key that looks most like the one given.
fn nearest(wanted: &str) -> Option<&'static str> {
    all().min_by_key(|candidate| {
        let last = candidate.rsplit('.').next().unwrap_or(candidate);
        distance(wanted, candidate).min(distance(wanted, last) + 1)
    })
}

fn unknown(origin: &str, key: String) -> ConfigError {
    let nearest = nearest(&key).unwrap_or_default().to_owned();
    ConfigError::UnknownKey { origin: origin.to_owned(), key, nearest }
}

/// Insists that a layer has known keys only.
pub(super) fn check_layer(origin: &str, layer: &dyn Provider) -> Result<(), ConfigError> {
    let data = layer.data().map_err(|error| ConfigError::Value {
        origin: origin.to_owned(),
        detail: format!("{}.", wording::toml(&error.kind.to_string())),
    })?;
    data.values().try_for_each(|dict| check_dict(origin, "", dict))
}

fn check_dict(origin: &str, above: &str, dict: &Dict) -> Result<(), ConfigError> {
    for (name, value) in dict {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => check_dict(origin, &path, inner)?,
            Value::Dict(..) if all().any(|key| key.starts_with(&format!("{path}."))) => {}
            Value::Array(_, items) if path == "hot_folders" => {
                for item in items {
                    match item.as_dict() {
                        Some(inner) => check_dict(origin, &path, inner)?,
                        None => return Err(not_a_folder(origin)),
                    }
                }
            }
            _ if path == "hot_folders" => return Err(not_a_folder(origin)),
            _ if all().any(|key| key == path) => {}
            _ => return Err(unknown(origin, path)),
        }
    }
    Ok(())
}

fn not_a_folder(origin: &str) -> ConfigError {
    let detail = "„hot_folders“ ist eine Liste von Abschnitten der Form [[hot_folders]].".to_owned();
    ConfigError::Value { origin: origin.to_owned(), detail }
}

/// Finds variables that were meant to set a key and do not: one underscore where two belong. Others with our
/// prefix (`EAKTE_TOKEN`) are none of our business.
pub(super) fn check_variables(variables: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    for name in variables {
        let Some(rest) = name.strip_prefix(ENV_PREFIX).filter(|rest| !rest.contains("__")) else { continue };
        let rest = rest.to_lowercase();
        for key in all() {
            let (section, _) = key.split_once('.').unwrap_or((key, ""));
            if rest.starts_with(&format!("{section}_")) {
                let nearest = nearest(&rest.replacen('_', ".", 1)).unwrap_or_default();
                let nearest = format!("{ENV_PREFIX}{}", nearest.to_uppercase().replace('.', "__"));
                return Err(ConfigError::UnknownKey { origin: "Umgebung".to_owned(), key: name, nearest });
            }
        }
    }
    Ok(())
}
