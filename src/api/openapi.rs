//! The OpenAPI document, made from the handlers.

use super::{Problem, routes};
use serde_json::Value;
use std::sync::LazyLock;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;

/// What is said about the API as a whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "eakte",
        description = "Die Schnittstelle der e-Akte. Jeder Aufruf unter `/api/v1` braucht ein Zugangstoken \
(`Authorization: Bearer …`); das Token bestimmt den Mandanten. Listen kommen in Teilen: `next` ist der Seitenzeiger für \
`cursor`. Fehler sind `application/problem+json` (RFC 9457) mit deutschem Text; `type` ist stabil. `Retry-After` steht \
dabei, wenn ein neuer Versuch lohnt. Nach `outcome-unknown` ist eine Wiederholung mit demselben `Idempotency-Key` \
gefahrlos. Felder können hinzukommen; keines wird umbenannt oder entfernt.",
        license(name = "EUPL-1.2", identifier = "EUPL-1.2"),
    ),
    servers((url = "/", description = "Dieser Server")),
    tags(
        (name = "Dokumente", description = "Einliefern, ansehen, herunterladen."),
        (name = "Übertragung in Teilen", description = "Große Dateien über unsichere Leitungen."),
        (name = "Chargen", description = "Dateien, die zusammen ankommen und zusammen gezählt werden."),
        (name = "Akten", description = "Anlegen, übernehmen, schließen."),
        (name = "Rahmen", description = "Organisationseinheiten und Aktenplan."),
        (name = "Suche", description = "Im Text und in den Stammdaten."),
        (name = "Nachweise", description = "Quittungen."),
        (name = "Aufträge", description = "Prüfungen und der Stand des Lesens."),
        (name = "Betrieb", description = "Wie es dem Mandanten geht."),
    ),
    components(schemas(Problem)),
)]
struct Described;

/// The document as it is served and kept in `schema/openapi.json`.
pub fn document() -> Value {
    DOCUMENT.clone()
}

/// The same as text.
pub(super) static TEXT: LazyLock<String> =
    LazyLock::new(|| serde_json::to_string_pretty(&*DOCUMENT).unwrap_or_default() + "\n");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let router = OpenApiRouter::with_openapi(Described::openapi()).nest("/api/v1", routes::api());
    serde_json::to_value(complete(router.into_openapi())).unwrap_or_default()
});

/// Adds to every operation what holds for all: the token, and problems.
fn complete(mut openapi: OpenApi) -> OpenApi {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    for item in openapi.paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
            let schema = Ref::from_schema_name(Problem::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let problem = ResponseBuilder::new()
                .description("Ein Problem; `status` und `type` sagen, welches")
                .content(super::problem::MEDIA_TYPE, content)
                .build();
            operation.responses.responses.insert("default".to_owned(), problem.into());
        }
    }
    openapi
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, head, .. } = item;
    [get, put, post, delete, patch, head].into_iter().flatten()
}
