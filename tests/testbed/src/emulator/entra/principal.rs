//! Who may ask the Entra door for tokens in an account's name: a service principal, and perhaps a user.

use serde::Deserialize;

/// A certificate for tests, PEM: it opens nothing but this emulator.
pub const TEST_CERTIFICATE_PEM: &str = include_str!("test_certificate.pem");

/// The private key of [`TEST_CERTIFICATE_PEM`], PKCS #8 in PEM.
pub const TEST_KEY_PEM: &str = include_str!("test_key.pem");

/// What media services called itself towards Azure AD in the global cloud (contract ams-v2 section 1.2).
const GLOBAL_RESOURCE: &str = "https://rest.media.azure.net";

/// The service principal that an account lets in (contract ams-v2 section 1.2). Several accounts may let in the same one;
/// each then repeats its credentials.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraPrincipal {
    /// The names of its tenant as they may stand in the token URL: domain names and the GUID.
    pub tenants: Vec<String>,
    /// The application's id.
    pub client_id: String,
    /// The application's secret, where it has one.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// The application's certificate in PEM, where it has one.
    #[serde(default)]
    pub certificate_pem: Option<String>,
    /// A user who may sign in by name and password, where there is one.
    #[serde(default)]
    pub user: Option<EntraUser>,
    /// What a token must be asked for.
    #[serde(default = "global_resource")]
    pub resource: String,
    /// Whether principal and user have a role on the account; without one they get tokens that the account refuses with 401.
    #[serde(default = "yes")]
    pub has_role: bool,
    /// The public base URL of the Entra door, such as `https://login.microsoftonline.com`, where clients reach it through
    /// something that hides its own address; assertions may then name it as their audience.
    #[serde(default)]
    pub public_authority: Option<String>,
}

/// A user of a tenant.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraUser {
    /// The name to sign in with, `somebody@domain`.
    pub name: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for EntraPrincipal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("EntraPrincipal");
        shown.field("tenants", &self.tenants).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for EntraUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EntraUser").field("name", &self.name).finish_non_exhaustive()
    }
}

impl EntraPrincipal {
    /// A principal of one tenant with a role on the account, and no credentials yet.
    pub fn new(tenant: &str, client_id: &str) -> Self {
        Self {
            tenants: vec![tenant.to_owned()],
            client_id: client_id.to_owned(),
            client_secret: None,
            certificate_pem: None,
            user: None,
            resource: global_resource(),
            has_role: true,
            public_authority: None,
        }
    }

    /// The same with a secret.
    #[must_use]
    pub fn with_secret(mut self, secret: &str) -> Self {
        self.client_secret = Some(secret.to_owned());
        self
    }

    /// The same with a certificate, in PEM.
    #[must_use]
    pub fn with_certificate(mut self, certificate_pem: &str) -> Self {
        self.certificate_pem = Some(certificate_pem.to_owned());
        self
    }

    /// The same with a user who signs in by password.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Self {
        self.user = Some(EntraUser { name: name.to_owned(), password: password.to_owned() });
        self
    }

    /// The same without a role on the account.
    #[must_use]
    pub const fn without_role(mut self) -> Self {
        self.has_role = false;
        self
    }

    /// Whether a token URL may name this tenant; names ignore case.
    pub(crate) fn is_of(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant))
    }
}

fn global_resource() -> String {
    GLOBAL_RESOURCE.to_owned()
}

const fn yes() -> bool {
    true
}
