//! Answers as HTTP has them: what the services refuse, as pages and as JSON.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use coroner_diagnosis::{messages::Message, text};
use maud::{Markup, html};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{
    layout::{self, Chrome},
    login,
    messages::texts,
    view::{Form, View},
};

/// A refusal of a service, in the form of gRPC like those of the layers in front. [`present`] turns all of them into
/// answers of HTTP.
#[derive(Debug)]
pub(super) struct Refused(Status);

impl<E: Into<Status>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.into_http()
    }
}

/// An answer as its client can read it: a refusal of a service becomes one of HTTP.
pub(super) fn present(answer: Response, view: &View, takes_tokens: bool) -> Response {
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok => refusal(&status, view, takes_tokens),
        _ => answer,
    }
}

fn refusal(status: &Status, view: &View, takes_tokens: bool) -> Response {
    let code = code(status.code());
    if code == StatusCode::UNAUTHORIZED && view.form == Form::Html && takes_tokens {
        return login::redirect(&login::address(&view.here));
    }
    let message = text::clean(status.message(), 512);
    let mut answer = match view.form {
        Form::Json => {
            let body = json!({ "status": code.as_u16(), "message": message });
            (code, json_of(&body)).into_response()
        }
        Form::Text => (code, message).into_response(),
        Form::Html => {
            let title = view.text(&headline(code));
            let body = html! {
                section.notice {
                    h1 { (title) }
                    @if !message.is_empty() { p.quote { (message) } }
                    p { a href="/" { (view.text(&texts::to_overview())) } }
                }
            };
            (code, page(view, &Chrome::titled(&title), &body)).into_response()
        }
    };
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&code) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

fn code(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn headline(code: StatusCode) -> Message {
    match code {
        StatusCode::UNAUTHORIZED => texts::error_unauthenticated(),
        StatusCode::FORBIDDEN => texts::error_forbidden(),
        StatusCode::NOT_FOUND => texts::error_not_found(),
        StatusCode::BAD_REQUEST => texts::error_request(),
        StatusCode::TOO_MANY_REQUESTS => texts::error_busy(),
        StatusCode::SERVICE_UNAVAILABLE => texts::error_unavailable(),
        _ => texts::error_internal(),
    }
}

/// A page of HTML.
pub(super) fn page(view: &View, chrome: &Chrome<'_>, body: &Markup) -> Response {
    let markup = layout::page(view, chrome, body);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

/// A value as JSON that hides nothing.
pub(super) fn json_of(value: &Value) -> Response {
    let body = text::escape_json(&value.to_string());
    ([(header::CONTENT_TYPE, "application/json")], Body::from(body + "\n")).into_response()
}

/// Plain text.
pub(super) fn text_of(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
