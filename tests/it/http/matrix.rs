//! Every route, with every kind of caller.

use super::{Answer, Towns, case_file, multipart, sha256};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

/// A request for every operation of the description, on things that belong to the first town.
fn operations(towns: &Towns) -> Vec<(String, String, String)> {
    let case_file = case_file(towns);
    let document = towns.upload("name=a.txt", b"Brief", &[]).ok(201)["document_id"].clone();
    let batch = towns.post("/api/v1/batches", &json!({"name": "b"})).ok(201)["id"].clone();
    let plan_unit = towns.get("/api/v1/plan-units").ok(200)["items"][0]["id"].clone();
    let job = towns.post("/api/v1/jobs", &json!({"kind": "verify"})).ok(202)["id"].clone();
    let begun = towns.send(towns.request("POST", "/api/v1/uploads").body(Body::empty()).unwrap());
    let upload = begun.header("location").rsplit('/').next().unwrap().to_owned();
    let mut found = Vec::new();
    for (path, item) in eakte::api::openapi()["paths"].as_object().unwrap() {
        let id = match path.split('/').nth(3).unwrap() {
            "documents" => document.as_str().unwrap(),
            "case-files" => &case_file,
            "batches" => batch.as_str().unwrap(),
            "plan-units" => plan_unit.as_str().unwrap(),
            "jobs" => job.as_str().unwrap(),
            _ => &upload,
        };
        let filled =
            path.replace("{id}", id).replace("{name}", "text").replace("{sha256}", &sha256(b"Brief"));
        for method in item.as_object().unwrap().keys() {
            found.push((method.to_uppercase(), path.clone(), filled.clone()));
        }
    }
    assert!(found.len() > 30, "{}", found.len());
    found
}

fn ask(towns: &Towns, method: &str, path: &str, filled: &str, token: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(filled);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match (method, path) {
        ("POST", path) if path.ends_with("/files") => {
            request = request.header("content-type", "multipart/form-data; boundary=grenze");
            Body::from(multipart(&[("file", Some("a"), b"x")]))
        }
        ("POST", path) if path.ends_with("/documents") => Body::from("x"),
        ("POST", path) if path.ends_with("/rejections") => {
            request = request.header("content-type", "application/json");
            Body::from(r#"{"files":[{"path":"a","reason":"unreadable"}]}"#)
        }
        ("POST", path) if path.starts_with("/api/v1/batches/") => {
            request = request.header("content-type", "application/json");
            Body::from(r#"{"seen":1}"#)
        }
        ("POST", _) => {
            request = request.header("content-type", "application/json");
            Body::from("{}")
        }
        ("PATCH", _) => {
            request = request.header("upload-offset", "0");
            Body::from("x")
        }
        _ => Body::empty(),
    };
    towns.send(request.body(body).unwrap())
}

#[test]
fn nobody_gets_in_without_a_good_token_and_all_are_told_the_same() {
    let towns = Towns::new();
    let wrong = format!("{}0", &towns.token[..towns.token.len() - 1]);
    let unknown = towns.token.replace("eakte_t_", "eakte_nirgends_");
    for (method, path, filled) in operations(&towns) {
        let mut told: Vec<Value> = Vec::new();
        for token in [None, Some(wrong.as_str()), Some(unknown.as_str()), Some("Unsinn")] {
            let answer = ask(&towns, &method, &path, &filled, token);
            assert_eq!(answer.status, 401, "{method} {path} {token:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"eakte\"");
            if method != "HEAD" {
                let mut problem = answer.problem(401);
                problem["request_id"] = Value::Null;
                told.push(problem);
            }
        }
        told.dedup();
        assert!(told.len() <= 1, "{method} {path}: {told:?}");
    }
}

#[test]
fn another_towns_things_do_not_exist() {
    let towns = Towns::new();
    let mut checked = 0;
    for (method, path, filled) in operations(&towns) {
        if !path.contains('{') {
            continue;
        }
        let answer = ask(&towns, &method, &path, &filled, Some(&towns.other));
        assert_eq!(answer.status, 404, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
    // Neither do they in lists and searches, nor by their digest.
    let with = |path: &str| {
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", towns.other));
        towns.send(request.body(Body::empty()).unwrap()).ok(200)
    };
    for path in ["documents", "case-files", "batches", "plan-units", "units", "jobs"] {
        assert_eq!(with(&format!("/api/v1/{path}"))["items"], json!([]), "{path}");
    }
    assert_eq!(with("/api/v1/documents?inbox=true")["items"], json!([]));
    assert_eq!(with(&format!("/api/v1/documents?digest={}", sha256(b"Brief")))["items"], json!([]));
    assert_eq!(with("/api/v1/search?q=Brief")["total"], 0);
    assert_eq!(with("/api/v1/health")["documents"], 0);
}

#[test]
fn what_does_not_exist_is_missing_and_so_is_what_is_no_id() {
    let towns = Towns::new();
    for (method, path, _) in operations(&towns) {
        if !path.contains('{') {
            continue;
        }
        for id in ["018f0000-0000-7000-8000-000000000000", "..%2f..%2fetc", "%00", "x"] {
            let digest = if id.len() == 36 { sha256(b"never") } else { id.to_owned() };
            let filled = path.replace("{id}", id).replace("{name}", "text").replace("{sha256}", &digest);
            let answer = ask(&towns, &method, &path, &filled, Some(&towns.token));
            assert_eq!(answer.status, 404, "{method} {filled}");
        }
    }
}

#[test]
fn a_method_that_a_route_does_not_have_is_refused_with_those_it_has() {
    let towns = Towns::new();
    for (_, _, filled) in operations(&towns) {
        let answer = towns.send(towns.request("PUT", &filled).body(Body::empty()).unwrap());
        let problem = answer.problem(405);
        assert_eq!(problem["type"], "/problems/method");
        assert!(!answer.header("allow").is_empty(), "{filled}");
    }
}
