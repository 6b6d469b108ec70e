//! What the agent and the aggregator need to run, whatever they do: stop signals, logs, supervised tasks, delays
//! between attempts, health for Kubernetes' probes, metrics, a clock that is never set, and small files that survive a
//! loss of power.

pub mod backoff;
pub mod clock;
pub mod error;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod signals;
pub mod tasks;
pub mod version;
pub mod whole_file;
