//! How answers are shown.

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
