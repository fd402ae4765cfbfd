//! `/search`.

use super::auth::Caller;
use super::extract::{Json, Query, limit};
use super::fields::Fields;
use super::rows::SearchPage;
use super::{Api, Problem};
use crate::archive::Error;
use crate::search::Filter;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Deepest hit that can be asked for.
const MAX_DEPTH: usize = 10_000;
/// Longest search, in characters.
const MAX_CHARS: usize = 1_000;

/// What is searched for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Searched {
    /// Suchwörter; `"…"` für eine Folge, `-wort` schließt aus, `wort*` für den Anfang, `*` für alles.
    #[param(required = true)]
    q: Option<String>,
    /// Höchstzahl der Treffer, 1 bis 200; fehlt sie, 50.
    limit: Option<usize>,
    /// Seitenzeiger aus `next` der vorigen Antwort.
    cursor: Option<String>,
    /// So viele Treffer am Anfang auslassen (statt `cursor`).
    offset: Option<usize>,
    /// Nur in dieser Akte (Kennung, Aktenzeichen oder altes Zeichen).
    case_file: Option<String>,
    /// Nur in dieser Organisationseinheit (Kürzel).
    unit: Option<String>,
    /// Nur dieser Dokumenttyp.
    document_type: Option<String>,
    /// Nur Schreiben von diesem Tag an.
    from: Option<String>,
    /// Nur Schreiben bis zu diesem Tag.
    to: Option<String>,
}

/// Suchen
///
/// Ein Treffer je Dokument, mit der Seite, die am besten passt, und einem Auszug.
#[utoipa::path(
    get, path = "/search", tag = "Suche", operation_id = "search", params(Searched),
    responses((status = 200, description = "Eine Seite Treffer", body = SearchPage))
)]
pub(super) async fn search(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Searched>,
) -> Result<Json<SearchPage>, Problem> {
    let limit = limit(asked.limit)?;
    let text = asked.q.unwrap_or_default();
    if text.trim().is_empty() {
        let detail = "q: bitte sagen, was gesucht wird; „*“ findet alles, was die übrigen Angaben zulassen.";
        return Err(Problem::malformed(detail));
    }
    if text.chars().count() > MAX_CHARS {
        return Err(Problem::malformed(format!("q: höchstens {MAX_CHARS} Zeichen.")));
    }
    let cursor = asked.cursor.map(|cursor| cursor.parse::<usize>()).transpose();
    let cursor = cursor.map_err(|_| Problem::malformed("cursor: bitte die Suche von vorn beginnen."))?;
    let offset = cursor.or(asked.offset).unwrap_or(0);
    if offset.saturating_add(limit) > MAX_DEPTH {
        return Err(Problem::malformed(format!("Es werden höchstens {MAX_DEPTH} Treffer gezeigt.")));
    }
    let mut fields = Fields::default();
    let from = fields.date("from", asked.from.as_ref());
    let to = fields.date("to", asked.to.as_ref());
    fields.finish()?;
    let filter = Filter {
        units: asked.unit.into_iter().collect(),
        kinds: asked.document_type.into_iter().collect(),
        from,
        to,
        ..Filter::default()
    };
    let case_file = asked.case_file;
    let page = api.read(&caller, move |archive, permit| {
        let mut filter = filter;
        if let Some(text) = case_file {
            let id = archive.find_case_file(permit, &text)?.ok_or_else(|| Error::missing("Die Akte"))?;
            filter.case_file_id = Some(id.uuid());
        }
        archive.search(permit, &text, filter, offset, limit)
    });
    let page = page.await?;
    let end = offset + limit;
    let more = page.total > end as u64 && end < MAX_DEPTH;
    Ok(Json(SearchPage {
        total: page.total,
        hits: page.hits.into_iter().map(Into::into).collect(),
        notes: page.notes,
        next: more.then(|| end.to_string()),
    }))
}
