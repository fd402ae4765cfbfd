//! Getting bytes back.

use super::{Towns, repr_digest, sha256};
use axum::body::Body;

const TEXT: &[u8] = b"0123456789";

fn stored(towns: &Towns) -> String {
    let id = towns.upload("name=Zahlen.html", TEXT, &[]).ok(201)["document_id"].as_str().unwrap().to_owned();
    format!("/api/v1/documents/{id}/content")
}

fn get(towns: &Towns, method: &str, path: &str, headers: &[(&str, &str)]) -> super::Answer {
    let mut request = towns.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    towns.send(request.body(Body::empty()).unwrap())
}

#[test]
fn content_comes_back_unchanged_with_its_digest_and_never_runs() {
    let towns = Towns::new();
    let path = stored(&towns);
    for method in ["GET", "HEAD"] {
        let answer = get(&towns, method, &path, &[]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, if method == "GET" { TEXT } else { b"" });
        assert_eq!(answer.header("content-length"), "10");
        assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(TEXT)));
        assert_eq!(answer.header("repr-digest"), repr_digest(TEXT));
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
        assert!(answer.header("content-disposition").starts_with("attachment;"));
    }
}

#[test]
fn ranges_are_served_as_asked() {
    let towns = Towns::new();
    let path = stored(&towns);
    for (range, body, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-99", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
    ] {
        let answer = get(&towns, "GET", &path, &[("range", range)]);
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, body.as_bytes(), "{range}");
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), body.len().to_string());
        assert_eq!(answer.header("repr-digest"), repr_digest(TEXT), "of the whole");
    }
    for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let answer = get(&towns, "GET", &path, &[("range", range)]);
        answer.problem(416);
        assert_eq!(answer.header("content-range"), "bytes */10", "{range}");
    }
    for range in ["bytes=0-1,3-4", "pages=1", "bytes=x"] {
        assert_eq!(get(&towns, "GET", &path, &[("range", range)]).status, 200, "{range}");
    }
}

#[test]
fn a_part_is_sent_only_of_the_bytes_that_the_caller_has() {
    let towns = Towns::new();
    let path = stored(&towns);
    let etag = format!("\"{}\"", sha256(TEXT));
    let same = get(&towns, "GET", &path, &[("range", "bytes=5-"), ("if-range", &etag)]);
    assert_eq!((same.status.as_u16(), same.body.as_slice()), (206, &TEXT[5..]));
    for other in ["\"other\"", "Mon, 02 Mar 2026 08:00:00 GMT"] {
        let whole = get(&towns, "GET", &path, &[("range", "bytes=5-"), ("if-range", other)]);
        assert_eq!((whole.status.as_u16(), whole.body.as_slice()), (200, TEXT));
    }
}

#[test]
fn what_the_caller_has_is_not_sent_again() {
    let towns = Towns::new();
    let path = stored(&towns);
    let etag = format!("\"{}\"", sha256(TEXT));
    let answer = get(&towns, "GET", &path, &[("if-none-match", &etag)]);
    assert_eq!(answer.status, 304);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("etag"), etag);
    assert_eq!(get(&towns, "GET", &path, &[("if-none-match", "\"x\"")]).status, 200);
    let document = path.trim_end_matches("/content");
    let first = get(&towns, "GET", document, &[]);
    let again = get(&towns, "GET", document, &[("if-none-match", first.header("etag"))]);
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (200, 304));
}

#[test]
fn versions_and_renditions_that_there_are_none_of_are_missing() {
    let towns = Towns::new();
    let path = stored(&towns);
    assert_eq!(get(&towns, "GET", &format!("{path}?version=1"), &[]).body, TEXT);
    get(&towns, "GET", &format!("{path}?version=2"), &[]).problem(404);
    let document = path.trim_end_matches("/content");
    for name in ["text", "pdf", "exe", "..%2fcontent"] {
        get(&towns, "GET", &format!("{document}/renditions/{name}"), &[]).problem(404);
    }
    let versions = get(&towns, "GET", &format!("{document}/versions"), &[]).ok(200);
    assert_eq!(versions["items"][0]["sha256"], sha256(TEXT));
}

#[test]
fn damaged_bytes_are_never_sent_as_if_they_were_whole() {
    let towns = Towns::new();
    let path = stored(&towns);
    let id = path.split('/').nth(4).unwrap();
    let folder = towns.folder.path().join(format!("data/store/t/t/o/{}", &id[id.len() - 2..]));
    let object = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut writable = std::fs::metadata(&object).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "the file goes with the test")]
    writable.set_readonly(false);
    std::fs::set_permissions(&object, writable).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&object).unwrap();
    std::io::Write::write_all(&mut file, b"X").unwrap();
    let request = towns.request("GET", &path).body(Body::empty()).unwrap();
    let read = towns.runtime.block_on(async {
        let response = tower::ServiceExt::oneshot(towns.router.clone(), request).await.unwrap();
        assert_eq!(response.status(), 200);
        axum::body::to_bytes(response.into_body(), usize::MAX).await
    });
    assert!(read.is_err(), "the body must break off");
    std::fs::remove_file(&object).unwrap();
    get(&towns, "GET", &path, &[]).problem(500);
}
