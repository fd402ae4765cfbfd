//! `Repr-Digest` and `Content-Digest` (RFC 9530), as far as SHA-256 goes.

use super::Problem;
use crate::domain::Digest;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The header's value for a digest.
pub(super) fn value(digest: &Digest) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()));
    HeaderValue::try_from(text).expect("base64 is visible ASCII")
}

/// The SHA-256 that a sender declares, if any. Other algorithms are passed over, as the RFC allows.
pub(super) fn declared(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let mut found = None;
    for name in ["repr-digest", "content-digest"] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| unreadable(name))?;
            for member in text.split(',') {
                let Some((algorithm, digest)) = member.trim().split_once('=') else {
                    return Err(unreadable(name));
                };
                if algorithm == "sha-256" {
                    let digest = decode(digest).ok_or_else(|| unreadable(name))?;
                    if found.is_some_and(|known| known != digest) {
                        return Err(Problem::malformed("Die angekündigten Prüfsummen widersprechen sich."));
                    }
                    found = Some(digest);
                }
            }
        }
    }
    Ok(found)
}

fn unreadable(name: &str) -> Problem {
    Problem::malformed(format!("{name}: erwartet wird sha-256=:…: mit 32 Byte in Base64."))
}

fn decode(text: &str) -> Option<Digest> {
    let inner = text.split(';').next()?.trim().strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(inner).ok()?.try_into().ok().map(Digest::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_header_reads_back_what_it_says() {
        let digest = Digest::of(b"abc");
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", value(&digest));
        assert_eq!(declared(&headers).unwrap(), Some(digest));
        let both = format!("sha-512=:AAAA:, {}", value(&digest).to_str().unwrap());
        headers.insert("content-digest", both.parse().unwrap());
        assert_eq!(declared(&headers).unwrap(), Some(digest));
    }

    #[test]
    fn a_digest_that_cannot_be_read_or_contradicts_another_is_refused() {
        for text in ["sha-256=abc", "sha-256=:AAAA:", "sha-256", "sha-256=:!!!!:"] {
            let mut headers = HeaderMap::new();
            headers.insert("repr-digest", text.parse().unwrap());
            assert_eq!(declared(&headers).unwrap_err().status, 400, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("repr-digest", value(&Digest::of(b"a")));
        headers.insert("content-digest", value(&Digest::of(b"b")));
        assert_eq!(declared(&headers).unwrap_err().status, 400);
    }
}
