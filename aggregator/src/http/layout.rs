//! What all pages have in common.

use coroner_diagnosis::messages::{Language, Message};
use maud::{DOCTYPE, Markup, html};

use super::{
    assets, login,
    messages::{self, texts},
    view::{self, View},
};

/// What stands around the content of a page.
#[derive(Debug, Default)]
pub(super) struct Chrome<'a> {
    title: &'a str,
    /// The stream of what concerns this page; empty for none.
    events: &'a str,
}

impl<'a> Chrome<'a> {
    pub(super) fn titled(title: &'a str) -> Self {
        Self { title, ..Self::default() }
    }

    /// A page that shows what arrives, by this address.
    pub(super) fn live(self, events: &'a str) -> Self {
        Self { events, ..self }
    }
}

impl View {
    /// A message of the page in its reader's language.
    pub(super) fn text(&self, message: &Message) -> String {
        messages::text(message, self.language)
    }

    /// This very page in another language.
    fn in_language(&self, language: Language) -> String {
        let (path, query) = self.here.split_once('?').unwrap_or((&self.here, ""));
        let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "lang");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair("lang", view::tag(language));
        format!("{path}?{}", query.finish())
    }
}

/// A whole page.
pub(super) fn page(view: &View, chrome: &Chrome<'_>, content: &Markup) -> Markup {
    let text = |message: &Message| view.text(message);
    let other = match view.language {
        Language::English => (Language::Chinese, "中文"),
        Language::Chinese => (Language::English, "English"),
    };
    html! {
        (DOCTYPE)
        html lang=(match view.language { Language::English => "en", Language::Chinese => "zh-Hans" }) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (chrome.title) " · Coroner" }
                link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                link rel="stylesheet" href=(assets::address("page.css"));
                script defer src=(assets::address("page.js")) {}
            }
            body data-events=[(!chrome.events.is_empty()).then_some(chrome.events)] {
                a.skip href="#content" { (text(&texts::skip())) }
                header.top {
                    a.brand href="/" { img src=(assets::address("icon.svg")) width="22" height="22" alt=""; "Coroner" }
                    span.live #live role="status" data-live=(text(&texts::live())) data-lost=(text(&texts::live_lost()))
                        data-ended=(text(&texts::live_ended())) {}
                    nav aria-label=(text(&texts::navigation())) {
                        a href=(view.in_language(other.0)) lang=(view::tag(other.0)) hreflang=(view::tag(other.0)) {
                            (other.1)
                        }
                        @if let Some(caller) = &view.caller {
                            span.caller { (caller.strip_prefix("user/").unwrap_or(caller)) }
                        }
                        @if view.has_session {
                            form method="post" action=(login::SIGN_OUT) {
                                button.quiet type="submit" { (text(&texts::sign_out())) }
                            }
                        }
                    }
                }
                main #content tabindex="-1" { (content) }
                dialog #keys aria-labelledby="keys-title" {
                    h2 #keys-title { (text(&texts::keys())) }
                    dl.keys {
                        dt { kbd { "/" } } dd { (text(&texts::key_search())) }
                        dt { kbd { "j" } " " kbd { "k" } } dd { (text(&texts::key_move())) }
                        dt { kbd { "g" } } dd { (text(&texts::key_overview())) }
                        dt { kbd { "?" } } dd { (text(&texts::key_help())) }
                    }
                    form method="dialog" { button { (text(&texts::close())) } }
                }
                footer.bottom { "Coroner " (env!("CARGO_PKG_VERSION")) " · " (text(&texts::times_are_utc())) }
            }
        }
    }
}
