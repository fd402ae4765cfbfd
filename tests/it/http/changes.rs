//! Filing documents and adding versions over HTTP.

use super::live::Live;
use super::{Answer, MAX_FILE_BYTES, Towns, case_file, repr_digest, sha256};
use crate::support::settings;
use axum::body::Body;
use eakte::api::rows::{DocumentFiling, VersionFacts};
use eakte::client::{Client, Sent, Upload};
use serde_json::{Value, json};

fn receive(towns: &Towns, query: &str, bytes: &[u8]) -> String {
    towns.upload(query, bytes, &[]).ok(201)["document_id"].as_str().unwrap().to_owned()
}

fn another_case_file(towns: &Towns) -> Value {
    let asked = json!({"plan_unit":"60.10","unit":"60","title":"Garage","case_type":"Bauakte"});
    towns.post("/api/v1/case-files", &asked).ok(201)
}

fn file(towns: &Towns, id: &str, asked: &Value, if_match: Option<&str>) -> Answer {
    let request = towns.request("POST", &format!("/api/v1/documents/{id}/file"));
    let mut request = request.header("content-type", "application/json");
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    towns.send(request.body(Body::from(asked.to_string())).unwrap())
}

fn add(towns: &Towns, id: &str, query: &str, bytes: &[u8], headers: &[(&str, &str)]) -> Answer {
    let mut request = towns.request("POST", &format!("/api/v1/documents/{id}/versions?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    towns.send(request.body(Body::from(bytes.to_vec())).unwrap())
}

#[test]
fn a_document_is_filed_and_its_history_says_why() {
    let towns = Towns::new();
    let first = case_file(&towns);
    let second = another_case_file(&towns);
    let reference = second["reference"].as_str().unwrap();
    let id = receive(&towns, "name=Antrag.txt&unit=60", b"Antrag");
    let shown = towns.get(&format!("/api/v1/documents/{id}"));
    let tag = shown.header("etag").to_owned();
    assert!(shown.ok(200)["unit"].is_string());

    let answer = file(&towns, &id, &json!({"case_file": first, "reason": "gehört dorthin"}), Some(&tag));
    let filed = answer.ok(200);
    assert_eq!((&filed["case_file"], &filed["unit"]), (&json!(first), &Value::Null));
    let now = answer.header("etag").to_owned();
    assert_ne!(now, tag);
    assert_eq!(towns.get(&format!("/api/v1/documents/{id}")).header("etag"), now);
    assert_eq!(towns.get("/api/v1/documents?inbox=true").ok(200)["items"], json!([]));
    let listed = towns.get(&format!("/api/v1/case-files/{first}/documents")).ok(200);
    assert_eq!(listed["items"][0]["id"], id.as_str());

    // By its reference into the other one; with the old tag only what is done already.
    let problem = file(&towns, &id, &json!({"case_file": reference}), Some(&tag)).problem(412);
    assert_eq!(problem["type"], "/problems/changed");
    file(&towns, &id, &json!({"case_file": first}), Some(&tag)).ok(200);
    let moved = file(&towns, &id, &json!({"case_file": reference}), Some(&now)).ok(200);
    assert_eq!(moved["file_reference"], reference);
    let events = towns.get(&format!("/api/v1/documents/{id}/events")).ok(200)["items"].clone();
    let told: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(told, ["document.received", "document.filed", "document.filed"]);
    assert_eq!(events[1]["reason"], "gehört dorthin");
    assert_eq!((&events[2]["data"]["from"], &events[2]["data"]["case_file"]), (&json!(first), &second["id"]));
}

#[test]
fn a_filing_that_cannot_be_is_refused_by_name() {
    let towns = Towns::new();
    let (first, second) = (case_file(&towns), another_case_file(&towns)["id"].clone());
    let id = receive(&towns, "name=a", b"Antrag");
    let twin = receive(&towns, &format!("name=a&case_file={first}"), b"Antrag");
    let problem = file(&towns, &id, &json!({"case_file": first}), None).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains(&twin), "{problem}");
    assert_eq!(file(&towns, &id, &json!({}), None).problem(400)["errors"][0]["field"], "case_file");
    file(&towns, &id, &json!({"case_file": "nirgends 7/2"}), None).problem(404);
    file(&towns, &id, &json!({"case_file": first, "colour": "red"}), None).problem(400);
    let line = json!({"case_file": first, "reason": "a\nb"});
    assert_eq!(file(&towns, &id, &line, None).problem(400)["errors"][0]["field"], "reason");
    for tag in ["7", "\"abc\"", "W/\"7-1\"", "\"1-0\", \"2-0\""] {
        file(&towns, &id, &json!({"case_file": second}), Some(tag)).problem(400);
    }
    towns.post(&format!("/api/v1/case-files/{first}/close"), &json!({})).ok(200);
    let problem = file(&towns, &twin, &json!({"case_file": second}), None).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("z.d.A."), "{problem}");
    file(&towns, &id, &json!({"case_file": second}), Some("*")).ok(200);
}

#[test]
fn a_version_is_added_read_back_and_proved() {
    let towns = Towns::new();
    let id = receive(&towns, "name=Antrag.txt", b"Antrag");
    let content = |query: &str| towns.get(&format!("/api/v1/documents/{id}/content{query}")).body;
    let digest = repr_digest(b"Antrag, unterschrieben");
    let answer = add(
        &towns,
        &id,
        "name=Antrag%20neu.txt&follows=1",
        b"Antrag, unterschrieben",
        &[("repr-digest", &digest), ("idempotency-key", "k")],
    );
    let receipt = answer.ok(201);
    assert_eq!(answer.header("location"), format!("/api/v1/documents/{id}/content?version=2"));
    assert_eq!((&receipt["version"], &receipt["status"]), (&json!(2), &json!("received")));
    assert_eq!(receipt["sha256"], sha256(b"Antrag, unterschrieben"));
    let receipts = towns.get(&format!("/api/v1/documents/{id}/receipts")).ok(200)["items"].clone();
    assert_eq!(receipts[1]["leaf"], receipt["leaf"]);
    assert_eq!(content(""), b"Antrag, unterschrieben");
    assert_eq!(content("?version=1"), b"Antrag");
    towns.get(&format!("/api/v1/documents/{id}/content?version=3")).problem(404);
    let document = towns.get(&format!("/api/v1/documents/{id}")).ok(200);
    assert_eq!((&document["version"], &document["source_name"]), (&json!(2), &json!("Antrag neu.txt")));
    assert_eq!((&document["title"], &document["searchable"]), (&json!("Antrag"), &json!(false)));
    let versions = towns.get(&format!("/api/v1/documents/{id}/versions")).ok(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);

    // Repeated under its key, or simply repeated: nothing is added.
    let again = add(&towns, &id, "follows=1", b"Antrag, unterschrieben", &[("idempotency-key", "k")]);
    assert_eq!(again.ok(201)["position"], receipt["position"]);
    let note = add(&towns, &id, "", b"Antrag, unterschrieben", &[]).ok(200)["note"].clone();
    assert!(note.as_str().unwrap().contains("Version 2"), "{note}");
    add(&towns, &id, "", b"anderes", &[("idempotency-key", "k")]).problem(409);
}

#[test]
fn a_version_that_cannot_be_is_refused_and_leaves_nothing() {
    let towns = Towns::new();
    let id = receive(&towns, "name=a", b"Antrag");
    let tag = towns.get(&format!("/api/v1/documents/{id}")).header("etag").to_owned();
    add(&towns, &id, "name=b", b"zwei", &[("if-match", &tag)]).ok(201);
    add(&towns, &id, "name=b", b"drei", &[("if-match", &tag)]).problem(412);
    let problem = add(&towns, &id, "follows=1", b"drei", &[]).problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("Version 2"), "{problem}");
    assert_eq!(add(&towns, &id, "", b"", &[]).problem(422)["reason"], "empty");
    let wrong = repr_digest(b"vier");
    let problem = add(&towns, &id, "", b"drei", &[("repr-digest", &wrong)]).problem(422);
    assert_eq!(problem["reason"], "digest-mismatch");
    assert_eq!(add(&towns, &id, "bytes=3", b"drei", &[]).problem(422)["reason"], "digest-mismatch");
    let query = format!("sha256={}", sha256(b"drei"));
    add(&towns, &id, &query, b"drei", &[("repr-digest", &wrong)]).problem(400);
    add(&towns, &id, "sha256=7", b"drei", &[]).problem(400);
    add(&towns, &id, "colour=red", b"drei", &[]).problem(400);
    let large = vec![b'x'; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
    assert_eq!(add(&towns, &id, "", &large, &[]).problem(413)["reason"], "too-large");
    let length = large.len().to_string();
    assert_eq!(
        add(&towns, &id, "", &large, &[("content-length", &length)]).problem(413)["reason"],
        "too-large"
    );
    add(&towns, &id, "", b"drei", &[("content-encoding", "gzip")]).problem(415);
    let versions = towns.get(&format!("/api/v1/documents/{id}/versions")).ok(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    assert_eq!(towns.staged(), 0);
}

#[test]
fn a_batch_says_how_its_counted_pages_compare() {
    let towns = Towns::new();
    let asked = json!({"name": "b", "pages_expected": 2});
    let batch = towns.post("/api/v1/batches", &asked).ok(201);
    let id = batch["id"].as_str().unwrap();
    assert_eq!((&batch["page_check"], &batch["pages_read"]), (&json!("pending"), &json!(0)));
    towns.post(&format!("/api/v1/batches/{id}/close"), &json!({"seen": 0})).ok(200);
    let closed = towns.get(&format!("/api/v1/batches/{id}")).ok(200);
    assert_eq!((&closed["balance"], &closed["page_check"]), (&json!("green"), &json!("differs")));
    assert_eq!(closed["page_note"], "gezählt 2 Seiten, gelesen 0 Seiten: BITTE PRÜFEN");
    let plain = towns.post("/api/v1/batches", &json!({"name": "c"})).ok(201);
    assert_eq!((&plain["page_check"], &plain["page_note"]), (&json!("not-counted"), &Value::Null));
}

#[test]
fn the_client_files_and_adds_versions() {
    let server = Live::start(|_| {}, settings(false));
    let client = Client::new(&server.url(), &server.token).unwrap();
    let unit = eakte::api::rows::UnitMaking { code: "60".into(), name: "Bauen".into(), parent: None };
    client.create_unit(&unit).unwrap();
    let plan_unit = json!({"code":"60.10","title":"Bauen","retention_class":"30"});
    client.create_plan_unit(&serde_json::from_value(plan_unit).unwrap()).unwrap();
    let asked = json!({"plan_unit":"60.10","unit":"60","title":"Carport","case_type":"Bauakte","key":"k"});
    let case_file = client.open_case_file(&serde_json::from_value(asked).unwrap()).unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = server.folder.path().join(name);
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), bytes).unwrap();
        path
    };
    let sent = client.ingest_file(&path("Brief.txt", b"eins"), &Upload::default()).unwrap();
    let Sent::Stored(receipt) = sent else { panic!("{sent:?}") };
    let id = receipt.document_id.as_str();
    let filing = DocumentFiling { case_file: case_file.reference.clone(), reason: None };
    let filed = client.file_document(id, &filing).unwrap();
    assert_eq!(filed.case_file.as_deref(), Some(case_file.id.as_str()));
    let facts = VersionFacts { follows: Some(1), ..VersionFacts::default() };
    let sent = client.add_version(id, &path("Brief neu.txt", b"zwei"), &facts).unwrap();
    assert!(matches!(&sent, Sent::Stored(receipt) if receipt.version == 2), "{sent:?}");
    let error = client.add_version(id, &path("Brief neu.txt", b"drei"), &facts).unwrap_err();
    assert_eq!(error.kind(), eakte::archive::Kind::Conflict);
    let sent = client.add_version(id, &path("leer.txt", b""), &VersionFacts::default()).unwrap();
    assert!(matches!(&sent, Sent::Rejected { reason, .. } if reason == "empty"), "{sent:?}");
}
