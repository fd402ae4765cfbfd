//! An installation: one store, one data directory, any number of tenants.

use super::permit::new_token;
use super::{Archive, Error, Kind, Settings};
use crate::clock::{Clock, Entropy, new_id};
use crate::domain::codes::Role;
use crate::domain::decision::{Decision, NewEvent};
use crate::domain::event::{AccountCreated, Actor, Context, Event, TenantCreated};
use crate::domain::guard::Guard;
use crate::domain::ids::TenantId;
use crate::domain::reference::Template;
use crate::domain::text::Line;
use crate::domain::{AccountId, TenantSlug};
use crate::journal::Command;
use crate::store::{
    BucketConfig, Created, Key, Lock, ObjectStore, Prefix, StoreError, StoreLocation, create_store,
    open_store, open_store_to_read,
};
use crate::wording;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where an installation lies: the directory of this machine's things, and the store.
#[derive(Clone, Debug)]
pub struct Place {
    /// Catalogue, search index, tokens; and the store, unless that is a bucket.
    pub data: PathBuf,
    /// Originals and events.
    pub store: StoreLocation,
    /// How to reach a bucket.
    pub bucket: BucketConfig,
}

impl Place {
    /// A directory with everything in it.
    pub fn directory(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            store: StoreLocation::Directory(data.join("store")),
            bucket: BucketConfig::default(),
        }
    }

    /// The projections of a tenant.
    pub fn tenant_dir(&self, tenant: &TenantSlug) -> PathBuf {
        self.data.join("tenants").join(tenant.as_str())
    }

    /// The file that holds a tenant's local token; readable for its owner only.
    pub fn token_file(&self, tenant: &TenantSlug) -> PathBuf {
        self.data.join("tokens").join(tenant.as_str())
    }

    /// The local token of a tenant.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`] when there is none.
    pub fn local_token(&self, tenant: &TenantSlug) -> Result<String, Error> {
        let path = self.token_file(tenant);
        let mut text = String::new();
        File::open(&path).and_then(|file| file.take(1_024).read_to_string(&mut text)).map_err(|source| Error {
            kind: Kind::Unauthenticated,
            public: format!(
                "Das Zugangstoken des Mandanten „{tenant}“ ist nicht lesbar ({}). Gibt es den Mandanten hier?",
                path.display()
            ),
            source: Some(Box::new(source)),
        })?;
        Ok(text.trim().to_owned())
    }
}

/// What a new tenant begins with.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its short name.
    pub slug: TenantSlug,
    /// Its name, as on letterheads.
    pub name: Line,
    /// How file references are made.
    pub reference_template: Template,
}

/// A tenant's place among the open ones. It has its own lock: opening one tenant may take long and keeps nobody
/// from the others.
type Slot = Arc<Mutex<Option<Arc<Archive>>>>;

/// An installation, open.
#[derive(Debug)]
pub struct Installation {
    place: Place,
    settings: Settings,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    archives: Mutex<BTreeMap<TenantSlug, Slot>>,
    /// Keeps other processes out as long as this one lives.
    _lock: Lock,
}

impl Installation {
    /// Creates an installation in an empty place.
    ///
    /// # Errors
    /// When anything lies there already; [`Kind::Unavailable`] when it cannot be written.
    pub fn create(
        place: Place,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        let is_empty = match fs::read_dir(&place.data) {
            Ok(mut entries) => entries.all(|entry| {
                entry.is_ok_and(|entry| match entry.file_name().to_str() {
                    // The configuration may lie there before the archive does; the others are left by an attempt
                    // that failed. The store insists on its own emptiness.
                    Some("eakte.toml" | "lock" | "spool") => true,
                    Some("store") => place.store == StoreLocation::Directory(entry.path()),
                    _ => false,
                })
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(source) => return Err(unusable(&place.data, source)),
        };
        if !is_empty {
            return Err(StoreError::NotEmpty { place: place.data.display().to_string() }.into());
        }
        make_dir(&place.data)?;
        let lock = hold(&place.data)?;
        let store = create_store(&place.store, &place.bucket, clock.now())?.store;
        Ok(Self { place, settings, store, clock, entropy, archives: Mutex::default(), _lock: lock })
    }

    /// Opens an existing installation. Nothing is ever created by this.
    ///
    /// # Errors
    /// When there is none, or another process holds it.
    pub fn open(
        place: Place,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        if let StoreLocation::Directory(store) = &place.store
            && !store.join(crate::store::MARKER).try_exists().map_err(|source| unusable(store, source))?
        {
            return Err(StoreError::NoStore { place: place.data.display().to_string() }.into());
        }
        if !place.data.exists() {
            // A bucket that this machine has not seen yet: it must be a store before anything is made here.
            open_store_to_read(&place.store, &place.bucket)?;
        }
        make_dir(&place.data)?;
        let lock = hold(&place.data)?;
        let store = open_store(&place.store, &place.bucket)?.store;
        Ok(Self { place, settings, store, clock, entropy, archives: Mutex::default(), _lock: lock })
    }

    /// Opens an installation over a store that is open already, whatever kind of store that is: for tests that
    /// put a failing one in its place.
    ///
    /// # Errors
    /// When another process holds the data directory.
    pub fn over(
        place: Place,
        store: Arc<dyn ObjectStore>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Error> {
        make_dir(&place.data)?;
        let lock = hold(&place.data)?;
        Ok(Self { place, settings, store, clock, entropy, archives: Mutex::default(), _lock: lock })
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its objects.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// All tenants, by short name.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn tenants(&self) -> Result<Vec<TenantSlug>, Error> {
        Ok(tenants_in(&*self.store)?)
    }

    /// Makes a tenant with a local service account. Returns the account's token, which also lies in the token file.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the tenant exists.
    pub fn create_tenant(&self, new: &NewTenant) -> Result<String, Error> {
        if self.tenants()?.contains(&new.slug) {
            return Err(Error::new(Kind::Conflict, format!("Den Mandanten „{}“ gibt es schon.", new.slug)));
        }
        let archive = Archive::open(self.parts(&new.slug))?;
        let (token, mut account) = self.local_account(&new.slug);
        let decision = if archive.catalogue().tenant()?.is_none() {
            let tenant = TenantId::from_uuid(new_id(&*self.clock, &*self.entropy));
            let created = TenantCreated {
                name: new.name.to_string(),
                time_zone: "Europe/Berlin".to_owned(),
                reference_template: new.reference_template.to_string(),
            };
            if let Event::AccountCreated(data) = &mut account.event {
                "lokal".clone_into(&mut data.label);
            }
            let events = vec![NewEvent::new(tenant, Event::TenantCreated(created)), account];
            Decision { guards: vec![Guard::Version(tenant.into(), 0)], events }
        } else {
            // An earlier attempt got this far and no further: its token is lost, a new account takes its place.
            Decision { guards: Vec::new(), events: vec![account] }
        };
        archive.journal().append(Command::record(Context::by(Actor::System), decision))?;
        write_token(&self.place.token_file(&new.slug), &token)?;
        // Listed last: until now a crash leaves a tenant that nobody knows.
        let key = Key::new(format!("tenants/{}", new.slug)).expect("a slug is a safe name");
        match self.store.create(&key, format!("{}\n", new.slug).into())? {
            Created::Created | Created::Exists => {}
        }
        *self.slot(&new.slug).lock().unwrap_or_else(PoisonError::into_inner) = Some(archive);
        Ok(token)
    }

    /// A tenant's archive; opened when first asked for.
    ///
    /// # Errors
    /// [`Kind::Missing`] when there is no such tenant.
    pub fn archive(&self, tenant: &TenantSlug) -> Result<Arc<Archive>, Error> {
        let known = self.archives.lock().unwrap_or_else(PoisonError::into_inner).contains_key(tenant);
        if !known {
            self.require_tenant(tenant)?;
        }
        let slot = self.slot(tenant);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = &*slot {
            return Ok(archive.clone());
        }
        let archive = Archive::open(self.parts(tenant))?;
        *slot = Some(archive.clone());
        Ok(archive)
    }

    /// Insists that there is such a tenant.
    pub(super) fn require_tenant(&self, tenant: &TenantSlug) -> Result<(), Error> {
        let key = Key::new(format!("tenants/{tenant}")).expect("a slug is a safe name");
        match self.store.size(&key)? {
            Some(_) => Ok(()),
            None => Err(Error::new(Kind::Missing, format!("Den Mandanten „{tenant}“ gibt es nicht."))),
        }
    }

    /// The archives that are open now, by tenant. One that is just being opened is left out.
    pub fn open_archives(&self) -> Vec<Arc<Archive>> {
        let slots: Vec<Slot> =
            self.archives.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        slots.iter().filter_map(|slot| slot.try_lock().ok()?.clone()).collect()
    }

    /// Whether tenants were tried and none of them opens.
    pub fn is_shut(&self) -> bool {
        let slots: Vec<Slot> =
            self.archives.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        !slots.is_empty() && slots.iter().all(|slot| slot.try_lock().is_ok_and(|archive| archive.is_none()))
    }

    /// Where a tenant's archive is kept once it is open. Whoever holds its lock keeps others from opening it.
    pub(super) fn slot(&self, tenant: &TenantSlug) -> Slot {
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        archives.entry(tenant.clone()).or_default().clone()
    }

    /// Makes sure that the local token is good for something: a restored store has no token file.
    ///
    /// # Errors
    /// When the account cannot be recorded.
    pub fn renew_local_token(&self, tenant: &TenantSlug) -> Result<String, Error> {
        let archive = self.archive(tenant)?;
        let (token, account) = self.local_account(tenant);
        let decision = Decision { guards: Vec::new(), events: vec![account] };
        archive.journal().append(Command::record(Context::by(Actor::System), decision))?;
        write_token(&self.place.token_file(tenant), &token)?;
        Ok(token)
    }

    /// A further local service account, and its token.
    fn local_account(&self, tenant: &TenantSlug) -> (String, NewEvent) {
        let (token, token_sha256) = new_token(tenant, &*self.entropy);
        let id = AccountId::from_uuid(new_id(&*self.clock, &*self.entropy));
        let label = format!("lokal {id}");
        let data = AccountCreated { label, roles: Role::ALL.to_vec(), token_sha256 };
        (token, NewEvent::new(id, Event::AccountCreated(data)))
    }

    fn parts(&self, tenant: &TenantSlug) -> super::OpenParts {
        super::OpenParts {
            slug: tenant.clone(),
            directory: self.place.tenant_dir(tenant),
            store: self.store.clone(),
            shared_store: matches!(self.place.store, StoreLocation::Bucket(_)),
            settings: self.settings.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }
}

/// All tenants of a store, by short name.
pub(crate) fn tenants_in(store: &dyn ObjectStore) -> Result<Vec<TenantSlug>, StoreError> {
    let mut tenants = Vec::new();
    let folder = Prefix::new("tenants").expect("a fixed name that follows the rules");
    store.list(&folder, &mut |listed| {
        let name = listed.key.as_str().rsplit('/').next().unwrap_or_default();
        tenants.extend(name.parse::<TenantSlug>());
        ControlFlow::Continue(())
    })?;
    tenants.sort();
    Ok(tenants)
}

/// A file or folder of ours that the operating system keeps from us.
pub(super) fn unusable(path: &Path, source: io::Error) -> Error {
    let public = format!("{} ist nicht benutzbar: {}.", path.display(), wording::os(&source));
    Error { kind: Kind::Unavailable, public, source: Some(Box::new(source)) }
}

/// A directory that only its owner may read: it holds records and tokens.
pub(super) fn make_dir(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(|source| unusable(path, source))
}

/// One process at a time works on a data directory.
fn hold(data: &Path) -> Result<Lock, Error> {
    let path = data.join("lock");
    let lock = Lock::take(&path, 0o600).map_err(|source| unusable(&path, source))?;
    lock.ok_or_else(|| StoreError::Held { place: data.display().to_string() }.into())
}

fn write_token(path: &Path, token: &str) -> Result<(), Error> {
    make_dir(path.parent().unwrap_or(path))?;
    let written = fs::remove_file(path)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .and_then(|()| OpenOptions::new().create_new(true).write(true).mode(0o600).open(path))
        .and_then(|mut file| {
            writeln!(file, "{token}")?;
            file.sync_all()
        });
    written.map_err(|source| unusable(path, source))
}
