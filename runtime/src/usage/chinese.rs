//! Help and errors of usage in Chinese. The English help is in the definition of a command line; its counterpart is a
//! file of each program, by command and argument. `common.ftl` has what all of them need.

use std::{error::Error as _, ffi::OsString, net::AddrParseError, num::ParseIntError};

use clap::{
    Arg, ArgAction, Command,
    builder::Resettable,
    error::{ContextKind, ContextValue, ErrorKind},
};
use coroner_diagnosis::messages::{Catalogue, Language, Quote, message};

use crate::problem::Problem;

static COMMON: Catalogue = Catalogue::new(&[], &[include_str!("common.ftl")]);

/// The layout of a page of help.
const TEMPLATE: &str = "{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The help of a program in Chinese: `NAME` for a command, `NAME_long` and `NAME_after` for what surrounds its options,
/// `NAME_ARGUMENT` or, for several commands, `any_ARGUMENT` for an argument, `any_ARGUMENT_VALUE` for one of its
/// values.
#[derive(Debug)]
pub struct Help(Catalogue);

impl Help {
    /// The help in these files.
    pub const fn new(texts: &'static [&'static str]) -> Self {
        Self(Catalogue::new(&[], texts))
    }

    /// The text of this name, if there is one.
    fn get(&self, id: &str) -> Option<String> {
        self.0.render(&message(id, []), Language::Chinese).or_else(|| common(id, []))
    }

    fn of_heading(&self, english: &str) -> Option<String> {
        self.get(&format!("heading_{}", english.to_lowercase().replace(' ', "_")))
    }

    /// The command line with its help in Chinese, and the arguments as they are given to it: clap's own command for
    /// help has its texts in English only.
    pub fn localized(&self, command: Command, args: &[OsString]) -> (Command, Vec<OsString>) {
        let mut args = args.to_vec();
        if let Some(word) = first_word(&command, &args).filter(|word| args.get(*word).is_some_and(|it| it == "help")) {
            args.remove(word);
            args.push("--help".into());
        }
        let mut command = self.of_command(command);
        let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names {
            command = command.mut_subcommand(&name, |command| self.of_command(command));
        }
        let heading = self.of_heading("Options").unwrap_or_default();
        let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
        let version = version.help(self.get("version").unwrap_or_default()).help_heading(heading);
        let commands = self.of_heading("Commands").unwrap_or_default();
        let command = command.disable_version_flag(true).arg(version).subcommand_help_heading(commands);
        (command.disable_help_subcommand(true), args)
    }

    fn of_command(&self, command: Command) -> Command {
        let name = name_of(&command);
        let about = self.get(&name);
        let long = self.get(&format!("{name}_long"));
        let long = about.clone().zip(long).map(|(about, long)| format!("{about}\n\n{long}"));
        let after = self.get(&format!("{name}_after"));
        let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
        let help = help.help(self.get("help").unwrap_or_default());
        let help = help.help_heading(self.of_heading("Options").unwrap_or_default());
        let mut command = command.help_template(TEMPLATE).mut_args(|argument| self.of_argument(argument, &name));
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

    fn of_argument(&self, argument: Arg, command: &str) -> Arg {
        let heading = match argument.get_help_heading() {
            Some(heading) => self.of_heading(heading),
            None if argument.is_positional() => self.of_heading("Arguments"),
            None => self.of_heading("Options"),
        };
        let argument = argument.help_heading(heading.unwrap_or_default());
        let id = argument.get_id().as_str();
        let Some(help) = self.get(&format!("{command}_{id}")).or_else(|| self.get(&format!("any_{id}"))) else {
            return argument;
        };
        let list = |items: Vec<String>| items.join("、");
        let takes_value = argument.get_action().takes_values();
        let values = argument.get_possible_values();
        let values = values.iter().filter(|_| !argument.is_hide_possible_values_set());
        let explained = |name: &str| match self.get(&format!("any_{id}_{name}")) {
            Some(text) => format!("{name}（{text}）"),
            None => name.to_owned(),
        };
        let values = list(values.map(|value| explained(value.get_name())).collect());
        let defaults = argument.get_default_values().iter().filter(|_| !argument.is_hide_default_value_set());
        let defaults = list(defaults.map(|value| value.to_string_lossy().into_owned()).collect());
        let beside = [
            Some(values).filter(|values| takes_value && !values.is_empty()).map(|values| format!("可选值：{values}")),
            Some(defaults).filter(|of| takes_value && !of.is_empty()).map(|of| format!("默认值：{of}")),
            argument.get_env().map(|name| format!("环境变量：{}", name.to_string_lossy())),
        ];
        let beside: Vec<String> = beside.into_iter().flatten().collect();
        let help = if beside.is_empty() { help } else { format!("{help} [{}]", beside.join("；")) };
        let argument = argument.help(help).long_help(Resettable::Reset).hide_env(true);
        if takes_value { argument.hide_possible_values(true).hide_default_value(true) } else { argument }
    }

    /// Help, or what is wrong with the arguments of a localized command line; none where clap's own text has to do.
    pub fn text(&self, error: &clap::Error, colours: bool) -> Option<String> {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Some(help(error, colours)),
            _ => fault(error),
        }
    }

    /// What of this command line has no text in Chinese, and which lines of its help are in English all the same. For
    /// tests.
    pub fn faults(&self, command: &Command) -> Vec<String> {
        let mut faults = self.missing(command);
        let (localized, _) = self.localized(command.clone(), &[]);
        localized.clone().debug_assert();
        let names = localized.get_subcommands().filter(|command| !command.is_hide_set());
        let names: Vec<String> = names.map(|command| command.get_name().to_owned()).collect();
        let mut root = localized.clone().term_width(usize::MAX);
        faults.extend(english_lines(&root.render_long_help().to_string()));
        for name in names {
            let command = root.find_subcommand(&name).cloned().unwrap_or_default();
            let help = command.term_width(usize::MAX).render_long_help().to_string();
            faults.extend(english_lines(&help).into_iter().map(|line| format!("{name}: {line}")));
        }
        faults
    }

    fn missing(&self, command: &Command) -> Vec<String> {
        let name = name_of(command);
        let mut wanted = vec![name.clone()];
        wanted.extend(command.get_after_help().map(|_| format!("{name}_after")));
        wanted.extend(command.get_long_about().map(|_| format!("{name}_long")));
        for argument in command.get_arguments() {
            let id = argument.get_id();
            if self.get(&format!("{name}_{id}")).is_none() {
                wanted.push(format!("any_{id}"));
            }
            let heading = argument.get_help_heading();
            wanted.extend(heading.filter(|heading| self.of_heading(heading).is_none()).map(str::to_owned));
            let explained = argument.get_possible_values().into_iter().filter(|value| value.get_help().is_some());
            wanted.extend(explained.map(|value| format!("any_{id}_{}", value.get_name())));
        }
        let mut missing: Vec<String> = wanted.into_iter().filter(|id| self.get(id).is_none()).collect();
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            missing.extend(self.missing(command));
        }
        missing
    }
}

/// A command's name as texts are named by it: of the program `coroner-agent record`, `record`.
fn name_of(command: &Command) -> String {
    let name = command.get_name();
    name.rsplit(' ').next().unwrap_or(name).replace('-', "_")
}

/// The lines in English, by a word that neither names nor commands have, and what clap adds.
fn english_lines(help: &str) -> Vec<String> {
    const WORDS: [&str; 12] = ["a", "an", "and", "are", "for", "in", "is", "of", "or", "the", "this", "to"];
    const BY_CLAP: [&str; 8] =
        ["Usage:", "Options:", "Commands:", "Arguments:", "default:", "possible values", "Print ", "env:"];
    let is_chinese = |line: &str| line.chars().any(|char| ('\u{4e00}'..='\u{9fff}').contains(&char));
    let is_sentence = |line: &str| line.split(' ').any(|word| WORDS.contains(&word.to_lowercase().as_str()));
    let is_english = |line: &&str| !is_chinese(line) && is_sentence(line) || BY_CLAP.iter().any(|it| line.contains(it));
    help.lines().map(str::trim).filter(is_english).map(str::to_owned).collect()
}

/// A text that all programs have, with its arguments.
fn common<const N: usize>(id: &str, arguments: [(&str, &str); N]) -> Option<String> {
    let arguments = arguments.map(|(name, text)| (name, Quote::from(text).into()));
    COMMON.render(&message(id, arguments), Language::Chinese)
}

/// Where the first argument is that is neither an option of the program nor the value of one.
fn first_word(command: &Command, args: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let Some(option) = args.get(at)?.to_str()?.strip_prefix('-') else { return Some(at) };
        let is_named = |arg: &&Arg| match option.strip_prefix('-') {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| option == short.to_string()),
        };
        let takes_next = command.get_arguments().find(is_named).is_some_and(|arg| arg.get_action().takes_values());
        at += if takes_next { 2 } else { 1 };
    }
}

/// Help, whose headings clap ends with a colon of ASCII.
fn help(error: &clap::Error, colours: bool) -> String {
    let text = error.render();
    let text = if colours { text.ansi().to_string() } else { text.to_string() };
    let line = |line: &str| {
        // A heading in color ends with what resets it.
        let heading = line.strip_suffix("\u{1b}[0m").unwrap_or(line).strip_suffix(':');
        let heading = heading.filter(|text| !text.starts_with(' ') && !text.is_ascii());
        heading.map_or_else(
            || format!("{line}\n"),
            |text| line.replacen(&format!("{text}:"), &format!("{text}："), 1) + "\n",
        )
    };
    text.lines().map(line).collect()
}

/// What is wrong with the arguments: the error, and in further paragraphs the usage and where there is more.
fn fault(error: &clap::Error) -> Option<String> {
    let of = |kind| error.get(kind).map(value_of);
    let argument = of(ContextKind::InvalidArg).unwrap_or_default();
    let command = of(ContextKind::InvalidSubcommand).unwrap_or_default();
    let value = of(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UnknownArgument => common("error_unknown_argument", [("argument", &argument)]),
        ErrorKind::InvalidSubcommand => common("error_unknown_command", [("command", &command)]),
        ErrorKind::MissingSubcommand => common("error_no_command", []),
        ErrorKind::MissingRequiredArgument => common("error_missing_argument", [("argument", &argument)]),
        ErrorKind::ArgumentConflict => {
            let other = of(ContextKind::PriorArg).unwrap_or_default();
            let argument = if argument.is_empty() { &command } else { &argument };
            common("error_conflict", [("argument", argument), ("other", &other)])
        }
        ErrorKind::InvalidValue if value.is_empty() => common("error_no_value", [("argument", &argument)]),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            common("error_value", [("argument", &argument), ("value", &value)])
        }
        ErrorKind::TooManyValues => common("error_too_many", [("argument", &argument), ("value", &value)]),
        ErrorKind::InvalidUtf8 => common("error_not_utf8", []),
        _ => None,
    }?;
    let valid = of(ContextKind::ValidValue).filter(|values| !values.is_empty());
    let valid = valid.and_then(|values| common("error_valid", [("values", &values)]));
    let reason = error.source().map(reason);
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let suggested = suggested.into_iter().find_map(of).and_then(|other| common("error_similar", [("other", &other)]));
    let what = [Some(message), valid, reason, suggested].into_iter().flatten().collect::<Vec<_>>().join("\n");
    let usage = of(ContextKind::Usage).map(|usage| usage.trim().trim_start_matches("Usage:").trim().to_owned());
    let usage = usage.and_then(|usage| common("error_usage", [("usage", &usage)]));
    let parts = [Some(what), usage, common("error_help", [])];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n") + "\n")
}

/// Why a value is refused: by what parsed it.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.text(Language::Chinese);
    }
    let text = error.to_string();
    let known = match text.split_once(" is not in ") {
        Some((_, range)) => common("error_range", [("range", range)]),
        None if error.is::<ParseIntError>() => common("error_number", []),
        None if error.is::<AddrParseError>() && text.contains("socket") => common("error_socket_address", []),
        None if error.is::<AddrParseError>() => common("error_address", []),
        None => None,
    };
    known.unwrap_or(text)
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
