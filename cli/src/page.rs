//! Text for people: styled, wrapped to a width, and safe. What is put into a page is escaped on its way in, so that no
//! text from the wire can drive a terminal; only the page itself makes line ends and styles.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};
use coroner_diagnosis::{messages::Language, text};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::reader::Reader;

/// No single text is shown beyond this; the wire's own limits are lower.
const MAX_TEXT_BYTES: usize = 4096;

/// A word that is longer than a line is not begun in a rest of a line shorter than this.
const SHORT: usize = 24;

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Strong,
    Faint,
    Good,
    Notice,
    Bad,
}

impl Look {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Notice => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// A piece of text with one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    text: String,
    look: Look,
}

/// The text, escaped, with a look.
pub(crate) fn span(look: Look, text: &str) -> Span {
    Span { text: text::clean(text, MAX_TEXT_BYTES), look }
}

impl Span {
    /// The width of the text in columns.
    pub(crate) fn columns(&self) -> usize {
        columns(&self.text)
    }

    /// Itself, or `-` if it is empty.
    pub(crate) fn or_dash(&self) -> Self {
        if self.text.is_empty() { span(Look::Faint, "-") } else { self.clone() }
    }

    /// At most so many columns of it, the last of which shows that it was cut.
    fn cut(&self, columns: usize) -> Self {
        if self.columns() <= columns {
            return self.clone();
        }
        Self { text: format!("{}…", fitting(&self.text, columns.saturating_sub(1))), look: self.look }
    }
}

/// Columns on a terminal: two for a Chinese character.
fn columns(text: &str) -> usize {
    text.width()
}

/// As much of the text as takes at most so many columns.
fn fitting(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, char)| {
        taken += char.width().unwrap_or_default();
        taken > columns
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Lines for a terminal or a pipe.
#[derive(Debug)]
pub(crate) struct Page {
    width: usize,
    colour: bool,
    reader: Reader,
    text: String,
}

impl Page {
    pub(crate) fn new(width: usize, colour: bool, reader: Reader) -> Self {
        Self { width, colour, reader, text: String::new() }
    }

    /// The language of its reader.
    pub(crate) fn language(&self) -> Language {
        self.reader.language
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line, not wrapped: each cell padded to its number of columns, with two blanks between them. With `cut` it
    /// ends at the page's width.
    pub(crate) fn columns(&mut self, cells: &[(Span, usize)], cut: bool) {
        let mut column = 0;
        for (index, (cell, width)) in cells.iter().enumerate() {
            let width_left = if cut { self.width.saturating_sub(column) } else { usize::MAX };
            if width_left == 0 {
                break;
            }
            let cell = cell.cut(width_left);
            self.push(cell.look, &cell.text);
            column += cell.columns();
            if index + 1 < cells.len() {
                let gap = (width.saturating_sub(cell.columns()) + 2).min(width_left.saturating_sub(cell.columns()));
                self.pad(gap);
                column += gap;
            }
        }
        self.blank();
    }

    /// Spans one after the other, wrapped; every line begins at column `indent`, but the first, which begins with
    /// `label` at column `label_at`, and goes on two blanks behind it if that is longer.
    pub(crate) fn paragraph(&mut self, label: Option<(usize, Span)>, indent: usize, spans: &[Span]) {
        let mut column = 0;
        let mut first = indent;
        if let Some((label_at, label)) = label {
            self.pad(label_at);
            self.push(label.look, &label.text);
            column = label_at + label.columns();
            first = first.max(column + 2);
        }
        self.pad(first - column);
        column = first;
        let mut blanks = 0;
        for span in spans {
            // What stands on one line is styled as one.
            let mut run = String::new();
            for (index, word) in words(&span.text).enumerate() {
                blanks += usize::from(index > 0);
                let mut word = word;
                while !word.is_empty() {
                    let at_start = column <= indent;
                    let gap = if at_start { 0 } else { blanks };
                    let width_left = self.width.saturating_sub(column + gap);
                    let (head, tail) = if columns(word) <= width_left {
                        (word, "")
                    } else if !at_start
                        && (width_left < SHORT || columns(word) <= self.width.saturating_sub(indent))
                        && (width_left < 4 || !is_wide(word))
                    {
                        ("", word)
                    } else {
                        match split(word, width_left.max(1)) {
                            Ok(parts) => parts,
                            // Closing punctuation does not begin a line: the word before goes with it.
                            Err(_) if !at_start && is_wide(word) => ("", word),
                            Err(parts) => parts,
                        }
                    };
                    if !head.is_empty() {
                        if run.is_empty() {
                            self.pad(gap);
                        } else {
                            run.extend(std::iter::repeat_n(' ', gap));
                        }
                        run.push_str(head);
                        column += gap + columns(head);
                        blanks = 0;
                    }
                    if !tail.is_empty() {
                        self.push(span.look, &std::mem::take(&mut run));
                        self.blank();
                        self.pad(indent);
                        column = indent;
                        blanks = 0;
                    }
                    word = tail;
                }
            }
            self.push(span.look, &run);
        }
        self.blank();
    }

    fn pad(&mut self, blanks: usize) {
        self.text.extend(std::iter::repeat_n(' ', blanks));
    }

    fn push(&mut self, look: Look, text: &str) {
        let style = look.style();
        if self.colour && look != Look::Plain && !text.is_empty() {
            write!(self.text, "{style}{text}{style:#}").expect("a String takes whatever is written to it");
        } else {
            self.text.push_str(text);
        }
    }
}

/// Units that stay on the line of their number, in both languages.
const UNITS: [&str; 17] =
    ["B", "KiB", "MiB", "GiB", "TiB", "ms", "s", "min", "h", "d", "%", "毫秒", "秒", "分钟", "小时", "天", "次"];

/// The parts of a text between which a line may end: its words, but a number with its unit as one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let ends = |at: usize| {
            let (number, unit) = text.split_at_checked(at).unwrap_or((text, ""));
            !number.ends_with(|char: char| char.is_ascii_digit()) || !begins_with_unit(unit.trim_start_matches(' '))
        };
        let end = text.match_indices(' ').map(|(at, _)| at).find(|at| ends(*at));
        let (word, after) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, ""));
        rest = end.and_then(|_| after.strip_prefix(' '));
        Some(word)
    })
}

fn begins_with_unit(text: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|char: char| char.is_ascii_alphanumeric());
    UNITS.iter().filter_map(|unit| text.strip_prefix(unit)).any(|rest| !goes_on(rest))
}

/// Whether a word may be cut where a line ends: one with Chinese characters, between which there are no blanks.
fn is_wide(word: &str) -> bool {
    word.chars().any(|char| char.width() == Some(2))
}

/// Cuts a word that does not fit: at the last place that fits of those behind a comma or slash and beside a Chinese
/// character, but not before closing punctuation; `Err` if there is none, with the parts cut where the line ends.
fn split(word: &str, width_left: usize) -> Result<(&str, &str), (&str, &str)> {
    let mut head = fitting(word, width_left);
    if head.is_empty() {
        // Wider than the line: a line holds one character at least.
        head = word.get(..word.chars().next().map_or(0, char::len_utf8)).unwrap_or(word);
    }
    let is_wide = |char: char| char.width() == Some(2);
    let closes = |char: char| "，。；、：）”".contains(char);
    let opens = |char: char| "（“".contains(char);
    let before = head.char_indices().map(|(at, char)| (at + char.len_utf8(), char));
    let cuts = before.zip(word.chars().skip(1).map(Some).chain([None])).filter(|((_, before), after)| {
        let between = after.is_none_or(|after| !closes(after) && (is_wide(*before) || is_wide(after)));
        [',', '/'].contains(before) || between && !opens(*before) && *before != ' '
    });
    let cut = cuts.map(|((at, _), _)| at).last();
    let parts = |at: usize| word.split_at_checked(at).unwrap_or((word, ""));
    cut.map_or_else(|| Err(parts(head.len())), |at| Ok(parts(at)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn wrapped(width: usize, text: &str) -> String {
        let mut page = Page::new(width, false, testing::reader());
        page.paragraph(Some((2, span(Look::Faint, "Next"))), 8, &[span(Look::Plain, text)]);
        page.into_text()
    }

    #[test]
    fn long_text_is_wrapped_between_words_under_itself() {
        assert_eq!(
            wrapped(24, "raise limits.memory or run fewer"),
            "  Next  raise\n        limits.memory or\n        run fewer\n"
        );
    }

    #[test]
    fn a_word_longer_than_the_line_is_cut_after_commas() {
        assert_eq!(
            wrapped(24, "oom:a=1,b=2,cpuset=pod,task=eat"),
            "  Next  oom:a=1,b=2,\n        cpuset=pod,\n        task=eat\n"
        );
    }

    #[test]
    fn closing_punctuation_does_not_begin_a_line() {
        assert_eq!(wrapped(23, "内存限制（限制 32 MiB）"), "  Next  内存限制（限制\n        32 MiB）\n");
        assert_eq!(wrapped(22, "aaaaaaaaaa MiB）"), "  Next  aaaaaaaaaa\n        MiB）\n");
    }

    #[test]
    fn a_number_and_its_unit_stay_on_one_line() {
        assert_eq!(wrapped(24, "the limit is 512 MiB."), "  Next  the limit is\n        512 MiB.\n");
        assert_eq!(wrapped(23, "容器运行时在 12 秒后结束"), "  Next  容器运行时在\n        12 秒后结束\n");
        assert_eq!(words("a 1 s  b 2 sets 3").collect::<Vec<_>>(), ["a", "1 s", "", "b", "2", "sets", "3"]);
    }

    #[test]
    fn styles_are_only_there_with_colour() {
        let text = |colour| {
            let mut page = Page::new(80, colour, testing::reader());
            page.paragraph(None, 0, &[span(Look::Bad, "OOM"), span(Look::Plain, " kill")]);
            page.into_text()
        };
        assert_eq!(text(false), "OOM kill\n");
        assert_eq!(text(true), "\u{1b}[1m\u{1b}[31mOOM\u{1b}[0m kill\n");
    }

    proptest! {
        #[test]
        fn no_text_can_drive_the_terminal_or_forge_a_line(text in any::<String>(), width in 40_usize..90) {
            let page = wrapped(width, &text);
            prop_assert!(!page.chars().any(|c| c != '\n' && text::is_unsafe(c)), "{page:?}");
            prop_assert!(page.lines().skip(1).all(|line| line.is_empty() || line.starts_with("        ")), "{page:?}");
            prop_assert!(page.lines().all(|line| columns(line) <= width), "{page:?}");
            let squeezed = |text: &str| text.split(' ').flat_map(str::chars).collect::<String>();
            let kept: String = page.lines().map(squeezed).collect();
            prop_assert_eq!(kept, squeezed(&format!("Next{}", text::clean(&text, 4096))));
        }
    }
}
