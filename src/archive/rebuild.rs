//! Building the projections again: beside the old ones, which serve until the new ones are complete.

use super::installation::{make_dir, unusable};
use super::{Error, Installation, Kind};
use crate::catalogue::Catalogue;
use crate::domain::{Digest, TenantSlug};
use crate::journal::{Applied, JournalError, Layout, Projection as _, Reader, ReplayError, replay};
use crate::project::Indexer;
use crate::search::{self, SearchIndex};
use crate::verify::{Progress, chain, replayed};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

/// Memory for the catalogue while it is built.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// What a rebuild made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// Commits taken in.
    pub commits: u64,
    /// Leaves of the log.
    pub leaves: u64,
    /// Root over all leaves.
    pub root: Digest,
    /// Documents in the search index.
    pub documents: u64,
}

impl Installation {
    /// Builds a tenant's catalogue and search index anew from the journal. A kill leaves the old or the new ones.
    /// `progress` counts commits, then documents.
    ///
    /// # Errors
    /// [`Kind::ReadOnly`] when the journal is shorter than the old projections know: that is a loss, which a rebuild
    /// would only hide. [`Kind::Damaged`] when the journal cannot be read, [`Kind::Conflict`] while the archive is
    /// in use in this process.
    pub fn rebuild(
        &self,
        tenant: &TenantSlug,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<RebuildReport, Error> {
        self.require_tenant(tenant)?;
        // Held until the end: nobody opens what is being replaced.
        let slot = self.slot(tenant);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = slot.take()
            && let Err(archive) = Arc::try_unwrap(archive)
        {
            *slot = Some(archive);
            let public =
                format!("Der Mandant „{tenant}“ wird gerade benutzt; bitte später erneut versuchen.");
            return Err(Error::new(Kind::Conflict, public));
        }
        let directory = self.place().tenant_dir(tenant);
        make_dir(&directory)?;
        let layout = Layout::new(tenant);
        let reader = Reader::new(self.store().clone(), layout.clone());
        let head = chain::head(&**self.store(), &layout)?;
        let cache_bytes = self.settings().catalogue_cache_bytes;
        require_known(&reader, head, &directory, cache_bytes)?;

        let catalogue = Arc::new(fresh_catalogue(&directory.join("catalogue.new"))?);
        replay(&reader, &*catalogue, Applied::default(), &mut |applied| {
            progress(Progress { done: applied.seq, total: Some(head), bytes: 0 });
        })
        .map_err(|error| match error {
            ReplayError::Journal(error) => Error::from(error),
            ReplayError::Projection(error) => error.into(),
        })?;
        // A gap in the middle looks like the end.
        reader.check_end(catalogue.applied()?.seq, true)?;
        let index_dir = directory.join("search.new");
        remove(&index_dir)?;
        let index = Arc::new(SearchIndex::create(&index_dir, search::Settings::bulk())?);
        let indexer = Indexer::new(catalogue.clone(), index.clone(), self.store().clone(), layout);
        let mut documents = 0;
        indexer.build(&mut |done, total| {
            documents = done;
            progress(Progress { done, total: Some(total), bytes: 0 });
        })?;
        index.rest()?;
        catalogue.flush()?;
        let applied = catalogue.applied()?;
        drop(indexer);
        drop(index);
        drop(catalogue);
        // The index first: an old catalogue catches up with it, while a new one no longer knows what the old index
        // lacks and would have it built again. Either way nothing is lost.
        switch(&directory, "search")?;
        switch(&directory, "catalogue")?;
        let (leaves, root) = (applied.frontier.size(), applied.frontier.root());
        Ok(RebuildReport { commits: applied.seq, leaves, root, documents })
    }
}

/// Refuses when the old projections have seen what the journal no longer holds.
fn require_known(reader: &Reader, head: u64, directory: &Path, cache_bytes: u64) -> Result<(), Error> {
    let catalogue = directory.join("catalogue");
    if catalogue.exists()
        && let Ok(old) = Catalogue::open(&catalogue, cache_bytes)
    {
        reader.check_not_rolled_back(&old.applied()?)?;
    }
    let settings = search::Settings { checksums_on_open: false, ..search::Settings::default() };
    if let Ok(old) = SearchIndex::open(directory.join("search"), settings)
        && old.position() > head
    {
        return Err(JournalError::Rollback { seq: head + 1 }.into());
    }
    Ok(())
}

fn fresh_catalogue(path: &Path) -> Result<Catalogue, Error> {
    remove(path)?;
    Ok(Catalogue::open(path, CACHE_BYTES)?)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(unusable(path, source)),
        _ => Ok(()),
    }
}

/// Puts `name.new` in the place of `name`, in one step where the file system can.
fn switch(directory: &Path, name: &str) -> Result<(), Error> {
    let (new, old) = (directory.join(format!("{name}.new")), directory.join(name));
    if old.exists() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, &new, CWD, &old, RenameFlags::EXCHANGE).is_err() {
            // A kill between the two leaves neither; the next start then replays the journal.
            remove(&old)?;
            fs::rename(&new, &old).map_err(|source| unusable(&old, source))?;
        }
    } else {
        fs::rename(&new, &old).map_err(|source| unusable(&old, source))?;
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| unusable(directory, source))?;
    remove(&new)
}

/// Removes what an interrupted rebuild left.
pub(super) fn clean(directory: &Path) -> Result<(), Error> {
    ["catalogue.new", "search.new"].iter().try_for_each(|name| remove(&directory.join(name)))?;
    clean_checks(directory)
}

/// Removes what killed checks left.
pub(super) fn clean_checks(directory: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(replayed::NAME) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}
