//! Showing a configuration: what counts and why, and an example of everything.

use super::keys::{HOT_FOLDER_KEYS, KEYS, Key};
use super::{Config, HotFolder, Lasting, Loaded};
use crate::store::BucketConfig;
use figment::Figment;
use figment::providers::Serialized;
use figment::value::Value;
use figment::{Metadata, Source};
use std::fmt::Write as _;

const UNSET: &str = "(nicht gesetzt)";
const STANDARD: &str = "Vorgabe";

/// A value that counts, with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Dotted key.
    pub key: String,
    /// Its value; secrets are hidden.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
}

/// Where a value comes from, in the reader's words.
pub(super) fn origin(metadata: &Metadata) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("nvironment") => "Umgebung".to_owned(),
        _ if metadata.name == "Kommandozeile" => "Kommandozeile".to_owned(),
        _ => STANDARD.to_owned(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, flag) => if *flag { "true" } else { "false" }.to_owned(),
        Value::Num(_, number) => {
            let whole =
                number.to_u128().map(|n| n.to_string()).or_else(|| number.to_i128().map(|n| n.to_string()));
            whole.unwrap_or_else(|| number.to_f64().unwrap_or_default().to_string())
        }
        Value::Empty(..) => UNSET.to_owned(),
        Value::Array(_, items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Dict(_, dict) => {
            dict.iter().map(|(key, value)| format!("{key} = {}", text(value))).collect::<Vec<_>>().join("; ")
        }
    }
}

/// What holds where nothing is set and the default is not a value of the configuration itself.
fn implied(path: &str) -> Option<String> {
    let bucket = BucketConfig::default();
    Some(match path {
        "store.url" => "„store“ im Datenverzeichnis".to_owned(),
        "store.endpoint" => "AWS, wenn „store.url“ mit s3:// beginnt".to_owned(),
        "store.region" => bucket.region,
        "store.spool_dir" => "„spool“ im Datenverzeichnis".to_owned(),
        "store.silence" => Lasting(bucket.silence).to_string(),
        "store.patience" => Lasting(bucket.patience).to_string(),
        "digitise.tesseract" => "„tesseract“, wo das System Programme sucht".to_owned(),
        "log.level" => "info beim Server, sonst warn".to_owned(),
        "hot_folders.tenant" => "der einzige, den es gibt".to_owned(),
        "hot_folders.template" => "keine: alles kommt in den Posteingang".to_owned(),
        _ => return None,
    })
}

fn line(layers: &Figment, key: &Key) -> Shown {
    let value = layers.find_value(key.path).ok();
    let is_set = value.as_ref().is_some_and(|value| !matches!(value, Value::Empty(..)));
    let shown = match &value {
        Some(_) if key.is_secret && is_set => "***".to_owned(),
        Some(value) if is_set => text(value),
        _ => implied(key.path).unwrap_or_else(|| UNSET.to_owned()),
    };
    let origin = layers.find_metadata(key.path).map_or_else(|| STANDARD.to_owned(), origin);
    Shown { key: key.path.to_owned(), value: shown, origin }
}

/// What holds for a hot folder where its section says nothing.
fn standard(name: &str, path: &str, folder: Option<&HotFolder>) -> String {
    match (name, folder) {
        ("create_case_files", Some(folder)) => folder.create_case_files.to_string(),
        ("stable_for", Some(folder)) => folder.stable_for.to_string(),
        ("poll_every", Some(folder)) => folder.poll_every.to_string(),
        _ => implied(path).unwrap_or_else(|| UNSET.to_owned()),
    }
}

/// Every value that counts.
pub fn shown(loaded: &Loaded) -> Vec<Shown> {
    let mut lines: Vec<Shown> = KEYS.iter().map(|key| line(&loaded.layers, key)).collect();
    let folders = loaded.layers.find_value("hot_folders").ok();
    let source = loaded.layers.find_metadata("hot_folders").map_or_else(|| STANDARD.to_owned(), origin);
    for (number, folder) in
        folders.iter().flat_map(|value| value.as_array().into_iter().flatten()).enumerate()
    {
        let typed = loaded.config.hot_folders.get(number);
        for key in HOT_FOLDER_KEYS {
            let name = key.path.rsplit('.').next().unwrap_or(key.path);
            let given = folder.as_dict().and_then(|dict| dict.get(name));
            let (value, origin) = match (given, typed) {
                (Some(value), _) => (text(value), source.clone()),
                (None, typed) => (standard(name, key.path, typed), STANDARD.to_owned()),
            };
            lines.push(Shown { key: format!("hot_folders[{number}].{name}"), value, origin });
        }
    }
    lines
}

/// A configuration file with every key: defaults as they are, the rest as comments.
pub fn example() -> String {
    let defaults = Figment::from(Serialized::defaults(Config::default()));
    let mut out = String::from(
        "# Konfiguration von eakte. Alles hier ist freiwillig: auskommentiert steht, was ohne Angabe gilt oder ein Beispiel.\n\
         # Umgebungsvariablen gehen vor (EAKTE_SERVER__LISTEN), Angaben auf der Kommandozeile gehen allem vor.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (this, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if this != section {
            let _ = write!(out, "\n[{this}]\n");
            section = this;
        }
        let default = defaults.find_value(key.path).ok().filter(|value| !matches!(value, Value::Empty(..)));
        let value = match default {
            Some(Value::String(_, text)) => format!("{text:?}"),
            Some(value) => text(&value),
            None => key.example.to_owned(),
        };
        let _ = write!(out, "# {}\n# {name} = {value}\n", key.about);
    }
    out.push_str("\n# Eingangsordner, die „eakte serve“ beobachtet; der Abschnitt darf mehrfach stehen.\n# [[hot_folders]]\n");
    for key in HOT_FOLDER_KEYS {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        let _ = write!(out, "# {}\n# {name} = {}\n", key.about, key.example);
    }
    out
}
