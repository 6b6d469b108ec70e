//! The command line of Coroner.
//!
//! Answers go to stdout, notes and errors to stderr, and the exit code is for scripts ([`exit`]). Text from the wire
//! may have been chosen by a tenant: it reaches a terminal only through [`page`] and [`table`] (people) or [`data`]
//! (programs), which escape what could control it.

mod archive;
mod args;
pub mod case_dir;
mod client;
mod cluster;
mod commands;
mod data;
mod demo;
mod episodes;
mod exit;
mod explain;
mod labels;
mod messages;
mod out;
mod page;
mod reader;
mod rows;
mod table;
#[cfg(test)]
mod testing;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, parser::ValueSource};
use coroner_diagnosis::messages::Language;
use coroner_proto::v1::Diagnosis;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    args::{AggregatorArgs, Args, CHINESE, ClusterArgs, Command, Lang, RecordArgs, When},
    cluster::Cluster,
    commands::{candidates, causes, completion, get, list, nodes, record, replay, status, ui, watch, why},
    exit::{Failure, Outcome},
    messages::command,
    out::Out,
};

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let [_, first, words @ ..] = args.as_slice()
        && first == candidates::NAME
    {
        return out::print(&candidates::answer(words));
    }
    let definition = definition(&args);
    let (Args { command, output, aggregator, cluster }, by_cluster) = match parse(&definition, &args) {
        Ok(parsed) => parsed,
        // Usage (2), or --help and --version (0).
        Err(error) => match in_chinese(definition, &args, out::colours(When::Auto)) {
            Some(text) if error.use_stderr() => {
                out::print_error(&text);
                return ExitCode::from(2);
            }
            Some(help) => return out::print(&help),
            None => error.exit(),
        },
    };
    let mut out = Out::new(&output);
    let result = match command {
        Command::Causes(args) => causes::run(&args, &mut out),
        Command::Replay(args) => replay::run(&args, &mut out),
        Command::Demo | Command::Record(RecordArgs { subject: None, .. }) if cfg!(not(target_os = "linux")) => {
            Err(Failure::unavailable(messages::demo::needs_linux()))
        }
        Command::Record(args) if args.subject.is_none() => wait(record::of_node(&args, &out)),
        Command::Completion(args) => completion::completion(&args, &mut out),
        Command::Man(args) => completion::man(&args, &mut out),
        Command::DemoVictim(command) => return demo::victim::run(command, &out),
        Command::Demo => wait(demo::run(&mut out)),
        Command::Ui(args) => wait(ui::run(&args, &cluster, &mut out)),
        asking => wait(async {
            // The port closes with the answer.
            let tunnel = match by_cluster {
                true => Some(Cluster::find(&cluster).await?.open().await?),
                false => None,
            };
            ask(asking, tunnel.as_ref().map_or(&aggregator, |tunnel| &tunnel.aggregator), &mut out).await
        }),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(failure) if failure.is_broken_pipe() => Outcome::Answered.into(),
        Err(failure) => {
            out.note(&command::error_prefix(failure.message().clone()));
            failure.into()
        }
    }
}

/// Runs a command that asks an aggregator.
async fn ask(command: Command, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    match command {
        Command::Why(args) => why::run(&args, aggregator, out).await,
        Command::List(args) => list::run(&args, aggregator, out).await,
        Command::Watch(args) => watch::run(&args, aggregator, out).await,
        Command::Get(args) => get::run(&args, aggregator, out).await,
        Command::Nodes => nodes::run(aggregator, out).await,
        Command::Record(args) => {
            record::of_subject(args.subject.as_deref().unwrap_or_default(), &args, aggregator, out).await
        }
        _ => status::run(aggregator, out).await,
    }
}

/// The pages of these diagnoses as `coroner why` shows them, 120 columns wide, without color and in UTC. Ages are
/// counted to `now`.
pub fn pages(diagnoses: &[Diagnosis], language: Language, now: Timestamp) -> String {
    let mut page = page::Page::new(120, false, reader::Reader { language, zone: TimeZone::UTC });
    commands::present::in_full(&mut page, diagnoses, now);
    page.into_text()
}

/// Help, or what is wrong with these arguments, in Chinese; none if they are read in English, or where clap's own text
/// has to do.
fn in_chinese(definition: clap::Command, args: &[OsString], colours: bool) -> Option<String> {
    if out::language(Lang::asked(args)) != Language::Chinese {
        return None;
    }
    let (definition, args) = CHINESE.localized(definition, args);
    CHINESE.text(&parse(&definition, &args).err()?, colours)
}

/// The definition of the command line, as the program is called.
fn definition(args: &[OsString]) -> clap::Command {
    let mut command = Args::command();
    if is_plugin(args) {
        command = command.bin_name("kubectl coroner");
    }
    if args.len() < 2 {
        // A variable of the environment counts as an argument, and would replace the help by an error.
        command = command.mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
    }
    command.mut_args(|arg| arg.hide_env_values(true))
}

/// Whether it is called as a plugin of kubectl.
fn is_plugin(args: &[OsString]) -> bool {
    let program = args.first().map(Path::new).and_then(Path::file_name);
    program.is_some_and(|name| name == "kubectl-coroner")
}

/// The command line, and whether the aggregator is reached through the API server: as a plugin of kubectl, or by the
/// options for it, unless it is named.
fn parse(definition: &clap::Command, args: &[OsString]) -> Result<(Args, bool), clap::Error> {
    let matches = match definition.clone().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Err(error),
        Err(error) => {
            // The usage within an error shows what is given as if it were required, also by the environment.
            let bare = definition.clone().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
            return Err(bare.try_get_matches_from(args).err().unwrap_or(error));
        }
    };
    let is_named = matches.value_source("url").is_some_and(|source| source != ValueSource::DefaultValue);
    let parsed = Args::from_arg_matches(&matches)?;
    let ClusterArgs { context, kubeconfig, account, .. } = &parsed.cluster;
    let asks = context.is_some() || kubeconfig.is_some() || account.is_some();
    Ok((parsed, asks || is_plugin(args) && !is_named))
}

fn wait(command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(command::error_runtime(error.to_string())))?
        .block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn asked(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn chinese(words: &[&str]) -> String {
        let args = [asked(words), asked(&["--lang", "zh"])].concat();
        in_chinese(definition(&args), &args, false).unwrap_or_default()
    }

    #[test]
    fn help_of_a_command_is_given_in_chinese_wherever_the_language_stands() {
        let wanted = chinese(&["coroner", "why", "--help"]);
        assert!(wanted.contains("用法：coroner why"), "{wanted}");
        for words in [
            &["coroner", "help", "why"] as &[&str],
            &["coroner", "--lang", "zh", "help", "why"],
            &["coroner", "--lang=zh", "--no-headers", "-o", "json", "help", "why"],
        ] {
            assert_eq!(chinese(words), wanted, "{words:?}");
        }
    }

    #[test]
    fn headings_end_with_a_colon_of_chinese() {
        let args = asked(&["coroner", "list", "--help", "--lang", "zh"]);
        for colours in [false, true] {
            let help = in_chinese(definition(&args), &args, colours).unwrap();
            for heading in ["选项", "筛选", "输出", "聚合器", "集群"] {
                assert!(help.contains(&format!("{heading}：")) && !help.contains(&format!("{heading}:")), "{help}");
            }
            assert!(help.contains("http://HOST:PORT") && help.contains('\u{1b}') == colours, "{help}");
        }
    }

    #[test]
    fn errors_of_usage_are_in_chinese() {
        for (arguments, wanted) in [
            (vec!["coroner", "list", "--nope"], "无法识别的参数 --nope"),
            (vec!["coroner", "nope"], "没有命令 nope"),
            (vec!["coroner", "--utc"], "缺少命令"),
            (vec!["coroner", "why"], "缺少参数"),
            (vec!["coroner", "list", "-A", "-n", "shop"], "不能同时使用"),
            (vec!["coroner", "list", "--since", "soon"], "1h30m"),
            (vec!["coroner", "list", "--severity", "high"], "critical"),
            (vec!["coroner", "list", "--cause", "NOPE"], "coroner causes"),
            (vec!["coroner", "list", "--limit", "many"], "非负整数"),
            (vec!["coroner", "record", "--for", "long"], "90s"),
            (vec!["coroner", "record", "--max-bytes", "1GB5"], "64MiB"),
            (vec!["coroner", "ui", "--port", "70000"], "65535"),
        ] {
            let text = chinese(&arguments);
            assert!(text.starts_with("错误：") && text.contains(wanted) && text.contains("--help"), "{text}");
        }
    }

    #[test]
    fn help_names_the_variables_of_the_environment() {
        let args = asked(&["coroner", "--lang", "en", "why", "--help"]);
        let help = parse(&definition(&args), &args).expect_err("help is no command");
        assert_eq!(help.kind(), ErrorKind::DisplayHelp);
        let help = help.to_string();
        for name in ["CORONER_AGGREGATOR", "CORONER_TLS_CA", "CORONER_TOKEN_FILE", "CORONER_NAMESPACE"] {
            assert!(help.contains(&format!("[env: {name}]")), "{name} in {help}");
        }
    }
}
