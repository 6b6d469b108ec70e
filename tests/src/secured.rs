//! An aggregator behind TLS, with an authority of its own that makes good and bad certificates, and its clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::api_server::ApiServer;
use crate::coroner::listening_address;
use crate::daemon::Daemon;
use crate::scratch::Scratch;

/// The name in the aggregator's certificate.
pub const NAME: &str = "coroner-aggregator";

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// An authority.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// What the crypto library refused.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![])?;
        // A name of its own: OpenSSL takes what has its issuer's name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "coroner-tests-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// A certificate for an aggregator, by its name and by `localhost`.
    ///
    /// # Errors
    /// What the crypto library refused.
    pub fn aggregator(&self) -> Result<Pair> {
        self.sign(CertificateParams::new(vec![NAME.to_owned(), "localhost".to_owned()])?)
    }

    /// The same, and it expires at the beginning of this day, UTC.
    ///
    /// # Errors
    /// The same.
    pub fn aggregator_until(&self, end: jiff::civil::Date) -> Result<Pair> {
        let mut params = CertificateParams::new(vec![NAME.to_owned(), "localhost".to_owned()])?;
        params.not_after = date_time_ymd(end.year().into(), end.month().try_into()?, end.day().try_into()?);
        self.sign(params)
    }

    /// A client's, with this URI.
    ///
    /// # Errors
    /// The same.
    pub fn client(&self, uri: &str) -> Result<Pair> {
        self.sign(client(uri)?)
    }

    /// The same, and it expired long ago.
    ///
    /// # Errors
    /// The same.
    pub fn expired(&self, uri: &str) -> Result<Pair> {
        let mut params = client(uri)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    /// The same, with the serial number by which a list revokes it.
    ///
    /// # Errors
    /// The same.
    pub fn client_numbered(&self, uri: &str, serial: u8) -> Result<Pair> {
        let mut params = client(uri)?;
        params.serial_number = Some(number(serial));
        self.sign(params)
    }

    /// The list of those with these serial numbers, PEM.
    ///
    /// # Errors
    /// The same.
    pub fn revocations(&self, serials: &[u8]) -> Result<String> {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: number(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn sign(&self, params: CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        Ok(Pair { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

fn number(serial: u8) -> SerialNumber {
    SerialNumber::from(vec![serial; 8])
}

fn client(uri: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![])?;
    params.subject_alt_names.push(SanType::URI(uri.try_into()?));
    Ok(params)
}

/// An aggregator behind TLS. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Secured {
    /// The authority of its certificate and of its clients'.
    pub authority: Authority,
    /// Where it listens.
    pub address: SocketAddr,
    aggregator: Daemon,
    agents: Vec<Daemon>,
    scratch: Scratch,
}

impl Secured {
    /// Starts one that asks this API server, if there is one, and knows clients by certificates.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn start(api: Option<&ApiServer>, flags: &[&str]) -> Result<Self> {
        Self::start_within(None, api, flags).await
    }

    /// The same, with this memory limit in bytes for it and all that is started beside it.
    ///
    /// # Errors
    /// The same.
    pub async fn start_within(limit: Option<u64>, api: Option<&ApiServer>, flags: &[&str]) -> Result<Self> {
        let (authority, scratch) = (Authority::new()?, Scratch::new()?);
        if let Some(limit) = limit {
            scratch.daemons().set_memory_limit(limit)?;
        }
        let directory = scratch.directory();
        write(&directory, "aggregator", &authority.aggregator()?)?;
        fs::write(directory.join("ca.crt"), &authority.pem)?;
        fs::write(directory.join("clients.crl"), authority.revocations(&[])?)?;
        let path = |name: &str| directory.join(name).display().to_string();
        let mut arguments = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned(), "--cluster-watch=off".to_owned()];
        for (flag, name) in [
            ("--ledger", "ledger.db"),
            ("--tls-cert", "aggregator.crt"),
            ("--tls-key", "aggregator.key"),
            ("--tls-client-ca", "ca.crt"),
            ("--tls-client-crl", "clients.crl"),
        ] {
            arguments.extend([flag.to_owned(), path(name)]);
        }
        if let Some(api) = api {
            api.write_kubeconfig_of("aggregator", &directory.join("kubeconfig"))?;
            arguments.extend(["--kubeconfig".to_owned(), path("kubeconfig")]);
        }
        arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
        let program = crate::coroner::aggregator()?;
        let mut aggregator = Daemon::start(&program, &arguments, &scratch.daemons(), directory.join("aggregator.log"))?;
        let address = crate::until("the aggregator listens", async || {
            aggregator.check()?;
            Ok(listening_address(&aggregator.output()))
        });
        let address = address.await?.parse().context("an address")?;
        Ok(Self { authority, address, aggregator, agents: Vec::new(), scratch })
    }

    /// A directory that goes away with it; its files are there: `aggregator.crt`, `aggregator.key`, `ca.crt`,
    /// `clients.crl`.
    pub fn directory(&self) -> PathBuf {
        self.scratch.directory()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.aggregator.output()
    }

    /// The most memory that was resident in it, in bytes.
    ///
    /// # Errors
    /// That it is gone.
    pub fn most_memory(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// The memory of its own that is resident in it, in bytes.
    ///
    /// # Errors
    /// That it is gone.
    pub fn anonymous_memory(&self) -> Result<u64> {
        self.memory("RssAnon:")
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.aggregator.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? << 10)
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has, with its log.
    pub fn check(&mut self) -> Result<()> {
        self.aggregator.check()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// That it did not end, or not well, with its log.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.aggregator.stop()?;
        ensure!(status.success(), "{status}\n{}", self.aggregator.tail());
        Ok(())
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// A way to it, with a certificate or without.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub fn channel(&self, client: Option<&Pair>) -> Result<Channel> {
        self.channel_by(&self.authority, client)
    }

    /// The same for a client that trusts another authority.
    ///
    /// # Errors
    /// The same.
    pub fn channel_by(&self, authority: &Authority, client: Option<&Pair>) -> Result<Channel> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name(NAME);
        if let Some(Pair { certificate, key }) = client {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Ok(Endpoint::from_shared(format!("https://{}", self.address))?.tls_config(tls)?.connect_lazy())
    }

    /// A connection behind a handshake, with a certificate or without, on which nothing is sent.
    ///
    /// # Errors
    /// That there is no handshake.
    pub async fn handshake(&self, client: Option<&Pair>) -> Result<TlsStream<TcpStream>> {
        self.handshake_from(1, client).await
    }

    /// A connection from 127.0.0.N on which nothing is sent.
    ///
    /// # Errors
    /// That there is none.
    pub async fn connect_from(&self, n: u8) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, n], 0).into())?;
        Ok(socket.connect(self.address).await?)
    }

    /// The same behind a handshake.
    ///
    /// # Errors
    /// That there is no handshake.
    pub async fn handshake_from(&self, n: u8, client: Option<&Pair>) -> Result<TlsStream<TcpStream>> {
        self.handshake_on(self.connect_from(n).await?, client).await
    }

    /// The same on a connection to any of its listeners.
    ///
    /// # Errors
    /// That there is no handshake.
    pub async fn handshake_on(&self, stream: TcpStream, client: Option<&Pair>) -> Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes())?)?;
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match client {
            None => config.with_no_client_auth(),
            Some(Pair { certificate, key }) => config.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
        };
        config.alpn_protocols = vec![b"h2".into()];
        Ok(TlsConnector::from(Arc::new(config)).connect(NAME.try_into()?, stream).await?)
    }

    /// What agents use.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub fn ingest(&self, client: Option<&Pair>) -> Result<IngestServiceClient<Channel>> {
        Ok(IngestServiceClient::new(self.channel(client)?))
    }

    /// What readers use.
    ///
    /// # Errors
    /// The same.
    pub fn feed(&self, client: Option<&Pair>) -> Result<DiagnosisServiceClient<Channel>> {
        Ok(DiagnosisServiceClient::new(self.channel(client)?))
    }

    /// Starts a real agent that comes by the name `localhost`, with these flags. Its number is for
    /// [`agent_log`](Self::agent_log).
    ///
    /// # Errors
    /// What did not start.
    pub fn start_agent(&mut self, node: &str, flags: &[&str]) -> Result<usize> {
        let number = self.agents.len();
        let directory = self.scratch.directory();
        let (outbox, log) =
            (directory.join(format!("outbox-{number}.db")), directory.join(format!("agent-{number}.log")));
        let (url, outbox, ca) =
            (self.url(), outbox.display().to_string(), directory.join("ca.crt").display().to_string());
        let always = ["--aggregator", &url, "--node-name", node, "--outbox", &outbox, "--tls-ca", &ca];
        let alone = ["--cri-endpoint", "none", "--containerd-endpoint", "none"];
        let arguments: Vec<String> = [&always[..], &alone, flags].concat().into_iter().map(str::to_owned).collect();
        self.agents.push(Daemon::start(&crate::coroner::agent()?, &arguments, &self.scratch.daemons(), log)?);
        Ok(number)
    }

    /// What an agent has printed.
    pub fn agent_log(&self, number: usize) -> String {
        self.agents[number].output()
    }
}

/// Writes `NAME.crt` and `NAME.key`, each at once, as the kubelet does.
///
/// # Errors
/// What the file system refused.
pub fn write(directory: &Path, name: &str, pair: &Pair) -> Result<()> {
    for (extension, text) in [("key", &pair.key), ("crt", &pair.certificate)] {
        let (new, path) = (directory.join(".new"), directory.join(format!("{name}.{extension}")));
        fs::write(&new, text)?;
        fs::rename(&new, &path).with_context(|| format!("writing {path:?}"))?;
    }
    Ok(())
}
