//! The language of the person who started the program.

use coroner_diagnosis::messages::Language;

/// The language that the environment names: by LC_ALL, LC_MESSAGES or LANG, in the order in which they count (POSIX.1,
/// 8.2).
#[allow(clippy::disallowed_methods, reason = "the variables that every program obeys")]
pub fn language() -> Language {
    Language::of_locale(["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| std::env::var(name).unwrap_or_default()))
}
