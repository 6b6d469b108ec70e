//! How answers are shown.

use std::ffi::OsString;

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The format of the answer [default: table; for why, get and replay: the full explanation]
    #[arg(short = 'o', long = "output", value_name = "FORMAT", global = true)]
    pub(crate) format: Option<Format>,
    /// Show times in UTC [default: in the zone of TZ or of the system]
    #[arg(long, global = true)]
    pub(crate) utc: bool,
    /// The language of the texts [default: that of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, value_name = "LANGUAGE", global = true)]
    pub(crate) lang: Option<Lang>,
    /// Whether to use colors; auto uses them on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: When,
    /// Omit the line of column names
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line for each, as much as fits the terminal
    Table,
    /// All columns
    Wide,
    /// Names only, one a line: uids of diagnoses, which `get` and `why` accept
    Name,
    /// proto3 JSON, one object a line
    Json,
    /// The same as YAML, one document for each
    Yaml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English
    En,
    /// 中文
    Zh,
}

impl Lang {
    /// The language that the arguments ask for, as far as that can be seen before they are parsed; none if they do not.
    pub(crate) fn asked(arguments: &[OsString]) -> Option<Self> {
        let mut arguments = arguments.iter().filter_map(|argument| argument.to_str());
        let mut asked = None;
        while let Some(argument) = arguments.next() {
            let value = match argument.split_once('=') {
                Some(("--lang", value)) => Some(value),
                None if argument == "--lang" => arguments.next(),
                _ => None,
            };
            asked = match value {
                Some("zh") => Some(Self::Zh),
                Some("en") => Some(Self::En),
                _ => asked,
            };
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_known_before_the_arguments_are_parsed() {
        let asked = |arguments: &[&str]| Lang::asked(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(asked(&["coroner", "list", "--lang", "zh"]), Some(Lang::Zh));
        assert_eq!(asked(&["coroner", "--lang=en", "list"]), Some(Lang::En));
        assert_eq!(asked(&["coroner", "list"]), None);
    }
}
