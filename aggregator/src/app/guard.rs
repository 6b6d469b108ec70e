//! Who is let in, and how.

use std::sync::Arc;

use coroner_runtime::problem::Problem;
use kube::Client;

use super::exposure::check_credentials;
use crate::{
    auth::{Accounts, Authentication, Authority, Refusals},
    budget::Budget,
    config::Config,
    net::{Acceptor, Tls},
};

/// What a connection and a request pass before they reach a service.
pub(super) struct Guard {
    pub(super) authentication: Authentication,
    pub(super) acceptor: Acceptor,
    pub(super) refusals: Arc<Refusals>,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Guard {
    /// As configured; tokens are reviewed where there is TLS and a client of an API server.
    ///
    /// # Errors
    /// If files cannot be used, or more would be reachable than is meant.
    pub(super) fn new(config: &Config, client: Option<Client>, budget: Budget) -> Result<Self, Problem> {
        let files = config.tls_files();
        // Tokens are not for listeners that anyone can read along on.
        let reviewer = client.filter(|_| files.is_some());
        if files.is_some() && reviewer.is_none() {
            tracing::info!("Tokens are not reviewed: not in a cluster, and no kubeconfig was given");
        }
        let accounts = Accounts { audience: config.token_audience.clone(), agent: config.agent_account.clone() };
        let refusals = Arc::new(Refusals::default());
        let authority = Arc::new(Authority::new(reviewer, accounts, Arc::clone(&refusals), budget));
        let reviews = authority.reviews_tokens();
        let asks = reviews || files.as_ref().is_some_and(|files| files.client_ca.is_some());
        check_credentials(config, asks)?;
        let tls = files.map(|files| Tls::new(files, reviews)).transpose()?.map(Arc::new);
        let acceptor = Acceptor::new(tls.clone(), asks, Arc::clone(&refusals), budget);
        Ok(Self { authentication: Authentication::new(authority), acceptor, refusals, tls })
    }
}
