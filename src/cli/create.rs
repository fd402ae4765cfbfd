//! `eakte create`: an empty archive, or one more tenant.

use super::args::Create;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::Out;
use serde_json::json;

pub(super) fn run(context: &Context, args: &Create, out: &mut Out) -> Result<Exit, Failure> {
    context.no_server("create")?;
    let tenants = context.named_tenants();
    if tenants.is_empty() {
        return Err(Failure::usage(
            "Bitte mit --tenant KURZNAME sagen, für wen das Archiv ist (Kleinbuchstaben, Ziffern, Bindestrich).",
        ));
    }
    if tenants.len() > 1 && args.name.is_some() {
        return Err(Failure::usage(
            "--name gilt für einen Mandanten; mehrere bitte einzeln mit --add anlegen.",
        ));
    }
    let data = context.data()?;
    let installation = if args.add { context.open(false)? } else { context.create()? };
    for slug in tenants {
        let token = installation.create_tenant(&args.tenant(slug))?;
        // So that a check right after this has nothing to remark.
        installation.archive(slug)?.follow()?;
        out.object(&json!({ "tenant": slug, "token": token }));
        out.text(format!(
            "Der Mandant „{slug}“ ist angelegt. Sein Zugangstoken liegt in {} und ist nur für Sie lesbar.",
            installation.place().token_file(slug).display()
        ));
    }
    out.text(format!("Als Nächstes: eakte ingest --data {} PFAD …", data.display()));
    Ok(Exit::Done)
}
