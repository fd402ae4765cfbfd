//! `eakte file`, `eakte add-version` and what `show` says of them, with the real binary.

use crate::cli::{Town, code, json, serve, stderr};
use serde_json::Value;
use std::process::Output;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const CARPORT: &str = "60.10-2024/17";
const GARAGE: &str = "60.10-2024/18";

/// Two case files, and a letter in the inbox.
fn town() -> (Town, String) {
    let town = Town::new();
    let case_file = |reference: &str, title: &str| {
        format!(
            "{{\"kind\":\"case_file\",\"reference\":\"{reference}\",\"plan_unit\":\"60.10\",\"unit\":\"60\",\
             \"title\":\"{title}\",\"case_type\":\"Bauakte\"}}\n"
        )
    };
    let frame = "{\"kind\":\"unit\",\"code\":\"60\",\"name\":\"Bauen\"}\n\
                 {\"kind\":\"plan_unit\",\"code\":\"60.10\",\"title\":\"Bau\",\"retention_class\":\"30\"}\n";
    let manifest = format!("{frame}{}{}", case_file(CARPORT, "Carport"), case_file(GARAGE, "Garage"));
    town.write("m.jsonl", manifest.as_bytes());
    let made = town.run(&["ingest", "--no-wait", "--manifest", "m.jsonl"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    town.write("Brief.txt", b"Brief");
    let letter = town.run(&["ingest", "--no-wait", "--json", "Brief.txt"]);
    let id = json(&letter)[0]["document_id"].as_str().unwrap().to_owned();
    (town, id)
}

#[test]
fn a_document_is_filed_and_show_tells_its_history() {
    let (town, id) = town();
    let (reference, other) = (CARPORT, GARAGE);
    let filed = town.run(&["file", &id, "--case-file", reference, "--reason", "gehört zum Carport"]);
    assert_eq!(code(&filed), 0, "{}", stderr(&filed));
    assert_eq!(
        stdout(&filed),
        format!("„Brief“ ist aus dem Posteingang in die Akte {reference} abgelegt.\n")
    );
    let again = town.run(&["file", &id, "--case-file", reference]);
    assert_eq!(code(&again), 0);
    assert!(stdout(&again).contains("liegt schon"), "{}", stdout(&again));
    let moved = town.run(&["file", "--json", &id, "--case-file", other]);
    assert_eq!(json(&moved)[0]["file_reference"], other, "{}", stderr(&moved));

    let shown = town.run(&["show", &id]);
    let text = stdout(&shown);
    for part in [
        "Geschichte",
        "Eingegangen im Posteingang",
        &format!("Aus dem Posteingang abgelegt in Akte {reference} (gehört zum Carport)"),
        &format!("Umgelegt aus Akte {reference} in Akte {other}"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let history = json(&town.run(&["show", "--json", &id]))[0]["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 3);
    assert_eq!(history[1]["reason"], "gehört zum Carport");
    assert_eq!(code(&town.run(&["verify"])), 0);
}

#[test]
fn a_filing_that_makes_no_sense_is_refused_in_german() {
    let (town, id) = town();
    let reference = CARPORT;
    town.write("Zwilling.txt", b"Brief");
    let twin = town.run(&["ingest", "--no-wait", "--json", "--case-file", reference, "Zwilling.txt"]);
    let twin = json(&twin)[0]["document_id"].as_str().unwrap().to_owned();
    for (args, exit, part) in [
        (&["file", &id][..], 2, "Es fehlt: --case-file"),
        (&["file", &id, "--case-file", "nirgends"], 3, "Die Akte „nirgends“ gibt es nicht"),
        (&["file", "Brief.txt", "--case-file", reference], 3, "Erwartet wird seine Kennung oder SHA-256"),
        (&["file", &id, "--case-file", reference], 3, &twin),
        (
            &["file", &eakte::domain::Digest::of(b"Brief").to_string(), "--case-file", reference],
            2,
            "2 Dokumente",
        ),
    ] {
        let output = town.run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_version_is_added_read_and_the_earlier_one_stays() {
    let (town, id) = town();
    town.write("Brief neu.txt", b"Brief mit einer Dachneigung");
    let added = town.run(&["add-version", "--json", &id, "Brief neu.txt"]);
    assert_eq!(code(&added), 0, "{}", stderr(&added));
    let line = &json(&added)[0];
    assert_eq!((&line["version"], &line["status"]), (&Value::from(2), &Value::from("received")));
    assert_eq!((&line["searchable"], &line["pages"]), (&Value::from(true), &Value::from(1)));
    let found = json(&town.run(&["search", "--json", "Dachneigung"]));
    assert_eq!(found[0]["hits"][0]["document_id"], id.as_str());
    let content = |args: &[&str]| town.run(&[&["show", &id, "--content", "-"], args].concat()).stdout;
    assert_eq!(content(&[]), b"Brief mit einer Dachneigung");
    assert_eq!(content(&["--version-number", "1"]), b"Brief");
    let again = town.run(&["add-version", "--no-wait", &id, "Brief neu.txt"]);
    assert!(stdout(&again).contains("hat diese Bytes schon"), "{}", stdout(&again));
    town.write("leer.txt", b"");
    for (args, exit, part) in [
        (&["add-version", &id, "leer.txt"][..], 3, "leer (0 Byte)"),
        (&["add-version", &id, "nirgends.txt"], 3, "konnte nicht gelesen werden (nicht vorhanden)"),
        // What was read belongs to the newest version: another one is not quietly replaced by it.
        (&["show", &id, "--text", "--version-number", "1"], 2, "--version-number"),
        (&["show", &id, "--pdf", "x.pdf", "--version-number", "1"], 2, "--version-number"),
        (&["add-version", &id, "data"], 3, "ist keine Datei"),
        (&["add-version", &id, "m.jsonl", "--follows", "1"], 3, "Version 2"),
    ] {
        let output = town.run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
    }
    let text = stdout(&town.run(&["show", &id]));
    assert!(text.contains("2 von 2") && text.contains("Version 2 angenommen"), "{text}");
    assert_eq!(code(&town.run(&["verify"])), 0);
}

#[test]
fn the_same_commands_work_through_a_server() {
    let (town, id) = town();
    let reference = CARPORT;
    town.write("Brief neu.txt", b"Brief mit einer Dachneigung");
    let server = serve(&town);
    let run = |args: &[&str]| town.run(&[&["--server", &server.1], args].concat());
    let filed = run(&["file", &id, "--case-file", reference, "--reason", "von hier"]);
    assert_eq!(
        stdout(&filed),
        format!("„Brief“ ist aus dem Posteingang in die Akte {reference} abgelegt.\n")
    );
    let added = run(&["add-version", "--json", &id, "Brief neu.txt"]);
    assert_eq!(code(&added), 0, "{}", stderr(&added));
    let line = &json(&added)[0];
    assert_eq!((&line["version"], &line["searchable"]), (&Value::from(2), &Value::from(true)));
    let text = stdout(&run(&["show", &id]));
    let filed = format!("Aus dem Posteingang abgelegt in Akte {reference} (von hier)");
    assert!(text.contains(&filed) && text.contains("Version 2 gelesen: 1 Seite"), "{text}");
    for (args, exit, part) in [
        (&["file", &id, "--case-file", "nirgends"][..], 3, "gibt es nicht"),
        (&["file", "x", "--case-file", reference], 3, "Erwartet wird seine Kennung"),
        (&["add-version", "x", "Brief neu.txt"], 3, "Erwartet wird seine Kennung"),
        (&["add-version", &id, "Brief.txt", "--follows", "1"], 3, "Version 2"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn counted_pages_are_told_at_the_end_of_a_run_and_by_show() {
    let town = Town::new();
    town.write("karton/1.txt", "eins\u{c}zwei".as_bytes());
    town.write("karton/2.txt", b"drei");
    let differs = town.run(&["ingest", "--batch", "Karton 1", "--pages", "4", "karton"]);
    assert_eq!(code(&differs), 1, "{}", stderr(&differs));
    let told = "gezählt 4 Seiten, gelesen 3 Seiten: BITTE PRÜFEN";
    assert!(stderr(&differs).contains(told), "{}", stderr(&differs));
    assert!(stdout(&town.run(&["show", "Karton 1"])).contains(told));
    let row = json(&town.run(&["show", "--json", "Karton 1"]))[0].clone();
    assert_eq!((&row["page_check"], &row["balance"]), (&Value::from("differs"), &Value::from("green")));
    assert_eq!((&row["pages_read"], &row["unread"]), (&Value::from(3), &Value::from(0)));
}
