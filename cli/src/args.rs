//! The command line.

use std::{path::PathBuf, str::FromStr};

use clap::{Parser, Subcommand, ValueEnum};
use coroner_proto::v1::{Cause, Severity};
use jiff::{SpanRelativeTo, Timestamp};

use crate::demo::victim::VictimCommand;

/// Tells why things died on Kubernetes nodes.
#[derive(Debug, Parser)]
#[command(name = "coroner", version, about, max_term_width = 120, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) aggregator: AggregatorArgs,
}

const EXIT_CODES: &str = "Exit codes: 0 answered; 1 error; 2 usage; 3 no diagnosis recorded; 4 answered, but partial or \
undetermined; 65 unreadable case; 69 the aggregator (or what the demo needs) is not there.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain what happened to a pod, workload, node, Service or Ingress: the last death first, then whatever else was
    /// diagnosed
    Why(WhyArgs),
    /// List diagnoses, the newest first
    List(ListArgs),
    /// Show diagnoses as they arrive; a broken stream is resumed where it broke
    Watch(WatchArgs),
    /// Show one diagnosis
    Get(GetArgs),
    /// Show the nodes, and how well each of their sources sees
    Status,
    /// Explain the causes that a diagnosis can name
    Causes(CausesArgs),
    /// Diagnose a recorded case
    Replay(ReplayArgs),
    /// Let five containers die on this machine, and explain each; needs root, and neither Kubernetes nor a runtime
    Demo,
    /// What the demo starts
    #[command(hide = true, subcommand)]
    DemoVictim(VictimCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Table and wide are for people; json is proto3 JSON, one object a line; yaml has many documents [default: table; why
    /// and get: the full explanation]
    #[arg(short = 'o', long = "output", value_name = "FORMAT", global = true, help_heading = "Output")]
    pub(crate) format: Option<Format>,
    /// Whether to use colours; with auto, on a terminal unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Output")]
    pub(crate) color: When,
    /// The language of explanations [default: that of LC_ALL, LC_MESSAGES or LANG]
    #[arg(long, value_name = "LANGUAGE", global = true, help_heading = "Output")]
    pub(crate) lang: Option<Lang>,
    /// Leave the line of column names out
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) no_headers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Wide,
    Json,
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

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AggregatorArgs {
    /// Where the aggregator listens: http://HOST:PORT, https://HOST:PORT or unix:///PATH
    #[arg(
        long = "aggregator",
        value_name = "URL",
        env = "CORONER_AGGREGATOR",
        default_value = "http://127.0.0.1:7070",
        global = true,
        help_heading = "Aggregator"
    )]
    pub(crate) url: String,
    /// The certificates (PEM) that may sign the aggregator's
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_CA", global = true, help_heading = "Aggregator")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The certificate (PEM) to show to the aggregator
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_CERT", global = true, help_heading = "Aggregator")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "CORONER_TLS_KEY", global = true, help_heading = "Aggregator")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A token that says who asks, as `kubectl create token` gives one; read for each call
    #[arg(long, value_name = "FILE", env = "CORONER_TOKEN_FILE", global = true, help_heading = "Aggregator")]
    pub(crate) token_file: Option<PathBuf>,
    /// Allow http:// beyond this machine: whoever is on the way can read and change the answers
    #[arg(long, env = "CORONER_INSECURE", global = true, help_heading = "Aggregator")]
    pub(crate) insecure: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// A pod, or KIND/NAME as kubectl writes it: pod, deploy, rs, sts, ds, job, cronjob, node, svc or ing
    #[arg(value_name = "[NAMESPACE/][KIND/]NAME")]
    pub(crate) subject: String,
    /// Only this container
    #[arg(short, long)]
    pub(crate) container: Option<String>,
    /// Its namespace [default: any, if the name is unambiguous]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only these causes, as OOM_NODE; `coroner causes` lists them
    #[arg(long, value_name = "CAUSE", value_delimiter = ',', value_parser = parse_cause)]
    pub(crate) cause: Vec<Cause>,
    /// Only those at least this severe
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<AtLeast>,
    /// Only these namespaces [default: all]
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// Only these nodes [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) node: Vec<String>,
    /// Only those about something that ended
    #[arg(long)]
    pub(crate) fatal: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AtLeast {
    Info,
    Warning,
    Error,
    Critical,
}

impl From<AtLeast> for Severity {
    fn from(severity: AtLeast) -> Self {
        match severity {
            AtLeast::Info => Self::Info,
            AtLeast::Warning => Self::Warning,
            AtLeast::Error => Self::Error,
            AtLeast::Critical => Self::Critical,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only what happened since then: an age as 90s, 1h or 2d, or an RFC 3339 time
    #[arg(long, value_name = "AGE|TIME")]
    pub(crate) since: Option<Since>,
    /// At most so many; 0 for all
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Begin with what was recorded since then: an age as 90s, 1h or 2d, or an RFC 3339 time [default: now]
    #[arg(long, value_name = "AGE|TIME", conflicts_with = "from_oldest")]
    pub(crate) since: Option<Since>,
    /// Begin with the oldest record that is kept
    #[arg(long)]
    pub(crate) from_oldest: bool,
    /// Stop where the records end, instead of waiting for more; begins with the oldest unless --since is given
    #[arg(long)]
    pub(crate) stop_at_end: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The diagnosis' uid, as `list -o wide` shows it
    pub(crate) uid: String,
    /// Also show its earlier revisions, the newest first
    #[arg(long)]
    pub(crate) revisions: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The folder with case.json and what each source said, plain or compressed
    #[arg(value_name = "DIR")]
    pub(crate) case: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CausesArgs {
    /// Only this one, in full: OOM_NODE
    #[arg(value_parser = parse_cause)]
    pub(crate) cause: Option<Cause>,
}

/// A cause by its code, with or without the prefix that it has on the wire.
fn parse_cause(text: &str) -> Result<Cause, String> {
    let code = text.to_ascii_uppercase().replace('-', "_");
    let code = code.strip_prefix("CAUSE_").unwrap_or(&code);
    Cause::from_str_name(&format!("CAUSE_{code}"))
        .filter(|cause| *cause != Cause::Unspecified)
        .ok_or_else(|| "no such cause; `coroner causes` lists them".to_owned())
}

/// A moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(jiff::SignedDuration),
    /// That moment.
    At(Timestamp),
}

impl Since {
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(age) => now.saturating_sub(age).unwrap_or(now),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        text.parse::<jiff::Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .filter(|age| !age.is_negative())
            .map(Self::Ago)
            .ok_or_else(|| "neither an age as 90s, 1h or 2d, nor a time as 2026-01-31T10:00:00Z".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn causes_are_taken_in_any_case_and_with_their_prefix() {
        for text in ["OOM_NODE", "oom_node", "oom-node", "CAUSE_OOM_NODE"] {
            assert_eq!(parse_cause(text), Ok(Cause::OomNode), "{text}");
        }
        for text in ["", "UNSPECIFIED", "OOM", "CAUSE_"] {
            assert!(parse_cause(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_takes_ages_and_times() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let resolve = |text: &str| text.parse::<Since>().unwrap().resolve(now).to_string();
        assert_eq!(resolve("90s"), "2026-11-20T09:58:30Z");
        assert_eq!(resolve("1h30m"), "2026-11-20T08:30:00Z");
        assert_eq!(resolve("2d"), "2026-11-18T10:00:00Z");
        assert_eq!(resolve("2026-01-31T10:00:00+01:00"), "2026-01-31T09:00:00Z");
        for text in ["", "soon", "-1h", "1h ago", "99999999999999y"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }

    #[test]
    fn output_options_may_follow_the_command() {
        let args = Args::try_parse_from(["coroner", "why", "shop/web", "-o", "json", "--color", "never"]).unwrap();
        assert_eq!(args.output.format, Some(Format::Json));
        assert_eq!(args.output.color, When::Never);
    }
}
