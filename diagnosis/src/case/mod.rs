//! Case files: everything that is known of one node, its pods and its containers, kept until some time after their end.
//!
//! A case file stores what sources report, in order of time, and draws no conclusion while doing so. Verdicts are then
//! a function of the file alone: that is why the order in which sources report does not matter.
//!
//! - [`NodeFile`] passes each observation to the part that stores it, and returns whom it concerns.
//! - [`Registry`] opens and closes the files of containers and pods, and holds the indexes over them.
//! - [`Processes`] keeps statements by pid and time, [`Coverage`] how well sources observe, [`Objects`] what pods refer
//!   to.

mod container;
mod coverage;
mod node;
mod objects;
mod oom_kill;
mod pod;
mod processes;
mod registry;
mod samples;
mod sandbox;
mod statements;
mod subject;

pub use container::{ContainerFile, KubeletStatus, ProcessFile};
pub use coverage::Coverage;
pub use node::{CLOCKS, DaemonFile, NodeFile, NodeState, TroubleFile};
pub use objects::Objects;
pub use oom_kill::{Line, OomKill};
pub use pod::{Occurrences, PodFile};
pub use processes::{AuditedEnd, KEPT_FOR, Processes};
pub use registry::{Closing, KEEP, Registry};
pub use samples::{Rise, Samples};
pub use sandbox::SandboxFile;
pub use statements::{ByPid, Statement};
pub use subject::Subject;
