//! Command lines in the language of their reader. In English, help and errors of usage are clap's, by the definition of
//! the command line; [`chinese`] has them in Chinese. A program that starts has read no text of either.

mod chinese;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser;
use coroner_diagnosis::messages::Language;

pub use self::chinese::Help;

/// Why a program with these arguments does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not an error: help or version were asked for. Holds the text.
    Asked(String),
    /// What is wrong, in one line.
    Wrong(String),
}

impl Stop {
    /// Prints it: what was asked for to stdout, what is wrong to stderr.
    pub fn print(self, program: &str, language: Language) -> ExitCode {
        let colon = match language {
            Language::English => ": ",
            Language::Chinese => "：",
        };
        // A reader who has gone needs no message.
        let _gone = match &self {
            Self::Asked(text) => io::stdout().write_all(text.as_bytes()),
            Self::Wrong(line) => io::stderr().write_all(format!("{program}{colon}{line}\n").as_bytes()),
        };
        match self {
            Self::Asked(_) => ExitCode::SUCCESS,
            Self::Wrong(_) => ExitCode::from(2),
        }
    }
}

/// Reads the command line of a daemon, which begins with the name of the program, and what the environment adds to it.
///
/// # Errors
/// If help was asked for, or something is wrong.
pub fn parse<F: Parser>(help: &Help, args: &[OsString], language: Language) -> Result<F, Stop> {
    // What the environment of a pod contains is not part of its help.
    let command = F::command().mut_args(|arg| arg.hide_env_values(true));
    let matches = command.clone().try_get_matches_from(args);
    let error = match matches.and_then(|mut matches| F::from_arg_matches_mut(&mut matches)) {
        Ok(flags) => return Ok(flags),
        Err(error) => error,
    };
    let in_chinese = || {
        let (command, args) = help.localized(command, args);
        help.text(&command.try_get_matches_from(args).err()?, false)
    };
    let text = match language {
        Language::English => None,
        Language::Chinese => in_chinese(),
    };
    let text = text.unwrap_or_else(|| error.to_string());
    Err(if error.use_stderr() { Stop::Wrong(one_line(&text, language)) } else { Stop::Asked(text) })
}

/// The message at the beginning of an error's text, without usage and hints.
fn one_line(text: &str, language: Language) -> String {
    let message = text.split("\n\n").next().unwrap_or(text);
    let separator = match language {
        Language::English => " ",
        Language::Chinese => "；",
    };
    let line = message.lines().map(str::trim).collect::<Vec<_>>().join(separator);
    ["error: ", "错误："].iter().find_map(|prefix| line.strip_prefix(prefix)).map(str::to_owned).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: &[&str] = &["tests = 测试\ntests_port = 端口\n"];

    #[derive(Debug, Parser)]
    #[command(name = "tests", version = "1")]
    struct Flags {
        /// A port
        #[arg(long)]
        port: u16,
    }

    fn parsed(help: &Help, args: &[&str], language: Language) -> Result<u16, Stop> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        parse::<Flags>(help, &args, language).map(|flags| flags.port)
    }

    #[test]
    fn help_is_in_the_language() {
        let help = Help::new(TEXTS);
        assert_eq!(parsed(&help, &["tests", "--port", "1"], Language::Chinese), Ok(1));
        let Err(Stop::Asked(text)) = parsed(&help, &["tests", "--help"], Language::Chinese) else { panic!("no help") };
        assert!(text.contains("测试") && text.contains("端口"), "{text}");
    }

    #[test]
    fn what_is_wrong_is_one_line_in_either_language() {
        for (args, english, chinese) in [
            (&["tests"] as &[&str], "arguments were not provided: --port <PORT>", "缺少参数 --port <PORT>"),
            (&["tests", "--port", "70000"], "70000 is not in 0..=65535", "70000；应在 0..=65535 范围内"),
            (&["tests", "--prt"], "unexpected argument '--prt'", "无法识别的参数 --prt"),
        ] {
            for (language, wanted) in [(Language::English, english), (Language::Chinese, chinese)] {
                let Err(Stop::Wrong(line)) = parsed(&Help::new(TEXTS), args, language) else {
                    panic!("{args:?} is accepted")
                };
                assert!(line.contains(wanted) && !line.contains('\n'), "{line}");
                assert!(!line.starts_with("error") && !line.starts_with("错误"), "{line}");
            }
        }
    }
}
