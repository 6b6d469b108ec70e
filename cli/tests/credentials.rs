//! Credentials that do not fit: the error names what the aggregator wants, and the flag that gives it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A real aggregator, ended with the test.
struct Aggregator(Child, String);

impl Aggregator {
    /// On a free port of 127.0.0.1, with these options.
    fn start(directory: &Path, ledger: &str, options: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_coroner")).with_file_name("coroner-aggregator");
        let mut command = Command::new(program);
        command.current_dir(directory).args(["--listen", "127.0.0.1:0", "--ledger", ledger]).args(options);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("listening on")).unwrap().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let port = line.rsplit(':').next().unwrap().split_whitespace().next().unwrap().to_owned();
        Self(child, port)
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Two authorities with their certificates: in `one`, which the aggregator uses, and in `other`.
fn certificates(directory: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/certificates");
    for args in [&["one"][..], &["one", "reader", "ops"], &["other"], &["other", "reader", "ops"]] {
        let made = Command::new("sh").arg(&script).args(args).current_dir(directory).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
}

#[test]
fn an_error_names_what_is_wanted_and_the_flag_that_gives_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    certificates(directory);
    let server = ["--tls-cert", "one/aggregator/tls.crt", "--tls-key", "one/aggregator/tls.key"];
    let with_tls = Aggregator::start(directory, "with.db", &[&server[..], &["--tls-client-ca", "one/ca.crt"]].concat());
    let [health, page] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let others_ports = [format!("127.0.0.1:{health}"), format!("127.0.0.1:{page}")];
    let ports = ["--health-listen", &others_ports[0], "--http-listen", &others_ports[1]];
    let without_tls = Aggregator::start(directory, "without.db", &ports);
    std::fs::write(directory.join("token"), "a-token\n").unwrap();
    let https = format!("https://localhost:{}", with_tls.1);
    let ca = ["--tls-ca", "one/ca.crt"];
    let client = |of: &str| {
        let file = |name: &str| format!("{of}/readers/ops/{name}");
        ["--tls-cert".to_owned(), file("tls.crt"), "--tls-key".to_owned(), file("tls.key")]
    };
    let [mine, others] = [client("one"), client("other")];
    let (mine, others): (Vec<&str>, Vec<&str>) =
        (mine.iter().map(String::as_str).collect(), others.iter().map(String::as_str).collect());
    let run = |url: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coroner"));
        command.current_dir(directory).env("LC_ALL", "C").args(["list", "--aggregator", url]).args(args);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (url, args, code, wanted) in [
        (&https, &[][..], 2, "--tls-ca FILE"),
        (&https, &ca[..], 69, "if it requires a client certificate: --tls-cert FILE and --tls-key FILE"),
        (&https, &["--tls-ca", "other/ca.crt"], 69, "not signed by the CA of --tls-ca"),
        (&format!("https://127.0.0.1:{}", with_tls.1), &ca, 69, "its certificate is for another name"),
        (&https, &[&ca[..], &others].concat(), 69, "must be signed by the CA that it trusts for clients"),
        (&https, &[&ca[..], &mine].concat(), 3, "No such diagnosis"),
        (&format!("http://localhost:{}", with_tls.1), &[], 69, "if it uses TLS: https:// and --tls-ca FILE"),
        (&format!("https://localhost:{}", without_tls.1), &ca, 69, "it does not use TLS on this port"),
        (&https, &["--tls-ca", "token"], 2, "--tls-ca: token contains no certificate (PEM)"),
        (
            &https,
            &[&ca[..], &["--tls-cert", mine[1], "--tls-key", mine[1]]].concat(),
            2,
            "contains no private key (PEM)",
        ),
        (&https, &[&ca[..], &["--tls-cert", mine[1], "--tls-key", others[3]]].concat(), 2, "does not belong to"),
        (&https, &[&ca[..], &["--token-file", "ca.srl"]].concat(), 2, "--token-file: cannot read ca.srl"),
        (&format!("http://localhost:{health}"), &[], 69, "such as a health port"),
        (&format!("http://localhost:{page}"), &[], 69, "such as the aggregator's page"),
        (&format!("https://localhost:{health}"), &ca, 69, "an HTTP server answers there"),
    ] {
        let (found, error) = run(url, args);
        assert!(found == code && error.contains(wanted), "{url} {args:?}: {found} {error}");
    }
}
