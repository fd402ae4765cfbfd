//! All routes.

use super::{Api, auth, batches, bulk, case_files, content, docs, documents, health, jobs, layers, metrics};
use super::{filing, plan, probes, progress, receipts, search, uploads, versions};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Everything under `/api/v1`: with a token only.
pub(super) fn api() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(documents::create, documents::list))
        .routes(routes!(documents::show))
        .routes(routes!(versions::add, versions::list))
        .routes(routes!(filing::file))
        .routes(routes!(documents::events))
        .routes(routes!(content::original))
        .routes(routes!(content::rendition))
        .routes(routes!(receipts::of_document))
        .routes(routes!(receipts::by_digest))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::offset, uploads::send, uploads::cancel))
        .routes(routes!(batches::open, batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(batches::lines))
        .routes(routes!(batches::close))
        .routes(routes!(batches::reject))
        .routes(routes!(bulk::upload))
        .routes(routes!(progress::follow))
        .routes(routes!(case_files::open, case_files::list))
        .routes(routes!(case_files::show))
        .routes(routes!(case_files::close))
        .routes(routes!(case_files::events))
        .routes(routes!(documents::list_of_case_file))
        .routes(routes!(plan::units, plan::create_unit))
        .routes(routes!(plan::plan_units, plan::create_plan_unit))
        .routes(routes!(plan::plan_unit))
        .routes(routes!(search::search))
        .routes(routes!(jobs::start, jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(health::show))
}

/// The whole server. What lies outside of `/api/v1` is open to anyone and tells static facts only: the probes, the
/// description of the interface; `/metrics` has its own lock.
pub fn router(state: Api) -> Router {
    let (api, _) = OpenApiRouter::new().nest("/api/v1", api()).split_for_parts();
    let api = api
        .method_not_allowed_fallback(layers::no_method)
        .layer(from_fn_with_state(state.clone(), auth::authenticate));
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(docs::description))
        .route("/", get(docs::home))
        .route("/docs", get(docs::page))
        .route("/docs/style.css", get(docs::style))
        .method_not_allowed_fallback(layers::no_method)
        .merge(api)
        .fallback(layers::no_route)
        .layer(from_fn_with_state(state.clone(), layers::observe))
        .with_state(state)
}
