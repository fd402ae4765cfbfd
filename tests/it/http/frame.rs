//! Units, file plan, case files, searching.

use super::{Towns, case_file};
use crate::support::settings;
use eakte::api;
use serde_json::json;

#[test]
fn units_and_plan_units_are_made_once() {
    let towns = Towns::new();
    let unit = json!({"code": "60", "name": "Bauen"});
    let made = towns.post("/api/v1/units", &unit).ok(201);
    assert_eq!(towns.post("/api/v1/units", &unit).ok(200), made);
    let below = towns.post("/api/v1/units", &json!({"code": "61", "name": "Planen", "parent": "60"})).ok(201);
    assert_eq!(below["parent"], made["id"]);
    towns.post("/api/v1/units", &json!({"code": "62", "name": "x", "parent": "99"})).problem(422);
    assert_eq!(towns.get("/api/v1/units").ok(200)["items"].as_array().unwrap().len(), 2);
    let plan = json!({"code": "60", "title": "Bauwesen", "retention_class": "10", "disposal": "V"});
    let made = towns.post("/api/v1/plan-units", &plan);
    let path = made.header("location").to_owned();
    let made = made.ok(201);
    assert_eq!(towns.post("/api/v1/plan-units", &plan).ok(200), made);
    assert_eq!(towns.get(&path).ok(200), made);
    let below =
        towns.post("/api/v1/plan-units", &json!({"code": "60.1", "title": "x", "parent": "60"})).ok(201);
    assert_eq!((&below["retention_class"], &below["disposal"]), (&json!("10"), &json!("V")));
    towns.post("/api/v1/plan-units", &json!({"code": "7", "title": "x", "disposal": "X"})).problem(400);
}

#[test]
fn case_files_draw_their_numbers_and_are_found_by_every_name() {
    let towns = Towns::new();
    let first = case_file(&towns);
    let asked = json!({
        "plan_unit": "60.10", "unit": "60", "title": "Garage", "case_type": "Bauakte", "key": "alt-17",
        "aliases": ["III/4 b"], "protection": "personnel", "medium": "hybrid", "paper_location": "Keller 2",
        "begins_on": "2024-05-01", "parties": [{"role": "Antragstellerin", "name": "Erika Muster"}],
        "fields": {"Flurstück": "17/4"},
    });
    let opened = towns.post("/api/v1/case-files", &asked).ok(201);
    assert_eq!(towns.post("/api/v1/case-files", &asked).ok(200), opened);
    assert_eq!(opened["reference"], "60.10-2024/1");
    assert_eq!(opened["retention_class"], "30");
    for name in ["60.10-2024/1", "III/4 b", "alt-17"] {
        let name = name.replace('/', "%2F").replace(' ', "%20");
        let found = towns.get(&format!("/api/v1/case-files?reference={name}")).ok(200);
        assert_eq!(found["items"], json!([opened]), "{name}");
    }
    assert_eq!(towns.get("/api/v1/case-files?reference=nichts").ok(200)["items"], json!([]));
    let all = towns.get("/api/v1/case-files").ok(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    assert_eq!(all["items"][0]["id"], first.as_str());
    let plan_unit = opened["plan_unit"].as_str().unwrap();
    let of_plan = towns.get(&format!("/api/v1/case-files?plan_unit={plan_unit}&limit=1")).ok(200);
    assert!(of_plan["next"].is_string());
    let path = format!("/api/v1/case-files/{}/events", opened["id"].as_str().unwrap());
    let events = towns.get(&path).ok(200);
    assert_eq!(events["items"][0]["type"], "case_file.opened");
    // The same request under its key opens one file only.
    let plain = json!({"plan_unit": "60.10", "unit": "60", "title": "Zaun", "case_type": "Bauakte"});
    let keyed = || {
        let request = towns.request("POST", "/api/v1/case-files").header("content-type", "application/json");
        let request = request.header("idempotency-key", "k1").body(axum::body::Body::from(plain.to_string()));
        towns.send(request.unwrap())
    };
    let first = keyed().ok(201);
    assert_eq!(keyed().ok(200), first);
}

#[test]
fn what_a_case_file_says_is_checked() {
    let towns = Towns::new();
    case_file(&towns);
    let with = |name: &str, value: serde_json::Value| {
        let mut asked = json!({"plan_unit": "60.10", "unit": "60", "title": "a", "case_type": "b"});
        asked[name] = value;
        towns.post("/api/v1/case-files", &asked)
    };
    for (name, value, status) in [
        ("title", json!("a\nb"), 400),
        ("begins_on", json!("1.1.2024"), 400),
        ("protection", json!("strong"), 400),
        ("medium", json!("stone"), 400),
        ("parties", json!([{"role": "", "name": "x"}]), 400),
        ("fields", json!({"a": "b\u{7}"}), 400),
        ("key", json!(""), 400),
        ("plan_unit", json!("99"), 422),
        ("unit", json!("99"), 422),
        ("medium", json!("paper"), 422),
    ] {
        with(name, value.clone()).problem(status);
    }
}

#[test]
fn documents_are_found_by_what_is_known_of_them() {
    let towns = Towns::with(api::Options::default(), settings(true));
    for number in 0..3 {
        let query = format!("name=Stellplatz{number}.txt&title=Stellplatznachweis");
        towns.upload(&query, format!("Nachweis {number}").as_bytes(), &[]).ok(201);
    }
    let found = (0..600).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let page = towns.get("/api/v1/search?q=Stellplatznachweis&limit=2").ok(200);
        (page["total"] == 3).then_some(page)
    });
    let page = found.expect("the index follows");
    assert_eq!(page["hits"].as_array().unwrap().len(), 2);
    let hit = &page["hits"][0];
    for field in
        ["document_id", "file_reference", "title", "source_name", "page", "snippet", "score", "marks"]
    {
        assert!(hit.get(field).is_some(), "{field} in {hit}");
    }
    let text: Vec<char> = hit["snippet"].as_str().unwrap().chars().collect();
    let (start, end) = (hit["marks"][0]["start"].as_u64().unwrap(), hit["marks"][0]["end"].as_u64().unwrap());
    let marked: String =
        text[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].iter().collect();
    assert!(marked.starts_with("Stellplatz"), "{marked}");
    let next = page["next"].as_str().unwrap();
    let rest = towns.get(&format!("/api/v1/search?q=Stellplatznachweis&limit=2&cursor={next}")).ok(200);
    assert_eq!(rest["hits"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
    towns.get("/api/v1/search?q=a&case_file=nichts").problem(404);
    for nothing in ["/api/v1/search", "/api/v1/search?q=", "/api/v1/search?q=%20&unit=60"] {
        towns.get(nothing).problem(400);
    }
    towns.get("/api/v1/search?q=*&unit=60").ok(200);
}

#[test]
fn a_check_runs_as_a_job() {
    let towns = Towns::new();
    towns.upload("name=a", b"Brief", &[]).ok(201);
    let started = towns.post("/api/v1/jobs", &json!({"kind": "verify"}));
    let path = started.header("location").to_owned();
    assert_eq!(started.ok(202)["kind"], "verify");
    let done = (0..600).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let job = towns.get(&path).ok(200);
        (job["state"] == "done" || job["state"] == "failed").then_some(job)
    });
    let job = done.expect("it ends");
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["result"]["findings"], json!([]));
    let health = towns.get("/api/v1/health").ok(200);
    assert_eq!(job["result"]["root"], health["root"]);
    assert_eq!(job["result"]["leaves"], health["leaves"]);
    let list = towns.get("/api/v1/jobs").ok(200);
    assert_eq!(list["items"][0]["id"], job["id"]);
    assert!(list["digitising"]["single"].is_u64());
}
