//! Whatever goes wrong is told as a problem.

use super::Towns;
use axum::body::Body;
use axum::http::Request;
use eakte::api;
use serde_json::json;

#[test]
fn addresses_that_there_are_none_of_are_problems_too() {
    let towns = Towns::new();
    for path in ["/api", "/api/v1", "/api/v1/nothing", "/api/v2/documents", "/docs/x", "/metrics"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let problem = towns.send(request).problem(404);
        assert_eq!(problem["type"], "/problems/missing", "{path}");
    }
}

#[test]
fn bodies_and_queries_that_make_no_sense_are_told_apart() {
    let towns = Towns::new();
    let post = |path: &str, kind: &str, body: String| {
        let request = towns.request("POST", path).header("content-type", kind);
        towns.send(request.body(Body::from(body)).unwrap())
    };
    let json = "application/json";
    post("/api/v1/units", json, "{".into()).problem(400);
    post("/api/v1/units", json, r#"{"code":"1"}"#.into()).problem(400);
    post("/api/v1/units", json, r#"{"code":"1","name":"a","colour":"red"}"#.into()).problem(400);
    post("/api/v1/units", "text/plain", "{}".into()).problem(415);
    post("/api/v1/units", json, format!(r#"{{"code":"{}","name":"a"}}"#, "1".repeat(2_000_000))).problem(413);
    let problem = post("/api/v1/units", json, r#"{"code":" ","name":"a\nb"}"#.into()).problem(400);
    assert_eq!(problem["errors"][0]["field"], "code");
    assert_eq!(problem["errors"][1]["field"], "name");
    towns.get("/api/v1/documents?limit=0").problem(400);
    towns.get("/api/v1/documents?limit=201").problem(400);
    towns.get("/api/v1/documents?limit=many").problem(400);
    towns.get("/api/v1/documents?colour=red").problem(400);
    towns.get("/api/v1/documents?cursor=xyz").problem(400);
    towns.get("/api/v1/documents?inbox=true&digest=00").problem(400);
    towns.get("/api/v1/search?q=a&offset=10000").problem(400);
    towns.get("/api/v1/search?q=a&from=gestern").problem(400);
    towns.get(&format!("/api/v1/search?q={}", "a".repeat(1_001))).problem(400);
    towns.get(&format!("/api/v1/search?q={}", "a".repeat(20_000))).problem(414);
    towns.post("/api/v1/jobs", &json!({"kind": "dance"})).problem(400);
    towns
        .post("/api/v1/case-files", &json!({"plan_unit":"9","unit":"9","title":"a","case_type":"b"}))
        .problem(422);
}

#[test]
fn a_sender_that_stalls_in_a_small_body_is_told_so() {
    let mut options = api::Options::default();
    options.limits.grace = std::time::Duration::from_millis(200);
    let towns = Towns::with(options, crate::support::settings(false));
    let silent = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
    let request = towns.request("POST", "/api/v1/units").header("content-type", "application/json");
    let problem = towns.send(request.body(Body::from_stream(silent)).unwrap()).problem(408);
    assert_eq!(problem["type"], "/problems/timeout");
}

#[test]
fn answers_are_careful() {
    let towns = Towns::new();
    for path in ["/livez", "/docs", "/openapi.json", "/api/v1/health", "/nothing"] {
        let answer = towns.get(path);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
    assert_eq!(towns.get("/api/v1/health").header("cache-control"), "no-store");
}

#[test]
fn the_probes_tell_anyone_whether_the_server_lives_and_is_ready() {
    let towns = Towns::new();
    let anyone = |path: &str| towns.send(Request::builder().uri(path).body(Body::empty()).unwrap());
    assert_eq!(anyone("/livez").status, 200);
    assert_eq!(anyone("/readyz").status, 200);
    std::fs::rename(towns.folder.path().join("data/store"), towns.folder.path().join("gone")).unwrap();
    // Answers are good for a second.
    let gone = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        Some(anyone("/readyz")).filter(|answer| answer.status != 200)
    });
    let problem = gone.expect("it is noticed").problem(503);
    assert!(problem["detail"].as_str().unwrap().starts_with("store:"), "{problem}");
    assert_eq!(anyone("/livez").status, 200);
    std::fs::rename(towns.folder.path().join("gone"), towns.folder.path().join("data/store")).unwrap();
}
