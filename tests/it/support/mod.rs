//! What the tests share: an archive with a fixed clock, a fresh directory and one tenant; seeded chance; stores
//! that fail.

pub mod bucket;
pub mod chance;
pub mod faulty;
pub mod town;

use eakte::archive::{Archive, Installation, NewTenant, Permit, Place, Settings};
use eakte::clock::{Clock, SystemEntropy};
use eakte::domain::TenantSlug;
use eakte::domain::text::Line;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A clock that always shows the same time.
#[derive(Debug)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// An installation with the tenant `t` in a directory that goes when this goes.
pub struct TestArchive {
    pub installation: Installation,
    pub archive: Arc<Archive>,
    pub permit: Permit,
    pub token: String,
    pub folder: TempDir,
}

pub fn tenant() -> TenantSlug {
    "t".parse().unwrap()
}

pub fn settings(background: bool) -> Settings {
    Settings { background, worker: Some(PathBuf::from(env!("CARGO_BIN_EXE_eakte"))), ..Settings::default() }
}

impl TestArchive {
    /// `background` says whether documents are read and indexed.
    pub fn new(background: bool) -> Self {
        Self::with(settings(background))
    }

    /// With settings of its own.
    pub fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::directory(&folder.path().join("data"));
        let clock = Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()));
        let installation = Installation::create(place, settings, clock, Arc::new(SystemEntropy)).unwrap();
        let token = installation
            .create_tenant(&NewTenant {
                slug: tenant(),
                name: Line::new("Stadt Steverau").unwrap(),
                reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
            })
            .unwrap();
        let archive = installation.archive(&tenant()).unwrap();
        let permit = archive.permit(&token).unwrap();
        Self { installation, archive, permit, token, folder }
    }

    /// The same directory, closed and opened with other settings.
    pub fn reopened(self, settings: Settings) -> Self {
        let Self { installation, archive, token, folder, .. } = self;
        drop((installation, archive));
        let place = Place::directory(&folder.path().join("data"));
        let clock = Arc::new(FixedClock("2026-03-02T08:00:00Z".parse().unwrap()));
        let installation = Installation::open(place, settings, clock, Arc::new(SystemEntropy)).unwrap();
        let archive = installation.archive(&tenant()).unwrap();
        let permit = archive.permit(&token).unwrap();
        Self { installation, archive, permit, token, folder }
    }
}

/// Says that a test did not run, and why.
pub fn skipped(test: &str, why: &str) {
    println!("skipped: {test} ({why})");
}
