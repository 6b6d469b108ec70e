//! Where the output goes: stdout for data, stderr for messages, and what kind of reader each has.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use coroner_diagnosis::{catalogue::Language, text};

use crate::{
    args::{Format, Lang, OutputArgs, When},
    page::Page,
};

/// Columns where nobody can tell, as in a pipe.
const DEFAULT_WIDTH: usize = 120;
/// Narrower than this, wrapped text is worse than what the terminal makes of long lines.
const MIN_WIDTH: usize = 40;

/// The program's output, and what it should look like.
#[derive(Debug)]
pub(crate) struct Out {
    /// The format that was asked for; `None` for the command's own default.
    pub(crate) format: Option<Format>,
    /// Whether tables have a line of column names.
    pub(crate) headers: bool,
    /// Columns of a line.
    pub(crate) width: usize,
    /// Whether a table may cut its lines to the width: only where a person looks at them.
    pub(crate) cut: bool,
    /// Whether there are colours.
    pub(crate) colour: bool,
    /// The language of pages. Tables and data are in English: their words are names that scripts compare.
    pub(crate) language: Language,
}

impl Out {
    #[allow(clippy::disallowed_methods, reason = "the variables every terminal program obeys")]
    pub(crate) fn new(args: &OutputArgs) -> Self {
        let terminal = io::stdout().is_terminal();
        let variable = |name| env::var(name).unwrap_or_default();
        let colour = match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
        };
        let columns = variable("COLUMNS").parse().ok();
        let width = columns.or_else(|| {
            terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(columns), _)| columns.into())
        });
        Self {
            format: args.format,
            headers: !args.no_headers,
            width: width.unwrap_or(DEFAULT_WIDTH).max(MIN_WIDTH),
            cut: terminal,
            colour,
            language: match args.lang {
                Some(Lang::En) => Language::English,
                Some(Lang::Zh) => Language::Chinese,
                None => of_locale(["LC_ALL", "LC_MESSAGES", "LANG"].map(variable)),
            },
        }
    }

    /// An empty page for this output.
    pub(crate) fn page(&self) -> Page {
        Page::new(self.width, self.colour, self.language)
    }

    /// Writes data and flushes it: what is on stdout may be waited for.
    ///
    /// # Errors
    /// The reader may be gone.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Writes a message for people to stderr.
    pub(crate) fn tell(&self, message: &str) {
        // Nobody is left to be told if even this fails.
        let _closed = writeln!(io::stderr(), "{}", text::clean(message, 4096));
    }
}

/// The language that the first of these variables that is set names (POSIX.1, 8.2).
fn of_locale(variables: [String; 3]) -> Language {
    let locale = variables.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    match locale.split(['_', '.', '@', '-']).next() {
        Some("zh") => Language::Chinese,
        _ => Language::English,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_names_the_language() {
        let language = |all: &str, messages: &str, lang: &str| of_locale([all, messages, lang].map(str::to_owned));
        assert_eq!(language("", "", "zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(language("", "zh-TW", "en_US.UTF-8"), Language::Chinese);
        assert_eq!(language("C", "", "zh_CN.UTF-8"), Language::English);
        assert_eq!(language("", "", "zhuang"), Language::English);
        assert_eq!(language("", "", ""), Language::English);
    }
}
