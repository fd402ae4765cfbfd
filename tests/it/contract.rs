//! What every store promises, whatever it is made of.

use crate::support::bucket::Server;
use eakte::domain::Digest;
use eakte::domain::digest::Hasher;
use eakte::store::{
    Bytes, Created, Disk, Key, MAX_READ_BYTES, Memory, ObjectStore, Prefix, Staged, StoreError,
};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Barrier;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn stage(store: &dyn ObjectStore, bytes: &[u8]) -> Staged {
    let mut staging = store.stage().unwrap();
    staging.write_all(bytes).unwrap();
    staging.finish().unwrap()
}

fn listed(store: &dyn ObjectStore, prefix: &str) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    let prefix: Prefix = prefix.parse().unwrap();
    let mut visit = |object: eakte::store::Listed| {
        assert!(found.insert((object.key.to_string(), object.size_bytes)), "{} is listed twice", object.key);
        ControlFlow::Continue(())
    };
    store.list(&prefix, &mut visit).unwrap();
    found
}

fn missing<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    let outcome = outcome.map(|_| ());
    assert!(matches!(outcome, Err(StoreError::Missing(_))), "{outcome:?}");
}

/// All promises but that of large objects.
fn keeps(store: &dyn ObjectStore, refuses_other_bytes: bool) {
    // Publishing: the name shows, the bytes are those that came in, a repetition is fine.
    let letter = key("t/a/o/00/letter");
    missing(store.read(&letter));
    missing(store.open(&letter));
    missing(store.open_range(&letter, 0..1));
    assert_eq!(store.size(&letter).unwrap(), None);
    let staged = stage(store, b"letter");
    assert_eq!((staged.digest(), staged.size_bytes()), (Digest::of(b"letter"), 6));
    store.publish(&staged, &letter).unwrap();
    store.publish(&staged, &letter).unwrap();
    store.publish(&stage(store, b"letter"), &letter).unwrap();
    store.barrier(std::slice::from_ref(&letter)).unwrap();
    // A name that was taken back can be given again: a command that has to be decided anew does that.
    for name in ["t/a/o/01/letter", "t/a/o/02/letter"].map(key) {
        store.publish(&staged, &name).unwrap();
        store.delete(&[name]).unwrap();
    }
    store.delete(std::slice::from_ref(&letter)).unwrap();
    store.publish(&staged, &letter).unwrap();
    drop(staged);
    assert_eq!(store.read(&letter).unwrap(), "letter");
    assert_eq!(store.size(&letter).unwrap(), Some(6));
    if refuses_other_bytes {
        for other in [&b"lettER"[..], b"let", b"letters"] {
            let outcome = store.publish(&stage(store, other), &letter);
            assert!(matches!(outcome, Err(StoreError::Occupied(_))), "{outcome:?}");
        }
        assert_eq!(store.read(&letter).unwrap(), "letter");
    }

    // Prepared: the objects are durable, the name is given once, a repetition finds it taken.
    let prepared = store.prepare(std::slice::from_ref(&letter), "commit".into()).unwrap();
    let place = key("t/a/p/000");
    missing(store.read(&place));
    assert_eq!(store.create_prepared(&place, &prepared).unwrap(), Created::Created);
    assert_eq!(store.create_prepared(&place, &prepared).unwrap(), Created::Exists);
    let late = store.prepare(&[], "late".into()).unwrap();
    assert_eq!(store.create_prepared(&place, &late).unwrap(), Created::Exists);
    assert_eq!(store.read(&place).unwrap(), "commit");
    store.delete(&[place]).unwrap();

    // Parts.
    let part = |range| {
        let mut text = String::new();
        store.open_range(&letter, range).map(|mut body| {
            body.read_to_string(&mut text).unwrap();
            text
        })
    };
    assert_eq!(part(0..6).unwrap(), "letter");
    assert_eq!(part(1..3).unwrap(), "et");
    assert_eq!(part(4..100).unwrap(), "er");
    for range in [6..7, 3..3, 100..200] {
        let outcome = part(range);
        assert!(matches!(outcome, Err(StoreError::OutOfRange { .. })), "{outcome:?}");
    }

    // Small objects, several at once, also empty ones, and again.
    let many: Vec<(Key, Bytes)> = (0..40_u8)
        .map(|at| (key(&format!("t/a/e/{:02x}/{at}", at % 7)), vec![at; usize::from(at)].into()))
        .collect();
    store.put_all(&many).unwrap();
    store.put_all(&many).unwrap();
    let keys: Vec<Key> = many.iter().map(|(key, _)| key.clone()).collect();
    store.barrier(&keys).unwrap();
    for (key, bytes) in &many {
        assert_eq!(store.read(key).unwrap(), *bytes, "{key}");
    }

    // Listing: all below a folder, at any depth, nothing beside it; it stops when told.
    assert_eq!(listed(store, "t/a/e").len(), 40);
    assert_eq!(listed(store, "t/a/e/03").len(), 6);
    assert_eq!(listed(store, "t/a/o"), BTreeSet::from([("t/a/o/00/letter".to_owned(), 6)]));
    assert_eq!(listed(store, ""), &listed(store, "t/a/e") | &listed(store, "t/a/o"));
    assert_eq!(listed(store, "t/b").len(), 0);
    assert_eq!(listed(store, "t/a/o/0").len(), 0, "a part of a name is no folder");
    let mut seen = 0;
    let mut visit = |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.list(&Prefix::ROOT, &mut visit).unwrap();
    assert_eq!(seen, 3);

    // Creating: once.
    let commit = key("t/a/j/000000000/001");
    assert_eq!(store.create(&commit, "one".into()).unwrap(), Created::Created);
    assert_eq!(store.create(&commit, "two".into()).unwrap(), Created::Exists);
    assert_eq!(store.create(&commit, "one".into()).unwrap(), Created::Exists);
    assert_eq!(store.read(&commit).unwrap(), "one");

    // Replacing, whether there is something or not.
    let mark = key("t/a/mark");
    for text in ["first", "second, longer", "3"] {
        store.replace(&mark, text.into()).unwrap();
        assert_eq!(store.read(&mark).unwrap(), text);
    }

    // Deleting: also what is not there; the rest stays.
    store.delete(&[keys[0].clone(), key("t/a/e/00/nothing"), keys[1].clone()]).unwrap();
    store.delete(&keys[..2]).unwrap();
    store.delete(&[]).unwrap();
    missing(store.read(&keys[0]));
    assert_eq!(listed(store, "t/a/e").len(), 38);
    store.put_all(&many[..1]).unwrap();
    assert_eq!(store.size(&keys[0]).unwrap(), Some(0));

    // A staging place that is left alone leaves nothing.
    let mut staging = store.stage().unwrap();
    staging.write_all(&[7; 1_000]).unwrap();
    drop(staging);
    assert_eq!(listed(store, "").len(), 42);
}

/// Racing creates: one winner each, and everybody reads the winner's bytes.
fn has_one_winner(store: &dyn ObjectStore, rounds: usize) {
    const WRITERS: usize = 6;
    for round in 0..rounds {
        let place = key(&format!("race/{round}"));
        let start = Barrier::new(WRITERS);
        let won: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (start, place) = (&start, &place);
                    scope.spawn(move || {
                        start.wait();
                        let created = store.create(place, format!("writer {writer}").into()).unwrap();
                        (created == Created::Created).then_some(writer)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(store.read(&place).unwrap(), format!("writer {}", won[0]));
    }
}

/// An object that a bucket takes in parts: it comes out as it went in, and is too large to be read at once.
fn streams(store: &dyn ObjectStore) {
    const BLOCKS: usize = 21;
    let mut staging = store.stage().unwrap();
    let mut hasher = Hasher::new();
    let block = |at: usize| vec![u8::try_from(at).unwrap(); 1024 * 1024 + at];
    for at in 0..BLOCKS {
        staging.write_all(&block(at)).unwrap();
        hasher.update(&block(at));
    }
    let staged = staging.finish().unwrap();
    let digest = hasher.finish();
    assert_eq!(staged.digest(), digest);
    let large = key("t/a/o/ff/large");
    store.publish(&staged, &large).unwrap();
    store.barrier(std::slice::from_ref(&large)).unwrap();
    let mut body = store.open(&large).unwrap();
    assert_eq!(body.size_bytes(), staged.size_bytes());
    let (mut hasher, mut buffer, mut size) = (Hasher::new(), vec![0; 64 * 1024], 0);
    loop {
        let count = body.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    assert_eq!((hasher.finish(), size), (digest, staged.size_bytes()));
    let mut part = Vec::new();
    store.open_range(&large, 9_000_000..9_000_010).unwrap().read_to_end(&mut part).unwrap();
    assert_eq!(part, [8; 10]);
    let outcome = store.read(&large);
    assert!(matches!(outcome, Err(StoreError::TooLarge { limit_bytes: MAX_READ_BYTES, .. })), "{outcome:?}");
    // A reader that has seen enough leaves in the middle.
    drop(store.open(&large).unwrap());
    store.delete(&[large]).unwrap();
}

#[test]
fn memory_keeps_the_promises_of_a_store() {
    let store = Memory::new();
    keeps(&store, true);
    has_one_winner(&store, 200);
    streams(&Memory::new());
}

#[test]
fn a_disk_keeps_the_promises_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Disk::create(folder.path().join("store")).unwrap();
    keeps(&store, true);
    has_one_winner(&store, 60);
    streams(&store);
    assert_eq!(
        std::fs::read_dir(folder.path().join("store/staging")).unwrap().count(),
        1,
        "only the lock stays"
    );
}

#[test]
fn a_bucket_keeps_the_promises_of_a_store() {
    let server = Server::start();
    let store = server.open("s3://akten/steverau").unwrap();
    store.probe().unwrap();
    keeps(&store, false);
    has_one_winner(&store, 60);
    streams(&store);
}

#[test]
fn two_folders_of_a_bucket_do_not_see_each_other() {
    let server = Server::start();
    let (a, b) = (server.open("s3://akten/a").unwrap(), server.open("s3://akten/ab").unwrap());
    a.create(&key("x/1"), "a".into()).unwrap();
    b.create(&key("x/1"), "b".into()).unwrap();
    assert_eq!((a.read(&key("x/1")).unwrap(), b.read(&key("x/1")).unwrap()), ("a".into(), "b".into()));
    assert_eq!((listed(&a, ""), listed(&b, "")), (listed(&a, "x"), listed(&b, "x")));
    assert_eq!(listed(&a, "").len(), 1);
}
