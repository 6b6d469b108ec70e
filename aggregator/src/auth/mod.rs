//! Authentication and authorization: agents push for their own node, readers read what they may.
//!
//! Where a listener requires no credentials (a unix socket, loopback, `--insecure`) every client may do everything.
//! Behind TLS a caller is known by its certificate, or by a token that the API server reviews. Without an answer of the
//! API server no new caller is admitted, and earlier answers are valid for a short time only.

mod authority;
mod caller;
mod certificate;
mod connections;
mod identity;
mod lanes;
mod layer;
mod peer;
mod reader;
mod refusals;
mod review;
mod share;
mod sight;

pub use authority::Authority;
pub use caller::{Caller, Right};
pub use certificate::{NoRole, Role};
pub use connections::{ConnectionPlace, Connections};
pub use identity::Identity;
pub use layer::{Authenticated, Authentication};
pub use peer::{Address, Credentials, Peer};
pub use reader::Reader;
pub use refusals::{Reason, Refusals};
pub use review::Accounts;
pub use share::Slot;
pub use sight::{Sight, withhold_related};
