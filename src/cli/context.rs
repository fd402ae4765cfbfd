//! What commands begin with: the configuration, the installation, the tenant, the permit.

use super::args::Common;
use super::failure::Failure;
use crate::archive::{Archive, Error, Installation, Kind, Permit, Place, Settings};
use crate::clock::{SystemClock, SystemEntropy};
use crate::config::{Flags, Loaded};
use crate::domain::TenantSlug;
use crate::store::StoreError;
use crate::wording;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in the data directory in which a running server says where it listens.
pub(super) const SERVER_FILE: &str = "server";

/// What a command works with.
pub(super) struct Context {
    common: Common,
    pub(super) loaded: Loaded,
    data: Option<PathBuf>,
}

/// A tenant's archive, open, with the local permit. Fields close in this order.
pub(super) struct Desk {
    pub(super) archive: Arc<Archive>,
    pub(super) permit: Permit,
    /// Holds the directory as long as the desk is used.
    _installation: Installation,
}

impl Context {
    /// Reads the configuration. `flags` are the command's own.
    pub(super) fn new(common: Common, mut flags: Flags) -> Result<Self, Failure> {
        let data = common.data.clone().or_else(|| std::env::var_os("EAKTE_DATA").map(PathBuf::from));
        flags.set("store.url", common.store.as_ref());
        flags.set("log.level", common.log_level.as_ref());
        let loaded = Loaded::read(common.config.as_deref(), data.as_deref(), flags)?;
        Ok(Self { common, loaded, data })
    }

    /// Works in this directory, whatever the command line says.
    pub(super) fn data_or(&mut self, standard: &str) -> PathBuf {
        self.data.get_or_insert_with(|| PathBuf::from(standard)).clone()
    }

    pub(super) fn data(&self) -> Result<&Path, Failure> {
        self.data.as_deref().ok_or_else(|| {
            let missing = match self.common.store {
                Some(_) => "Zu --store gehört --data DIR: dort liegen Katalog, Suche und Zugangstoken.",
                None => "Bitte mit --data DIR angeben, wo das Archiv liegt (oder EAKTE_DATA setzen).",
            };
            Failure::usage(missing)
        })
    }

    pub(super) fn given_data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    pub(super) fn place(&self) -> Result<Place, Failure> {
        Ok(self.loaded.config.place(self.data()?)?)
    }

    pub(super) fn settings(&self, background: bool) -> Settings {
        Settings { background, ..self.loaded.config.settings() }
    }

    pub(super) fn server(&self) -> Option<&str> {
        self.common.server.as_deref()
    }

    /// Commands that only work on the directory say so.
    pub(super) fn no_server(&self, command: &str) -> Result<(), Failure> {
        match self.common.server {
            Some(_) => Err(Failure::usage(format!(
                "„eakte {command}“ arbeitet am Verzeichnis selbst und nicht über --server."
            ))),
            None => Ok(()),
        }
    }

    /// Creates an installation.
    pub(super) fn create(&self) -> Result<Installation, Failure> {
        let (place, settings) = (self.place()?, self.settings(false));
        Ok(Installation::create(place, settings, Arc::new(SystemClock), Arc::new(SystemEntropy))?)
    }

    /// Opens the installation; `background` says whether documents are read and indexed meanwhile.
    pub(super) fn open(&self, background: bool) -> Result<Installation, Failure> {
        let (place, settings) = (self.place()?, self.settings(background));
        let opened = Installation::open(place, settings, Arc::new(SystemClock), Arc::new(SystemEntropy));
        opened.map_err(|error| self.explain(error))
    }

    /// A server that holds the directory has left its address there.
    pub(super) fn explain(&self, error: Error) -> Failure {
        let held = error.source().and_then(|cause| cause.downcast_ref::<StoreError>());
        let (Some(StoreError::Held { place }), Ok(data)) = (held, self.data()) else { return error.into() };
        match running_server(data) {
            Some(url) => Failure::unavailable(format!(
                "{place} gehört gerade einem laufenden Server. Derselbe Befehl geht mit „--server {url}“."
            )),
            None => error.into(),
        }
    }

    /// The tenants that were named, or all.
    pub(super) fn tenants(&self, installation: &Installation) -> Result<Vec<TenantSlug>, Failure> {
        let all = installation.tenants()?;
        if self.common.tenants.is_empty() {
            return Ok(all);
        }
        for tenant in &self.common.tenants {
            if !all.contains(tenant) {
                return Err(unknown(tenant, &all));
            }
        }
        Ok(self.common.tenants.clone())
    }

    pub(super) fn named_tenants(&self) -> &[TenantSlug] {
        &self.common.tenants
    }

    /// The one tenant that is meant.
    pub(super) fn tenant(&self, installation: &Installation) -> Result<TenantSlug, Failure> {
        one(&self.tenants(installation)?)
    }

    /// Opens the installation and the tenant's archive.
    pub(super) fn desk(&self, background: bool) -> Result<Desk, Failure> {
        let installation = self.open(background)?;
        let tenant = self.tenant(&installation)?;
        let archive = installation.archive(&tenant)?;
        let permit = local_permit(&installation, &archive, &tenant)?;
        Ok(Desk { archive, permit, _installation: installation })
    }

    /// The token for a server: from the file named, the environment, or the data directory.
    pub(super) fn token(&self) -> Result<String, Failure> {
        if let Some(path) = &self.common.token_file {
            return read_token(path);
        }
        if let Ok(token) = std::env::var("EAKTE_TOKEN") {
            return Ok(token.trim().to_owned());
        }
        let data = self.data.as_deref().ok_or_else(|| {
            Failure::usage(
                "Für --server fehlt das Zugangstoken: --token-file DATEI, EAKTE_TOKEN oder --data DIR.",
            )
        })?;
        let place = Place::directory(data);
        let tenant = match self.common.tenants.as_slice() {
            [] => one(&local_tenants(data))?,
            tenants => one(tenants)?,
        };
        Ok(place.local_token(&tenant)?)
    }
}

/// The permit of the operator, who has access to the directory.
pub(super) fn local_permit(
    installation: &Installation,
    archive: &Archive,
    tenant: &TenantSlug,
) -> Result<Permit, Error> {
    let permit = installation.place().local_token(tenant).and_then(|token| archive.permit(&token));
    match permit {
        Ok(permit) => Ok(permit),
        // A store that was attached to a new directory has no token here yet.
        Err(error) if error.kind == Kind::Unauthenticated => {
            archive.permit(&installation.renew_local_token(tenant)?)
        }
        Err(error) => Err(error),
    }
}

fn one(tenants: &[TenantSlug]) -> Result<TenantSlug, Failure> {
    match tenants {
        [tenant] => Ok(tenant.clone()),
        [] => {
            Err(Failure::refused("Das Archiv hat noch keinen Mandanten; „eakte create --add“ legt einen an."))
        }
        several => {
            let names: Vec<&str> = several.iter().map(TenantSlug::as_str).collect();
            Err(Failure::usage(format!(
                "Welcher Mandant ist gemeint? Bitte genau einen mit --tenant nennen: {}.",
                names.join(", ")
            )))
        }
    }
}

fn unknown(tenant: &TenantSlug, all: &[TenantSlug]) -> Failure {
    let names: Vec<&str> = all.iter().map(TenantSlug::as_str).collect();
    Failure::refused(format!("Den Mandanten „{tenant}“ gibt es nicht; vorhanden: {}.", names.join(", ")))
}

/// Tenants with a token in this directory.
fn local_tenants(data: &Path) -> Vec<TenantSlug> {
    let mut tenants: Vec<TenantSlug> = fs::read_dir(data.join("tokens"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    tenants.sort();
    tenants
}

fn read_token(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    match fs::File::open(path).and_then(|file| file.take(4_096).read_to_string(&mut text)) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(error) => Err(Failure::usage(format!(
            "Die Datei {} mit dem Zugangstoken ist nicht lesbar ({}).",
            path.display(),
            wording::os(&error)
        ))),
    }
}

/// Where the server that holds a directory listens.
pub(super) fn running_server(data: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    fs::File::open(data.join(SERVER_FILE)).ok()?.take(512).read_to_string(&mut text).ok()?;
    let url = text.trim();
    url.starts_with("http").then(|| url.to_owned())
}
