//! The files of credentials. An error names the flag, the file and what it should contain.

use std::{fs, path::Path};

use coroner_diagnosis::messages::Message;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tonic::metadata::AsciiMetadataValue;

use crate::{exit::Failure, messages::notes};

/// The certificates in a file, as PEM.
///
/// # Errors
/// It cannot be read, or contains none.
pub(super) fn certificates(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = read(flag, path)?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    if found.is_ok_and(|found| !found.is_empty()) {
        return Ok(pem);
    }
    Err(Failure::usage(notes::file_without_certificate(flag, shown(path))))
}

/// The private key in a file, as PEM.
///
/// # Errors
/// It cannot be read, or contains none.
pub(super) fn key(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let pem = read(flag, path)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(Failure::usage(notes::file_without_key(flag, shown(path)))),
    }
}

/// The bearer token in a file, as the value of a header.
///
/// # Errors
/// What is wrong with the file, as a message.
pub(super) fn token(path: &Path) -> Result<AsciiMetadataValue, Message> {
    let unreadable = |error: std::io::Error| notes::file_unreadable("--token-file", shown(path), error.to_string());
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let token = text.trim();
    let no_token = || notes::file_without_token(shown(path));
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(no_token());
    }
    let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().map_err(|_| no_token())?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::usage(notes::file_unreadable(flag, shown(path), error.to_string())))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn an_error_names_the_flag_and_what_is_expected() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let worded = |message: &Message| testing::out(200).text(message);
        let of = |failure: Failure| worded(failure.message());
        assert!(of(certificates("--tls-ca", &path).unwrap_err()).starts_with("--tls-ca: cannot read "));
        fs::write(&path, "two tokens\n").unwrap();
        assert!(of(certificates("--tls-ca", &path).unwrap_err()).ends_with(" contains no certificate (PEM)"));
        assert!(of(key("--tls-key", &path).unwrap_err()).starts_with("--tls-key: "));
        assert!(worded(&token(&path).unwrap_err()).contains("contains no token"));
        fs::write(&path, "a-token\n").unwrap();
        assert_eq!(token(&path).unwrap().to_str().unwrap(), "Bearer a-token");
        fs::write(&path, " \n").unwrap();
        assert!(token(&path).is_err());
    }
}
