//! Coroner's mind: observations in, diagnoses out.
//!
//! A deterministic state machine without I/O, async or a clock of its own. The same observations in the same order give
//! the same diagnoses, so a recorded case can be replayed and a wrong verdict becomes a test.
//!
//! - [`observation`] is what a source may say; [`kernel_log`], [`trace`], [`cgroup`], [`cri`], [`containerd`],
//!   [`docker`], [`process`], [`disk`], [`log`], [`kubelet`] and [`kube`] hold what each interface gives, with the parsers of its bytes.
//! - [`recording`] turns a recorded case back into observations.

pub mod case;
pub mod catalogue;
pub mod cgroup;
pub mod cluster;
pub mod containerd;
pub mod continuation;
pub mod cri;
pub mod disk;
pub mod docker;
pub mod examiner;
pub mod kernel_log;
pub mod kube;
pub mod kubelet;
pub mod log;
pub mod observation;
pub mod parse;
pub mod process;
pub mod recording;
pub mod redact;
pub mod replay;
pub mod report;
pub mod rules;
pub mod text;
pub mod trace;
pub mod verdict;
pub mod wire;
