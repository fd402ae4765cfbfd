//! `eakte config`: check, print, example.

use super::args::ConfigAction;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::{Out, table};
use crate::config::{example, shown};
use serde_json::json;

pub(super) fn run(action: ConfigAction, context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    let loaded = &context.loaded;
    match action {
        ConfigAction::Example => {
            let text = example();
            out.object(&json!({ "example": text }));
            out.text(text.trim_end());
        }
        ConfigAction::Print => {
            let lines = shown(loaded);
            let rows: Vec<Vec<String>> = lines
                .iter()
                .map(|line| vec![line.key.clone(), line.value.clone(), format!("({})", line.origin)])
                .collect();
            out.text(table(&rows));
            for line in lines {
                out.object(&json!({ "key": line.key, "value": line.value, "origin": line.origin }));
            }
        }
        ConfigAction::Check => {
            // Read and understood is half of it; secrets and templates are looked at as well.
            loaded.config.bucket(context.given_data())?;
            for folder in &loaded.config.hot_folders {
                super::serve::check_folder(folder)?;
            }
            let file = loaded.file.as_ref().map(|file| file.display().to_string());
            out.object(&json!({ "ok": true, "file": file }));
            match file {
                Some(file) => out.text(format!("{file} ist in Ordnung.")),
                None => out.text("Keine Datei gelesen; Vorgaben und Umgebung sind in Ordnung."),
            }
        }
    }
    Ok(Exit::Done)
}
