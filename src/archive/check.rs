//! Checking a tenant, and building its projections again.

use super::{Archive, Error, Installation, Kind, Permission, Permit};
use crate::domain::TenantSlug;
use crate::journal::Layout;
use crate::verify::projections::Projections;
use crate::verify::{self, Depth, Progress, Subject, VerifyOptions, VerifyReport};
use std::sync::PoisonError;

impl Installation {
    /// Checks a tenant's objects, journal and projections. Also works where the archive does not open; nothing is
    /// repaired or built by it.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such tenant, [`Kind::Unavailable`] when the store does not answer. What
    /// is wrong with the data is a finding.
    pub fn verify(
        &self,
        tenant: &TenantSlug,
        options: &VerifyOptions,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<VerifyReport, Error> {
        self.require_tenant(tenant)?;
        // The lock is held while a closed archive is checked: it must not be opened meanwhile.
        let slot = self.slot(tenant);
        let open = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = open.clone() {
            drop(open);
            return archive.check(options, progress);
        }
        let directory = self.place().tenant_dir(tenant);
        let subject = Subject {
            store: self.store(),
            layout: &Layout::new(tenant),
            projections: Projections::Closed(&directory, self.settings().catalogue_cache_bytes),
            scratch: &self.place().data,
            now: self.clock().now(),
        };
        check(&subject, options, progress)
    }
}

impl Archive {
    /// Checks the tenant's objects, journal and projections.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the store does not answer. What is wrong with the data is a finding.
    pub fn verify(
        &self,
        permit: &Permit,
        options: &VerifyOptions,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<VerifyReport, Error> {
        permit.require(Permission::Verify)?;
        self.check(options, progress)
    }

    fn check(
        &self,
        options: &VerifyOptions,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<VerifyReport, Error> {
        let subject = Subject {
            store: &self.store,
            layout: &self.layout,
            projections: Projections::Open(&self.catalogue, &self.indexer.index),
            scratch: &self.directory,
            now: self.clock.now(),
        };
        check(&subject, options, progress)
    }
}

fn check(
    subject: &Subject<'_>,
    options: &VerifyOptions,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<VerifyReport, Error> {
    if options.sample.is_some() && options.since.is_some() {
        let public = "Eine Stichprobe und ein Zeitpunkt lassen sich nicht zugleich angeben.";
        return Err(Error::new(Kind::Invalid, public));
    }
    if options.replay && (options.sample.is_some() || options.since.is_some()) {
        let public = "Der Katalog wird nur im Ganzen mit dem Journal verglichen.";
        return Err(Error::new(Kind::Invalid, public));
    }
    Ok(verify::verify(subject, Depth::Bytes, options, progress)?.report)
}
