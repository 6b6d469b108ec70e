//! A request to stop a container.

use coroner_proto::v1::{Cause, Message, StopRequester};
use jiff::Timestamp;

use crate::verdict::Evidence;

/// A request to stop.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Request {
    /// The cause that it is; `None` where it is a mere request, which the container obeyed or not.
    pub(in crate::rules) cause: Option<Cause>,
    /// Who asked.
    pub(in crate::rules) by: StopRequester,
    /// When.
    pub(in crate::rules) at: Timestamp,
    /// Of a cause, the headline; of a mere request, its reason as a phrase that completes one.
    pub(in crate::rules) headline: Message,
    /// The request in a few sentences.
    pub(in crate::rules) explanation: Vec<Message>,
    /// What shows it.
    pub(in crate::rules) evidence: Vec<Evidence>,
    /// What contributed.
    pub(in crate::rules) contributing: Vec<Cause>,
}
