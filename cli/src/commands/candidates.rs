//! `coroner __complete WORDS…`: what may stand in the place of the last word, as kubectl asks a plugin through
//! `kubectl_complete-coroner`. The answer has Cobra's form: one candidate on each line, with its description after a
//! tab, then a line with a directive.

use std::ffi::OsString;

use clap::{Arg, Command};

use super::completion;

/// The name under which Cobra's programs answer this.
pub(crate) const NAME: &str = "__complete";

/// Names of files may follow (`ShellCompDirectiveDefault` of Cobra),
const FILES: &str = ":0";
/// or not (`ShellCompDirectiveNoFileComp`).
const NO_FILES: &str = ":4";

/// A candidate, and what it is for.
type Candidate = (String, String);

/// The answer to these words, the last of which is not complete.
pub(crate) fn answer(words: &[OsString]) -> String {
    let mut program = completion::public();
    program.build();
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (last, before) = words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
    let command = before.iter().find_map(|word| program.find_subcommand(word)).unwrap_or(&program);
    let (candidates, directive) = match (last.split_once('='), before.last()) {
        (Some((flag, _)), _) if flag.starts_with("--") => {
            option(command, flag).map_or((vec![], NO_FILES), |argument| values(argument, &format!("{flag}="), last))
        }
        (_, Some(flag)) if option(command, flag).is_some() => {
            option(command, flag).map_or((vec![], NO_FILES), |argument| values(argument, "", last))
        }
        _ if last.starts_with('-') => (flags(command), NO_FILES),
        _ if command.has_subcommands() => (commands(command), NO_FILES),
        _ => command.get_positionals().next().map_or((vec![], NO_FILES), |argument| values(argument, "", last)),
    };
    let fitting = candidates.into_iter().filter(|(candidate, _)| candidate.starts_with(last));
    let lines =
        fitting.map(|(candidate, help)| if help.is_empty() { candidate } else { format!("{candidate}\t{help}") });
    lines.chain([directive.to_owned()]).map(|line| line + "\n").collect()
}

/// The option of this name that takes a value.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is_named = |argument: &&Arg| {
        let long = argument.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
        long || argument.get_short().is_some_and(|short| word == format!("-{short}"))
    };
    command.get_arguments().find(is_named).filter(|argument| argument.get_action().takes_values())
}

/// The values of an argument: of a list, for what follows the last comma.
fn values(argument: &Arg, prefix: &str, word: &str) -> (Vec<Candidate>, &'static str) {
    let known = argument.get_possible_values();
    if known.is_empty() {
        let names = argument.get_value_names().unwrap_or_default();
        let is_file = names.iter().any(|name| name.contains("FILE") || name.contains("DIR"));
        return (vec![], if is_file { FILES } else { NO_FILES });
    }
    let list = word.rfind(',').filter(|_| argument.get_value_delimiter().is_some());
    let prefix = list.and_then(|comma| word.get(..=comma)).unwrap_or(prefix);
    let candidate = |name: &str| (format!("{prefix}{name}"), String::new());
    (known.iter().map(|value| candidate(value.get_name())).collect(), NO_FILES)
}

fn flags(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown
        .filter_map(|argument| Some((format!("--{}", argument.get_long()?), first_line(argument.get_help()))))
        .collect()
}

fn commands(command: &Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| (command.get_name().to_owned(), first_line(command.get_about()))).collect()
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    text.and_then(|text| text.to_string().lines().next().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(words: &[&str]) -> (Vec<String>, String) {
        let answer = answer(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let mut lines: Vec<String> =
            answer.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect();
        let directive = lines.pop().unwrap();
        (lines, directive)
    }

    #[test]
    fn commands_options_and_values_are_completed() {
        assert_eq!(candidates(&["wh"]).0, ["why"]);
        assert!(candidates(&[""]).0.iter().any(|name| name == "list"));
        assert!(candidates(&[""]).0.iter().all(|name| name != "demo-victim"));
        assert_eq!(candidates(&["list", "--sev"]).0, ["--severity"]);
        assert_eq!(candidates(&["list", "--severity", "w"]).0, ["warning"]);
        assert_eq!(candidates(&["list", "-o", "js"]).0, ["json"]);
        assert_eq!(candidates(&["list", "--cause", "OOM_NOD"]).0, ["OOM_NODE"]);
        assert_eq!(candidates(&["list", "--cause=OOM_NOD"]).0, ["--cause=OOM_NODE"]);
        assert_eq!(candidates(&["list", "--cause", "OOM_NODE,PREEM"]).0, ["OOM_NODE,PREEMPTED"]);
        assert_eq!(candidates(&["causes", "OOM_NOD"]).0, ["OOM_NODE"]);
        assert_eq!(candidates(&["completion", "z"]).0, ["zsh"]);
    }

    #[test]
    fn files_are_completed_only_where_one_is_expected() {
        assert_eq!(candidates(&["list", "--tls-ca", ""]), (vec![], FILES.to_owned()));
        assert_eq!(candidates(&["replay", ""]), (vec![], FILES.to_owned()));
        assert_eq!(candidates(&["why", "web"]), (vec![], NO_FILES.to_owned()));
        assert_eq!(candidates(&["list", "--since", ""]), (vec![], NO_FILES.to_owned()));
    }

    #[test]
    fn descriptions_stand_behind_a_tab_and_are_of_one_line() {
        let answer = answer(&["why".into(), "--".into()]);
        assert!(answer.contains("--container\tOnly this container\n"), "{answer}");
        assert!(answer.ends_with("\n:4\n"), "{answer}");
    }
}
