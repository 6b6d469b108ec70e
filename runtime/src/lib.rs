//! What the programs need to run, whatever they do: the language of people, command lines, stop signals, logs,
//! supervised tasks, delays between attempts, health for Kubernetes' probes, metrics, a clock that is never set, and
//! small files that survive a loss of power.

pub mod backoff;
pub mod clock;
pub mod error;
pub mod health;
mod language;
pub mod logging;
mod messages;
pub mod metrics;
pub mod problem;
pub mod signals;
pub mod size;
pub mod tasks;
pub mod usage;
pub mod version;
pub mod whole_file;

pub use language::language;
