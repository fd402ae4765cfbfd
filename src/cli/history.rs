//! What has happened to a document, for people.

use super::context::Desk;
use super::failure::Failure;
use super::out::{Out, counted, plain, table};
use super::rows::HistoryLine;
use super::show::moment;
use crate::client::Client;
use crate::domain::{CaseFileId, DocumentId};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::BTreeMap;

/// Kind and data of an event as they are stored, in one sentence. `name` gives a case file's reference.
fn sentence(kind: &str, data: &Value, name: &mut dyn FnMut(&str) -> String) -> String {
    let number = |field: &str| data[field].as_u64().unwrap_or(0);
    match kind {
        "document.received" => match data["case_file"].as_str() {
            Some(id) => format!("Eingegangen in Akte {}", name(id)),
            None => "Eingegangen im Posteingang".to_owned(),
        },
        "document.duplicate_arrived" => "Dieselben Bytes noch einmal eingegangen".to_owned(),
        "document.version_added" => format!("Version {} angenommen", number("number")),
        "document.filed" => {
            let to = name(data["case_file"].as_str().unwrap_or_default());
            match data["from"].as_str() {
                Some(from) => format!("Umgelegt aus Akte {} in Akte {to}", name(from)),
                None => format!("Aus dem Posteingang abgelegt in Akte {to}"),
            }
        }
        "document.digitised" => {
            let pages = counted(number("pages"), "Seite", "Seiten");
            format!("Version {} gelesen: {pages}", number("of_version"))
        }
        other => other.to_owned(),
    }
}

/// From the directory. A history that is not readable says so in its own place: what is known otherwise still shows.
pub(super) fn local(desk: &Desk, id: DocumentId) -> Vec<HistoryLine> {
    let mut known = BTreeMap::<String, String>::new();
    let mut name = |id: &str| {
        let reference = || {
            let case_file = id.parse::<CaseFileId>().ok()?;
            Some(desk.archive.case_file(&desk.permit, case_file).ok()?.data.reference)
        };
        known.entry(id.to_owned()).or_insert_with(|| reference().unwrap_or_else(|| id.to_owned())).clone()
    };
    match desk.archive.events(&desk.permit, id.into()) {
        Ok(events) => events
            .iter()
            .map(|event| HistoryLine {
                recorded_at: event.recorded.recorded_at.to_string(),
                kind: event.kind().to_owned(),
                text: sentence(event.kind(), &event.data(), &mut name),
                reason: event.recorded.context.reason.clone(),
            })
            .collect(),
        Err(error) => vec![HistoryLine {
            recorded_at: String::new(),
            kind: "unreadable".to_owned(),
            text: error.public,
            reason: None,
        }],
    }
}

/// From a server.
pub(super) fn remote(client: &Client, id: &str) -> Result<Vec<HistoryLine>, Failure> {
    let mut known = BTreeMap::<String, String>::new();
    let mut name = |id: &str| {
        let reference = || Some(client.case_file(id).ok()??.reference);
        known.entry(id.to_owned()).or_insert_with(|| reference().unwrap_or_else(|| id.to_owned())).clone()
    };
    let events = client.document_events(id)?;
    let line = |event: crate::api::rows::StoredEvent| HistoryLine {
        text: sentence(&event.kind, &event.data, &mut name),
        recorded_at: event.recorded_at,
        kind: event.kind,
        reason: event.reason,
    };
    Ok(events.into_iter().map(line).collect())
}

/// The history below the table of a document.
pub(super) fn present(history: &[HistoryLine], zone: &TimeZone, out: &mut Out) {
    if history.is_empty() {
        return;
    }
    let row = |line: &HistoryLine| {
        let reason = line.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        vec![moment(&line.recorded_at, zone), plain(&format!("{}{reason}", line.text))]
    };
    out.text("\nGeschichte");
    out.text(table(&history.iter().map(row).collect::<Vec<_>>()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_event_of_a_document_is_told_in_words() {
        let mut name = |id: &str| format!("<{id}>");
        for (kind, data, expected) in [
            ("document.received", json!({}), "Eingegangen im Posteingang"),
            ("document.received", json!({ "case_file": "a" }), "Eingegangen in Akte <a>"),
            ("document.duplicate_arrived", json!({}), "Dieselben Bytes noch einmal eingegangen"),
            ("document.version_added", json!({ "number": 2 }), "Version 2 angenommen"),
            ("document.filed", json!({ "case_file": "b" }), "Aus dem Posteingang abgelegt in Akte <b>"),
            ("document.filed", json!({ "case_file": "b", "from": "a" }), "Umgelegt aus Akte <a> in Akte <b>"),
            ("document.digitised", json!({ "of_version": 2, "pages": 1 }), "Version 2 gelesen: 1 Seite"),
        ] {
            assert_eq!(sentence(kind, &data, &mut name), expected);
        }
    }
}
