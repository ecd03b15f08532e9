//! How a media service account proves who it is: with its key at ACS, or as a service principal at Entra ID.

use std::fmt;

use url::Url;

use super::address::entra_token_url;
use super::{ClientCertificate, MediaSettings, Secret};
use crate::model::Cloud;

/// What every token of ACS is for (contract ams-v2, section 1.1).
const ACS_SCOPE: &str = "urn:WindowsAzureMediaServices";

const ENTRA_KEYS: &str = "media.tenant, media.client_id, and media.client_secret or media.certificate_file";

/// Who asks for tokens, where, and for what. `Display` says it for people, without secrets.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The account's name and key at the Access Control Service (contract ams-v2, section 1.1).
    Acs {
        /// The token door.
        token_url: Url,
        /// The account's name.
        account: String,
        /// The account's key.
        key: Secret,
        /// What the token is asked for.
        scope: String,
    },
    /// A service principal at Entra ID, its version 1 (contract ams-v2, section 1.2).
    Entra {
        /// The token door of the tenant.
        token_url: Url,
        /// The application's id.
        client_id: String,
        /// What proves it.
        credential: Credential,
        /// What the token is asked for.
        resource: String,
    },
}

/// What proves a service principal.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A client secret.
    Secret(Secret),
    /// An assertion signed with the key of a certificate.
    Certificate(ClientCertificate),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acs { token_url, account, .. } => write!(f, "key of account {account} at ACS {token_url}"),
            Self::Entra { token_url, client_id, credential, resource } => {
                let proof = match credential {
                    Credential::Secret(_) => "its secret".to_owned(),
                    Credential::Certificate(certificate) => format!("{certificate:?}"),
                };
                write!(f, "service principal {client_id} with {proof} at Entra {token_url} for {resource}")
            }
        }
    }
}

/// What is wrong: the key below the site, and the problem.
type Wrong = (&'static str, String);

impl MediaSettings {
    /// The identity that these settings describe, addresses that they leave out being those of `cloud`.
    ///
    /// # Errors
    /// What is missing, given twice or of no use, each with its key below the site.
    pub fn identity(&self, cloud: Cloud) -> Result<Identity, Vec<(&'static str, String)>> {
        let of_entra = [
            ("media.tenant", self.tenant.is_some()),
            ("media.client_id", self.client_id.is_some()),
            ("media.client_secret", self.client_secret.is_some()),
            ("media.certificate_file", self.certificate_file.is_some()),
            ("media.authority_url", self.authority_url.is_some()),
            ("media.resource", self.resource.is_some()),
        ];
        let of_acs = [("media.token_url", self.token_url.is_some()), ("media.scope", self.scope.is_some())];
        let given = |keys: &[(&'static str, bool)]| keys.iter().find(|(_, given)| *given).map(|(key, _)| *key);
        match (&self.key, given(&of_entra), cloud.acs_url()) {
            (Some(_), Some(other), _) => Err(vec![(
                "media.key",
                format!("is for ACS and {other} for Entra ID: set the account's key, or {ENTRA_KEYS}, not both"),
            )]),
            (Some(key), None, Some(acs_url)) => self.acs(key, acs_url),
            (Some(_), None, None) => {
                let problem = format!("cloud '{}' never had ACS: set {ENTRA_KEYS} instead", cloud.name());
                Err(vec![("media.key", problem)])
            }
            (None, None, Some(_)) => {
                let problem = format!("is missing: set key or key_file (ACS), or {ENTRA_KEYS} (Entra ID)");
                Err(vec![("media.key", problem)])
            }
            (None, None, None) => Err(vec![("media.tenant", format!("is missing: set {ENTRA_KEYS}"))]),
            (None, Some(_), _) => match given(&of_acs) {
                Some(key) => Err(vec![(key, "is for ACS, and the other keys are for Entra ID: remove it".to_owned())]),
                None => self.entra(cloud),
            },
        }
    }

    fn acs(&self, key: &Secret, acs_url: &str) -> Result<Identity, Vec<Wrong>> {
        if key.expose().is_empty() {
            return Err(vec![("media.key", "must not be empty".to_owned())]);
        }
        Ok(Identity::Acs {
            token_url: address(self.token_url.as_ref(), acs_url, "media.token_url")?,
            account: self.account.clone(),
            key: key.clone(),
            scope: self.scope.clone().unwrap_or_else(|| ACS_SCOPE.to_owned()),
        })
    }

    fn entra(&self, cloud: Cloud) -> Result<Identity, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut needed = |key, value: &Option<String>| match value.as_deref() {
            Some("") => wrong.push((key, "must not be empty".to_owned())),
            None => wrong.push((key, format!("is missing: Entra ID needs {ENTRA_KEYS}"))),
            Some(_) => {}
        };
        needed("media.tenant", &self.tenant);
        needed("media.client_id", &self.client_id);
        if self.resource.is_some() {
            needed("media.resource", &self.resource);
        }
        let tenant = self.tenant.as_deref().unwrap_or_default();
        if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
            let problem = "must be a domain such as x.onmicrosoft.com, or the id of the tenant";
            wrong.push(("media.tenant", problem.to_owned()));
        }
        let credential = match (&self.client_secret, &self.certificate_file, &self.certificate) {
            (Some(_), Some(_), _) => Err("set either this key or media.certificate_file, not both"),
            (Some(secret), None, _) if secret.expose().is_empty() => Err("must not be empty"),
            (Some(secret), None, _) => Ok(Credential::Secret(secret.clone())),
            (None, _, Some(certificate)) => Ok(Credential::Certificate(certificate.clone())),
            (None, None, None) => Err("is missing: set it, client_secret_file or certificate_file"),
            // Why it could not be read is told with its own key.
            (None, Some(_), None) => return Err(vec![("media.certificate_file", "cannot be used".to_owned())]),
        };
        let credential = credential.map_err(|problem| wrong.push(("media.client_secret", problem.to_owned()))).ok();
        let authority = address(self.authority_url.as_ref(), cloud.authority_url(), "media.authority_url")?;
        if names_another_tenant(&authority, cloud, tenant) {
            wrong
                .push(("media.authority_url", "names another tenant than media.tenant: leave it out there".to_owned()));
        }
        match credential.filter(|_| wrong.is_empty()) {
            None => Err(wrong),
            Some(credential) => Ok(Identity::Entra {
                token_url: entra_token_url(&authority, tenant),
                client_id: self.client_id.clone().unwrap_or_default(),
                credential,
                resource: self.resource.clone().unwrap_or_else(|| cloud.resource().to_owned()),
            }),
        }
    }
}

/// The address that is set, else the cloud's.
fn address(set: Option<&Url>, preset: &str, key: &'static str) -> Result<Url, Vec<Wrong>> {
    let preset = || Url::parse(preset).map_err(|_| vec![(key, "is missing: set it".to_owned())]);
    set.cloned().map_or_else(preset, Ok)
}

/// At a cloud's own authority, a path can only be a tenant.
fn names_another_tenant(authority: &Url, cloud: Cloud, tenant: &str) -> bool {
    let path = authority.path().trim_matches('/');
    cloud.authority_url().contains(&format!("//{}/", authority.host_str().unwrap_or_default()))
        && !path.is_empty()
        && !path.eq_ignore_ascii_case(tenant)
}
