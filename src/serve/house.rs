//! What a server does beside answering: it opens every tenant, so that what the last run left over goes on, tries
//! again those that do not open, and cleans up once a day.

use super::{Background, OnOpening};
use crate::archive::Installation;
use crate::domain::TenantSlug;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Until a tenant that did not open is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// Between two clean-ups.
const DAY: Duration = Duration::from_hours(24);
/// How often the order to stop is looked at.
const STEP: Duration = Duration::from_millis(200);

/// Which tenants are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Tenants that are open.
    pub open: Vec<TenantSlug>,
    /// Tenants that do not open, with a sentence that says why.
    pub failed: BTreeMap<TenantSlug, String>,
    /// Why the tenants could not even be listed.
    pub unlisted: Option<String>,
}

/// The work of keeping house, for a thread of its own.
pub(super) fn keeping(address: SocketAddr, mut on_opening: Option<OnOpening>) -> Background {
    Box::new(move |installation, stop| {
        let mut tell = |opening: &Opening| {
            if let Some(on_opening) = &mut on_opening {
                on_opening(address, opening);
            }
        };
        keep(&installation, &stop, &mut tell);
    })
}

fn keep(installation: &Installation, stop: &AtomicBool, tell: &mut dyn FnMut(&Opening)) {
    let stopping = || stop.load(Ordering::Acquire);
    let mut opening = open(installation, &stopping, &Opening::default());
    let (mut tried, mut swept) = (Instant::now(), None::<Instant>);
    if !stopping() {
        tell(&opening);
    }
    while !stopping() {
        if swept.is_none_or(|at| at.elapsed() >= DAY) {
            sweep(installation, &opening, &stopping);
            swept = Some(Instant::now());
        }
        let is_whole = opening.failed.is_empty() && opening.unlisted.is_none();
        if !is_whole && tried.elapsed() >= AGAIN {
            let now = open(installation, &stopping, &opening);
            tried = Instant::now();
            if now != opening && !stopping() {
                tell(&now);
            }
            opening = now;
        }
        std::thread::sleep(STEP);
    }
}

/// Opens what is not open yet. What failed before for the same reason is not logged again.
fn open(installation: &Installation, stopping: &dyn Fn() -> bool, before: &Opening) -> Opening {
    let mut now = Opening::default();
    let tenants = match installation.tenants() {
        Ok(tenants) => tenants,
        Err(error) => {
            if before.unlisted.as_ref() != Some(&error.public) {
                tracing::error!(%error, "the tenants could not be listed");
            }
            return Opening { unlisted: Some(error.public), ..before.clone() };
        }
    };
    for tenant in tenants {
        if stopping() {
            break;
        }
        match installation.archive(&tenant) {
            Ok(_) => now.open.push(tenant),
            // Requests for it will say the same to whoever may hear it.
            Err(error) => {
                if before.failed.get(&tenant) != Some(&error.public) {
                    tracing::error!(%tenant, kind = ?error.kind, %error, "a tenant could not be opened");
                }
                now.failed.insert(tenant, error.public);
            }
        }
    }
    now
}

fn sweep(installation: &Installation, opening: &Opening, stopping: &dyn Fn() -> bool) {
    for tenant in &opening.open {
        match installation.sweep(tenant, installation.clock().now()) {
            Ok(0) => {}
            Ok(objects) => tracing::info!(%tenant, objects, "objects that nothing names were removed"),
            Err(error) => {
                tracing::warn!(%tenant, kind = ?error.kind, %error, "the daily clean-up failed");
            }
        }
        if stopping() {
            return;
        }
    }
}
