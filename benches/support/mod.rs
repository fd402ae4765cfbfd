//! What the benches share: seeded chance, percentiles, memory, and the way figures are printed.
#![allow(dead_code, reason = "each bench uses its part of it")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seeded chance (splitmix64): the same numbers on every machine.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("it is below a usize")
    }

    pub(crate) fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }

    /// Bytes that no file system compresses.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.number().to_le_bytes()).take(count).collect()
    }

    /// Sentences of made-up German with about this many bytes.
    pub(crate) fn text(&mut self, bytes: usize) -> String {
        const STEMS: &[&str] = &[
            "Bau",
            "Antrag",
            "Gemeinde",
            "Straße",
            "Wasser",
            "Grund",
            "Steuer",
            "Amt",
            "Recht",
            "Ordnung",
            "Schul",
            "Garten",
            "Brücken",
            "Verkehrs",
            "Haushalts",
            "Friedhof",
            "Gewerbe",
            "Melde",
            "Wahl",
            "Umwelt",
            "Kinder",
            "Feuer",
            "Markt",
            "Rats",
            "Bürger",
        ];
        const ENDS: &[&str] = &[
            "bescheid",
            "satzung",
            "plan",
            "gebühr",
            "prüfung",
            "verfahren",
            "leitung",
            "stelle",
            "akte",
            "genehmigung",
            "vermerk",
            "fläche",
            "nutzung",
            "änderung",
            "aufsicht",
        ];
        const SMALL: &[&str] = &["der", "die", "und", "wird", "nach", "mit", "für", "nicht", "zum", "im"];
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            match self.below(5) {
                0 | 1 => text.push_str(self.pick::<&str>(SMALL)),
                2 => {
                    text.push_str(self.pick::<&str>(STEMS));
                    text.push_str(self.pick::<&str>(ENDS));
                }
                3 => text.push_str(self.pick::<&str>(STEMS)),
                _ => {
                    let _ = write!(text, "{:x}", self.number() % 50_000);
                }
            }
            text.push(if self.below(12) == 0 { '\n' } else { ' ' });
        }
        text
    }
}

/// Percentile of sorted figures.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "few"
    )]
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[place]
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long something takes, in seconds.
pub(crate) fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed().as_secs_f64(), value)
}

fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Memory of this process now and at its most, in MB.
pub(crate) fn memory_mb() -> (u64, u64) {
    (status("VmRSS") / 1024, status("VmHWM") / 1024)
}

/// The corpora beside the project, if they are there.
pub(crate) fn corpora() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    folder.is_dir().then_some(folder)
}

/// A folder on the disk that holds the build, not in memory: syncs must cost what they cost.
pub(crate) fn scratch(name: &str) -> tempfile::TempDir {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&parent).expect("the build's folder is writable");
    tempfile::Builder::new().prefix(name).tempdir_in(parent).expect("the build's folder is writable")
}

/// One figure of the report.
pub(crate) fn figure(name: &str, value: f64, unit: &str, target: &str) {
    println!("{name:<52} {value:>12.2} {unit:<12} {target}");
}
