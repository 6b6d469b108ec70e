//! Where the authority lies: a Secret of the aggregator's own namespace, and the ConfigMap that publishes whom to
//! trust. Both are there from the installation on, so that the aggregator may change these two and create none.

use std::{collections::BTreeMap, time::Duration};

use coroner_runtime::{error::chain, problem::Problem};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Error,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::time::timeout;

use crate::messages::{problem, start};

/// The Secret with the authorities and their keys.
const SECRET: &str = "coroner-authority";
/// The ConfigMap with the authorities.
const CONFIG_MAP: &str = "coroner-ca";
/// The authorities in both, PEM.
const CERTIFICATES: &str = "ca.crt";
/// Their keys in the Secret, PEM, in the same order.
const KEYS: &str = "ca.key";
/// For one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A request that the API server refused or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.problem())]
pub struct Refused {
    verb: &'static str,
    kind: &'static str,
    namespace: String,
    name: &'static str,
    /// None if it did not answer in time.
    source: Option<Box<Error>>,
}

/// The Secret as it was read.
#[derive(Debug)]
pub(super) struct Held {
    secret: Secret,
    /// The authorities' certificates as PEM; empty for a Secret without data.
    pub(super) certificates: String,
    /// Their private keys as PEM; empty for a Secret without data.
    pub(super) keys: String,
}

/// The Secret of the authority, and the ConfigMap that publishes it.
#[derive(Debug)]
pub(super) struct Store {
    secrets: Api<Secret>,
    config_maps: Api<ConfigMap>,
    namespace: String,
}

impl Store {
    /// Of the namespace that the client is in.
    pub(super) fn new(client: Client) -> Self {
        Self {
            namespace: client.default_namespace().to_owned(),
            secrets: Api::default_namespaced(client.clone()),
            config_maps: Api::default_namespaced(client),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Reads the Secret of the authority.
    pub(super) async fn read(&self) -> Result<Held, Refused> {
        let secret = self.answered("get", "Secret", SECRET, self.secrets.get(SECRET)).await?;
        let text = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            value.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
        };
        Ok(Held { certificates: text(CERTIFICATES), keys: text(KEYS), secret })
    }

    /// Writes the Secret; false if another client has changed it since it was read.
    pub(super) async fn write(&self, held: Held, certificates: String, keys: String) -> Result<bool, Refused> {
        let value = |text: String| ByteString(text.into_bytes());
        let data = BTreeMap::from([(CERTIFICATES.to_owned(), value(certificates)), (KEYS.to_owned(), value(keys))]);
        let secret = Secret { data: Some(data), ..held.secret };
        let parameters = PostParams::default();
        match self.answered("update", "Secret", SECRET, self.secrets.replace(SECRET, &parameters, &secret)).await {
            Ok(_) => Ok(true),
            Err(refused) if refused.code() == Some(409) => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    /// Publishes the authorities, unless that is what is published.
    pub(super) async fn publish(&self, certificates: &str) -> Result<(), Refused> {
        let map = self.answered("get", "ConfigMap", CONFIG_MAP, self.config_maps.get(CONFIG_MAP)).await?;
        if map.data.is_some_and(|data| data.get(CERTIFICATES).is_some_and(|published| published == certificates)) {
            return Ok(());
        }
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(json!({"data": {CERTIFICATES: certificates}})));
        self.answered("patch", "ConfigMap", CONFIG_MAP, self.config_maps.patch(CONFIG_MAP, &parameters, &patch))
            .await?;
        tracing::info!(namespace = self.namespace, name = CONFIG_MAP, "The certificate's authority was published");
        Ok(())
    }

    async fn answered<T>(
        &self,
        verb: &'static str,
        kind: &'static str,
        name: &'static str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Refused> {
        let source = match timeout(DEADLINE, answer).await {
            Ok(Ok(object)) => return Ok(object),
            Ok(Err(error)) => Some(Box::new(error)),
            Err(_elapsed) => None,
        };
        Err(Refused { verb, kind, namespace: self.namespace.clone(), name, source })
    }
}

impl Refused {
    /// Whether the API server has answered, and will not do it.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.code(), Some(401 | 403 | 404 | 422))
    }

    /// The same for who starts the aggregator.
    pub(super) fn problem(&self) -> Problem {
        let object = format!("{} {}/{}", self.kind, self.namespace, self.name);
        problem(match &self.source {
            None => start::issuer_no_answer(self.verb, object),
            Some(error) if matches!(self.code(), Some(403 | 404)) => {
                start::issuer_denied(self.verb, object, chain(error))
            }
            Some(error) => start::issuer_refused(self.verb, object, chain(error)),
        })
    }

    fn code(&self) -> Option<u16> {
        match self.source.as_deref() {
            Some(Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}
