//! Receivers that others wrote, from Debian, each with a directory and a port of its own.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::support::until;

/// A daemon that ends with this.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(started.unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it")))
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// rsyslog, which writes what it receives into a file, unchanged.
pub(crate) struct Rsyslog<'a> {
    directory: &'a Path,
    pub(crate) port: u16,
    daemon: Daemon,
}

impl<'a> Rsyslog<'a> {
    /// With a certificate and its key, as PEM, it takes TLS only. Port 0 for any free one.
    pub(crate) async fn start(directory: &'a Path, certificate: Option<(&str, &str)>, port: u16) -> Self {
        let place = directory.display();
        let driver = match certificate {
            None => r#"module(load="imtcp")"#.to_owned(),
            Some((certificate, key)) => {
                fs::write(directory.join("tls.crt"), certificate).unwrap();
                fs::write(directory.join("tls.key"), key).unwrap();
                format!(
                    r#"global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{place}/tls.crt"
                              defaultNetstreamDriverCertFile="{place}/tls.crt" defaultNetstreamDriverKeyFile="{place}/tls.key")
                       module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")"#
                )
            }
        };
        let port_file = directory.join("rsyslog.port");
        let configuration = format!(
            r#"{driver}
               global(workDirectory="{place}")
               template(name="raw" type="string" string="%rawmsg%\n")
               input(type="imtcp" address="127.0.0.1" port="{port}" listenPortFileName="{place}/rsyslog.port")
               action(type="omfile" file="{place}/rsyslog.out" template="raw")
            "#
        );
        fs::write(directory.join("rsyslog.conf"), configuration).unwrap();
        // It is written only where the port was not given.
        fs::write(&port_file, if port == 0 { String::new() } else { port.to_string() }).unwrap();
        let mut command = Command::new("rsyslogd");
        command.arg("-n").arg("-f").arg(directory.join("rsyslog.conf")).arg("-i").arg(directory.join("rsyslog.pid"));
        let daemon = Daemon::start(&mut command);
        let port_found = || fs::read_to_string(&port_file).unwrap_or_default().trim().parse::<u16>().ok();
        until(|| port_found().is_some_and(|port| TcpStream::connect(("127.0.0.1", port)).is_ok())).await;
        Self { directory, port: port_found().unwrap(), daemon }
    }

    /// What it has written.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.join("rsyslog.out")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn kill(mut self) -> u16 {
        self.daemon.kill();
        self.port
    }
}

/// nats-server with JetStream on files.
pub(crate) struct NatsServer {
    pub(crate) port: u16,
    daemon: Daemon,
}

impl NatsServer {
    /// Port 0 for any free one.
    pub(crate) async fn start(directory: &Path, port: u16) -> Self {
        let port = if port == 0 { "-1".into() } else { port.to_string() };
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", &port, "--jetstream", "--store_dir"]).arg(directory.join("js"));
        command.arg("--ports_file_dir").arg(directory);
        let daemon = Daemon::start(&mut command);
        let file = directory.join(format!("nats-server_{}.ports", daemon.0.id()));
        let port_found = || {
            let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).ok()?).ok()?;
            ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse::<u16>().ok()
        };
        until(|| port_found().is_some()).await;
        Self { port: port_found().unwrap(), daemon }
    }

    pub(crate) fn kill(mut self) -> u16 {
        self.daemon.kill();
        self.port
    }
}
