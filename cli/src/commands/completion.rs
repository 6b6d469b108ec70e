//! `coroner completion` and `coroner man`: what shells and readers of manuals get, from the definition of the command
//! line.

use std::{fs, io};

use clap::{Command, CommandFactory};

use coroner_runtime::version::version;

use crate::{
    args::{Args, CompletionArgs, DEMO_VICTIM, ManArgs},
    exit::{Failure, Outcome},
    messages::notes,
    out::Out,
};

pub(crate) fn completion(args: &CompletionArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut public(), "coroner", &mut script);
    out.write(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Answered)
}

pub(crate) fn man(args: &ManArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let Some(directory) = &args.directory else { return page(public(), out) };
    // The page of one command, as `man` itself would be asked for it.
    if let Some(command) = directory.to_str().and_then(|name| public().find_subcommand(name).cloned()) {
        return page(command, out);
    }
    let written = fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(public(), directory));
    written.map_err(|error: io::Error| {
        Failure::error(notes::cannot_write(directory.display().to_string(), error.to_string()))
    })?;
    Ok(Outcome::Answered)
}

fn page(command: Command, out: &mut Out) -> Result<Outcome, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    out.write(&String::from_utf8_lossy(&page))?;
    Ok(Outcome::Answered)
}

/// The command line without what the demo starts.
pub(super) fn public() -> Command {
    let whole = Args::command().disable_help_subcommand(true);
    let commands: Vec<Command> =
        whole.get_subcommands().filter(|command| command.get_name() != DEMO_VICTIM).cloned().collect();
    let mut public = Command::new("coroner");
    for argument in whole.get_arguments() {
        public = public.arg(argument.clone());
    }
    public = public.subcommands(commands);
    let styled = |text: Option<&clap::builder::StyledStr>| text.cloned().unwrap_or_default();
    public
        .version(version())
        .about(styled(whole.get_about()))
        .after_help(styled(whole.get_after_help()))
        .disable_help_subcommand(true)
}
