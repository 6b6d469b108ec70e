//! Until when the certificate is valid with which the kubelet serves its port, as a TLS handshake shows it. Nothing is
//! asked there.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use coroner_diagnosis::observation::node::{Answer, Reading};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    net::TcpStream,
    select,
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs},
    },
};
use x509_cert::der::Decode as _;

use super::fact;
use crate::{
    report::NodeState,
    sources::{Settings, kubelet::Healthz, outlet::Outlet, site::Site},
    status::wire_time,
};

/// Time between two handshakes, and the same while there was none yet or the certificate has expired.
const INTERVAL: Duration = Duration::from_mins(10);
const SOON: Duration = Duration::from_secs(10);
/// How long a handshake may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// The port of a URL without one.
const HTTPS: u16 = 443;

pub(super) fn spawn(
    site: &Site,
    outlet: &Outlet,
    settings: &Settings,
    state: NodeState,
    woken: Arc<Notify>,
    healthz: &Arc<Healthz>,
) {
    let (url, outlet_of, healthz) = (settings.kubelet.url.clone(), outlet.clone(), healthz.subscribe());
    site.task(outlet, move || run(url.clone(), outlet_of.clone(), state.clone(), Arc::clone(&woken), healthz.clone()));
}

/// Waits until the certificate of who answers /healthz is refused.
async fn refused(healthz: &mut watch::Receiver<Option<Result<Answer, String>>>) {
    while healthz.changed().await.is_ok() {
        if matches!(*healthz.borrow_and_update(), Some(Err(_))) {
            return;
        }
    }
    pending().await
}

async fn run(
    url: Option<String>,
    outlet: Outlet,
    state: NodeState,
    woken: Arc<Notify>,
    mut healthz: watch::Receiver<Option<Result<Answer, String>>>,
) -> Infallible {
    let address = url.and_then(|url| {
        let uri: http::Uri = url.parse().ok()?;
        let is_tls = uri.scheme_str() == Some("https");
        Some((uri.host()?.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(HTTPS))).filter(|_| is_tls)
    });
    let Some((host, port)) = address else { return pending().await };
    loop {
        let expires = timeout(DEADLINE, expiry(&host, port)).await.ok().flatten();
        if let Some(expires) = expires {
            state.update(|report| report.kubelet_certificate_expire_time = Some(wire_time(expires)));
            let _going_away = outlet.send(outlet.now(fact(Reading::KubeletCertificate(expires)))).await;
        }
        let is_valid = expires.is_some_and(|expires| expires > Timestamp::now());
        // A kubelet takes up another certificate when it is started, and where it is renewed.
        select! {
            () = sleep(if is_valid { INTERVAL } else { SOON }) => {}
            () = woken.notified() => {}
            () = refused(&mut healthz) => {}
        }
    }
}

/// When the certificate expires that is presented there; `None` if none is.
async fn expiry(host: &str, port: u16) -> Option<Timestamp> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().ok()?;
    let verifier = Arc::new(Presented(provider));
    let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let stream = TcpStream::connect((host, port)).await.ok()?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let presented = stream.get_ref().1.peer_certificates()?.first()?;
    let certificate = x509_cert::Certificate::from_der(presented).ok()?;
    let expires = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Timestamp::new(i64::try_from(expires.as_secs()).ok()?, 0).ok()
}

/// Accepts every certificate: it is only looked at, and nothing is sent to who presents it. The signatures of the
/// handshake are checked, so that who presents it has its key.
#[derive(Debug)]
struct Presented(Arc<CryptoProvider>);

impl ServerCertVerifier for Presented {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls_pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

    use super::*;

    #[tokio::test]
    async fn the_certificate_of_a_kubelet_is_read_although_it_has_expired_and_no_authority_signed_it() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["worker-3".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2024, 2, 29);
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
            listener
        });
        assert_eq!(expiry("127.0.0.1", port).await, Some("2024-02-29T00:00:00Z".parse().unwrap()));
        drop(serving.await.unwrap());
        assert_eq!(expiry("127.0.0.1", port).await, None);
    }
}
