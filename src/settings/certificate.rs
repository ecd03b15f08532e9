//! A client certificate with its private key, read from a PEM file and ready to sign.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureScheme};

/// A certificate and its RSA key. `Debug` shows the certificate's thumbprint only.
#[derive(Clone)]
pub struct ClientCertificate(Arc<CertifiedKey>);

/// Nothing was signed, which a key that was checked should never say.
#[derive(Debug, thiserror::Error)]
#[error("the private key of the certificate cannot sign")]
pub struct CannotSign;

impl ClientCertificate {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with the file and what to do; never anything that it holds.
    pub fn read(path: &Path) -> Result<Self, String> {
        let pem = std::fs::read(path).map_err(|error| format!("file {} cannot be read: {error}", path.display()))?;
        Self::from_pem(&pem).map_err(|problem| format!("file {} {problem}", path.display()))
    }

    /// Takes a certificate and its private key (PKCS#8 or PKCS#1, not encrypted), in any order, other certificates beside.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn from_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| "is not readable as PEM")?;
        if certificates.is_empty() {
            return Err("holds no certificate: put certificate and private key into one PEM file");
        }
        if String::from_utf8_lossy(pem).contains("ENCRYPTED") {
            return Err("holds an encrypted private key: decrypt it, as with openssl pkey");
        }
        let key = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|_| "holds no private key: put certificate and private key into one PEM file")?;
        let not_rsa = "must hold an RSA key of 2048 to 4096 bits";
        let key = default_provider().key_provider.load_private_key(key).map_err(|_| not_rsa)?;
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(not_rsa)?;
        certificates
            .into_iter()
            .map(|certificate| CertifiedKey::new(vec![certificate], Arc::clone(&key)))
            .find(|pair| pair.keys_match().is_ok())
            .map(|pair| Self(Arc::new(pair)))
            .ok_or("holds a private key that belongs to none of its certificates")
    }

    /// SHA-1 of the certificate, by which Entra ID finds it (header `x5t`, RFC 7515, section 4.1.7).
    #[must_use]
    pub fn thumbprint(&self) -> Vec<u8> {
        let der = self.0.cert.first().map(CertificateDer::as_ref).unwrap_or_default();
        ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec()
    }

    /// Signs with RSASSA-PKCS1-v1_5 over SHA-256: `RS256` of RFC 7518, section 3.3.
    ///
    /// # Errors
    /// When the machine gives no random numbers.
    pub fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let signer = self.0.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or(CannotSign)?;
        signer.sign(message).map_err(|_| CannotSign)
    }
}

/// The certificates of authorities in a PEM file.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |problem: String| format!("file {} {problem}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("is not readable as PEM".to_owned()))?;
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|error| wrong(format!("has an unusable certificate: {error}")))?;
    }
    if roots.is_empty() { Err(wrong("holds no certificate (PEM)".to_owned())) } else { Ok(roots) }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thumbprint: String = self.thumbprint().iter().map(|byte| format!("{byte:02X}")).collect();
        write!(f, "certificate {thumbprint}")
    }
}
