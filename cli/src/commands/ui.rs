//! `coroner ui`: the aggregator's page on this machine.

use std::process::Stdio;

use tokio::{process::Command, signal::ctrl_c, task::JoinSet};

use crate::{
    args::{ClusterArgs, UiArgs},
    cluster::{Cluster, PAGE_PORT},
    exit::{Failure, Outcome},
    messages::cluster as messages,
    out::Out,
};

/// Programs that open an address in the user's browser.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

pub(crate) async fn run(args: &UiArgs, cluster: &ClusterArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut tasks = JoinSet::new();
    let found = Cluster::find(cluster).await?;
    let port = found.forward(PAGE_PORT, args.port, &mut tasks).await?;
    let url = format!("https://localhost:{port}/");
    out.note(&messages::ui_open(&url));
    out.note(&messages::ui_sign_in(found.token_command(cluster)));
    if !args.no_browser && !open(&url) {
        out.note(&messages::ui_no_browser());
    }
    ctrl_c().await?;
    Ok(Outcome::Answered)
}

/// Starts a browser; false where there is none.
fn open(url: &str) -> bool {
    OPENERS.iter().any(|opener| {
        let mut command = Command::new(opener);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
    })
}
