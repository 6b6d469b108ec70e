//! Who may speak: agents for their own node, readers of what they may see.
//!
//! Where a listener asks for no credentials (a unix socket, loopback, `--insecure`) everybody there may do everything. Behind TLS
//! a caller is known by its certificate, or by a token that the API server reviews. Without an answer of the API server nobody
//! new is let in, and what it said before holds for a short time only.

mod authority;
mod caller;
mod certificate;
mod identity;
mod layer;
mod peer;
mod reader;
mod refusals;
mod review;
mod share;

pub use authority::Authority;
pub use caller::Caller;
pub use certificate::{NoRole, Role};
pub use identity::Identity;
pub use layer::Authentication;
pub use peer::{Address, Credentials, Peer};
pub use reader::Reader;
pub use refusals::{Reason, Refusals};
pub use review::Accounts;
pub use share::StreamSlot;
