//! A request to stop a container, whoever made it.

use coroner_proto::v1::{Cause, StopRequester};
use jiff::Timestamp;

use crate::observation::Source;

/// A request to stop.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Request {
    /// The cause that it is; `None` where it is a mere request, which the container obeyed or not.
    pub(in crate::rules) cause: Option<Cause>,
    /// Who asked.
    pub(in crate::rules) by: StopRequester,
    /// When.
    pub(in crate::rules) at: Timestamp,
    /// In one sentence, as "Evicted: the node was short of memory".
    pub(in crate::rules) summary: String,
    /// In a few more.
    pub(in crate::rules) explanation: String,
    /// Who says so.
    pub(in crate::rules) said: Vec<(Source, Timestamp, String)>,
    /// What contributed.
    pub(in crate::rules) contributing: Option<Cause>,
}
