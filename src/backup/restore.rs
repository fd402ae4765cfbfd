//! Restore: from a backup into an empty place.

use super::copy::{Way, copy};
use super::manifest::{MANIFEST, Manifest, RESTORING, key};
use super::{copy_error, is_empty, marker_key, newest, open_place};
use crate::archive::{Error, Installation, Kind, Place, Settings};
use crate::clock::{Clock, Entropy};
use crate::domain::TenantSlug;
use crate::journal::Layout;
use crate::store::{Bucket, BucketConfig, Disk, Marker, ObjectStore, StoreError, StoreLocation, mark_as};
use crate::verify::{Expect, Fault, Progress, VerifyOptions, VerifyReport};
use std::sync::Arc;

/// Where a backup goes, and what the installation is opened with there.
#[derive(Clone, Debug)]
pub struct Target {
    /// An empty place, or one that an interrupted restore of the same backup has left.
    pub place: Place,
    /// For opening it.
    pub settings: Settings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

/// What a restore came to.
#[derive(Debug)]
pub struct RestoreReport {
    /// The installation, open.
    pub installation: Installation,
    /// The tenants that were brought back.
    pub tenants: Vec<RestoredTenant>,
}

impl RestoreReport {
    /// Whether every tenant is as it was when it was saved.
    pub fn is_complete(&self) -> bool {
        self.tenants.iter().all(RestoredTenant::is_complete)
    }
}

/// What the restore of one tenant came to.
#[derive(Clone, Debug)]
pub struct RestoredTenant {
    /// Which one.
    pub tenant: TenantSlug,
    /// Size and root that the backup promised.
    pub promised: Expect,
    /// What a full check of the restored objects said, before the new token was recorded.
    pub report: VerifyReport,
    /// What the backup lacked.
    pub missing: Vec<Fault>,
    /// The new local token; `None` when the archive does not open.
    pub token: Option<String>,
}

impl RestoredTenant {
    /// Whether nothing is missing and the log is the one that was saved.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.report.findings.is_empty() && self.token.is_some()
    }
}

/// Brings these tenants, or all, back from a backup. Ends with a full check against size and root of the backup,
/// and with a new local token for each tenant.
///
/// # Errors
/// [`Kind::Missing`] when there is no backup, or not of this tenant; [`Kind::Conflict`] when the place is not empty;
/// [`Kind::Unavailable`] when a store does not answer. What the backup lacks is in the report.
pub fn restore(
    source: &StoreLocation,
    bucket: &BucketConfig,
    tenants: Option<&[TenantSlug]>,
    target: &Target,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<RestoreReport, Error> {
    let from = open_backup(source, bucket)?;
    let none = || Error::new(Kind::Missing, format!("In {source} liegt keine eakte-Sicherung."));
    let manifest = Manifest::read(&*from, MANIFEST, &source.to_string())?.ok_or_else(none)?;
    let tenants: Vec<TenantSlug> = match tenants {
        None => manifest.tenants.keys().cloned().collect(),
        Some(tenants) => tenants.to_vec(),
    };
    if let Some(unknown) = tenants.iter().find(|tenant| !manifest.tenants.contains_key(*tenant)) {
        return Err(Error::new(
            Kind::Missing,
            format!("Die Sicherung enthält den Mandanten „{unknown}“ nicht."),
        ));
    }
    let to = open_target(&target.place, &manifest)?;
    let mut restored = Vec::new();
    for tenant in tenants {
        let Some(saved) = manifest.tenants.get(&tenant) else { continue };
        let layout = Layout::new(&tenant);
        // A backup that was interrupted after its commits holds more than its manifest promises.
        let head = newest(&*from, &layout)?.max(saved.commits);
        let way =
            Way { from: &from, to: &to, layout: &layout, scratch: &target.place.data, head, known: None };
        let copied = copy(&way, progress).map_err(copy_error)?;
        let mark = key(&format!("tenants/{tenant}"));
        to.create(&mark, format!("{tenant}\n").into())?;
        restored.push((tenant, Expect { size: saved.size, root: saved.root }, copied.faults));
    }
    // The mark makes it a store: until now a crash leaves a place that nothing opens and a repetition completes.
    mark_as(&*to, &Marker { id: manifest.store, created_at: manifest.store_created_at })?;
    to.delete(&[key(RESTORING)])?;
    drop(to);

    let Target { place, settings, clock, entropy } = target.clone();
    let installation = Installation::open(place, settings, clock, entropy)?;
    let mut tenants = Vec::new();
    for (tenant, promised, missing) in restored {
        let options = VerifyOptions { expect: Some(promised), ..VerifyOptions::default() };
        let report = installation.verify(&tenant, &options, progress)?;
        let token = match installation.renew_local_token(&tenant) {
            Ok(token) => Some(token),
            Err(error) => {
                tracing::error!(%tenant, %error, "the restored archive does not open");
                None
            }
        };
        tenants.push(RestoredTenant { tenant, promised, report, missing, token });
    }
    Ok(RestoreReport { installation, tenants })
}

fn open_backup(source: &StoreLocation, bucket: &BucketConfig) -> Result<Arc<dyn ObjectStore>, Error> {
    match source {
        StoreLocation::Directory(path) if !path.join(MANIFEST).exists() => {
            Err(Error::new(Kind::Missing, format!("In {source} liegt keine eakte-Sicherung.")))
        }
        // Only read: a backup may lie on a medium that takes no lock.
        StoreLocation::Directory(path) => Ok(Arc::new(Disk::open_to_read(path)?)),
        StoreLocation::Bucket(url) => Ok(Arc::new(Bucket::open_to_read(url.clone(), bucket)?)),
    }
}

/// Opens the place to restore into: empty, or left by an interrupted restore of the same backup.
fn open_target(place: &Place, manifest: &Manifest) -> Result<Arc<dyn ObjectStore>, Error> {
    let not_empty = || {
        let public = format!(
            "{} ist nicht leer; eine Sicherung wird nur an einem leeren Ort eingespielt.",
            place.data.display()
        );
        Error::new(Kind::Conflict, public)
    };
    if let StoreLocation::Directory(path) = &place.store
        && !is_empty(&place.data)?
        && !path.join(RESTORING).exists()
        && !only_staging(&place.data, path)?
    {
        return Err(not_empty());
    }
    let make_dir = |path: &std::path::Path| {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| StoreError::Io {
            action: "anlegen",
            object: path.display().to_string(),
            source,
        })
    };
    make_dir(&place.data)?;
    let store = open_place(&place.store, &place.bucket, RESTORING)
        .map_err(|error| if error.kind == Kind::Conflict { not_empty() } else { error })?;
    let is_begun = store.size(&key(RESTORING))?.is_some();
    let is_bucket = matches!(place.store, StoreLocation::Bucket(_));
    if store.size(&marker_key())?.is_some() || is_bucket && !is_begun && !is_empty(&place.data)? {
        return Err(not_empty());
    }
    let name = place.store.to_string();
    match Manifest::read(&*store, RESTORING, &name)? {
        Some(begun) if begun.store != manifest.store => return Err(not_empty()),
        Some(_) => {}
        None => Manifest::new(manifest.store, manifest.store_created_at).write(&*store, RESTORING)?,
    }
    Ok(store)
}

/// Whether the data directory holds only an empty store, left by a restore that was killed before its mark.
fn only_staging(data: &std::path::Path, store: &std::path::Path) -> Result<bool, Error> {
    let failed = |source: std::io::Error| {
        Error::from(StoreError::Io { action: "auflisten", object: data.display().to_string(), source })
    };
    for entry in std::fs::read_dir(data).map_err(failed)? {
        if entry.map_err(failed)?.path() != store {
            return Ok(false);
        }
    }
    for entry in std::fs::read_dir(store).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != "staging" {
            return Ok(false);
        }
    }
    Ok(true)
}
