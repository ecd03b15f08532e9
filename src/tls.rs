//! TLS as the rooms that speak it need it: the one provider of the process, and what it means when a peer is not believed.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Once;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Makes ring rustls' provider for the whole process. Later calls, and calls after somebody else's choice, do nothing.
pub fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a TLS provider was installed before");
        }
    });
}

/// Why there is no TLS connection to a peer that was reached. `Display` completes "cannot be used: ..".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Nobody whom we trust vouches for its certificate.
    UnknownAuthority,
    /// Its certificate is no longer valid; the end, where it is told.
    Expired(Option<String>),
    /// Its certificate is not valid yet; the beginning, where it is told.
    NotYetValid(Option<String>),
    /// Its certificate is for others; whom it was to be for, and whom it is for.
    OtherName(Option<(String, Vec<String>)>),
    /// Its certificate is no good in another way.
    Unusable(String),
    /// It does not take us, by this alert.
    RefusesUs(String),
    /// What it says is no TLS.
    NoTls,
    /// Both know no common version or cipher, or one of them breaks the rules.
    NoAgreement(String),
}

impl Distrust {
    /// Looks among an error and its causes.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::of(error);
            }
            // an io::Error passes over what it wraps when it is asked for its cause
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    fn of(error: &rustls::Error) -> Option<Self> {
        Some(match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::ProtocolVersion
                | AlertDescription::InsufficientSecurity
                | AlertDescription::InternalError => Self::NoAgreement(format!("{alert:?}")),
                _ => Self::RefusesUs(format!("{alert:?}")),
            },
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::PeerIncompatible(_) | rustls::Error::PeerMisbehaved(_) => {
                Self::NoAgreement(error.to_string())
            }
            _ => return None,
        })
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            // a bad signature: of an authority that has the name of one that is trusted, and another key
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(moment(*not_after)),
            CertificateError::NotValidYet => Self::NotYetValid(None),
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid(moment(*not_before)),
            CertificateError::NotValidForName => Self::OtherName(None),
            CertificateError::NotValidForNameContext { expected, presented } => {
                let presented = presented.iter().map(|name| plain(name).to_owned()).collect();
                Self::OtherName(Some((expected.to_str().into_owned(), presented)))
            }
            other => Self::Unusable(other.to_string()),
        }
    }

    /// What to do; `authorities` is the key of the setting that names whom to trust, `ours` that of our own certificate.
    #[must_use]
    pub fn hint(&self, authorities: &str, ours: Option<&str>) -> String {
        match self {
            Self::UnknownAuthority => format!("add the certificate of its authority (PEM) to {authorities}"),
            Self::Expired(_) => "renew it there, and check this machine's clock".to_owned(),
            Self::NotYetValid(_) => "check this machine's clock, and the certificate there".to_owned(),
            Self::OtherName(_) => {
                "use a name of its certificate in the address, or have it issued for this one too".to_owned()
            }
            Self::Unusable(_) => "have it issued anew".to_owned(),
            Self::RefusesUs(_) => match ours {
                Some(key) => format!("check {key}, and which authorities are trusted there"),
                None => "look at what is logged there".to_owned(),
            },
            Self::NoTls => "check the port, and whether TLS is spoken there".to_owned(),
            Self::NoAgreement(_) => "it must offer TLS 1.2 or 1.3".to_owned(),
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAuthority => f.write_str("its certificate is signed by an authority that is not trusted here"),
            Self::Expired(None) => f.write_str("its certificate has expired"),
            Self::Expired(Some(when)) => write!(f, "its certificate expired at {when}"),
            Self::NotYetValid(None) => f.write_str("its certificate is not valid yet"),
            Self::NotYetValid(Some(when)) => write!(f, "its certificate is not valid before {when}"),
            Self::OtherName(None) => f.write_str("its certificate is for another name"),
            Self::OtherName(Some((expected, presented))) => {
                write!(f, "its certificate is not for {expected} but for {}", presented.join(", "))
            }
            Self::Unusable(why) => write!(f, "its certificate cannot be used ({why})"),
            Self::RefusesUs(alert) => write!(f, "it refuses our side of TLS ({alert})"),
            Self::NoTls => f.write_str("its answer is no TLS"),
            Self::NoAgreement(why) => write!(f, "no TLS version and cipher that both take ({why})"),
        }
    }
}

/// A certificate's name without what rustls writes around it: `DnsName("east.example")`, `IpAddress(10.0.0.1)`.
fn plain(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.map_or(presented, |name| name.trim_matches('"'))
}

fn moment(time: UnixTime) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(time.as_secs()).ok()?).ok()?.format(&Rfc3339).ok()
}
