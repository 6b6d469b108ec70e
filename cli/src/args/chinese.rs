//! Help and errors of usage in Chinese. The English help is in the definition of the command line; its counterpart is
//! `messages/zh/help.ftl`, by command and argument.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, Command,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};
use coroner_diagnosis::messages::{Catalogue, Language, Message};
use coroner_proto::v1::{Argument, argument::Value};

use super::Lang;

static HELP: Catalogue = Catalogue::new(&[], &[include_str!("../messages/zh/help.ftl")]);

/// The layout of a page of help.
const TEMPLATE: &str = "{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The headings of a page's parts.
const HEADINGS: [&str; 8] = ["参数", "选项", "命令", "筛选", "输出", "聚合器", "集群", "本节点"];

/// The text of this name, if there is one.
fn text(id: &str, arguments: &[(&str, String)]) -> Option<String> {
    let argument =
        |(name, text): &(&str, String)| Argument { name: (*name).to_owned(), value: Some(Value::Quote(text.clone())) };
    let message = Message { id: id.to_owned(), arguments: arguments.iter().map(argument).collect() };
    HELP.render(&message, Language::Chinese)
}

/// The language that the arguments ask for, as far as that can be seen before they are parsed; none if they do not.
pub(crate) fn asked_language(arguments: &[OsString]) -> Option<Lang> {
    let mut arguments = arguments.iter().filter_map(|argument| argument.to_str());
    let mut asked = None;
    while let Some(argument) = arguments.next() {
        let value = match argument.split_once('=') {
            Some(("--lang", value)) => Some(value),
            None if argument == "--lang" => arguments.next(),
            _ => None,
        };
        asked = match value {
            Some("zh") => Some(Lang::Zh),
            Some("en") => Some(Lang::En),
            _ => asked,
        };
    }
    asked
}

/// The command line with its help in Chinese.
pub(crate) fn localized(command: Command) -> Command {
    let mut command = of_command(command, "program");
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |command| of_command(command, &name));
    }
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let version = version.help(text("version", &[]).unwrap_or_default()).help_heading("选项");
    command.disable_version_flag(true).arg(version).subcommand_help_heading("命令").disable_help_subcommand(true)
}

fn of_command(command: Command, name: &str) -> Command {
    let name = name.replace('-', "_");
    let about = text(&name, &[]);
    let long = text(&format!("{name}_long"), &[]);
    let long = about.clone().zip(long).map(|(about, long)| format!("{about}\n\n{long}"));
    let after = text(&format!("{name}_after"), &[]);
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let help = help.help(text("help", &[]).unwrap_or_default()).help_heading("选项");
    let mut command = command.help_template(TEMPLATE).mut_args(|argument| of_argument(argument, &name));
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(long) = long {
        command = command.long_about(long);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    command.disable_help_flag(true).arg(help)
}

fn of_argument(argument: Arg, command: &str) -> Arg {
    let heading = match argument.get_help_heading() {
        Some("Filters") => "筛选",
        Some("Output") => "输出",
        Some("Aggregator") => "聚合器",
        Some("Cluster") => "集群",
        Some("This node") => "本节点",
        _ if argument.is_positional() => "参数",
        _ => "选项",
    };
    let id = argument.get_id().as_str();
    let Some(help) = text(&format!("{command}_{id}"), &[]).or_else(|| text(&format!("any_{id}"), &[])) else {
        return argument.help_heading(heading);
    };
    let list = |items: Vec<String>| items.join("、");
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_possible_values();
    let values = values.iter().filter(|_| !argument.is_hide_possible_values_set());
    let explained = |name: &str| match text(&format!("any_{id}_{name}"), &[]) {
        Some(text) => format!("{name}（{text}）"),
        None => name.to_owned(),
    };
    let values = values.map(|value| explained(value.get_name())).collect::<Vec<_>>();
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
    let beside = [
        Some(list(values)).filter(|values| takes_value && !values.is_empty()).map(|values| format!("可选值：{values}")),
        Some(list(defaults.collect())).filter(|of| takes_value && !of.is_empty()).map(|of| format!("默认值：{of}")),
        argument.get_env().map(|name| format!("环境变量：{}", name.to_string_lossy())),
    ];
    let beside: Vec<String> = beside.into_iter().flatten().collect();
    let help = if beside.is_empty() { help } else { format!("{help} [{}]", beside.join("；")) };
    let argument = argument.help(help).help_heading(heading);
    let argument = argument.long_help(Resettable::Reset).hide_env(true);
    if takes_value { argument.hide_possible_values(true).hide_default_value(true) } else { argument }
}

/// Help, or what is wrong with the arguments, in Chinese; none where clap's own text has to do.
pub(crate) fn worded(error: &clap::Error, colours: bool) -> Option<String> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Some(help(error, colours)),
        _ => fault(error),
    }
}

/// Help, whose headings clap ends with a colon of ASCII.
fn help(error: &clap::Error, colours: bool) -> String {
    let text = error.render();
    let text = if colours { text.ansi().to_string() } else { text.to_string() };
    let is_heading = |line: &str| HEADINGS.iter().any(|heading| line.contains(&format!("{heading}:")));
    let line = |line: &str| match !line.starts_with(' ') && is_heading(line) {
        true => line.replacen(':', "：", 1) + "\n",
        false => line.to_owned() + "\n",
    };
    text.lines().map(line).collect()
}

/// What is wrong with the arguments, in Chinese; none where clap's own text has to do.
fn fault(error: &clap::Error) -> Option<String> {
    let of = |kind| error.get(kind).map(value_of);
    let argument = || of(ContextKind::InvalidArg).unwrap_or_default();
    let value = || of(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UnknownArgument => text("error_unknown_argument", &[("argument", argument())]),
        ErrorKind::InvalidSubcommand => {
            text("error_unknown_command", &[("command", of(ContextKind::InvalidSubcommand).unwrap_or_default())])
        }
        ErrorKind::MissingSubcommand => text("error_no_command", &[]),
        ErrorKind::MissingRequiredArgument => text("error_missing_argument", &[("argument", argument())]),
        ErrorKind::ArgumentConflict => {
            let other = of(ContextKind::PriorArg).unwrap_or_default();
            text("error_conflict", &[("argument", argument()), ("other", other)])
        }
        ErrorKind::InvalidValue if value().is_empty() => text("error_no_value", &[("argument", argument())]),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            text("error_value", &[("argument", argument()), ("value", value())])
        }
        ErrorKind::TooManyValues => text("error_too_many", &[("argument", argument()), ("value", value())]),
        ErrorKind::InvalidUtf8 => text("error_not_utf8", &[]),
        _ => None,
    }?;
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let suggested = suggested.into_iter().find_map(of).and_then(|other| text("error_similar", &[("other", other)]));
    let valid = of(ContextKind::ValidValue).filter(|values| !values.is_empty());
    let valid = valid.and_then(|values| text("error_valid", &[("values", values)]));
    let is_value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
    let forms = match argument() {
        _ if !is_value => None,
        of if of.starts_with("--since") || of.starts_with("--until") => text("error_moment", &[]),
        of if of.contains("cause") || of.contains("CAUSE") => text("error_cause", &[]),
        of if of.contains("<DURATION>") => text("error_duration", &[]),
        of if of.contains("<PORT>") => text("error_port", &[]),
        of if of.contains("<SIZE>") => text("error_size", &[]),
        of if of.contains("<COUNT>") => text("error_number", &[]),
        _ => None,
    };
    let usage = of(ContextKind::Usage).map(|usage| usage.trim().trim_start_matches("Usage:").trim().to_owned());
    let usage = usage.and_then(|usage| text("error_usage", &[("usage", usage)]));
    let parts = [Some(message), valid, forms, suggested, usage, text("error_help", &[])];
    Some(parts.into_iter().flatten().map(|part| part + "\n").collect())
}

fn value_of(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join("、"),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{super::Args, *};

    fn commands() -> Vec<(String, Command)> {
        let program = Args::command();
        let of_program = ("program".to_owned(), program.clone());
        let visible = program.get_subcommands().filter(|command| !command.is_hide_set());
        visible.map(|command| (command.get_name().to_owned(), command.clone())).chain([of_program]).collect()
    }

    #[test]
    fn every_command_and_argument_has_its_help_in_chinese() {
        let mut wanted = vec!["help".to_owned(), "version".to_owned()];
        for (name, command) in commands() {
            wanted.push(name.clone());
            wanted.extend(command.get_after_help().map(|_| format!("{name}_after")));
            wanted.extend(command.get_long_about().map(|_| format!("{name}_long")));
            for argument in command.get_arguments() {
                let id = argument.get_id();
                if text(&format!("{name}_{id}"), &[]).is_none() {
                    wanted.push(format!("any_{id}"));
                }
                let explained = argument.get_possible_values().into_iter().filter(|value| value.get_help().is_some());
                wanted.extend(explained.map(|value| format!("any_{id}_{}", value.get_name())));
            }
        }
        let missing: Vec<_> = wanted.iter().filter(|id| text(id, &[]).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_english_is_left_around_the_texts() {
        for (name, _) in commands() {
            let mut program = localized(Args::command());
            let command = match name.as_str() {
                "program" => &mut program,
                name => program.find_subcommand_mut(name).unwrap(),
            };
            let help = command.render_long_help().to_string();
            for english in
                ["Usage:", "Options:", "Commands:", "Arguments:", "default:", "possible values", "Print ", "env:"]
            {
                assert!(!help.contains(english), "{name}: {english} in\n{help}");
            }
        }
        localized(Args::command()).debug_assert();
    }

    #[test]
    fn headings_end_with_a_colon_of_chinese() {
        for colours in [false, true] {
            let asked = localized(Args::command()).try_get_matches_from(["coroner", "list", "--help"]).unwrap_err();
            let help = worded(&asked, colours).unwrap();
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
            (vec!["coroner", "list", "--since"], "1h30m"),
            (vec!["coroner", "list", "--limit", "many"], "非负整数"),
            (vec!["coroner", "record", "--for", "long"], "90s"),
            (vec!["coroner", "record", "--max-bytes", "1GB5"], "64MiB"),
            (vec!["coroner", "ui", "--port", "70000"], "65535"),
        ] {
            let refused = localized(Args::command()).try_get_matches_from(&arguments).unwrap_err();
            let worded = fault(&refused).unwrap_or_default();
            assert!(worded.contains(wanted) && worded.contains("--help"), "{arguments:?}: {worded}");
        }
    }

    #[test]
    fn the_language_is_known_before_the_arguments_are_parsed() {
        let asked = |arguments: &[&str]| asked_language(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(asked(&["coroner", "list", "--lang", "zh"]), Some(Lang::Zh));
        assert_eq!(asked(&["coroner", "--lang=en", "list"]), Some(Lang::En));
        assert_eq!(asked(&["coroner", "list"]), None);
    }
}
