//! What stands before every route: which requests are taken at all, and headers that every answer has.

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{ALLOW, CACHE_CONTROL, HOST, ORIGIN},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{login, view::View};

/// Nothing is loaded from elsewhere, nothing stands in the page that could run, and no other page shows this one or
/// sends its forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const ALWAYS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("x-frame-options", "DENY"),
];

/// Whether a listener is open to every user of this machine, without credentials. Then any host name could resolve to
/// it: a page from elsewhere must not read this one by giving its own name this address.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnlyLocalNames(pub(super) bool);

pub(super) async fn check(State(only_local): State<OnlyLocalNames>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let view = View::of(&parts);
    let refused = if only_local.0 && !is_local(host(&parts)) {
        Some(
            (StatusCode::MISDIRECTED_REQUEST, "this listener is for clients of this machine, by its own names")
                .into_response(),
        )
    } else if !is_allowed(&parts.method, parts.uri.path()) {
        Some((StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response())
    } else if parts.method == Method::POST && !is_of_this_site(&parts.headers, host(&parts)) {
        Some((StatusCode::FORBIDDEN, "the form was sent by another site").into_response())
    } else {
        None
    };
    let mut answer = match refused {
        Some(refused) => refused,
        None => next.run(Request::from_parts(parts, body)).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // What one caller sees is for no cache.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if view.is_chosen
        && let Ok(cookie) = login::language_cookie(view.language).parse()
    {
        headers.append(axum::http::header::SET_COOKIE, cookie);
    }
    answer
}

/// Only reading, but for signing in and out.
fn is_allowed(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => true,
        Method::POST => [login::SIGN_IN, login::SIGN_OUT].contains(&path),
        _ => false,
    }
}

/// The host that a request is for: HTTP/2 has it in the address.
fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    parts.headers.get(HOST).and_then(|host| host.to_str().ok()).or(authority)
}

/// Whether a host is this machine by its own names.
fn is_local(host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Whether a form was sent by a page of ours. Browsers send one of two headers for that; other clients send neither.
fn is_of_this_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => match text(ORIGIN.as_str()) {
            None => true,
            Some(origin) => {
                let sender = origin.split_once("://").map(|(_, host)| host);
                sender.is_some() && sender == host
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let parsed = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        HeaderMap::from_iter(parsed)
    }

    #[test]
    fn only_names_of_this_machine_lead_to_a_listener_without_credentials() {
        for local in ["localhost", "LOCALHOST:80", "127.0.0.1:7071", "127.8.0.1", "[::1]:7071", "::1"] {
            assert!(is_local(Some(local)), "{local}");
        }
        for other in ["", "evil.example", "evil.example:7071", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil"] {
            assert!(!is_local(Some(other)), "{other}");
        }
        assert!(!is_local(None));
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let is_ours = |pairs: &[(&'static str, &str)]| is_of_this_site(&headers(pairs), Some("coroner.example"));
        assert!(is_ours(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(is_ours(&[("origin", "https://coroner.example")]) && is_ours(&[]));
        for wrong in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "null"),
            ("origin", "https://evil.example"),
        ] {
            assert!(!is_ours(&[wrong]), "{wrong:?}");
        }
    }

    #[test]
    fn only_signing_in_and_out_is_no_reading() {
        assert!(is_allowed(&Method::GET, "/d/x") && is_allowed(&Method::HEAD, "/"));
        assert!(is_allowed(&Method::POST, "/login") && is_allowed(&Method::POST, "/logout"));
        for (method, path) in [(Method::POST, "/"), (Method::PUT, "/login"), (Method::DELETE, "/d/x")] {
            assert!(!is_allowed(&method, path), "{method} {path}");
        }
    }
}
