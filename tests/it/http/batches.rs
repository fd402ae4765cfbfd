//! Batches: many files, counted.

use super::{Towns, case_file};
use serde_json::{Value, json};

fn open(towns: &Towns, name: &str) -> String {
    let batch =
        towns.post("/api/v1/batches", &json!({"name": name, "box_label": "Karton 7", "sheets_expected": 3}));
    format!("/api/v1/batches/{}", batch.ok(201)["id"].as_str().unwrap())
}

fn lines(towns: &Towns, batch: &str) -> Vec<Value> {
    let mut lines =
        towns.get(&format!("{batch}/lines?limit=200")).ok(200)["items"].as_array().unwrap().clone();
    lines.sort_by_key(|line| line["path"].as_str().unwrap().to_owned());
    lines
}

#[test]
fn every_file_of_a_bulk_upload_gets_its_line_and_the_batch_balances() {
    let towns = Towns::new();
    let batch = open(&towns, "b");
    let large = vec![b'x'; usize::try_from(super::MAX_FILE_BYTES).unwrap() + 1];
    let parts: &[(&str, Option<&str>, &[u8])] = &[
        ("metadata", None, br#"{"title":"Erster"}"#),
        ("file", Some("1/a.txt"), b"eins"),
        ("file", Some("1/b.txt"), b"zwei"),
        ("file", Some("1/leer.txt"), b""),
        ("file", Some("1/zu-gross.bin"), &large),
        ("metadata", None, br#"{"classification":"geheim"}"#),
        ("file", Some("1/geheim.txt"), b"geheim"),
        ("file", Some("2/a.txt"), b"eins"),
        ("metadata", None, br#"{"case_file":"60.10-1900/1"}"#),
        ("file", Some("2/c.txt"), b"drei"),
    ];
    let answer = towns.multipart(&format!("{batch}/files"), parts).ok(200);
    let statuses: Vec<&str> =
        answer["files"].as_array().unwrap().iter().map(|line| line["status"].as_str().unwrap()).collect();
    let expected = ["received", "received", "rejected", "rejected", "rejected", "duplicate", "received"];
    assert_eq!(statuses, expected);
    let reasons: Vec<&Value> =
        answer["files"].as_array().unwrap().iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons[2..5], [&json!("empty"), &json!("too-large"), &json!("classified")]);
    assert_eq!(answer["summary"], json!({"files":7,"received":3,"duplicate":1,"rejected":3,"failed":0}));
    // What names a case file that there is none of waits in the inbox.
    let unfiled = answer["files"][6]["document_id"].as_str().unwrap();
    let unfiled = towns.get(&format!("/api/v1/documents/{unfiled}")).ok(200);
    assert!(unfiled["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "unfiled"));
    assert_eq!(unfiled["source_path"], "2/c.txt");
    assert_eq!(unfiled["source_name"], "c.txt");
    // Once more: nothing is added.
    towns.multipart(&format!("{batch}/files"), parts).ok(200);
    let state = towns.get(&batch).ok(200);
    assert_eq!(
        (&state["received"], &state["duplicate"], &state["rejected"]),
        (&json!(3), &json!(1), &json!(3))
    );
    assert_eq!(state["balance"], "open");
    let lines = lines(&towns, &batch);
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[0]["path"], "1/a.txt");
    assert_eq!(towns.staged(), 0);
    let closed = towns.post(&format!("{batch}/close"), &json!({"seen": 7})).ok(200);
    assert_eq!((&closed["balance"], &closed["seen"]), (&json!("green"), &json!(7)));
    assert_eq!(towns.post(&format!("{batch}/close"), &json!({"seen": 7})).ok(200), closed);
    towns.post(&format!("{batch}/close"), &json!({"seen": 8})).problem(409);
}

#[test]
fn a_closed_batch_takes_nothing_and_a_missing_file_makes_it_red() {
    let towns = Towns::new();
    let batch = open(&towns, "b");
    let id = batch.rsplit('/').next().unwrap();
    towns.upload(&format!("name=a.txt&batch={id}&path=x/a.txt"), b"eins", &[]).ok(201);
    assert_eq!(lines(&towns, &batch)[0]["path"], "x/a.txt");
    let closed = towns.post(&format!("{batch}/close"), &json!({"seen": 2})).ok(200);
    assert_eq!(closed["balance"], "red");
    towns.upload(&format!("name=b.txt&batch={id}"), b"zwei", &[]).problem(409);
    towns.multipart(&format!("{batch}/files"), &[("file", Some("c"), b"drei")]).problem(409);
    assert_eq!(towns.get("/api/v1/documents").ok(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn one_bad_line_does_not_lose_the_others() {
    let towns = Towns::new();
    let batch = open(&towns, "b");
    let bulk = vec![b'x'; 90_000];
    let answer = towns.multipart(
        &format!("{batch}/files"),
        &[
            ("metadata", None, br#"{"document_date":"31.12.2020"}"#),
            ("file", Some("a"), &bulk),
            ("metadata", None, br#"{"colour":1}"#),
            ("file", Some("b"), &bulk),
            ("file", Some("c"), b"drei"),
        ],
    );
    let answer = answer.ok(207);
    assert_eq!(answer["summary"], json!({"files":3,"received":1,"duplicate":0,"rejected":0,"failed":2}));
    assert_eq!(answer["files"][0]["reason"], "malformed");
    assert_eq!(lines(&towns, &batch).len(), 1);
    towns.multipart(&format!("{batch}/files"), &[]).problem(400);
    let problem =
        towns.multipart(&format!("{batch}/files"), &[("file", Some("d"), b"vier"), ("x", None, b"")]);
    assert!(problem.problem(400)["detail"].as_str().unwrap().contains("1 Dateien erledigt"));
    assert_eq!(lines(&towns, &batch).len(), 2);
}

#[test]
fn opening_a_batch_again_finds_it_and_its_name_is_good_for_no_other() {
    let towns = Towns::new();
    let asked = json!({"name": "b", "box_label": "Karton 7", "scanned_at": "2026-03-01T07:00:00Z"});
    let first = towns.post("/api/v1/batches", &asked).ok(201);
    assert_eq!(towns.post("/api/v1/batches", &asked).ok(200), first);
    assert_eq!(first["scanned_at"], "2026-03-01T07:00:00Z");
    towns.post("/api/v1/batches", &json!({"name": "b"})).problem(409);
    towns.post("/api/v1/batches", &json!({"name": "c", "scanned_at": "gestern"})).problem(400);
    assert_eq!(towns.get("/api/v1/batches?name=b").ok(200)["items"], json!([first]));
    assert_eq!(towns.get("/api/v1/batches?name=z").ok(200)["items"], json!([]));
}

#[test]
fn progress_is_told_until_everything_is_found() {
    let towns = Towns::new();
    let batch = open(&towns, "b");
    towns.multipart(&format!("{batch}/files"), &[("file", Some("leer"), b"")]).ok(200);
    towns.post(&format!("{batch}/close"), &json!({"seen": 1})).ok(200);
    // Nothing of it waits to be read, so the stream ends by itself.
    let answer = towns.get(&format!("{batch}/progress"));
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let data = text.strip_prefix("event: done\ndata: ").expect(&text).trim();
    let progress: Value = serde_json::from_str(data).unwrap();
    assert_eq!(progress["balance"], "green");
    assert_eq!(progress["rejected"], 1);
    assert_eq!(progress["done"], true);
}

#[test]
fn a_bulk_upload_files_what_names_its_case_file() {
    let towns = Towns::new();
    let id = case_file(&towns);
    let reference = towns.get(&format!("/api/v1/case-files/{id}")).ok(200)["reference"].clone();
    let batch = open(&towns, "b");
    let facts = json!({ "case_file": reference }).to_string();
    let parts: &[(&str, Option<&str>, &[u8])] =
        &[("metadata", None, facts.as_bytes()), ("file", Some("a"), b"eins")];
    towns.multipart(&format!("{batch}/files"), parts).ok(200);
    let filed = towns.get(&format!("/api/v1/case-files/{id}/documents")).ok(200);
    assert_eq!(filed["items"][0]["file_reference"], reference);
}
