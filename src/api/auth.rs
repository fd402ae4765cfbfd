//! Who is calling: a bearer token names a tenant and proves an account of it.

use super::{Api, Problem};
use crate::archive::{Archive, Error, Kind, Permit, token_tenant};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 256;

/// Someone known, with the archive of their tenant.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) archive: Arc<Archive>,
    pub(super) permit: Permit,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Set by `authenticate`; a route outside of it lets nobody in.
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}

/// One answer for all: a wrong token says nothing about which tenants there are.
fn unknown() -> Problem {
    Error::new(Kind::Unauthenticated, "Bitte ein gültiges Zugangstoken angeben (Authorization: Bearer …).")
        .into()
}

/// The token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && (1..=MAX_TOKEN_BYTES).contains(&token.len())).then_some(token)
}

/// Lets requests with a good token through.
pub(super) async fn authenticate(
    State(api): State<Api>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).ok_or_else(unknown)?.to_owned();
    let tenant = token_tenant(&token).ok_or_else(unknown)?;
    let installation = api.0.installation.clone();
    let caller = api.0.pools.reads.run(move || {
        let archive = installation.archive(&tenant)?;
        let permit = archive.permit(&token)?;
        Ok(Caller { archive, permit })
    });
    let caller = caller.await.map_err(|error| match error.kind {
        Kind::Missing | Kind::Unauthenticated => unknown(),
        // Nobody has proved who they are yet, so only the log hears what is wrong.
        _ => Problem::from(Error { public: "Das Archiv ist gerade nicht erreichbar.".to_owned(), ..error }),
    })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_strictly() {
        for (text, expected) in [
            ("Bearer eakte_t_00", Some("eakte_t_00")),
            ("bearer  eakte_t_00 ", Some("eakte_t_00")),
            ("Basic eakte_t_00", None),
            ("eakte_t_00", None),
            ("Bearer ", None),
            (&format!("Bearer {}", "x".repeat(257)), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            assert_eq!(bearer(&headers), expected, "{text}");
        }
    }
}
