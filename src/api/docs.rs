//! `/openapi.json`, and `/docs`: the same for people, as one plain page without scripts. It loads nothing but its
//! own style sheet, so it works offline and in any browser.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::LazyLock;

const STYLE: &str = include_str!("docs.css");

const HOME: &str = "<!doctype html>\n<html lang=\"de\"><head><meta charset=\"utf-8\"><title>eakte</title>\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\n\
    <header><h1>eakte</h1><p>Hier läuft eine e-Akte. Eine Oberfläche für den Browser gibt es noch nicht; gearbeitet wird mit \
    dem Befehl <code>eakte</code> und über die Schnittstelle.</p></header>\n\
    <main><ul><li><a href=\"/docs\">Beschreibung der Schnittstelle</a></li>\
    <li><a href=\"/openapi.json\">dieselbe für Programme (OpenAPI)</a></li>\
    <li><a href=\"/readyz\">Ist der Server bereit?</a></li></ul></main></body></html>\n";

static PAGE: LazyLock<String> = LazyLock::new(|| page_of(&super::openapi()));

fn text(kind: &'static str, body: &'static str) -> Response {
    let policy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

/// `GET /openapi.json`
pub(super) async fn description() -> Response {
    text("application/json", super::openapi::TEXT.as_str())
}

/// `GET /docs`
pub(super) async fn page() -> Response {
    text("text/html; charset=utf-8", PAGE.as_str())
}

/// `GET /`: for whoever opens the server's address in a browser.
pub(super) async fn home() -> Response {
    text("text/html; charset=utf-8", HOME)
}

/// `GET /docs/style.css`
pub(super) async fn style() -> Response {
    text("text/css; charset=utf-8", STYLE)
}

/// Text for a page: nothing in it is markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A described text: escaped, with `code` marked.
fn described(value: &Value) -> String {
    let text = escaped(value.as_str().unwrap_or_default());
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}

fn str_of<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn page_of(document: &Value) -> String {
    let info = &document["info"];
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"de\"><head><meta charset=\"utf-8\"><title>eakte: Schnittstelle</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\n",
    );
    let _ = write!(
        page,
        "<header><h1>eakte {}</h1><p>{}</p><p>Für Programme: <a href=\"/openapi.json\">openapi.json</a> \
         (OpenAPI {}).</p><pre>curl -H \"Authorization: Bearer $EAKTE_TOKEN\" \"$EAKTE_SERVER/api/v1/health\"</pre></header>",
        escaped(str_of(info, "version")),
        described(&info["description"]),
        escaped(str_of(document, "openapi")),
    );
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    page.push_str("<nav aria-label=\"Inhalt\"><ul>");
    for (at, tag) in tags.iter().enumerate() {
        let _ = write!(page, "<li><a href=\"#tag-{at}\">{}</a></li>", escaped(str_of(tag, "name")));
    }
    page.push_str("<li><a href=\"#schemas\">Datentypen</a></li></ul></nav>\n<main>\n");
    for (at, tag) in tags.iter().enumerate() {
        section(&mut page, document, at, tag);
    }
    page.push_str("<section><h2 id=\"schemas\">Datentypen</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(
            page,
            "<h3 id=\"schema-{0}\"><code>{0}</code></h3><p>{1}</p>",
            escaped(name),
            described(&schema["description"])
        );
        fields(&mut page, schema);
    }
    page.push_str("</section></main></body></html>\n");
    page
}

fn section(page: &mut String, document: &Value, at: usize, tag: &Value) {
    let name = str_of(tag, "name");
    let _ = write!(
        page,
        "<section><h2 id=\"tag-{at}\">{}</h2><p>{}</p>",
        escaped(name),
        described(&tag["description"])
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tags = operation["tags"].as_array();
            if tags.is_some_and(|tags| tags.iter().any(|tag| tag == name)) {
                self::operation(page, path, method, operation);
            }
        }
    }
    page.push_str("</section>\n");
}

fn operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    let method = method.to_uppercase();
    let _ = write!(
        page,
        "<details><summary><b>{}</b> <code>{}</code> {}</summary><p>{}</p>",
        escaped(&method),
        escaped(path),
        escaped(str_of(operation, "summary")),
        described(&operation["description"]),
    );
    let parameters = operation["parameters"].as_array().filter(|list| !list.is_empty());
    if let Some(parameters) = parameters {
        page.push_str(
            "<h4>Angaben</h4><table><tr><th>Name</th><th>Wo</th><th>Typ</th><th>Bedeutung</th></tr>",
        );
        for parameter in parameters {
            let place = match str_of(parameter, "in") {
                "query" => "Adresse",
                "path" => "Pfad",
                _ => "Kopf",
            };
            let must = if parameter["required"] == true { " (Pflicht)" } else { "" };
            let _ = write!(
                page,
                "<tr><td><code>{}</code>{must}</td><td>{place}</td><td>{}</td><td>{}</td></tr>",
                escaped(str_of(parameter, "name")),
                kind(&parameter["schema"]),
                described(&parameter["description"]),
            );
        }
        page.push_str("</table>");
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        page.push_str("<h4>Körper</h4><ul>");
        for (media, body) in content {
            let _ = write!(page, "<li><code>{}</code>: {}</li>", escaped(media), kind(&body["schema"]));
        }
        page.push_str("</ul>");
    }
    page.push_str("<h4>Antworten</h4><table><tr><th>Status</th><th>Bedeutung</th><th>Typ</th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let status = if status == "default" { "sonst" } else { status };
        let content = response["content"].as_object().into_iter().flatten();
        let kinds: Vec<String> = content
            .map(|(media, body)| format!("<code>{}</code>: {}", escaped(media), kind(&body["schema"])))
            .collect();
        let meaning = described(&response["description"]);
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{meaning}</td><td>{}</td></tr>",
            escaped(status),
            kinds.join("<br>")
        );
    }
    page.push_str("</table></details>\n");
}

/// A schema in a few words, with links to named ones.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escaped(name));
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(list) = schema[several].as_array() {
            let kinds: Vec<String> = list.iter().filter(|one| one["type"] != "null").map(kind).collect();
            return kinds.join(" oder ");
        }
    }
    let named = match &schema["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("object")
        }
        _ => "object",
    };
    let format = schema["format"].as_str().unwrap_or_default();
    let word = match (named, format) {
        ("array", _) => return format!("Liste von {}", kind(&schema["items"])),
        (_, "date") => "Tag",
        (_, "date-time") => "Zeitpunkt (UTC)",
        ("string", "binary") => "Bytes",
        ("string", _) => "Text",
        ("integer", _) => "ganze Zahl",
        ("number", _) => "Zahl",
        ("boolean", _) => "true oder false",
        _ => "Objekt",
    };
    word.to_owned()
}

fn fields(page: &mut String, schema: &Value) {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("<code>{}</code>", escaped(word)))
            .collect();
        let _ = write!(page, "<p>{}</p>", words.join(", "));
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    page.push_str("<table><tr><th>Feld</th><th>Typ</th><th>Bedeutung</th></tr>");
    for (name, property) in properties {
        let required = schema["required"].as_array();
        let may = if required.is_some_and(|list| list.iter().any(|one| one == name)) {
            ""
        } else {
            " (kann fehlen)"
        };
        let _ = write!(
            page,
            "<tr><td><code>{}</code>{may}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            kind(property),
            described(&property["description"]),
        );
    }
    page.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_loads_nothing_from_elsewhere() {
        let document = crate::api::openapi();
        let page = page_of(&document);
        for (path, item) in document["paths"].as_object().unwrap() {
            assert!(page.contains(&format!("<code>{}</code>", escaped(path))), "{path}");
            for operation in item.as_object().unwrap().values() {
                assert!(page.contains(&escaped(operation["summary"].as_str().unwrap())), "{path}");
            }
        }
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn text_is_never_markup() {
        let value = Value::String("<b> & `x<y`".to_owned());
        assert_eq!(described(&value), "&lt;b&gt; &amp; <code>x&lt;y</code>");
    }
}
