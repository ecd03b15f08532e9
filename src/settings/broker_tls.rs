//! Whom we trust as a broker and who we are to it: files that are read anew for each connection.

use std::fmt;
use std::path::Path;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::RabbitmqSettings;
use super::certificate::authorities;

/// A certificate with its chain, and its private key.
pub type ClientIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What the files hold now. `Debug` shows no key.
pub struct BrokerTls {
    /// Authorities that are trusted besides the machine's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Who we are.
    pub identity: Option<ClientIdentity>,
}

impl fmt::Debug for BrokerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} authorities, {} certificate",
            self.authorities.len(),
            if self.identity.is_some() { "a" } else { "no" }
        )
    }
}

impl RabbitmqSettings {
    /// Reads the files of `ca_file`, `certificate_file` and `certificate_key_file`.
    ///
    /// # Errors
    /// The key whose file is no good, and what is wrong with it; never anything that a file holds.
    pub fn tls(&self) -> Result<BrokerTls, (&'static str, String)> {
        let authorities = match &self.ca_file {
            Some(path) => authorities(path).map_err(|problem| ("rabbitmq.ca_file", problem))?,
            None => Vec::new(),
        };
        let identity = match &self.certificate_file {
            Some(path) => Some(identity(path, self.certificate_key_file.as_deref())?),
            None => None,
        };
        Ok(BrokerTls { authorities, identity })
    }
}

fn identity(chain_file: &Path, key_file: Option<&Path>) -> Result<ClientIdentity, (&'static str, String)> {
    let at_chain = |problem: &str| ("rabbitmq.certificate_file", format!("file {} {problem}", chain_file.display()));
    let key_place = if key_file.is_some() { "rabbitmq.certificate_key_file" } else { "rabbitmq.certificate_file" };
    let key_path = key_file.unwrap_or(chain_file);
    let at_key = |problem: &str| (key_place, format!("file {} {problem}", key_path.display()));
    let pem = std::fs::read(chain_file).map_err(|error| at_chain(&format!("cannot be read: {error}")))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| at_chain("is not readable as PEM"))?;
    if chain.is_empty() {
        return Err(at_chain("holds no certificate (PEM)"));
    }
    let pem = std::fs::read(key_path).map_err(|error| at_key(&format!("cannot be read: {error}")))?;
    if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        return Err(at_key("holds an encrypted private key: decrypt it, as with openssl pkey"));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        at_key("holds no private key (PEM): put it there, or name its file in rabbitmq.certificate_key_file")
    })?;
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &default_provider()) {
        Ok(_) => Ok((chain, key)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(at_key("holds the private key of another certificate: the first certificate must be the key's"))
        }
        Err(error) => Err(at_key(&format!("holds a certificate or key that cannot be used: {error}"))),
    }
}
