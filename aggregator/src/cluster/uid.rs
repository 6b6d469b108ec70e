//! The uid of the cluster: that of its namespace `kube-system`. The uids of all diagnoses are derived from it, so
//! nothing is watched before it is known, and it does not change while the program runs.

use std::time::Duration;

use coroner_diagnosis::{
    messages::health,
    observation::{Health, Reason},
};
use coroner_runtime::{backoff::Backoff, error::chain};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Error};
use tokio::time::{Instant, sleep, timeout};

use super::reporter::Reporter;

/// The namespace whose uid is the cluster's.
const KUBE_SYSTEM: &str = "kube-system";
/// As the source of this uid is called in the status of the watch.
pub(super) const SOURCE: &str = "namespaces";
/// For one answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time between two tries: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a refusal is not final where no uid is recorded: in a new installation, the roles may be applied after the
/// pod.
const ROLES: Duration = Duration::from_mins(1);

/// Asks until the API server answers. Where it refuses for good, the uid that was `recorded` by an earlier run stays in
/// use, or the empty one; the status shows it.
pub(crate) async fn find(client: &Client, recorded: &str, reporter: &mut Reporter) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    let began = Instant::now();
    loop {
        let problem = match timeout(DEADLINE, namespaces.get(KUBE_SYSTEM)).await {
            Ok(Ok(namespace)) => {
                let uid = namespace.metadata.uid.unwrap_or_default();
                if !recorded.is_empty() && uid != recorded {
                    tracing::warn!(
                        uid,
                        recorded,
                        "The ledger holds diagnoses of another cluster: they stay as they are"
                    );
                }
                reporter.set_status(SOURCE, &Health::Ok);
                return uid;
            }
            Ok(Err(Error::Api(refusal)))
                if matches!(refusal.code, 403 | 404) && (!recorded.is_empty() || began.elapsed() > ROLES) =>
            {
                let reason = Reason::from(health::health_cluster_uid_refused(KUBE_SYSTEM, refusal.to_string()));
                tracing::warn!(recorded, %reason, "The uid of the cluster is not known");
                reporter.set_status(SOURCE, &Health::Absent(reason));
                return recorded.to_owned();
            }
            Ok(Err(error)) => health::health_cluster_uid_unknown(KUBE_SYSTEM, chain(&error)),
            Err(_elapsed) => health::health_cluster_uid_silent(KUBE_SYSTEM, DEADLINE),
        };
        let reason = Reason::from(problem);
        if reporter.set_status(SOURCE, &Health::Degraded(reason.clone())) {
            tracing::warn!(%reason, "The uid of the cluster is not known yet: trying again");
        }
        reporter.push().await;
        sleep(backoff.next()).await;
    }
}
