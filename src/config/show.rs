//! Showing a configuration: what counts and why, and an example of everything.

use super::keys::{HOT_FOLDER_KEYS, KEYS, Key};
use super::{Config, Loaded};
use figment::Figment;
use figment::providers::Serialized;
use figment::value::Value;
use figment::{Metadata, Source};
use std::fmt::Write as _;

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
        _ => "Vorgabe".to_owned(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, c) => c.to_string(),
        Value::Bool(_, flag) => if *flag { "true" } else { "false" }.to_owned(),
        Value::Num(_, number) => number
            .to_i128()
            .map_or_else(|| number.to_f64().unwrap_or_default().to_string(), |n| n.to_string()),
        Value::Empty(..) => "(nicht gesetzt)".to_owned(),
        Value::Array(_, items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Dict(_, dict) => {
            dict.iter().map(|(key, value)| format!("{key} = {}", text(value))).collect::<Vec<_>>().join("; ")
        }
    }
}

fn line(layers: &Figment, key: &Key) -> Shown {
    let value = layers.find_value(key.path).ok();
    let is_set = value.as_ref().is_some_and(|value| !matches!(value, Value::Empty(..)));
    let shown = match &value {
        Some(_) if key.is_secret && is_set => "***".to_owned(),
        Some(value) => text(value),
        None => "(nicht gesetzt)".to_owned(),
    };
    let origin = layers.find_metadata(key.path).map_or_else(|| "Vorgabe".to_owned(), origin);
    Shown { key: key.path.to_owned(), value: shown, origin }
}

/// Every value that counts.
pub fn shown(loaded: &Loaded) -> Vec<Shown> {
    let mut lines: Vec<Shown> = KEYS.iter().map(|key| line(&loaded.layers, key)).collect();
    let folders = loaded.layers.find_value("hot_folders").ok();
    let source = loaded.layers.find_metadata("hot_folders").map_or_else(|| "Vorgabe".to_owned(), origin);
    for (number, folder) in
        folders.iter().flat_map(|value| value.as_array().into_iter().flatten()).enumerate()
    {
        for (name, value) in folder.as_dict().into_iter().flatten() {
            let key = format!("hot_folders[{number}].{name}");
            lines.push(Shown { key, value: text(value), origin: source.clone() });
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
