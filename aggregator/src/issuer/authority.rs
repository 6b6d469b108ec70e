//! The authorities that sign the aggregator's certificate. Pure: what there is, and the time, decide.
//!
//! An authority is valid for ten years. In its last year there is a younger one beside it, which is published and signs
//! nothing yet: when the older one ends to sign, everybody has trusted the younger one for long.

use coroner_runtime::problem::Problem;
use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    messages::{problem, start},
    net::expire_time,
};

const DAY: i64 = 86_400;
/// How long an authority is valid, in days.
const AUTHORITY_DAYS: i64 = 3_650;
/// There has to be one that is valid for so many days more.
const AUTHORITY_RESERVE_DAYS: i64 = 365;
/// How long a certificate is valid, in days,
const LEAF_DAYS: i64 = 90;
/// and when there has to be another one.
const LEAF_RESERVE_DAYS: i64 = 30;

/// Why the authority cannot issue a certificate.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The Secret holds something else.
    #[error("{}", self.problem())]
    Content(&'static str),
    /// A key or a certificate cannot be made.
    #[error("{}", self.problem())]
    Sign(#[from] rcgen::Error),
}

impl Unusable {
    /// The same for who starts the aggregator.
    pub(super) fn problem(&self) -> Problem {
        problem(match self {
            Self::Content(what) => start::issuer_content(what),
            Self::Sign(error) => start::issuer_sign(error.to_string()),
        })
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The certificate and its private key, as PEM.
    pub(super) pem: String,
    /// When it ends to be valid, in seconds since 1970.
    pub(super) until: i64,
    /// The certificate of who signed it.
    authority: String,
}

/// The authorities, the oldest first.
#[derive(Debug)]
pub(super) struct Authorities(Vec<Authority>);

#[derive(Debug)]
struct Authority {
    /// Its certificate, PEM.
    certificate: String,
    key: KeyPair,
    /// When it ends to be valid, in seconds since 1970.
    until: i64,
}

impl Authorities {
    /// Reads certificates and their keys, PEM, in the same order; none of nothing.
    pub(super) fn read(certificates: &str, keys: &str) -> Result<Self, Unusable> {
        let (certificates, keys) = (blocks(certificates), blocks(keys));
        if certificates.len() != keys.len() {
            return Err(Unusable::Content("number"));
        }
        let read = |(certificate, key): (String, String)| {
            let der = CertificateDer::from_pem_slice(certificate.as_bytes());
            let until = der.ok().and_then(|der| expire_time(&der)).ok_or(Unusable::Content("certificate"))?;
            let key = KeyPair::from_pem(&key).map_err(|_| Unusable::Content("key"))?;
            Ok(Authority { certificate, key, until })
        };
        let mut all = certificates.into_iter().zip(keys).map(read).collect::<Result<Vec<_>, Unusable>>()?;
        all.sort_by_key(|authority| authority.until);
        Ok(Self(all))
    }

    /// Without those that are over, and with another one if it is time; whether that changed anything.
    pub(super) fn renewed(mut self, now: i64) -> Result<(Self, bool), Unusable> {
        let before = self.0.len();
        self.0.retain(|authority| authority.until > now);
        let is_shorter = self.0.len() < before;
        if self.0.iter().any(|authority| authority.until > now + AUTHORITY_RESERVE_DAYS * DAY) {
            return Ok((self, is_shorter));
        }
        self.0.push(Authority::new(now)?);
        Ok((self, true))
    }

    /// The certificates of all authorities, as PEM, for those who verify.
    pub(super) fn bundle(&self) -> String {
        self.0.iter().map(|authority| authority.certificate.as_str()).collect()
    }

    /// The keys, PEM, in the order of the certificates.
    pub(super) fn keys(&self) -> String {
        self.0.iter().map(|authority| authority.key.serialize_pem()).collect()
    }

    /// A certificate of a server with these names.
    pub(super) fn issue(&self, names: &[String], now: i64) -> Result<Leaf, Unusable> {
        let until = now + LEAF_DAYS * DAY;
        // The oldest that outlives it: the one that has been published for longest.
        let authority = self.0.iter().find(|authority| authority.until >= until).or_else(|| self.0.last());
        let authority = authority.ok_or(Unusable::Content("authority"))?;
        let issuer = Issuer::new(authority_params(), &authority.key);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(names)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, until);
        let certificate = params.signed_by(&key, &issuer)?;
        let until = expire_time(certificate.der()).unwrap_or(until);
        Ok(Leaf { pem: certificate.pem() + &key.serialize_pem(), until, authority: authority.certificate.clone() })
    }

    /// Whether a certificate is still good: published, and valid for long enough.
    pub(super) fn has_issued(&self, leaf: &Leaf, now: i64) -> bool {
        leaf.until > now + LEAF_RESERVE_DAYS * DAY
            && self.0.iter().any(|authority| authority.certificate == leaf.authority)
    }
}

impl Authority {
    fn new(now: i64) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = authority_params();
        let until = now + AUTHORITY_DAYS * DAY;
        set_validity(&mut params, now, until);
        let certificate = params.self_signed(&key)?;
        let until = expire_time(certificate.der()).unwrap_or(until);
        Ok(Self { certificate: certificate.pem(), key, until })
    }
}

/// What all authorities have in common.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "coroner-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From the day before a time to the end of another one, in UTC: clocks may differ.
fn set_validity(params: &mut CertificateParams, now: i64, until: i64) {
    let day = |time: i64| {
        let date = Timestamp::from_second(time).unwrap_or_default().to_zoned(TimeZone::UTC).date();
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(now - DAY), day(until + DAY));
}

/// The blocks of a PEM file, each with its lines.
fn blocks(text: &str) -> Vec<String> {
    const END: &str = "-----END ";
    let mut blocks = Vec::new();
    let mut block = String::new();
    for line in text.lines() {
        block.push_str(line);
        block.push('\n');
        if line.starts_with(END) {
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn renewed(authorities: &Authorities, now: i64) -> (Authorities, bool) {
        Authorities::read(&authorities.bundle(), &authorities.keys()).unwrap().renewed(now).unwrap()
    }

    fn names() -> Vec<String> {
        vec!["coroner-aggregator".to_owned()]
    }

    #[test]
    fn an_authority_is_made_once_and_read_again() {
        let (first, is_changed) = Authorities::read("", "").unwrap().renewed(NOW).unwrap();
        assert!(is_changed);
        let (again, is_changed) = renewed(&first, NOW + 30 * DAY);
        assert!(!is_changed && again.bundle() == first.bundle() && again.keys() == first.keys());
    }

    #[test]
    fn a_younger_authority_is_published_for_months_before_it_signs_and_the_older_one_goes_when_it_is_over() {
        let (first, _) = Authorities::read("", "").unwrap().renewed(NOW).unwrap();
        let leaf = first.issue(&names(), NOW).unwrap();
        let last_year = NOW + (AUTHORITY_DAYS - AUTHORITY_RESERVE_DAYS + 2) * DAY;
        let (both, is_changed) = renewed(&first, last_year);
        assert!(is_changed && both.bundle().starts_with(&first.bundle()) && both.0.len() == 2);
        assert_eq!(both.issue(&names(), last_year).unwrap().authority, leaf.authority);
        let (both, is_changed) = renewed(&both, last_year + 300 * DAY);
        assert!(!is_changed);
        let by_younger = both.issue(&names(), last_year + 300 * DAY).unwrap();
        assert_ne!(by_younger.authority, leaf.authority);
        let (younger, is_changed) = renewed(&both, last_year + 370 * DAY);
        assert!(is_changed && younger.0.len() == 1 && younger.bundle() == by_younger.authority);
    }

    #[test]
    fn a_certificate_is_renewed_before_it_ends_and_when_its_authority_is_gone() {
        let (authorities, _) = Authorities::read("", "").unwrap().renewed(NOW).unwrap();
        let leaf = authorities.issue(&names(), NOW).unwrap();
        assert!(authorities.has_issued(&leaf, NOW + 59 * DAY));
        assert!(!authorities.has_issued(&leaf, NOW + 62 * DAY));
        let (others, _) = Authorities::read("", "").unwrap().renewed(NOW).unwrap();
        assert!(!others.has_issued(&leaf, NOW));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let (good, _) = Authorities::read("", "").unwrap().renewed(NOW).unwrap();
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (certificates, keys) in [
            (good.bundle(), String::new()),
            (String::new(), good.keys()),
            (garbage.to_owned(), good.keys()),
            (good.bundle(), good.bundle()),
        ] {
            let error = Authorities::read(&certificates, &keys).unwrap_err().to_string();
            assert!(error.contains("the Secret of the authority contains"), "{error}");
        }
    }
}
