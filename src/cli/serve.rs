//! `eakte serve`: the server, with its hot folders.

use super::context::{Context, SERVER_FILE, local_permit};
use super::failure::{Exit, Failure};
use super::out::{Out, hint};
use crate::archive::{Archive, Installation, Permit};
use crate::config::HotFolder;
use crate::domain::TenantSlug;
use crate::serve::{Background, Opening, ServeOptions, serve};
use crate::watch;
use crate::wording;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) fn run(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("serve")?;
    let installation = context.open(true)?;
    let json = out.json;
    start(context, installation, move |url, opening, is_first| {
        if json {
            // The line that scripts wait for.
            let failed: Vec<_> = opening
                .failed
                .iter()
                .map(|(tenant, detail)| json!({ "tenant": tenant, "detail": detail }))
                .collect();
            let row = json!({ "ready": works(opening), "url": url, "failed": failed });
            let _ = writeln!(std::io::stdout().lock(), "{row}");
        } else {
            tell(url, opening, is_first);
        }
    })?;
    Ok(Exit::Done)
}

/// Whether there is anything to work with.
fn works(opening: &Opening) -> bool {
    opening.unlisted.is_none() && (opening.failed.is_empty() || !opening.open.is_empty())
}

/// Says which tenants can be worked with.
pub(super) fn tell(url: &str, opening: &Opening, is_first: bool) {
    if let Some(why) = &opening.unlisted {
        hint(format!("Die Mandanten sind gerade nicht zu lesen: {why}"));
    }
    for (tenant, why) in &opening.failed {
        hint(format!("Der Mandant „{tenant}“ lässt sich nicht öffnen: {why}"));
    }
    if opening.unlisted.is_some() || !opening.failed.is_empty() {
        hint(
            "Das wird alle 30 Sekunden erneut versucht. Hilft das nicht: den Server beenden; dann sagt „eakte doctor“, \
             was zu tun ist.",
        );
    }
    let rest = "Beenden mit Strg-C.";
    match (works(opening), opening.open.is_empty(), opening.failed.is_empty()) {
        (false, ..) => {
            hint(format!("Der Server läuft unter {url}, kann aber mit keinem Mandanten arbeiten. {rest}"));
        }
        (true, true, _) => hint(format!(
            "Der Server läuft unter {url}; es gibt noch keinen Mandanten („eakte create --add“ legt einen an). {rest}"
        )),
        (true, false, true) if is_first => {
            hint(format!("eakte ist bereit: {url}/docs beschreibt die Schnittstelle. {rest}"));
        }
        (true, false, true) => hint(format!("eakte ist jetzt für alle Mandanten bereit: {url}")),
        (true, false, false) => {
            hint(format!("eakte ist nur für die übrigen Mandanten bereit: {url}/docs. {rest}"));
        }
    }
}

/// Serves until someone asks to stop. While it runs, the data directory says where. `told` hears the address and
/// which tenants are open, and whether that is the first time.
pub(super) fn start(
    context: &Context,
    installation: Installation,
    mut told: impl FnMut(&str, &Opening, bool) + Send + 'static,
) -> Result<(), Failure> {
    let config = &context.loaded.config;
    let background = hot_folders(&config.hot_folders)?;
    let address_file = installation.place().data.join(SERVER_FILE);
    let _removed = Removed(address_file.clone());
    let on_ready = move |address: SocketAddr| {
        if let Err(error) = write_address(&address_file, &format!("http://{address}")) {
            tracing::warn!(%error, "the address of the server could not be noted");
        }
    };
    let mut is_first = true;
    let on_opening = move |address: SocketAddr, opening: &Opening| {
        told(&format!("http://{address}"), opening, std::mem::take(&mut is_first));
    };
    let options = ServeOptions {
        listen: config.server.listen,
        shutdown_grace: config.server.shutdown_grace.0,
        on_ready: Some(Box::new(on_ready)),
        on_opening: Some(Box::new(on_opening)),
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
    let settings = settings(folder)?;
    usable(&settings.path).map_err(|why| Failure::usage(sentence(&settings.path, &why)))
}

fn sentence(folder: &Path, what: &str) -> String {
    format!("Eingangsordner {}: {what}.", folder.display())
}

/// The folder as configured; only a template that makes no sense is refused.
fn settings(folder: &HotFolder) -> Result<watch::HotFolder, Failure> {
    let path = folder.path.relative();
    let template = match &folder.template {
        None => None,
        Some(text) => Some(text.parse().map_err(|error| {
            Failure::usage(sentence(&path, &format!("die Vorlage „{text}“ geht nicht, {error}")))
        })?),
    };
    Ok(watch::HotFolder {
        path,
        template,
        creates_case_files: folder.create_case_files,
        stable_for: folder.stable_for.0,
        poll_every: folder.poll_every.0,
    })
}

/// Whether files can be taken from the folder and put away; else what is wrong and the way out.
fn usable(path: &Path) -> Result<(), String> {
    use rustix::fs::{Access, access};
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("den Ordner gibt es nicht; „mkdir -p {shown}“ legt ihn an"))
        }
        Err(error) => Err(format!("der Ordner ist nicht zu erreichen, {}", wording::os(&error))),
        Ok(facts) if !facts.is_dir() => Err("das ist kein Ordner; bitte „path“ berichtigen".to_owned()),
        Ok(_) => access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).map_err(|_| {
            format!("es fehlt das Recht, darin zu lesen und Dateien wegzulegen; „chmod u+rwx {shown}“ gibt es dem Besitzer")
        }),
    }
}

/// One thread for each folder. A folder that cannot be watched yet keeps nobody from working: it is said, and tried
/// again.
fn hot_folders(folders: &[HotFolder]) -> Result<Vec<Background>, Failure> {
    let mut background: Vec<Background> = Vec::new();
    for folder in folders {
        let (settings, owner) = (settings(folder)?, folder.tenant.clone());
        background.push(Box::new(move |installation, stop| {
            let mut last = None;
            while !stop.load(Ordering::Acquire) {
                match watched(&installation, &settings.path, owner.as_deref(), last.is_none()) {
                    Ok((archive, permit)) => {
                        if last.is_some() {
                            hint(sentence(&settings.path, "wird jetzt beobachtet"));
                        }
                        return watch::watch(&archive, &permit, &settings, &stop);
                    }
                    Err(why) => {
                        if last.as_ref() != Some(&why) {
                            tracing::warn!("a hot folder is not watched yet");
                            let more = "Der Server arbeitet ohne ihn und sieht immer wieder nach";
                            hint(format!("{} {more}.", sentence(&settings.path, &why)));
                        }
                        last = Some(why);
                    }
                }
                pause(settings.poll_every.max(Duration::from_secs(2)), &stop);
            }
        }));
    }
    Ok(background)
}

/// The archive that the folder's files go to; else what is wrong and the way out.
fn watched(
    installation: &Installation,
    folder: &Path,
    owner: Option<&str>,
    is_first: bool,
) -> Result<(Arc<Archive>, Permit), String> {
    usable(folder)?;
    let tenants = installation.tenants().map_err(|error| error.public)?;
    let tenant = match (owner, tenants.as_slice()) {
        (Some(name), all) => all.iter().find(|tenant| tenant.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(TenantSlug::as_str).collect();
            format!(
                "den Mandanten „{name}“ gibt es nicht (vorhanden: {}); bitte „tenant“ berichtigen",
                names.join(", ")
            )
        })?,
        (None, [one]) => one,
        (None, []) => {
            return Err("es gibt noch keinen Mandanten; „eakte create --add“ legt einen an".to_owned());
        }
        (None, _) => {
            return Err("es gibt mehrere Mandanten; bitte mit „tenant“ sagen, wem er gehört".to_owned());
        }
    };
    // Opening is the server's business, which says what is wrong and tries again: once is enough here.
    let archive = if is_first {
        installation.archive(tenant).ok()
    } else {
        installation.open_archives().into_iter().find(|archive| archive.slug() == tenant)
    };
    let archive = archive.ok_or_else(|| format!("der Mandant „{tenant}“ ist noch nicht offen"))?;
    let permit = local_permit(installation, &archive, tenant).map_err(|error| error.public)?;
    Ok((archive, permit))
}

fn pause(lasting: Duration, stop: &AtomicBool) {
    const STEP: Duration = Duration::from_millis(100);
    let until = Instant::now() + lasting;
    while Instant::now() < until && !stop.load(Ordering::Acquire) {
        std::thread::sleep(STEP.min(until.saturating_duration_since(Instant::now())));
    }
}
