//! The catalogue of causes: what each means, how loud it is by default, and what to do next, in every language that
//! Coroner speaks. A text cannot be written without all of them.

mod cluster;
mod contributing;
mod end;
mod eviction;
mod memory;
mod node;
mod start;
mod unwell;

use coroner_proto::v1::{Cause, Severity};

/// A language for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

/// The same in every language.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    english: &'static str,
    chinese: &'static str,
}

impl Text {
    /// The same text in English and in Chinese.
    pub const fn new(english: &'static str, chinese: &'static str) -> Self {
        Self { english, chinese }
    }

    /// As it is said in that language.
    pub const fn to(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Chinese => self.chinese,
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The cause.
    pub cause: Cause,
    /// The part of the catalogue it stands in.
    pub chapter: Chapter,
    /// How loud.
    pub severity: Severity,
    /// What happened, in one sentence.
    pub what: Text,
    /// What to do, the cheapest first.
    pub next: &'static [Text],
}

/// The parts of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Memory.
    Memory,
    /// Eviction and removal.
    Eviction,
    /// Ended by a signal or by itself.
    End,
    /// Never started.
    Start,
    /// Running but not well, or not ending.
    Unwell,
    /// Node.
    Node,
    /// Cluster.
    Cluster,
    /// Contributing causes: they explain a verdict without being one.
    Contributing,
}

impl Chapter {
    /// Its heading.
    pub const fn title(self) -> Text {
        match self {
            Self::Memory => text("Memory", "内存"),
            Self::Eviction => text("Eviction and removal", "驱逐与移除"),
            Self::End => text("Ended by a signal or by itself", "因信号或自行结束"),
            Self::Start => text("Never started", "未能启动"),
            Self::Unwell => text("Running but not well, or not ending", "运行异常或无法结束"),
            Self::Node => text("Node", "节点"),
            Self::Cluster => text("Cluster", "集群"),
            Self::Contributing => text("Contributing", "促成因素"),
        }
    }
}

/// The chapters, in the order in which they are shown.
const CHAPTERS: [&[Row]; 8] =
    [memory::ROWS, eviction::ROWS, end::ROWS, start::ROWS, unwell::ROWS, node::ROWS, cluster::ROWS, contributing::ROWS];

/// The row of a cause. `None` only for `CAUSE_UNSPECIFIED`.
pub fn find(cause: Cause) -> Option<&'static Row> {
    rows().find(|row| row.cause == cause)
}

/// All rows, in the order in which they are shown.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    CHAPTERS.into_iter().flatten()
}

const fn row(cause: Cause, chapter: Chapter, severity: Severity, what: Text, next: &'static [Text]) -> Row {
    Row { cause, chapter, severity, what, next }
}

const fn text(english: &'static str, chinese: &'static str) -> Text {
    Text::new(english, chinese)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_the_wire_has_exactly_one_row() {
        for cause in (1..256).filter_map(|number| Cause::try_from(number).ok()) {
            assert_eq!(rows().filter(|row| row.cause == cause).count(), 1, "{}", cause.as_str_name());
        }
    }

    #[test]
    fn the_wire_describes_every_cause_as_its_row_does() {
        let wire = include_str!("../../proto/coroner/v1/cause.proto");
        for Row { cause, what, .. } in rows() {
            let described = format!("\n  // {}\n  {} = {};", what.english, cause.as_str_name(), *cause as i32);
            assert!(wire.contains(&described), "cause.proto lacks{described}");
        }
    }

    #[test]
    fn every_row_says_in_every_language_what_happened_and_what_to_do() {
        for row in rows() {
            let cause = row.cause.as_str_name();
            assert!(!row.next.is_empty(), "{cause}");
            for text in std::iter::once(&row.what).chain(row.next) {
                assert!(text.english.ends_with('.') && text.english.is_ascii(), "{cause}: {}", text.english);
                assert!(text.chinese.ends_with('。'), "{cause}: {}", text.chinese);
                let han = |char: &char| ('\u{4e00}'..='\u{9fff}').contains(char);
                assert!(text.chinese.chars().filter(han).count() >= 3, "{cause}: {}", text.chinese);
            }
        }
    }

    #[test]
    fn rows_stand_in_their_chapters() {
        let chapters: Vec<_> = rows().map(|row| row.chapter).collect();
        assert!(chapters.is_sorted());
    }
}
