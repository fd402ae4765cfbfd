//! How many 200 KB files a second become documents, durably? Against a loop that copies, hashes and syncs the same files
//! and their folders with the same concurrency. Random bytes, seed 7; both sides on the disk that holds the build, five
//! rounds in turn, 600 files a round; the ratio is taken round by round. Reading and indexing are switched off on our
//! side: they are promises of their own.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench reports to whoever runs it")]

mod support;

use eakte::archive::{Archive, Installation, NewTenant, Permit, Place, Settings};
use eakte::clock::{SystemClock, SystemEntropy};
use eakte::domain::Digest;
use eakte::domain::codes::Origin;
use eakte::domain::digest::Hasher;
use eakte::domain::document::Arrival;
use eakte::domain::event::BatchOpened;
use eakte::domain::text::Line;
use eakte::ingest::{Declared, Entry, Walk};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Chance, figure, median, seconds};

const FILES: usize = 600;
const BYTES: usize = 200_000;
const ROUNDS: usize = 5;

fn main() {
    let scratch = support::scratch("accept");
    let threads = Settings::default().ingest_threads;
    let place = Place::directory(&scratch.path().join("data"));
    let settings = Settings { background: false, ..Settings::default() };
    let installation = Installation::create(place, settings, Arc::new(SystemClock), Arc::new(SystemEntropy))
        .expect("an empty place");
    let tenant: eakte::domain::TenantSlug = "t".parse().expect("a short name");
    let token = installation
        .create_tenant(&NewTenant {
            slug: tenant.clone(),
            name: Line::new("Steverau").expect("a name"),
            reference_template: "{plan}-{year}/{seq}".parse().expect("a template"),
        })
        .expect("a new tenant");
    let archive = installation.archive(&tenant).expect("the tenant is there");
    let permit = archive.permit(&token).expect("the token is good");

    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let source = scratch.path().join(format!("source-{round}"));
        fs::create_dir_all(&source).expect("writable");
        let mut chance = Chance::new(7 + round as u64);
        for number in 0..FILES {
            let mut file = File::create(source.join(format!("{number:05}.bin"))).expect("writable");
            file.write_all(&chance.bytes(BYTES)).expect("writable");
            // What lies at a source has long been written: neither side pays for that.
            file.sync_all().expect("synced");
        }
        let copies = scratch.path().join(format!("copies-{round}"));
        for folder in 0..256 {
            fs::create_dir_all(copies.join(format!("{folder:02x}"))).expect("writable");
        }
        let (loop_seconds, ()) = seconds(|| copy_all(&source, &copies, threads));
        let (our_seconds, ()) = seconds(|| ingest(&archive, &permit, &source, round));
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = |taken: f64| FILES as f64 / taken;
        ours.push(rate(our_seconds));
        theirs.push(rate(loop_seconds));
        ratios.push(loop_seconds / our_seconds);
    }
    figure("files accepted", median(ours), "per second", "");
    figure("files copied, hashed and synced by a loop", median(theirs), "per second", "");
    figure("ratio", median(ratios), "", "target >= 0.7");
    println!("threads on both sides: {threads}; memory at most {} MB", support::memory_mb().1);
}

fn ingest(archive: &Archive, permit: &Permit, source: &Path, round: usize) {
    let facts = BatchOpened::named(&format!("runde-{round}"), "bench");
    let entries = Walk::new(source).map(|found| Entry {
        arrival: Arrival::named(&found.shown, Origin::Scan),
        found,
        target: None,
        findings: Vec::new(),
        declared: Declared::default(),
    });
    let report =
        archive.ingest(permit, &facts, entries, &AtomicBool::new(false), &|_| {}).expect("the batch closes");
    assert_eq!(report.received, FILES as u64);
}

/// The yardstick.
fn copy_all(source: &Path, target: &Path, threads: usize) {
    let files: Vec<PathBuf> =
        fs::read_dir(source).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    copy(path, target);
                }
            });
        }
    });
}

fn copy(path: &Path, target: &Path) {
    let mut reader = File::open(path).expect("readable");
    let name = path.file_name().expect("it has a name");
    let spread = Digest::of(name.as_encoded_bytes());
    let shard = target.join(format!("{:02x}", spread.as_bytes()[0]));
    let mut writer = File::create(shard.join(name)).expect("writable");
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 256 * 1024]);
    loop {
        let count = reader.read(&mut buffer).expect("readable");
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        writer.write_all(&buffer[..count]).expect("writable");
    }
    std::hint::black_box(hasher.finish());
    writer.sync_all().expect("synced");
    File::open(shard).and_then(|folder| folder.sync_all()).expect("synced");
}
