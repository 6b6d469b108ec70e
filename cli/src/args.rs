//! The command line.

mod aggregator;
mod cluster;
mod filter;
mod help;
mod moment;
mod output;

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use coroner_proto::v1::Cause;
use coroner_runtime::{usage::Help, version::version};
use jiff::SignedDuration;

pub(crate) use self::{
    aggregator::AggregatorArgs,
    cluster::ClusterArgs,
    filter::FilterArgs,
    moment::Moment,
    output::{Format, Lang, OutputArgs, When},
};
use crate::demo::victim::VictimCommand;

/// The help of the program in Chinese.
pub(crate) static CHINESE: Help = Help::new(&[include_str!("messages/zh/help.ftl")]);

/// Explains why containers, pods and nodes died on Kubernetes
#[derive(Debug, Parser)]
#[command(
    name = "coroner",
    version = version(),
    about,
    max_term_width = 120,
    arg_required_else_help = true,
    after_help = help::PROGRAM
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) aggregator: AggregatorArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain what happened to a pod, workload, node, Service or Ingress
    ///
    /// The last death comes first and in full, then whatever else was diagnosed.
    #[command(after_help = help::WHY)]
    Why(WhyArgs),
    /// List diagnoses, the newest first
    #[command(after_help = help::LIST)]
    List(ListArgs),
    /// Show diagnoses as they arrive; a broken stream is resumed without loss
    #[command(after_help = help::WATCH)]
    Watch(WatchArgs),
    /// Show one diagnosis in full
    #[command(after_help = help::GET)]
    Get(GetArgs),
    /// Show the nodes, and the state of each of their sources
    #[command(after_help = help::STATUS)]
    Status,
    /// Forward the aggregator's page to this machine, and open it in a browser; ends with Ctrl-C
    #[command(after_help = help::UI)]
    Ui(UiArgs),
    /// Show the state of each node: its agent's last report, kubelet, runtime and uptime
    #[command(after_help = help::NODES)]
    Nodes,
    /// Explain the causes that a diagnosis can name
    #[command(after_help = help::CAUSES)]
    Causes(CausesArgs),
    /// Record what this node observes, or what the aggregator knows of a pod, as one file for a bug report
    ///
    /// Without a subject, this node is observed with the sources of an agent, independently of an agent that runs: the
    /// last five minutes of the kernel log, the containers that the runtime still lists, and what happens from then on.
    /// `coroner replay` diagnoses the file. With a subject, the file holds what the aggregator stored: replay shows it,
    /// and cannot diagnose it again. What looks like a secret is removed in both.
    #[command(after_help = help::RECORD)]
    Record(RecordArgs),
    /// Diagnose a recorded case
    #[command(after_help = help::REPLAY)]
    Replay(ReplayArgs),
    /// Start five containers on this machine and explain how each dies; needs root, and no Kubernetes
    #[command(after_help = help::DEMO)]
    Demo,
    /// Print the completions of a shell
    #[command(after_help = help::COMPLETION)]
    Completion(CompletionArgs),
    /// Print the manual page, or write a page for each command into a directory
    #[command(after_help = help::MAN)]
    Man(ManArgs),
    /// What the demo starts
    #[command(name = DEMO_VICTIM, hide = true, subcommand)]
    DemoVictim(VictimCommand),
}

/// The hidden command, which completions and manual leave out.
pub(crate) const DEMO_VICTIM: &str = "demo-victim";

#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// A pod, KIND/NAME as kubectl writes it (pod, deploy, rs, sts, ds, job, cronjob, node, svc, ing), or the beginning
    /// of a diagnosis' uid
    #[arg(value_name = "[NAMESPACE/][KIND/]NAME", display_order = 0)]
    pub(crate) subject: String,
    /// The name, if the argument before it is the kind, as in: coroner why pod web-1
    #[arg(value_name = "NAME", display_order = 1)]
    pub(crate) name: Option<String>,
    /// Its namespace [default: any, if the name is unambiguous]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// In any namespace; the default
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
    /// Only this container
    #[arg(short, long)]
    pub(crate) container: Option<String>,
}

impl WhyArgs {
    /// The subject as one word: a name that stands behind its kind is joined to it.
    pub(crate) fn whole_subject(&self) -> String {
        self.name.as_ref().map_or_else(|| self.subject.clone(), |name| format!("{}/{name}", self.subject))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only what happened since then: an age such as 90s, 1h30m or 2d; a date such as 2026-11-20; or a time such as
    /// 2026-11-20T10:00, 10:00 or 2026-11-20T10:00:00Z
    #[arg(long, value_name = "AGE|TIME", help_heading = "Filters")]
    pub(crate) since: Option<Moment>,
    /// Only what happened before then, in the same forms
    #[arg(long, value_name = "AGE|TIME", help_heading = "Filters")]
    pub(crate) until: Option<Moment>,
    /// Show every diagnosis; without it, a table shows repetitions in one row
    #[arg(long)]
    pub(crate) each: bool,
    /// Show at most this many; 0 for all
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(crate) limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only diagnoses of the nodes themselves, and of the connections to them
    #[arg(long, conflicts_with_all = ["namespace", "fatal"], help_heading = "Filters")]
    pub(crate) nodes: bool,
    /// Begin with what was recorded since then: an age such as 90s, 1h30m or 2d; a date such as 2026-11-20; or a time
    /// such as 2026-11-20T10:00, 10:00 or 2026-11-20T10:00:00Z [default: now]
    #[arg(long, value_name = "AGE|TIME", conflicts_with = "from_oldest")]
    pub(crate) since: Option<Moment>,
    /// Begin with the oldest record that is kept
    #[arg(long)]
    pub(crate) from_oldest: bool,
    /// Stop at the end of the records instead of waiting for more; begins with the oldest unless --since is given
    #[arg(long)]
    pub(crate) stop_at_end: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The uid of the diagnosis, or its first eight characters or more
    pub(crate) uid: String,
    /// Also show its earlier revisions, the newest first
    #[arg(long)]
    pub(crate) revisions: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// What the aggregator stored of this pod, workload or node, or the diagnosis whose uid begins with this [default:
    /// this node is observed]
    #[arg(value_name = "[NAMESPACE/][KIND/]NAME")]
    pub(crate) subject: Option<String>,
    /// Only this namespace
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Only this pod of that namespace; may be repeated
    #[arg(long = "pod", value_name = "NAME", conflicts_with = "subject", help_heading = "This node")]
    pub(crate) pods: Vec<String>,
    /// How long to record, such as 90s or 10m
    #[arg(long = "for", value_name = "DURATION", default_value = "1m", value_parser = moment::parse_duration,
          conflicts_with = "subject", help_heading = "This node")]
    pub(crate) duration: SignedDuration,
    /// End before the file exceeds this size, uncompressed
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = coroner_runtime::size::parse,
          conflicts_with = "subject", help_heading = "This node")]
    pub(crate) max_bytes: u64,
    /// Leave out the last lines of failed containers' logs
    #[arg(long, conflicts_with = "subject", help_heading = "This node")]
    pub(crate) no_logs: bool,
    /// The file to write, or - for stdout [default: coroner-NAME-TIME.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Flags of coroner-agent that define how this node is observed, such as --host-root [default: in the container of
    /// an agent, those of the agent]
    #[arg(last = true, value_name = "AGENT FLAGS", conflicts_with = "subject")]
    pub(crate) agent_flags: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// A file of coroner record, or a directory with case.json and the recording of each source, plain or compressed
    #[arg(value_name = "FILE|DIR")]
    pub(crate) case: PathBuf,
    /// Show which rule decided, what the others lacked, which sources were missing, and why a verdict waited
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UiArgs {
    /// The port on this machine; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 7080)]
    pub(crate) port: u16,
    /// Print the address, and open no browser
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CausesArgs {
    /// Only this cause, in full, such as OOM_NODE
    #[arg(value_parser = filter::Causes, hide_possible_values = true)]
    pub(crate) cause: Option<Cause>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Write coroner.1, coroner-why.1 and the others into this directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
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
    fn help_names_every_form_of_a_moment() {
        use clap::CommandFactory;
        for command in ["list", "watch"] {
            let command = Args::command().find_subcommand(command).unwrap().clone();
            let since = command.get_arguments().find(|argument| argument.get_id() == "since").unwrap();
            let forms = moment::not_a_moment().to_string();
            let forms = forms.replace("neither ", "").replace(", nor", "; or").replace(", a date", "; a date");
            assert!(since.get_help().unwrap().to_string().contains(&forms), "{forms}");
        }
    }

    #[test]
    fn every_command_and_argument_has_its_help_in_chinese() {
        use clap::CommandFactory;
        assert_eq!(CHINESE.faults(&Args::command()), Vec::<String>::new());
    }

    #[test]
    fn output_options_may_follow_the_command() {
        let args = Args::try_parse_from(["coroner", "why", "shop/web", "-o", "json", "--color", "never"]).unwrap();
        assert_eq!(args.output.format, Some(Format::Json));
        assert_eq!(args.output.color, When::Never);
    }
}
