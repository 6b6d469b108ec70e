//! How a request wants to be answered.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use coroner_diagnosis::messages::Language;
use jiff::Timestamp;
use url::form_urlencoded;

use super::session;
use crate::auth::Caller;

/// The cookie that keeps the language that a reader has chosen.
pub(super) const LANGUAGE: &str = "coroner-language";

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Html,
    Json,
    Text,
}

/// How a request is to be answered.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) language: Language,
    /// Whether the language was chosen by this very request.
    pub(super) is_chosen: bool,
    pub(super) form: Form,
    /// The path and the query of the request.
    pub(super) here: String,
    /// The name of the caller; `None` before authentication.
    pub(super) caller: Option<String>,
    /// Whether the caller has a session of the page.
    pub(super) has_session: bool,
    /// The time that ages are counted to.
    pub(super) now: Timestamp,
}

/// Marks a request whose token came by a cookie.
#[derive(Clone, Copy, Debug)]
pub(super) struct HasSession;

impl View {
    pub(super) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let asked = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        let chosen = asked("lang").and_then(|(_, tag)| language_of(&tag));
        let kept = || session::pairs(&parts.headers).find(|(name, _)| *name == LANGUAGE);
        let language = chosen
            .or_else(|| kept().and_then(|(_, tag)| language_of(tag)))
            .unwrap_or_else(|| preferred(&parts.headers));
        let form = match asked("as").as_ref().map(|(_, form)| &**form) {
            Some("json") => Form::Json,
            Some("text") => Form::Text,
            _ if accepts_json_alone(&parts.headers) => Form::Json,
            _ => Form::Html,
        };
        Self {
            language,
            is_chosen: chosen.is_some(),
            form,
            here: parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned(),
            caller: parts.extensions.get::<Caller>().map(Caller::name),
            has_session: parts.extensions.get::<HasSession>().is_some(),
            now: Timestamp::now(),
        }
    }

    /// The tag of the language: `en` or `zh`.
    pub(super) fn tag(&self) -> &'static str {
        tag(self.language)
    }
}

/// The tag of a language: `en` or `zh`.
pub(super) fn tag(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::Chinese => "zh",
    }
}

impl<S: Sync> FromRequestParts<S> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

fn language_of(tag: &str) -> Option<Language> {
    let main = tag.split(['-', '_']).next().unwrap_or_default();
    if main.eq_ignore_ascii_case("zh") {
        Some(Language::Chinese)
    } else {
        main.eq_ignore_ascii_case("en").then_some(Language::English)
    }
}

/// Of the languages that there are, the one that the browser prefers; of those it likes as much, the first.
fn preferred(headers: &HeaderMap) -> Language {
    let values = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).take(32).filter_map(|range| {
        let (tag, quality) = range.split_once(";q=").unwrap_or((range, "1"));
        let quality: f32 = quality.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
        Some((language_of(tag.trim())?, quality))
    });
    let best = ranges.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.filter(|(_, quality)| *quality > 0.0).map(|(language, _)| language).unwrap_or_default()
}

fn accepts_json_alone(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_languages_that_there_are_is_chosen() {
        let of = |value: &str| preferred(&HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value.parse().unwrap())]));
        for (value, language) in [
            ("", Language::English),
            ("de", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", Language::English),
            ("de, zh-Hans;q=0.3, en;q=0.2", Language::Chinese),
            ("zh;q=0", Language::English),
            ("zh;q=nan, zh;q=7", Language::English),
        ] {
            assert_eq!(of(value), language, "{value}");
        }
    }
}
