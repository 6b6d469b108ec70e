//! Where the output goes: stdout for data, stderr for messages, and what kind of reader each has.

use std::{
    env,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use coroner_diagnosis::{
    messages::{Language, Message},
    text,
};
use jiff::tz::TimeZone;

use crate::{
    args::{Format, Lang, OutputArgs, When},
    messages,
    page::Page,
    reader::Reader,
};

/// Columns where the width is not known, as in a pipe.
const DEFAULT_WIDTH: usize = 120;
/// Narrower than this, wrapped text is worse than what the terminal makes of long lines.
const MIN_WIDTH: usize = 40;

/// The language that was asked for, or that of the locale.
pub(crate) fn language(asked: Option<Lang>) -> Language {
    match asked {
        Some(Lang::En) => Language::English,
        Some(Lang::Zh) => Language::Chinese,
        None => coroner_runtime::language(),
    }
}

/// Whether colours are used on stdout.
#[allow(clippy::disallowed_methods, reason = "the variables every terminal program obeys")]
pub(crate) fn colours(when: When) -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => io::stdout().is_terminal() && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
    }
}

/// The program's output, and what it should look like.
#[derive(Debug)]
pub(crate) struct Out {
    /// The format that was asked for; `None` for the command's own default.
    pub(crate) format: Option<Format>,
    /// Whether tables have a line of column names.
    pub(crate) headers: bool,
    /// The width of a line in columns.
    pub(crate) width: usize,
    /// Whether a table may cut its lines to the width: only where a person looks at them.
    pub(crate) cut: bool,
    /// Whether colours are used.
    pub(crate) colour: bool,
    /// Who reads it. Names of columns and data are in English: scripts compare them.
    pub(crate) reader: Reader,
}

impl Out {
    #[allow(clippy::disallowed_methods, reason = "the variables every terminal program obeys")]
    pub(crate) fn new(args: &OutputArgs) -> Self {
        let terminal = io::stdout().is_terminal();
        let columns = env::var("COLUMNS").unwrap_or_default().parse().ok();
        let width = columns.or_else(|| {
            terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(columns), _)| columns.into())
        });
        Self {
            format: args.format,
            headers: !args.no_headers,
            width: width.unwrap_or(DEFAULT_WIDTH).max(MIN_WIDTH),
            cut: terminal && args.format != Some(Format::Wide),
            colour: colours(args.color),
            reader: Reader {
                language: language(args.lang),
                zone: if args.utc { TimeZone::UTC } else { Reader::local_zone() },
            },
        }
    }

    /// An empty page for this output.
    pub(crate) fn page(&self) -> Page {
        Page::new(self.width, self.colour, self.reader.clone())
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

    /// Writes a note for people to stderr.
    pub(crate) fn note(&self, message: &Message) {
        self.line(&self.text(message));
    }

    /// Writes several notes as one line to stderr.
    pub(crate) fn notes(&self, messages: &[Message]) {
        let separator = self.reader.language.between_sentences();
        self.line(&messages.iter().map(|message| self.text(message)).collect::<Vec<_>>().join(separator));
    }

    /// Writes a line for people to stderr.
    pub(crate) fn line(&self, line: &str) {
        // In one piece, since stderr is not buffered and others may write to the terminal at the same time. No channel
        // is left for an error if even this fails.
        let _closed = io::stderr().write_all(format!("{}\n", text::clean(line, 4096)).as_bytes());
    }

    /// The text of a message in the reader's language.
    pub(crate) fn text(&self, message: &Message) -> String {
        messages::text(message, self.reader.language)
    }
}

/// Writes a text to stdout, where no more is known of the reader.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a text to stderr, where no more is known of the reader than the language.
pub(crate) fn print_error(text: &str) {
    // There is no one to report to if it is closed.
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}
