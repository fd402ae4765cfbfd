//! How fast is `verify`? Files of 200 KB (or the size given), read from the page cache, against two processes of
//! `openssl dgst -sha256` over the same objects. Arguments: number of files, bytes of each.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use eakte::archive::{Installation, NewTenant, Place, Settings};
use eakte::clock::{Entropy as _, SystemClock, SystemEntropy};
use eakte::domain::TenantSlug;
use eakte::domain::codes::Origin;
use eakte::domain::document::Arrival;
use eakte::domain::text::Line;
use eakte::ingest::Declared;
use eakte::verify::VerifyOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Seconds that two openssl processes need.
fn openssl(files: &[PathBuf]) -> f64 {
    let start = Instant::now();
    let halves = files.chunks(files.len().div_ceil(2)).map(|half| {
        let half = half.to_vec();
        std::thread::spawn(move || {
            // Long lists go in several runs, as xargs would.
            for part in half.chunks(20_000) {
                let status = Command::new("openssl")
                    .args(["dgst", "-sha256"])
                    .args(part)
                    .stdout(Stdio::null())
                    .status();
                assert!(status.unwrap().success());
            }
        })
    });
    halves.collect::<Vec<_>>().into_iter().for_each(|half| half.join().unwrap());
    start.elapsed().as_secs_f64()
}

fn main() {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<u64>().ok());
    let (count, size) = (numbers.next().unwrap_or(2_000), numbers.next().unwrap_or(200_000));
    let folder = tempfile::tempdir().unwrap();
    let place = Place::directory(&folder.path().join("data"));
    let tenant: TenantSlug = "t".parse().unwrap();
    let settings = Settings { background: false, ..Settings::default() };
    let installation =
        Installation::create(place, settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let new = NewTenant {
        slug: tenant.clone(),
        name: Line::new("Steverau").unwrap(),
        reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
    };
    let token = installation.create_tenant(&new).unwrap();
    let archive = installation.archive(&tenant).unwrap();
    let permit = archive.permit(&token).unwrap();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && number < count
                {
                    let mut bytes = vec![0; usize::try_from(size).unwrap()];
                    SystemEntropy.fill(&mut bytes);
                    let arrival = Arrival::named(&format!("{number}.bin"), Origin::Upload);
                    archive.receive(&permit, &arrival, None, &mut &*bytes, &Declared::default()).unwrap();
                }
            });
        }
    });
    let mut files = Vec::new();
    files_below(&folder.path().join("data/store/t"), &mut files);
    let (mut ours, mut yardstick) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        yardstick.push(openssl(&files));
        let start = Instant::now();
        let report = installation.verify(&tenant, &VerifyOptions::default(), &|_| {}).unwrap();
        assert!(report.findings.is_empty(), "{report:?}");
        ours.push(start.elapsed().as_secs_f64());
    }
    ours.sort_by(f64::total_cmp);
    yardstick.sort_by(f64::total_cmp);
    println!(
        "{count} files of {size} bytes ({} objects): verify {:.2} s, openssl {:.2} s, ratio {:.2} (medians of 5)",
        files.len(),
        ours[2],
        yardstick[2],
        yardstick[2] / ours[2]
    );
}
