//! Authorities and certificates of the testbed's own, good ones and bad ones; made anew each time, they vouch for nothing else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

/// Vouches for certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From yesterday until tomorrow.
    Now,
    /// It ended yesterday.
    Past,
    /// It begins tomorrow.
    Future,
}

/// A certificate and its private key, PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate alone.
    pub pem: String,
    /// Its private key (PKCS#8).
    pub key_pem: String,
}

impl Authority {
    /// A new one, with a name of its own.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        Self::named(&format!("authority of the testbed {}", Uuid::new_v4()))
    }

    /// A new one with the name of another one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn named(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server with these names (or IP addresses).
    ///
    /// # Errors
    /// When a name fits in no certificate.
    pub fn server<Name: Into<String>>(
        &self,
        names: impl IntoIterator<Item = Name>,
        validity: Validity,
    ) -> Result<Certificate> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let params = CertificateParams::new(names).context("no certificate can be made for these names")?;
        self.sign(params, "server of the testbed", ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// A certificate for a client of this name.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Certificate> {
        let params = CertificateParams::new(Vec::<String>::new())?;
        self.sign(params, name, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        name: &str,
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Certificate> {
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (now - DAY, now + DAY),
            Validity::Past => (now - 2 * DAY, now - DAY),
            Validity::Future => (now + DAY, now + 2 * DAY),
        };
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Certificate { pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

impl Certificate {
    /// Certificate and key in one file.
    #[must_use]
    pub fn both(&self) -> String {
        format!("{}{}", self.pem, self.key_pem)
    }

    /// For a server that asks clients for no certificate.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>> {
        let chain = vec![CertificateDer::from_pem_slice(self.pem.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }
}
