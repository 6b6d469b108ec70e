//! Where the output goes: stdout for data, stderr for messages, and what kind of reader each has.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use coroner_diagnosis::text;

use crate::{
    args::{Format, OutputArgs, When},
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
        }
    }

    /// An empty page for this output.
    pub(crate) fn page(&self) -> Page {
        Page::new(self.width, self.colour)
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
