//! Whom a client's certificate names: by exactly one URI `spiffe://coroner/ROLE/NAME` among its subject alternative
//! names.
//!
//! The URI and not the common name, which any authority fills with anything; and not a DNS name, for a node's name with
//! a suffix may be longer than a DNS name can be.

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What Coroner's URIs begin with.
const PREFIX: &str = "spiffe://coroner/";
/// Bytes of a name; no node's is longer.
const MAX_NAME_BYTES: usize = 253;

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// `node/NAME`: the agent of that node.
    Node(String),
    /// `reader/NAME`: sees everything, by a name of the operator's choice.
    Reader(String),
    /// `proxy/NAME`: names in headers the user for whom it asks, whom it has authenticated.
    Proxy(String),
    /// `user/NAME`: sees what the API server allows the user of that name.
    User(String),
}

/// Why a certificate is for nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It has no URI of Coroner's.
    #[error(
        "the certificate names no role: it has no URI spiffe://coroner/node/NAME, …/reader/NAME, …/proxy/NAME or …/user/NAME"
    )]
    None,
    /// It has more than one, so its role is ambiguous.
    #[error("the certificate has more than one URI spiffe://coroner/…")]
    Several,
    /// Its URI is none of those known.
    #[error("the certificate's URI is none of spiffe://coroner/node/NAME, …/reader/NAME, …/proxy/NAME, …/user/NAME")]
    Unknown,
}

/// The role of a certificate that was verified.
///
/// # Errors
/// [`NoRole`].
pub(crate) fn role(certificate: &CertificateDer<'_>) -> Result<Role, NoRole> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| NoRole::Unreadable)?;
    role_of(certificate.valid_uri_names())
}

fn role_of<'a>(uris: impl Iterator<Item = &'a str>) -> Result<Role, NoRole> {
    let mut roles = uris.filter_map(|uri| uri.strip_prefix(PREFIX));
    let role = roles.next().ok_or(NoRole::None)?;
    if roles.next().is_some() {
        return Err(NoRole::Several);
    }
    let (role, name) = role.split_once('/').ok_or(NoRole::Unknown)?;
    // What would have to be decoded is not taken, so that one name has one spelling.
    let is_plain = name.bytes().all(|b| b.is_ascii_graphic() && !b"/?#%".contains(&b));
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_plain {
        return Err(NoRole::Unknown);
    }
    match role {
        "node" => Ok(Role::Node(name.to_owned())),
        "proxy" => Ok(Role::Proxy(name.to_owned())),
        "reader" => Ok(Role::Reader(name.to_owned())),
        "user" => Ok(Role::User(name.to_owned())),
        _ => Err(NoRole::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn of(uris: &[&str]) -> Result<Role, NoRole> {
        let mut params = CertificateParams::new(vec!["n1.example".into()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        role(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn the_role_stands_in_one_uri() {
        assert_eq!(of(&["spiffe://coroner/node/n1"]), Ok(Role::Node("n1".into())));
        assert_eq!(of(&["spiffe://example/x", "spiffe://coroner/reader/siem"]), Ok(Role::Reader("siem".into())));
        let user = "system:serviceaccount:shop:web";
        assert_eq!(of(&[&format!("spiffe://coroner/user/{user}")]), Ok(Role::User(user.into())));
    }

    #[test]
    fn what_is_not_clearly_a_role_is_none() {
        assert_eq!(of(&[]), Err(NoRole::None));
        assert_eq!(of(&["spiffe://coroner.example/node/n1"]), Err(NoRole::None));
        assert_eq!(of(&["spiffe://coroner/node/n1", "spiffe://coroner/node/n2"]), Err(NoRole::Several));
        for wrong in ["node", "node/", "node/a/b", "Node/n1", "node/n%31", "admin/n1", "node/n1?x", "node/ n1", ""] {
            assert_eq!(of(&[&format!("{PREFIX}{wrong}")]), Err(NoRole::Unknown), "{wrong}");
        }
        assert_eq!(role(&CertificateDer::from(vec![0x30, 0x82])), Err(NoRole::Unreadable));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = role(&CertificateDer::from(bytes));
        }
    }
}
