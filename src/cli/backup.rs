//! `eakte backup` and `eakte restore`.

use super::args::{Backup, Restore};
use super::check::follow;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::{Out, counted, plain, size};
use super::progress::Bars;
use crate::backup::{Source, Target};
use crate::clock::{SystemClock, SystemEntropy};
use crate::store::StoreLocation;
use crate::verify::Fault;
use serde_json::{Value, json};
use std::sync::Arc;

fn location(text: &str) -> Result<StoreLocation, Failure> {
    text.parse().map_err(Failure::from)
}

fn rows(faults: &[Fault]) -> Vec<Value> {
    faults
        .iter()
        .map(
            |fault| json!({ "kind": fault.kind.to_string(), "object": fault.object, "detail": fault.detail }),
        )
        .collect()
}

fn tell(faults: &[Fault], out: &mut Out) {
    for fault in faults {
        out.text(format!("FEHLT    {}  {}: {}", fault.kind, plain(&fault.object), plain(&fault.detail)));
    }
}

pub(super) fn backup(context: &Context, args: &Backup, out: &mut Out) -> Result<Exit, Failure> {
    if context.server().is_some() {
        return Err(Failure::usage(
            "„eakte backup“ liest den Speicher selbst, auch neben einem laufenden Server: bitte ohne --server.",
        ));
    }
    let destination = location(&args.to)?;
    let source = Source::open(&context.place()?, Arc::new(SystemClock))?;
    let bucket = context.loaded.config.bucket(context.given_data())?;
    let bars = Bars::new();
    let bar = bars.counting("gesichert", None);
    let named = (!context.named_tenants().is_empty()).then_some(context.named_tenants());
    let report = crate::backup::backup(&source, named, &destination, &bucket, &follow(&bar));
    bar.finish_and_clear();
    let report = report?;
    for tenant in &report.tenants {
        out.object(&json!({
            "tenant": tenant.tenant,
            "commits": tenant.commits,
            "leaves": tenant.size,
            "root": tenant.root,
            "copied": tenant.copied,
            "copied_bytes": tenant.copied_bytes,
            "removed": tenant.removed,
            "complete": tenant.complete,
            "findings": rows(&tenant.findings),
        }));
        tell(&tenant.findings, out);
        let verdict = if tenant.complete { "vollständig" } else { "UNVOLLSTÄNDIG" };
        out.text(format!(
            "Mandant „{}“ gesichert nach {destination}: {} kopiert ({}); {verdict}. Stand: {}:{}",
            tenant.tenant,
            counted(tenant.copied, "Objekt", "Objekte"),
            size(tenant.copied_bytes),
            tenant.size,
            tenant.root
        ));
    }
    Ok(if report.is_complete() { Exit::Done } else { Exit::Findings })
}

pub(super) fn restore(context: &Context, args: &Restore, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("restore")?;
    let source = location(&args.from)?;
    let target = Target {
        place: context.place()?,
        settings: context.settings(false),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let bucket = context.loaded.config.bucket(context.given_data())?;
    let named = (!context.named_tenants().is_empty()).then_some(context.named_tenants());
    let bars = Bars::new();
    let bar = bars.counting("zurückgeholt", None);
    let report = crate::backup::restore(&source, &bucket, named, &target, &follow(&bar));
    bar.finish_and_clear();
    let report = report?;
    for tenant in &report.tenants {
        out.object(&json!({
            "tenant": tenant.tenant,
            "token": tenant.token,
            "leaves": tenant.report.leaves,
            "root": tenant.report.root,
            "promised_leaves": tenant.promised.size,
            "promised_root": tenant.promised.root,
            "complete": tenant.is_complete(),
            "missing": rows(&tenant.missing),
            "findings": rows(&tenant.report.findings),
        }));
        tell(&tenant.missing, out);
        tell(&tenant.report.findings, out);
        let verdict = if tenant.is_complete() {
            "vollständig; Stand und Wurzel stimmen mit der Sicherung überein"
        } else {
            "UNVOLLSTÄNDIG"
        };
        out.text(format!(
            "Mandant „{}“ wiederhergestellt: {verdict}. Das neue Zugangstoken liegt in {}.",
            tenant.tenant,
            target.place.token_file(&tenant.tenant).display()
        ));
    }
    Ok(if report.is_complete() { Exit::Done } else { Exit::Findings })
}
