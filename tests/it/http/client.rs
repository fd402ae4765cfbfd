//! The client, against a real server.

use super::live::Live;
use super::sha256;
use crate::support::settings;
use eakte::api::rows::{BatchOpening, DocumentFacts, JobAsked, JobState};
use eakte::archive::{Kind, Settings};
use eakte::client::{Client, ClientError, Sent, Upload};
use std::io::Write as _;
use std::time::Duration;

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}

#[test]
fn the_client_does_what_the_command_line_needs() {
    let server = Live::start(|_| {}, settings(true));
    let client = Client::new(&server.url(), &server.token).unwrap();
    assert_eq!(client.health().unwrap().documents, 0);
    let path = file(&server.folder, "Prüfbericht Heizung.txt", b"Die Heizung ist dicht.");
    let upload = Upload { key: Some("k-1".into()), ..Upload::default() };
    let Sent::Stored(receipt) = client.ingest_file(&path, &upload).unwrap() else { panic!() };
    assert_eq!(receipt.sha256, sha256(b"Die Heizung ist dicht."));
    assert_eq!(client.ingest_file(&path, &upload).unwrap(), Sent::Stored(receipt.clone()));
    let document = client.document(&receipt.document_id).unwrap().unwrap();
    assert_eq!(document.source_name, "Prüfbericht Heizung.txt");
    assert_eq!(client.receipts(&receipt.sha256).unwrap()[0].position, receipt.position);
    let mut out = Vec::new();
    assert_eq!(client.content(&receipt.document_id, None, &mut out).unwrap(), 22);
    assert_eq!(out, b"Die Heizung ist dicht.");
    assert!(client.document("018f0000-0000-7000-8000-000000000000").unwrap().is_none());
    let seen = client.wait_searchable(&receipt.document_id, Duration::ZERO, &|| false).unwrap();
    assert_eq!(seen.unwrap().id, receipt.document_id);
    let found = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        client.search("Prüfbericht", None, 10, None).unwrap().total == 1
    });
    assert!(found);
    let job = client.start_verify(&JobAsked::default()).unwrap();
    let done = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        client.job(&job.id).unwrap().filter(|job| matches!(job.state, JobState::Done | JobState::Failed))
    });
    assert_eq!(done.unwrap().result.unwrap().root, client.health().unwrap().root);
}

#[test]
fn a_batch_can_be_uploaded_file_by_file() {
    let server = Live::start(|_| {}, settings(false));
    let client = Client::new(&server.url(), &server.token).unwrap();
    let opening = BatchOpening { name: "b".into(), ..BatchOpening::default() };
    let batch = client.open_batch(&opening).unwrap();
    assert_eq!(client.open_batch(&opening).unwrap(), batch);
    for (name, bytes) in [("a", &b"eins"[..]), ("b", b"zwei"), ("c", b""), ("d", b"eins")] {
        let path = file(&server.folder, name, bytes);
        let facts = DocumentFacts {
            batch: Some(batch.id.clone()),
            path: Some(format!("x/{name}")),
            ..DocumentFacts::default()
        };
        let sent = client.ingest_file(&path, &Upload { facts, ..Upload::default() }).unwrap();
        match (name, sent) {
            ("a" | "b", Sent::Stored(receipt)) => assert_eq!(receipt.status, "received"),
            ("d", Sent::Stored(receipt)) => assert_eq!(receipt.status, "duplicate"),
            ("c", Sent::Rejected { reason, .. }) => assert_eq!(reason, "empty"),
            (name, sent) => panic!("{name}: {sent:?}"),
        }
    }
    let closed = client.close_batch(&batch.id, 4).unwrap();
    assert_eq!(closed.balance, "green");
    assert_eq!(client.batch_lines(&batch.id, None).unwrap().items.len(), 4);
    assert_eq!(client.batch_named("b").unwrap().unwrap(), closed);
}

#[test]
fn failures_are_told_apart() {
    let mut server = Live::start(|_| {}, settings(false));
    let stranger = Client::new(&server.url(), "eakte_t_00").unwrap();
    assert_eq!(stranger.health().unwrap_err().kind(), Kind::Unauthenticated);
    let client = Client::new(&server.url(), &server.token).unwrap();
    let facts = DocumentFacts { case_file: Some("60.10-1900/1".into()), ..DocumentFacts::default() };
    let path = file(&server.folder, "a", b"Brief");
    let error = client.ingest_file(&path, &Upload { facts, ..Upload::default() }).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing, "{error}");
    let error = client.ingest_file(&server.folder.path().join("nirgends"), &Upload::default()).unwrap_err();
    assert!(matches!(error, ClientError::Io(_)), "{error:?}");
    server.stop().unwrap();
    let error = client.health().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("nicht erreichbar"), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_rejected_in_words_although_it_was_not_read_to_its_end() {
    let server = Live::start(|_| {}, Settings { max_file_bytes: 100_000, ..settings(false) });
    let client = Client::new(&server.url(), &server.token).unwrap();
    let path = file(&server.folder, "gross", &vec![1; 8_000_000]);
    let Sent::Rejected { reason, detail } = client.ingest_file(&path, &Upload::default()).unwrap() else {
        panic!()
    };
    assert_eq!(reason, "too-large");
    assert!(detail.contains("100000"), "{detail}");
}
