//! Coroner for people: `coroner why | list | watch | get | status | causes | replay | demo`.
//!
//! Data goes to stdout, messages to stderr, and the exit code tells scripts how it went ([`exit`]). Whatever comes from
//! the wire may have been chosen by whoever runs containers: it reaches a terminal only through [`page`] and [`table`]
//! (people) or [`data`] (programs), which escape what could drive it.

mod args;
pub mod case_dir;
mod client;
mod commands;
mod data;
mod demo;
mod exit;
mod explain;
mod out;
mod page;
mod table;
#[cfg(test)]
mod testing;
mod words;

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches};

use crate::{
    args::{Args, Command},
    commands::{causes, get, list, replay, status, watch, why},
    exit::{Failure, Outcome},
    out::Out,
};

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let Args { command, output, aggregator } = match parse(&args) {
        Ok(parsed) => parsed,
        // Usage (2), or --help and --version (0).
        Err(error) => error.exit(),
    };
    let mut out = Out::new(&output);
    let result = match command {
        Command::Why(args) => wait(why::run(&args, &aggregator, &mut out)),
        Command::List(args) => wait(list::run(&args, &aggregator, &mut out)),
        Command::Watch(args) => wait(watch::run(&args, &aggregator, &mut out)),
        Command::Get(args) => wait(get::run(&args, &aggregator, &mut out)),
        Command::Status => wait(status::run(&aggregator, &mut out)),
        Command::Causes(args) => causes::run(&args, &mut out),
        Command::Replay(args) => replay::run(&args, &mut out),
        Command::Demo => wait(demo::run(&mut out)),
        Command::DemoVictim(command) => return demo::victim::run(command),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(failure) if failure.is_broken_pipe() => Outcome::Answered.into(),
        Err(failure) => {
            out.tell(&format!("coroner: {failure}"));
            failure.into()
        }
    }
}

fn parse(args: &[OsString]) -> Result<Args, clap::Error> {
    let mut command = Args::command();
    let program = args.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == "kubectl-coroner") {
        command = command.bin_name("kubectl coroner");
    }
    Args::from_arg_matches(&command.try_get_matches_from(args)?)
}

fn wait(command: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("cannot start the async runtime: {error}")))?
        .block_on(command)
}
