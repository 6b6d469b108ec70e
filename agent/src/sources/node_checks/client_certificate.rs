//! Until when the certificate is valid by which the kubelet authenticates to the API server: at the beginning of the
//! file in which a kubelet keeps one that it renews itself. Its private key follows there, and is not read. That of
//! k3s and RKE2 is elsewhere and not looked at: it ends with the serving certificate, which is.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_diagnosis::observation::node::{CLIENT_CERTIFICATE, Reading, Validity};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_cert::{Certificate, der::Decode as _, time::Time};

use super::fact;
use crate::{
    host::HostRoot,
    report::NodeState,
    sources::{outlet::Outlet, site::Site},
    status::wire_time,
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_mins(10);
/// Bytes of a certificate in PEM.
const CERTIFICATE: usize = 16 << 10;
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

pub(super) fn spawn(site: &Site, outlet: &Outlet, host: &HostRoot, state: NodeState) {
    if !host.kubelet.is_dir() {
        return;
    }
    let path = path(host);
    let mut last = None;
    site.thread(outlet, move |worker| {
        loop {
            if let Some(validity) = read(&path) {
                let expires = wire_time(validity.until);
                state.update(|report| report.kubelet_client_certificate_expire_time = Some(expires));
                if last != Some(validity) {
                    last = Some(validity);
                    worker.send(worker.outlet.now(fact(Reading::KubeletClientCertificate(validity))))?;
                }
            }
            worker.pause(INTERVAL)?;
        }
    });
}

/// The file that cannot be read, for the report.
pub(super) fn unreadable(host: &HostRoot) -> Option<String> {
    read(&path(host)).is_none().then(|| CLIENT_CERTIFICATE.to_owned())
}

fn path(host: &HostRoot) -> PathBuf {
    host.kubelet.join("pki/kubelet-client-current.pem")
}

fn read(path: &Path) -> Option<Validity> {
    let pem = leaf(&mut File::open(path).ok()?).ok()?;
    let der = CertificateDer::from_pem_slice(&pem).ok()?;
    let validity = Certificate::from_der(&der).ok()?.tbs_certificate.validity;
    let time = |time: Time| Timestamp::new(i64::try_from(time.to_unix_duration().as_secs()).ok()?, 0).ok();
    Some(Validity { from: time(validity.not_before)?, until: time(validity.not_after)? })
}

/// The certificate at the beginning of a file (`fileStore.Update` of `k8s.io/client-go/util/certificate`), and nothing
/// of what follows it: byte by byte, some thousand of them every ten minutes.
fn leaf(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut pem = Vec::new();
    let mut byte = [0];
    while pem.len() < CERTIFICATE {
        file.read_exact(&mut byte)?;
        pem.extend(byte);
        let head = BEGIN.len().min(pem.len());
        if pem[..head] != BEGIN[..head] {
            break;
        }
        if pem.ends_with(END) {
            return Ok(pem);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_certificate_is_read_and_not_the_key_behind_it() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["worker-3".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 12, 31));
        let certificate = params.self_signed(&key).unwrap().pem();
        let certificate = certificate.trim_end();
        let mut file = io::Cursor::new(format!("{certificate}\n{}", key.serialize_pem()));
        assert_eq!(leaf(&mut file).unwrap(), certificate.as_bytes());
        assert_eq!(usize::try_from(file.position()).unwrap(), certificate.len());

        let root = tempfile::tempdir().unwrap();
        let host = HostRoot::at(root.path());
        assert_eq!(unreadable(&host).as_deref(), Some(CLIENT_CERTIFICATE));
        fs::create_dir_all(host.kubelet.join("pki")).unwrap();
        fs::write(path(&host), file.get_ref()).unwrap();
        let time = |text: &str| text.parse().unwrap();
        let expected = Validity { from: time("2026-01-01T00:00:00Z"), until: time("2026-12-31T00:00:00Z") };
        assert_eq!((read(&path(&host)), unreadable(&host)), (Some(expected), None));
    }

    #[test]
    fn a_file_that_does_not_begin_with_a_certificate_is_left_alone() {
        let mut key = io::Cursor::new("-----BEGIN EC PRIVATE KEY-----\nsecret\n");
        assert!(leaf(&mut key).is_err());
        assert_eq!(key.position(), "-----BEGIN E".len() as u64);
        assert!(leaf(&mut io::Cursor::new("")).is_err());
        assert!(leaf(&mut BEGIN.chain(io::repeat(b'A'))).is_err());
    }
}
