//! What the catalogue and the search index say, held against the journal. They may be read while a server writes.

use super::chain::{Chain, Leaf};
use super::faults::Faults;
use super::report::{Fault, FaultKind};
use crate::catalogue::{Catalogue, CatalogueError};
use crate::domain::{Digest, DocumentId, EntityId, EntityKind};
use crate::journal::{Applied, Layout, Projection as _, Reader};
use crate::search::{self, OpenError, SearchIndex};
use crate::store::{ObjectStore, StoreError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The names under which projections appear among the faults.
pub(crate) const CATALOGUE: &str = "catalogue";
const SEARCH: &str = "search";

/// Where the projections are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Projections<'a> {
    /// In use by this process.
    Open(&'a Arc<Catalogue>, &'a Arc<SearchIndex>),
    /// In this directory, used by nobody.
    Closed(&'a Path, u64),
    /// Not looked at.
    Ignored,
}

/// A projection that is read while it is compared.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) catalogue: Option<Arc<Catalogue>>,
    pub(crate) index: Option<Arc<SearchIndex>>,
    pub(crate) live: bool,
}

impl Projections<'_> {
    /// Opens what can be opened; nothing is repaired or built here.
    pub(crate) fn open(self, faults: &Faults, notices: &Faults) -> Opened {
        match self {
            Self::Open(catalogue, index) => {
                Opened { catalogue: Some(catalogue.clone()), index: Some(index.clone()), live: true }
            }
            Self::Closed(directory, cache_bytes) => Opened {
                catalogue: open_catalogue(&directory.join(CATALOGUE), cache_bytes, faults, notices),
                index: open_index(&directory.join(SEARCH), faults, notices),
                live: false,
            },
            Self::Ignored => Opened { catalogue: None, index: None, live: false },
        }
    }
}

fn open_catalogue(
    path: &Path,
    cache_bytes: u64,
    faults: &Faults,
    notices: &Faults,
) -> Option<Arc<Catalogue>> {
    if !path.exists() {
        let detail = "Der Katalog fehlt; er wird beim nächsten Start neu aufgebaut.";
        notices.add(FaultKind::CatalogueMissing, CATALOGUE, detail);
        return None;
    }
    match Catalogue::open(path, cache_bytes) {
        Ok(catalogue) => Some(Arc::new(catalogue)),
        Err(CatalogueError::Schema(_)) => {
            let detail = "Der Katalog stammt von einer anderen Programmversion; er wird beim nächsten Start neu aufgebaut.";
            notices.add(FaultKind::CatalogueMissing, CATALOGUE, detail);
            None
        }
        Err(error) => {
            let detail = format!("{error}. Der nächste Start oder „eakte rebuild“ baut ihn neu auf.");
            faults.add(FaultKind::CatalogueDamaged, CATALOGUE, detail);
            None
        }
    }
}

fn open_index(path: &Path, faults: &Faults, notices: &Faults) -> Option<Arc<SearchIndex>> {
    let settings = search::Settings { checksums_on_open: false, ..search::Settings::default() };
    match SearchIndex::open(path, settings) {
        Ok(index) => Some(Arc::new(index)),
        Err(OpenError::Missing(_) | OpenError::Outdated) => {
            let detail = "Das Suchverzeichnis fehlt; es wird beim nächsten Start neu aufgebaut.";
            notices.add(FaultKind::SearchMissing, SEARCH, detail);
            None
        }
        Err(_) => {
            let detail = "Das Suchverzeichnis ist nicht lesbar. Der nächste Start oder „eakte rebuild“ baut es neu auf.";
            faults.add(FaultKind::SearchDamaged, SEARCH, detail);
            None
        }
    }
}

/// The catalogue while it is compared.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) applied: Applied,
}

impl View {
    /// Takes a look. A catalogue in use is given a moment to take in the newest commit.
    pub(crate) fn new(opened: &Opened, head: u64, faults: &Faults) -> Option<Self> {
        let catalogue = opened.catalogue.clone()?;
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match guarded(|| Ok(catalogue.applied()?)) {
                Ok(applied) if applied.seq < head && opened.live && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(applied) => return Some(Self { catalogue, applied }),
                Err(error) => {
                    faults.push(damaged(&error));
                    return None;
                }
            }
        }
    }

    /// An erased leaf must be forgotten.
    pub(crate) fn check_erased(&self, position: u64, permit: u64, faults: &Faults) {
        if permit > self.applied.seq {
            return;
        }
        match guarded(|| Ok(self.catalogue.leaf(position)?)) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let detail = format!("Der Katalog kennt noch die gelöschte Position {position}.");
                faults.add(FaultKind::CatalogueDiffers, CATALOGUE, detail);
            }
            Err(error) => faults.push(damaged(&error)),
        }
    }

    /// A leaf must be known with its owner and digest.
    pub(crate) fn check_leaf(&self, leaf: &Leaf, owner: EntityId) -> Option<Fault> {
        if leaf.seq > self.applied.seq {
            return None;
        }
        match guarded(|| Ok(self.catalogue.leaf(leaf.position)?)) {
            Ok(Some(found)) if found == (owner, leaf.sha256) => None,
            Ok(_) => {
                Some(differs(&format!("Der Katalog kennt Position {} nicht oder anders.", leaf.position)))
            }
            Err(error) => Some(damaged(&error)),
        }
    }

    /// What the catalogue knows of an entity must follow from its events up to the head.
    pub(crate) fn check_entity(
        &self,
        entity: EntityId,
        events: u64,
        first: u64,
        objects: &[Digest],
        head: u64,
    ) -> Option<Fault> {
        if self.applied.seq < head {
            return None;
        }
        let compare = || {
            let version = self.catalogue.life(entity)?.map_or(0, |life| life.version);
            // Others may have gone on since the head was looked up.
            if version != events && !(version > events && self.catalogue.applied()?.seq > head) {
                return Ok(Some(format!("{entity} hat im Katalog {version} Ereignisse statt {events}.")));
            }
            if entity.kind == EntityKind::Document {
                let Some(row) = self.catalogue.document(DocumentId::from_uuid(entity.id))? else {
                    return Ok(Some(format!("{entity} fehlt im Katalog.")));
                };
                if row.origin.seq > head {
                    return Ok(None);
                }
                let reading = row.reading.iter().flat_map(|reading| &reading.renditions);
                let known = row.versions.iter().map(|version| &version.original).chain(reading);
                let fits = row.origin.position == first
                    && known.into_iter().all(|object| objects.contains(&object.sha256));
                if !fits || row.versions.is_empty() {
                    return Ok(Some(format!("{entity} hat im Katalog andere Fassungen als im Journal.")));
                }
            }
            Ok(None)
        };
        match guarded(compare) {
            Ok(None) => None,
            Ok(Some(detail)) => Some(differs(&detail)),
            Err(error) => Some(damaged(&error)),
        }
    }
}

pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// sled trips assertions on damaged files; that is damage, too.
pub(crate) fn guarded<T>(look: impl FnOnce() -> Result<T, Cause>) -> Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Err("eine Datei ist nicht lesbar".into()))
}

pub(crate) fn damaged(error: &Cause) -> Fault {
    let detail = format!("{error}. „eakte rebuild“ baut den Katalog neu auf.");
    Fault { kind: FaultKind::CatalogueDamaged, object: CATALOGUE.to_owned(), detail }
}

pub(crate) fn differs(detail: &str) -> Fault {
    let detail = format!("{detail} „eakte rebuild“ baut den Katalog neu auf.");
    Fault { kind: FaultKind::CatalogueDiffers, object: CATALOGUE.to_owned(), detail }
}

/// Compares places: what a projection has seen must be in the journal, and the same.
///
/// # Errors
/// When the store does not answer.
pub(crate) fn check_places(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    opened: &Opened,
    view: Option<&View>,
    chain: &Chain,
    head: u64,
    (faults, notices): (&Faults, &Faults),
) -> Result<(), StoreError> {
    let reader = Reader::new(store.clone(), layout.clone());
    let rollback = |object: &str, seq: u64| {
        let detail = format!(
            "Journaleintrag {seq} war schon bekannt und fehlt jetzt oder ist ein anderer. Der Speicher wurde zurückgesetzt \
             oder hat Daten verloren: nichts mehr schreiben und eine vollständige Sicherung mit „eakte restore“ einspielen."
        );
        faults.add(FaultKind::Rollback, object, detail);
    };
    if let Some(View { applied, .. }) = view {
        // A damaged commit has its own finding; one that reads well and is another means another history.
        let same = applied.seq == 0
            || match reader.commit(applied.seq) {
                Ok(Some((_, digest))) => digest == applied.digest,
                Ok(None) => false,
                Err(crate::journal::JournalError::Store(error)) => return Err(error),
                Err(_) => true,
            };
        if !same {
            rollback(CATALOGUE, applied.seq);
        } else if applied.seq < head {
            let detail = format!(
                "Der Katalog hat {} noch nicht übernommen. Das ist kein Fehler: er holt es von selbst nach, sobald \
                 „eakte serve“ oder ein anderer Befehl das Archiv öffnet.",
                entries(head - applied.seq, head)
            );
            notices.add(FaultKind::CatalogueBehind, CATALOGUE, detail);
        }
        let root = chain.roots.get(&applied.frontier.size());
        if same && chain.whole && root.is_some_and(|root| *root != applied.frontier.root()) {
            faults.push(differs("Der Katalog kennt eine andere Wurzel."));
        }
    }
    if let Some(index) = &opened.index {
        let position = index.position();
        if position > head && reader.commit(position).is_ok_and(|found| found.is_none()) {
            rollback(SEARCH, position);
        } else if position < head {
            let detail = format!(
                "Die Suche hat {} noch nicht übernommen. Das ist kein Fehler: sie holt es von selbst nach, sobald \
                 „eakte serve“, „eakte ingest“ oder „eakte search“ läuft.",
                entries(head - position, head)
            );
            notices.add(FaultKind::SearchBehind, SEARCH, detail);
        }
    }
    Ok(())
}

/// How many commits of how many, for people.
fn entries(behind: u64, all: u64) -> String {
    match (behind, all) {
        (_, 1) => "den ersten Journaleintrag".to_owned(),
        (1, _) => format!("den letzten von {all} Journaleinträgen"),
        (_, _) if behind == all => format!("die {all} Journaleinträge"),
        _ => format!("die letzten {behind} von {all} Journaleinträgen"),
    }
}

/// Reads both projections to their ends: every row, every file. `documents` is how many there must be.
pub(crate) fn check_bytes(opened: &Opened, view: Option<&View>, documents: Option<u64>, faults: &Faults) {
    let sound = opened.index.as_deref().filter(|index| check_files(index, faults));
    let Some(view) = view else { return };
    let read = || {
        let uneven = view.catalogue.uneven_tables()?;
        Ok((uneven, view.catalogue.summary()?.documents))
    };
    let (uneven, count) = match guarded(read) {
        Ok(read) => read,
        Err(error) => return faults.push(damaged(&error)),
    };
    let seq = view.applied.seq;
    let found = sound.filter(|index| index.position() == seq).map(|index| guarded(|| Ok(index.documents()?)));
    // Counted while others write, the numbers mean nothing.
    let unmoved = guarded(|| Ok(view.catalogue.applied()?.seq == seq)).unwrap_or(false)
        && opened.index.as_ref().is_none_or(|index| index.position() <= seq);
    if !unmoved {
        return;
    }
    for (one, other) in uneven {
        let detail = format!("Im Katalog haben die Tabellen {one} und {other} verschieden viele Zeilen.");
        faults.push(differs(&detail));
    }
    if let Some(documents) = documents.filter(|documents| *documents != count) {
        faults.push(differs(&format!("Der Katalog zählt {count} Dokumente statt {documents}.")));
    }
    match found {
        Some(Ok(found)) if found != count => {
            let detail = format!(
                "Das Suchverzeichnis kennt {found} Dokumente, der Katalog {count}. „eakte rebuild“ baut es neu auf."
            );
            faults.add(FaultKind::SearchDiffers, SEARCH, detail);
        }
        Some(Err(_)) => faults.add(FaultKind::SearchDamaged, SEARCH, UNREADABLE),
        _ => {}
    }
}

const UNREADABLE: &str = "Das Suchverzeichnis ist nicht lesbar. „eakte rebuild“ baut es neu auf.";

/// Whether every file of the index matches its checksum.
fn check_files(index: &SearchIndex, faults: &Faults) -> bool {
    match guarded(|| Ok(index.damaged_files()?)) {
        Ok(files) => {
            for file in &files {
                let name = format!("{SEARCH}/{}", file.display());
                let detail =
                    "Die Datei des Suchverzeichnisses ist beschädigt. „eakte rebuild“ baut es neu auf.";
                faults.add(FaultKind::SearchDamaged, name, detail);
            }
            files.is_empty()
        }
        Err(error) => {
            tracing::warn!(%error, "the search index could not be read");
            faults.add(FaultKind::SearchDamaged, SEARCH, UNREADABLE);
            false
        }
    }
}
