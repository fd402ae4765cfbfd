//! The description of the interface.

use super::Towns;
use axum::body::Body;
use axum::http::Request;
use std::path::Path;

#[test]
fn the_description_is_the_one_in_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/openapi.json");
    let made = serde_json::to_string_pretty(&eakte::api::openapi()).unwrap() + "\n";
    if std::env::var_os("EAKTE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of the source tree, not of an archive")]
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "schema/openapi.json is not what the code says. If the change is meant, renew it with:\n\
         EAKTE_BLESS=1 cargo test --test it the_description_is_the_one_in_schema"
    );
}

#[test]
fn the_description_is_whole() {
    let document = eakte::api::openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["security"][0].get("token").is_some(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{method} {path}");
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
        }
    }
    // Bytes are bytes, and parts are described.
    assert!(
        !document.to_string().contains("\"int32\",\"minimum\":0,\"type\":\"integer\"},\"type\":\"array\"")
    );
    let bytes = &document["components"]["schemas"]["FileBytes"];
    assert_eq!((&bytes["type"], &bytes["format"]), (&"string".into(), &"binary".into()), "{bytes}");
    let body = |path: &str| &document["paths"][path]["post"]["requestBody"]["content"];
    for path in ["/api/v1/documents", "/api/v1/batches/{id}/files"] {
        let form = &body(path)["multipart/form-data"]["schema"]["$ref"];
        let name = form.as_str().unwrap().rsplit('/').next().unwrap();
        let parts = &document["components"]["schemas"][name]["properties"];
        assert!(parts["file"].is_object() && parts["metadata"].is_object(), "{path}");
    }
    assert!(body("/api/v1/documents")["application/octet-stream"].is_object());
    // Every reference leads somewhere.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in document.to_string().split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn anyone_may_read_the_description_and_it_loads_nothing_from_other_hosts() {
    let towns = Towns::new();
    let anyone = |path: &str| towns.send(Request::builder().uri(path).body(Body::empty()).unwrap());
    assert_eq!(anyone("/openapi.json").ok(200), eakte::api::openapi());
    let page = anyone("/docs");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("style-src 'self'"));
    let text = String::from_utf8(page.body).unwrap();
    for attribute in ["href=\"", "src=\""] {
        for target in text.split(attribute).skip(1) {
            let target = target.split('"').next().unwrap();
            assert!(
                target.starts_with('#') || target.starts_with('/') && !target.starts_with("//"),
                "{target}"
            );
            if target.starts_with('/') {
                assert_eq!(anyone(target).status, 200, "{target}");
            }
            if let Some(anchor) = target.strip_prefix('#') {
                assert!(text.contains(&format!("id=\"{anchor}\"")), "{anchor}");
            }
        }
    }
    assert!(!text.contains("http://") && !text.contains("https://"));
    let home = anyone("/");
    assert_eq!((home.status.as_u16(), home.header("content-type")), (200, "text/html; charset=utf-8"));
    let home = String::from_utf8(home.body).unwrap();
    for target in home.split("href=\"").skip(1) {
        assert_eq!(anyone(target.split('"').next().unwrap()).status, 200, "{target}");
    }
    assert!(home.contains("href=\"/docs\""));
}
