//! `eakte serve`: the server, with its hot folders.

use super::context::{Context, SERVER_FILE, local_permit};
use super::failure::{Exit, Failure};
use super::out::{Out, hint};
use crate::archive::Installation;
use crate::config::HotFolder;
use crate::serve::{Background, ServeOptions, serve};
use crate::watch;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub(super) fn run(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("serve")?;
    let installation = context.open(true)?;
    let json = out.json;
    start(context, installation, move |url| {
        if json {
            // The line that scripts wait for.
            let _ = writeln!(std::io::stdout().lock(), "{}", json!({ "ready": true, "url": url }));
        } else {
            hint(format!("eakte ist bereit: {url}/docs beschreibt die Schnittstelle. Beenden mit Strg-C."));
        }
    })?;
    Ok(Exit::Done)
}

/// Serves until someone asks to stop. While it runs, the data directory says where.
pub(super) fn start(
    context: &Context,
    installation: Installation,
    ready: impl FnOnce(&str) + Send + 'static,
) -> Result<(), Failure> {
    let config = &context.loaded.config;
    let background = hot_folders(&installation, &config.hot_folders)?;
    let address_file = installation.place().data.join(SERVER_FILE);
    let _removed = Removed(address_file.clone());
    let on_ready = move |address: SocketAddr| {
        let url = format!("http://{address}");
        if let Err(error) = write_address(&address_file, &url) {
            tracing::warn!(%error, "the address of the server could not be noted");
        }
        ready(&url);
    };
    let options = ServeOptions {
        listen: config.server.listen,
        shutdown_grace: config.server.shutdown_grace.0,
        on_ready: Some(Box::new(on_ready)),
        ..ServeOptions::default()
    };
    serve(installation, options, background)?;
    Ok(())
}

fn write_address(path: &Path, url: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{url}")
}

/// A file that goes when this goes.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // A stale address is only looked at while a server holds the directory, and is overwritten by it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Insists that a hot folder can work.
pub(super) fn check_folder(folder: &HotFolder) -> Result<(), Failure> {
    settings(folder).map(drop)
}

fn settings(folder: &HotFolder) -> Result<watch::HotFolder, Failure> {
    let path = folder.path.relative();
    let wrong = |detail: String| Failure::usage(format!("Eingangsordner {}: {detail}.", path.display()));
    let template = match &folder.template {
        None => None,
        Some(text) => Some(text.parse().map_err(|error| wrong(format!("Vorlage „{text}“: {error}")))?),
    };
    if !path.is_dir() {
        return Err(wrong("den Ordner gibt es nicht".to_owned()));
    }
    Ok(watch::HotFolder {
        path,
        template,
        creates_case_files: folder.create_case_files,
        stable_for: folder.stable_for.0,
        poll_every: folder.poll_every.0,
    })
}

fn hot_folders(installation: &Installation, folders: &[HotFolder]) -> Result<Vec<Background>, Failure> {
    let tenants = installation.tenants()?;
    let mut background: Vec<Background> = Vec::new();
    for folder in folders {
        let settings = settings(folder)?;
        let wrong =
            |detail: String| Failure::usage(format!("Eingangsordner {}: {detail}.", settings.path.display()));
        let tenant = match (&folder.tenant, tenants.as_slice()) {
            (Some(name), all) => all
                .iter()
                .find(|tenant| tenant.as_str() == name)
                .cloned()
                .ok_or_else(|| wrong(format!("den Mandanten „{name}“ gibt es nicht")))?,
            (None, [one]) => one.clone(),
            (None, _) => return Err(wrong("bitte mit „tenant“ sagen, wem er gehört".to_owned())),
        };
        background.push(Box::new(move |installation, stop| {
            let opened = installation.archive(&tenant).and_then(|archive| {
                let permit = local_permit(&installation, &archive, &tenant)?;
                Ok((archive, permit))
            });
            match opened {
                Ok((archive, permit)) => watch::watch(&archive, &permit, &settings, &stop),
                Err(error) => tracing::error!(%tenant, %error, "the hot folder is not watched"),
            }
        }));
    }
    Ok(background)
}
