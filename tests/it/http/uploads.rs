//! Taking documents in: whole, in parts, with bad input.

use super::{MAX_FILE_BYTES, Towns, case_file, repr_digest, sha256};
use axum::body::Body;
use serde_json::{Value, json};

fn count(towns: &Towns) -> usize {
    towns.get("/api/v1/documents?limit=200").ok(200)["items"].as_array().unwrap().len()
}

#[test]
fn an_upload_is_answered_with_a_receipt_that_can_be_asked_for_again() {
    let towns = Towns::new();
    let query =
        "name=Bescheid%20%C3%84%C3%96.pdf&title=Bescheid&document_date=2026-02-01&direction=out&unit=";
    towns.post("/api/v1/units", &json!({"code": "60", "name": "Bauen"}));
    let bytes = b"%PDF-1.7 Bescheid";
    let answer = towns.upload(&format!("{query}60"), bytes, &[("repr-digest", &repr_digest(bytes))]);
    let receipt = answer.ok(201);
    assert_eq!(receipt["status"], "received");
    assert_eq!(receipt["sha256"], sha256(bytes));
    assert_eq!(receipt["bytes"], bytes.len());
    let payload = receipt["payload"].as_str().unwrap();
    let leaf = format!("{}  {payload}", payload.rsplit('/').next().unwrap());
    assert_eq!(receipt["leaf"], leaf);
    let document = towns.get(answer.header("location")).ok(200);
    assert_eq!(document["source_name"], "Bescheid ÄÖ.pdf");
    assert_eq!(document["document_date"], "2026-02-01");
    assert_eq!(document["direction"], "out");
    assert_eq!(document["position"], receipt["position"]);
    // The payload lies in the store under its own digest.
    let stored = std::fs::read(towns.folder.path().join("data/store/t/t").join(payload)).unwrap();
    assert_eq!(sha256(&stored), payload.rsplit('/').next().unwrap());
    let again = towns.get(&format!("/api/v1/receipts/{}", sha256(bytes))).ok(200);
    assert_eq!(again["items"][0]["position"], receipt["position"]);
    assert_eq!(again["items"][0]["leaf"], receipt["leaf"]);
    let id = document["id"].as_str().unwrap();
    assert_eq!(towns.get(&format!("/api/v1/documents/{id}/receipts")).ok(200)["items"], again["items"]);
    let events = towns.get(&format!("/api/v1/documents/{id}/events")).ok(200);
    assert_eq!(events["items"][0]["type"], "document.received");
    assert_eq!(events["items"][0]["data"]["title"], "Bescheid");
}

#[test]
fn the_same_bytes_in_the_same_place_are_a_duplicate_and_elsewhere_a_document() {
    let towns = Towns::new();
    let case_file = case_file(&towns);
    let first = towns.upload("name=a", b"Brief", &[]).ok(201);
    let second = towns.upload("name=b", b"Brief", &[]);
    let receipt = second.ok(200);
    assert_eq!(receipt["status"], "duplicate");
    assert_eq!(receipt["document_id"], first["document_id"]);
    assert!(receipt["note"].as_str().unwrap().contains("Posteingang"));
    let elsewhere = towns.upload(&format!("name=a&case_file={case_file}"), b"Brief", &[]).ok(201);
    assert_eq!(elsewhere["same_bytes"], json!([first["document_id"]]));
    assert_eq!(count(&towns), 2);
    let of = towns.get(&format!("/api/v1/case-files/{case_file}/documents")).ok(200);
    assert_eq!(of["items"].as_array().unwrap().len(), 1);
    let inbox = towns.get("/api/v1/documents?inbox=true").ok(200);
    assert_eq!(inbox["items"][0]["id"], first["document_id"]);
}

/// Query, body, headers, and the status and reason expected.
type Case<'c> = (&'c str, &'c [u8], &'c [(&'c str, &'c str)], u16, &'c str);

#[test]
fn what_cannot_be_stored_is_refused_with_its_reason_and_leaves_nothing() {
    let towns = Towns::new();
    let wrong = repr_digest(b"other");
    let large = vec![0; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
    let cases: [Case<'_>; 6] = [
        ("name=a", b"", &[], 422, "empty"),
        ("name=a", b"Brief", &[("repr-digest", &wrong)], 422, "digest-mismatch"),
        ("name=a&bytes=7", b"Brief", &[], 422, "digest-mismatch"),
        ("name=a&classification=geheim", b"Brief", &[], 422, "classified"),
        ("name=a", &large, &[], 413, "too-large"),
        ("name=a", &large, &[("content-length", "100001")], 413, "too-large"),
    ];
    for (query, bytes, headers, status, reason) in cases {
        let problem = towns.upload(query, bytes, headers).problem(status);
        assert_eq!(problem["reason"], reason, "{query}");
    }
    towns.upload("name=a", b"Brief", &[("content-digest", "sha-256=Unsinn")]).problem(400);
    towns.upload("name=a", b"Brief", &[("content-encoding", "gzip")]).problem(415);
    towns.upload("name=a&direction=up", b"Brief", &[]).problem(400);
    towns.upload("name=a&case_file=60.10-2020/1", b"Brief", &[]).problem(404);
    towns.upload("name=a&unit=77", b"Brief", &[]).problem(422);
    towns.upload("name=a&batch=018f0000-0000-7000-8000-000000000000", b"Brief", &[]).problem(404);
    assert_eq!(count(&towns), 0);
    assert_eq!(towns.staged(), 0);
}

#[test]
fn a_repeated_request_is_the_same_request_and_its_key_is_good_for_no_other() {
    let towns = Towns::new();
    let key = [("idempotency-key", "abc-1")];
    let first = towns.upload("name=a", b"Brief", &key).ok(201);
    for _ in 0..3 {
        assert_eq!(towns.upload("name=a", b"Brief", &key).ok(201), first);
    }
    let problem = towns.upload("name=a", b"Anderes", &key).problem(409);
    assert_eq!(problem["type"], "/problems/conflict");
    assert_eq!(count(&towns), 1);
    for bad in ["", "a b", &"x".repeat(201)] {
        towns.upload("name=a", b"Brief", &[("idempotency-key", bad)]).problem(400);
    }
}

#[test]
fn a_closed_case_file_takes_nothing_more() {
    let towns = Towns::new();
    let case_file = case_file(&towns);
    let path = format!("/api/v1/case-files/{case_file}/close");
    let closed = towns.post(&path, &json!({"closed_on": "2026-02-28", "reason": "erledigt"})).ok(200);
    assert_eq!(closed["closed_on"], "2026-02-28");
    assert_eq!(closed["closed_here"], true);
    towns.post(&path, &json!({})).problem(409);
    towns.upload(&format!("case_file={case_file}"), b"Brief", &[]).problem(409);
    assert_eq!(count(&towns), 0);
}

#[test]
fn odd_names_are_kept_as_far_as_they_can_be_shown_and_never_become_paths() {
    let towns = Towns::new();
    let long = "n".repeat(10_000);
    let names = ["Straße.txt", "a\\nb.txt", "../../../etc/passwd", "\u{202e}fdp.exe", "%00", long.as_str()];
    for (number, name) in names.into_iter().enumerate() {
        let name = name.replace("\\n", "\n");
        let facts = json!({ "name": name }).to_string();
        let bytes = format!("Brief {number}");
        let parts = [("metadata", None, facts.as_bytes()), ("file", Some("x"), bytes.as_bytes())];
        let answer = towns.multipart("/api/v1/documents", &parts);
        let id = answer.ok(201)["document_id"].as_str().unwrap().to_owned();
        let document = towns.get(&format!("/api/v1/documents/{id}")).ok(200);
        let shown = document["source_name"].as_str().unwrap();
        assert!(shown.chars().count() <= 1_000 && !shown.contains(char::is_control), "{shown}");
        let content = towns.get(&format!("/api/v1/documents/{id}/content"));
        assert_eq!(content.body, bytes.as_bytes());
        let disposition = content.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        let file = disposition.split('"').nth(1).unwrap();
        assert!(!file.contains(['/', '\\']) && !file.starts_with('.'), "{disposition}");
    }
    assert!(!towns.folder.path().join("data/store/etc").exists());
}

#[test]
fn a_multipart_upload_needs_its_parts_in_order() {
    let towns = Towns::new();
    let upload = |parts: &[(&str, Option<&str>, &[u8])]| towns.multipart("/api/v1/documents", parts);
    let receipt =
        upload(&[("metadata", None, br#"{"title":"Antrag"}"#), ("file", Some("Antrag.txt"), b"x")]).ok(201);
    let id = receipt["document_id"].as_str().unwrap();
    let document = towns.get(&format!("/api/v1/documents/{id}")).ok(200);
    assert_eq!((&document["title"], &document["source_name"]), (&json!("Antrag"), &json!("Antrag.txt")));
    upload(&[]).problem(400);
    let file: (&str, Option<&str>, &[u8]) = ("file", Some("a"), b"y");
    let facts: (&str, Option<&str>, &[u8]) = ("metadata", None, b"{}");
    for (parts, told) in [
        (&[facts][..], "kam keine Datei mehr"),
        (&[file, facts], "kam keine Datei mehr"),
        (&[facts, facts, file], "hintereinander"),
        (&[("colour", None, b"red")], "„colour“ gehört nicht hierher"),
        (&[("metadata", None, br#"{"colour":"red"}"#), file], "das Feld „colour“ gibt es nicht"),
        (&[file, file], "genau eine Datei"),
    ] {
        let problem = upload(parts).problem(400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{detail}");
    }
    upload(&[("metadata", None, &vec![b' '; 100_000]), ("file", Some("a"), b"y")]).problem(413);
    let request = towns.request("POST", "/api/v1/documents").header("content-type", "multipart/form-data");
    towns.send(request.body(Body::from("x")).unwrap()).problem(415);
    let request = towns.request("POST", "/api/v1/documents");
    let request = request.header("content-type", "multipart/form-data; boundary=grenze");
    let cut = "--grenze\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nBrief";
    towns.send(request.body(Body::from(cut)).unwrap()).problem(400);
    assert_eq!(count(&towns), 1);
    assert_eq!(towns.staged(), 0);
}

#[test]
fn headers_of_parts_that_never_end_do_not_fill_the_memory() {
    let towns = Towns::new();
    let request = towns.request("POST", "/api/v1/documents");
    let request = request.header("content-type", "multipart/form-data; boundary=grenze");
    let head = axum::body::Bytes::from_static(b"--grenze\r\nX: ");
    let endless = axum::body::Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = std::iter::once(head).chain(std::iter::repeat_n(endless, 10_000));
    let body = futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>));
    towns.send(request.body(Body::from_stream(body)).unwrap()).problem(400);
}

fn begin(towns: &Towns, query: &str, headers: &[(&str, &str)]) -> String {
    let mut request = towns.request("POST", &format!("/api/v1/uploads?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = towns.send(request.body(Body::empty()).unwrap());
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("upload-offset"), "0");
    answer.header("location").to_owned()
}

fn part(towns: &Towns, upload: &str, offset: usize, last: bool, bytes: &[u8]) -> super::Answer {
    let request = towns.request("PATCH", upload).header("upload-offset", offset);
    let request = request.header("upload-complete", if last { "?1" } else { "?0" });
    towns.send(request.body(Body::from(bytes.to_vec())).unwrap())
}

fn offset(towns: &Towns, upload: &str) -> String {
    let answer = towns.send(towns.request("HEAD", upload).body(Body::empty()).unwrap());
    assert_eq!(answer.status, 204);
    answer.header("upload-offset").to_owned()
}

#[test]
fn an_upload_in_parts_goes_on_where_it_stopped() {
    let towns = Towns::new();
    let digest = repr_digest(b"Sehr geehrte Damen");
    let upload = begin(&towns, "name=a.txt", &[("repr-digest", &digest), ("upload-length", "18")]);
    assert_eq!(part(&towns, &upload, 0, false, b"Sehr ").status, 204);
    assert_eq!(offset(&towns, &upload), "5");
    // A part that is broken off still counts as far as it came.
    let broken = [Ok(axum::body::Bytes::from_static(b"geehrte ")), Err(std::io::Error::other("weg"))];
    let request = towns.request("PATCH", &upload).header("upload-offset", 5).header("upload-complete", "?0");
    let body = Body::from_stream(futures_util::stream::iter(broken));
    towns.send(request.body(body).unwrap()).problem(400);
    assert_eq!(offset(&towns, &upload), "13");
    let conflict = part(&towns, &upload, 5, false, b"geehrte ");
    conflict.problem(409);
    assert_eq!(conflict.header("upload-offset"), "13");
    let receipt = part(&towns, &upload, 13, true, b"Damen").ok(201);
    assert_eq!(receipt["sha256"], sha256(b"Sehr geehrte Damen"));
    // The answer was lost: asking again gives it.
    assert_eq!(part(&towns, &upload, 18, true, b"").ok(201), receipt);
    assert_eq!(count(&towns), 1);
    assert_eq!(towns.staged(), 0);
}

#[test]
fn an_upload_in_parts_is_judged_at_its_end_and_can_be_given_up() {
    let towns = Towns::new();
    let upload = begin(&towns, "name=a.txt&bytes=99", &[]);
    let problem = part(&towns, &upload, 0, true, b"kurz").problem(422);
    assert_eq!(problem["reason"], "digest-mismatch");
    let upload = begin(&towns, "name=a.txt", &[]);
    assert_eq!(part(&towns, &upload, 0, false, b"Sehr ").status, 204);
    let cancelled = towns.send(towns.request("DELETE", &upload).body(Body::empty()).unwrap());
    assert_eq!(cancelled.status, 204);
    part(&towns, &upload, 5, true, b"x").problem(404);
    let request = towns.request("POST", "/api/v1/uploads").header("upload-length", MAX_FILE_BYTES + 1);
    towns.send(request.body(Body::empty()).unwrap()).problem(413);
    let request = towns.request("POST", "/api/v1/uploads").header("upload-length", "viel");
    towns.send(request.body(Body::empty()).unwrap()).problem(400);
    assert_eq!(count(&towns), 0);
    // The reader lets go of what it had staged a moment later.
    let gone = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        towns.staged() == 0
    });
    assert!(gone);
}

#[test]
fn lists_are_read_to_their_end_by_their_cursor() {
    let towns = Towns::new();
    for number in 0..7 {
        towns.upload("name=a", format!("Brief {number}").as_bytes(), &[]).ok(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = towns.get(&format!("/api/v1/documents?limit=3{cursor}")).ok(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["position"].as_u64().unwrap()));
        match &page["next"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted());
}
