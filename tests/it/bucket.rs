//! A bucket whose server misbehaves.

use crate::support::bucket::{Fault, Server};
use crate::support::chance::{Chance, from_env};
use crate::support::town::Town;
use axum::http::Method;
use eakte::store::{Bucket, BucketConfig, Created, Key, ObjectStore, Secret, StoreError};
use std::io::{Read as _, Write as _};
use std::sync::Arc;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

#[test]
fn a_server_that_overwrites_is_refused_with_a_sentence() {
    let server = Server::start();
    server.ignore_conditions();
    let error = server.open("s3://akten/x").unwrap().probe().unwrap_err();
    assert!(matches!(error, StoreError::NotHonoured { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("s3://akten/x") && text.contains("If-None-Match"), "{text}");
    assert!(server.requests().iter().any(|request| request.starts_with("DELETE")), "the probe stays behind");
}

#[test]
fn wrong_credentials_are_called_so() {
    let server = Server::start();
    let config = BucketConfig { secret_access_key: Secret::new("falsch"), ..server.config() };
    let store = Bucket::open("s3://akten/x".parse().unwrap(), &config).unwrap();
    for error in [store.probe().unwrap_err(), store.read(&key("a")).unwrap_err()] {
        assert!(error.to_string().contains("keine Berechtigung"), "{error}");
        assert!(!error.may_have_applied());
        assert!(!format!("{error:?}").contains("falsch"));
    }
}

#[test]
fn a_bucket_that_is_not_there_is_no_empty_store() {
    let server = Server::start();
    let store = server.open("s3://akten/x").unwrap();
    // The server of these tests makes buckets by itself; others answer like this.
    let gone = |method| (method, Fault::Status(404));
    let check = |error: StoreError| {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert_eq!(server.heal(), 0);
    };
    server.fail([gone(Method::PUT)]);
    check(store.probe().unwrap_err());
    server.fail([gone(Method::GET)]);
    check(store.read(&key("a")).unwrap_err());
    server.fail([gone(Method::HEAD), gone(Method::GET)]);
    check(store.size(&key("a")).unwrap_err());
    server.fail([gone(Method::PUT)]);
    check(store.create(&key("a"), "a".into()).unwrap_err());
}

#[test]
fn a_server_that_cannot_be_reached_is_unavailable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spool = tempfile::tempdir().unwrap();
    let config = BucketConfig {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        access_key_id: "a".to_owned(),
        secret_access_key: Secret::new("b"),
        allow_http: true,
        spool_dir: spool.path().to_owned(),
        patience: std::time::Duration::from_secs(1),
        ..BucketConfig::default()
    };
    let store = Bucket::open("s3://akten".parse().unwrap(), &config).unwrap();
    for error in [store.read(&key("a")).unwrap_err(), store.create(&key("a"), "a".into()).unwrap_err()] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(!error.may_have_applied());
        assert!(error.to_string().contains("nicht erreichbar"), "{error}");
    }
}

#[test]
fn a_create_whose_answer_is_lost_is_in_doubt_and_stands() {
    let server = Server::start();
    let store = server.open("s3://akten/x").unwrap();
    for (at, (fault, stands)) in [
        (Fault::AnswerLost, true),
        (Fault::RequestLost, false),
        (Fault::Status(500), false),
        (Fault::Status(503), false),
        (Fault::Status(409), false),
    ]
    .into_iter()
    .enumerate()
    {
        let place = key(&format!("j/{at}"));
        server.fail([(Method::PUT, fault)]);
        let error = store.create(&place, "ours".into()).unwrap_err();
        assert!(error.may_have_applied(), "{fault:?}: {error:?}");
        assert_eq!(store.size(&place).unwrap().is_some(), stands, "{fault:?}");
        let expected = if stands { Created::Exists } else { Created::Created };
        assert_eq!(store.create(&place, "ours".into()).unwrap(), expected, "{fault:?}");
        assert_eq!(server.heal(), 0, "{fault:?} was not met");
    }
}

#[test]
fn short_troubles_of_the_server_are_sat_out() {
    let server = Server::start();
    let store = server.open("s3://akten/x").unwrap();
    let place = key("o/1");
    for status in [500, 503, 503] {
        server.fail([(Method::PUT, Fault::Status(status))]);
    }
    let mut staging = store.stage().unwrap();
    staging.write_all(b"letter").unwrap();
    store.publish(&staging.finish().unwrap(), &place).unwrap();
    for method in [Method::GET, Method::HEAD, Method::DELETE] {
        server.fail([(method.clone(), Fault::Status(503)), (method, Fault::Status(500))]);
    }
    assert_eq!(store.read(&place).unwrap(), "letter");
    assert_eq!(store.size(&place).unwrap(), Some(6));
    store.delete(std::slice::from_ref(&place)).unwrap();
    assert_eq!(store.size(&place).unwrap(), None);
    assert_eq!(server.heal(), 0);
}

#[test]
fn a_body_that_ends_early_is_an_error_or_is_fetched_again() {
    let server = Server::start();
    let store = server.open("s3://akten/x").unwrap();
    let bytes = vec![b'x'; 100_000];
    store.replace(&key("o/1"), bytes.clone().into()).unwrap();
    for _ in 0..3 {
        server.fail([(Method::GET, Fault::BodyCut)]);
        let mut read = Vec::new();
        match store
            .open(&key("o/1"))
            .and_then(|mut body| body.read_to_end(&mut read).map_err(StoreError::staging))
        {
            Ok(_) => assert!(read == bytes, "a cut body passed for a whole one: {} bytes", read.len()),
            Err(_) => assert!(read.len() < bytes.len()),
        }
        assert_eq!(server.heal(), 0);
    }
}

#[test]
fn a_part_of_a_large_upload_that_fails_is_sent_again() {
    let server = Server::start();
    let store = server.open("s3://akten/x").unwrap();
    let mut staging = store.stage().unwrap();
    for at in 0..18_u8 {
        staging.write_all(&vec![at; 1024 * 1024]).unwrap();
    }
    let staged = staging.finish().unwrap();
    server.fail([
        (Method::POST, Fault::Status(503)),
        (Method::PUT, Fault::Status(500)),
        (Method::PUT, Fault::AnswerLost),
    ]);
    store.publish(&staged, &key("o/large")).unwrap();
    assert_eq!(server.heal(), 0);
    let mut body = store.open(&key("o/large")).unwrap();
    let mut hasher = eakte::domain::digest::Hasher::new();
    let mut buffer = vec![0; 100_000];
    loop {
        let count = body.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    assert_eq!(hasher.finish(), staged.digest());
}

/// A day's work on a bucket whose server fails here and there; then once more without faults.
#[test]
fn a_towns_day_survives_a_server_that_fails_at_random() {
    let first = from_env("EAKTE_SEED").unwrap_or(1);
    for seed in first..first + from_env("EAKTE_ROUNDS").unwrap_or(4).min(50) {
        println!("bucket: seed {seed}");
        let server = Server::start();
        let town = Town::new(Arc::new(server.open("s3://akten/stadt").unwrap()));
        let mut chance = Chance::new(seed);
        let faults = [
            Fault::Status(500),
            Fault::Status(503),
            Fault::Status(409),
            Fault::AnswerLost,
            Fault::RequestLost,
            Fault::BodyCut,
        ];
        let methods = [Method::PUT, Method::PUT, Method::GET, Method::HEAD];
        let planned: Vec<_> = (0..6)
            .map(|_| (chance.pick(&methods).unwrap().clone(), *chance.pick(&faults).unwrap()))
            .filter(|(method, fault)| *fault != Fault::BodyCut || *method == Method::GET)
            .collect();
        server.fail(planned);
        let first = town.open().map(|open| town.work(&open));
        server.heal();
        let open = town.open().unwrap();
        let again = town.work(&open);
        assert_eq!(again.failures, Vec::<String>::new(), "seed {seed}");
        for accepted in first.iter().flat_map(|work| &work.accepted) {
            assert!(again.accepted.contains(accepted), "seed {seed}: {accepted:?} is lost");
        }
        town.check(&open, &format!("seed {seed}"));
    }
}
