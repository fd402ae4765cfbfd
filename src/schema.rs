//! Holds `schema/` against the code. `EAKTE_BLESS=1 cargo test schema` writes the files anew; a changed file of a
//! released version is a broken promise, so look at the difference before committing it.

use crate::domain::event::for_each_event;
use crate::extract::page_texts::PageTexts;
use crate::journal::payload;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema")
}

fn schema<T: schemars::JsonSchema>(title: &str) -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    value["title"] = json!(title);
    value
}

/// Every generated file below `schema/` with what it must hold.
fn files() -> Vec<(String, Value)> {
    let mut files = vec![
        ("payload.schema.json".to_owned(), schema::<payload::Line>("eakte payload line")),
        ("text.schema.json".to_owned(), schema::<PageTexts>("eakte-text/1")),
    ];
    macro_rules! add {
        ($($name:literal, $version:literal, $kind:ident;)*) => {
            $(files.push((
                format!("events/{}.{}.schema.json", $name, $version),
                schema::<crate::domain::event::$kind>(concat!($name, ", version ", $version)),
            ));)*
        };
    }
    for_each_event!(add);
    files
}

#[test]
fn the_schemas_are_those_of_the_code() {
    let bless = std::env::var_os("EAKTE_BLESS").is_some();
    for (name, value) in files() {
        let path = folder().join(&name);
        let mut text = serde_json::to_string_pretty(&value).unwrap();
        text.push('\n');
        if bless {
            let mut file = std::fs::File::create(&path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "schema/{name} is not what the code says; if that is meant to be: EAKTE_BLESS=1 cargo test schema"
        );
    }
}

#[test]
fn every_event_has_a_schema_and_every_schema_is_of_an_event() {
    // Older versions keep their files: what was once written is read for ever.
    let names: BTreeSet<&str> = payload::NAMES.iter().map(|(name, _)| *name).collect();
    for entry in std::fs::read_dir(folder().join("events")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let stem = file.strip_suffix(".schema.json").unwrap_or_else(|| panic!("{file} is no schema"));
        let (name, version) = stem.rsplit_once('.').unwrap();
        assert!(names.contains(name), "{file} describes no event");
        version.parse::<u32>().unwrap_or_else(|_| panic!("{file} names no version"));
    }
}

/// What a schema says of an object: its members, and those that must be there.
fn members(schema: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let known = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let required = schema["required"].as_array().into_iter().flatten();
    (known.collect(), required.filter_map(Value::as_str).map(str::to_owned).collect())
}

#[test]
fn every_line_of_the_old_archives_fits_its_schema() {
    let archives = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/archives");
    let mut seen = BTreeSet::new();
    let mut folders = vec![archives];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.components().any(|part| part.as_os_str() == "e") {
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    seen.insert(fits(&path, line));
                }
            }
        }
    }
    let missing: Vec<_> = payload::NAMES.iter().filter(|(name, _)| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no old archive holds {missing:?}");
}

/// Checks a stored line's members, and its data's, by name; returns the event's name.
fn fits(path: &Path, line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let load = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let kind = line["type"].as_str().unwrap().to_owned();
    let event = format!("events/{kind}.{}.schema.json", line["version"]);
    for (value, schema) in [(&line, load("payload.schema.json")), (&line["data"], load(&event))] {
        let (known, required) = members(&schema);
        let found: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        assert!(found.is_subset(&known), "{}: {kind} has {:?}", path.display(), &found - &known);
        assert!(required.is_subset(&found), "{}: {kind} lacks {:?}", path.display(), &required - &found);
    }
    kind
}
