//! Until when certificates are valid.

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _};

/// When a certificate ends to be valid, in seconds since 1970; none of what cannot be read as one.
pub fn expire_time(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    i64::try_from(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_either_form() {
        for (year, seconds) in [(2027, 1_798_761_600), (2049, 2_493_072_000), (2061, 2_871_763_200)] {
            let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(expire_time(certificate.der()), Some(seconds), "{year}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _time = expire_time(&CertificateDer::from(bytes));
        }
    }
}
