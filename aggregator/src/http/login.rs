//! Signing in and out: a token becomes a session.

use std::{sync::Arc, time::Instant};

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{AUTHORIZATION, LOCATION, SET_COOKIE},
    },
    response::{IntoResponse, Response},
};
use coroner_diagnosis::messages::{Language, Message};
use maud::html;
use tokio::{
    sync::Semaphore,
    time::{Duration, timeout},
};
use tonic::{Code, Status};
use url::form_urlencoded;

use super::{
    answer,
    layout::Chrome,
    messages::texts,
    session::Sessions,
    view::{self, View},
};
use crate::auth::{Authentication, Right};

/// The path of the form to sign in.
pub(super) const SIGN_IN: &str = "/login";
/// The path to sign out.
pub(super) const SIGN_OUT: &str = "/logout";
/// Bytes of the form.
const MAX_FORM_BYTES: usize = 16 << 10;
/// How long the form may take to come.
const FORM_DEADLINE: Duration = Duration::from_secs(5);
/// Forms that are read at once.
const FORMS: usize = 16;
/// Bytes of the address to go to behind it.
const MAX_ADDRESS_BYTES: usize = 2_048;

/// What signing in needs: authentication and sessions.
#[derive(Clone, Debug)]
pub(super) struct Login {
    authentication: Authentication,
    pub(super) sessions: Sessions,
    forms: Arc<Semaphore>,
}

impl Login {
    pub(super) fn new(authentication: Authentication, sessions: Sessions) -> Self {
        Self { authentication, sessions, forms: Arc::new(Semaphore::new(FORMS)) }
    }
}

/// Shows the form to sign in.
pub(super) async fn form(State(login): State<Login>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let next =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).find(|(name, _)| name == "next");
    let next = next.map(|(_, next)| next.into_owned()).unwrap_or_default();
    show(&View::of(&parts), login.authentication.takes_tokens(), &next, None)
}

/// Exchanges the token of the form for a session.
pub(super) async fn sign_in(State(login): State<Login>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let view = View::of(&parts);
    let takes_tokens = login.authentication.takes_tokens();
    let Ok(_reading) = login.forms.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many callers sign in at once").into_response();
    };
    let Ok(Ok(body)) = timeout(FORM_DEADLINE, to_bytes(body, MAX_FORM_BYTES)).await else {
        return (StatusCode::BAD_REQUEST, "the form is too large, or took too long to come").into_response();
    };
    let field = |name: &str| form_urlencoded::parse(&body).find(|(key, _)| key == name).map(|(_, value)| value);
    let (token, next) = (field("token").unwrap_or_default(), field("next").unwrap_or_default());
    let token = token.trim();
    let header = format!("Bearer {token}").parse::<HeaderValue>();
    let admitted = match header {
        Ok(mut header) if !token.is_empty() => {
            header.set_sensitive(true);
            parts.headers.insert(AUTHORIZATION, header);
            let admitted = login.authentication.admit(&parts).await;
            admitted.and_then(|caller| caller.may(Right::Read).map(|()| caller))
        }
        _ => Err(Status::unauthenticated("no token was given")),
    };
    let caller = match admitted {
        Ok(caller) => caller,
        Err(status) => return show(&view, takes_tokens, &next, Some(&status)),
    };
    let Some(cookie) = login.sessions.open(token, caller.name(), Instant::now()) else {
        return show(&view, takes_tokens, &next, Some(&Status::internal("the system has no random numbers")));
    };
    with_cookie(redirect(local(&next)), &cookie)
}

/// Ends the session.
pub(super) async fn sign_out(State(login): State<Login>, request: Request) -> Response {
    let cookie = login.sessions.close(request.headers());
    with_cookie(redirect(SIGN_IN), &cookie)
}

fn show(view: &View, takes_tokens: bool, next: &str, refusal: Option<&Status>) -> Response {
    let title = view.text(&texts::sign_in());
    let (code, problem) = match refusal.map(Status::code) {
        None => (StatusCode::OK, None),
        Some(Code::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, Some(texts::error_unavailable())),
        Some(Code::ResourceExhausted) => (StatusCode::TOO_MANY_REQUESTS, Some(texts::error_busy())),
        Some(_) => (StatusCode::UNAUTHORIZED, Some(texts::sign_in_refused())),
    };
    let label = |message: &Message| view.text(message);
    let body = html! {
        section.notice {
            h1 { (title) }
            @if takes_tokens {
                p { (label(&texts::sign_in_how())) }
                p.command { code { "kubectl create token default --audience coroner --duration 8h" } }
                @if let Some(problem) = &problem {
                    p.problem role="alert" { (label(problem)) }
                }
                @if let Some(status) = refusal { p.quote { (status.message()) } }
                form.sign-in method="post" action=(SIGN_IN) {
                    input type="hidden" name="next" value=(local(next));
                    label for="token" { (label(&texts::token())) }
                    input #token type="password" name="token" required autocomplete="off" spellcheck="false";
                    button.primary type="submit" { (title) }
                }
            } @else {
                p { (label(&texts::sign_in_certificate())) }
            }
        }
    };
    (code, answer::page(view, &Chrome::titled(&title), &body)).into_response()
}

/// The address of the form, from where it leads back.
pub(super) fn address(here: &str) -> String {
    let next: String = form_urlencoded::byte_serialize(local(here).as_bytes()).collect();
    format!("{SIGN_IN}?next={next}")
}

/// A redirect with status 303 to this path.
pub(super) fn redirect(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response(),
        Err(_) => (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("/"))]).into_response(),
    }
}

/// The cookie that keeps a reader's language.
pub(super) fn language_cookie(language: Language) -> String {
    format!("{}={}; Path=/; Max-Age=31536000; SameSite=Lax", view::LANGUAGE, view::tag(language))
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(cookie) = cookie.parse() {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

/// An address of this site; its beginning for any other.
fn local(address: &str) -> &str {
    // Browsers take `//host` and `/\host` for other sites, and leave out tabs and line ends.
    let is_local = address.starts_with('/')
        && !address.starts_with("//")
        && address.len() <= MAX_ADDRESS_BYTES
        && address.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_local { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_addresses_of_this_site_alone() {
        for own in ["/", "/d/5b0c3a5e", "/?ns=shop&q=a%20b"] {
            assert_eq!(local(own), own);
        }
        for other in ["", "//evil", "/\\evil", "\\/evil", "https://evil", "javascript:x", "/\t/evil", "/a b", "/é"] {
            assert_eq!(local(other), "/", "{other:?}");
        }
        assert_eq!(address("/?q=a&b"), "/login?next=%2F%3Fq%3Da%26b");
    }
}
