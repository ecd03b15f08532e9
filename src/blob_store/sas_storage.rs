//! Containers of an account whose key we do not hold: opened by a signature that the site's media service gives.

use std::sync::Arc;

use url::Url;

use super::container::Access;
use super::{Account, Container};
use crate::failure::Failure;
use crate::http::StorageTransport;
use crate::model::{Cloud, SiteName};
use crate::settings::{Secret, StorageSettings};

/// The parameters of a service SAS (Azure Storage REST, "Create a service SAS"). Others would change what a request does.
const PARAMETERS: [&str; 8] = ["sv", "sr", "si", "sig", "st", "se", "sp", "spr"];

/// The longest query that is taken, in bytes; a real one has about 200.
const LONGEST_QUERY: usize = 2048;

/// The storage of one site, reached without a key.
///
/// An answer of the media service says where a container is. A copy is asked for at that place, with the other site's
/// signature in the request; so a place is only believed where an account of Azure's blob service must be, over TLS, or
/// where the settings name the host.
#[derive(Debug, Clone)]
pub struct SasStorage {
    account: Account,
    /// The address in the settings, which is taken instead of any other.
    endpoint: Option<Arc<str>>,
    account_name: Option<String>,
    cloud: Cloud,
    named_hosts: Vec<String>,
}

impl SasStorage {
    /// Takes the settings of `site`'s storage, which is an account of `cloud`. `named_hosts` holds `host` (any port) or `host:port`.
    #[must_use]
    pub fn new(
        site: &SiteName,
        settings: &StorageSettings,
        cloud: Cloud,
        named_hosts: &[String],
        transport: &StorageTransport,
    ) -> Self {
        Self {
            account: Account::new(site, transport),
            endpoint: settings.blob_url.as_ref().map(|url| url.as_str().trim_end_matches('/').into()),
            account_name: settings.account.as_deref().map(str::to_ascii_lowercase),
            cloud,
            named_hosts: named_hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect(),
        }
    }

    /// The container `name`, which a locator says is at `address`, with the signature in `query`. Nothing is sent yet.
    ///
    /// # Errors
    /// Permanent `sas-refused-by-us` when the address is not one that may be sent signatures, or the query is not one
    /// of a service SAS.
    pub fn container(&self, name: &str, address: &str, query: &Secret) -> Result<Container, Failure> {
        let query = query.expose();
        let query = query.strip_prefix('?').unwrap_or(query);
        let checked = check_query(query).and_then(|()| self.endpoint(name, address));
        let endpoint = checked.map_err(|(problem, hint)| {
            let message = format!("the SAS locator of container '{name}' cannot be used: {problem}");
            Failure::permanent("sas-refused-by-us", message).with_hint(hint).at_site(&self.account.site)
        })?;
        let (account, access) = (self.account.clone(), Access::Sas(Secret::new(query)));
        Ok(Container { account, endpoint, name: name.into(), prefix: None, access })
    }

    fn endpoint(&self, name: &str, address: &str) -> Result<Arc<str>, Problem> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(Arc::clone(endpoint));
        }
        let unusable = || {
            let hint = "look at the locator in the media service, or set storage.blob_url of this site";
            ("its address is not that of this container".to_owned(), hint)
        };
        let url = Url::parse(address).map_err(|_| unusable())?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(unusable());
        }
        self.check_host(&url)?;
        let endpoint = url.as_str().trim_end_matches('/').strip_suffix(name).and_then(|rest| rest.strip_suffix('/'));
        endpoint.map(Into::into).ok_or_else(unusable)
    }

    fn check_host(&self, url: &Url) -> Result<(), Problem> {
        let host = url.host_str().unwrap_or_default();
        let place = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        if matches!(url.scheme(), "http" | "https")
            && self.named_hosts.iter().any(|name| *name == host || *name == place)
        {
            return Ok(());
        }
        let account = host.split('.').next().unwrap_or_default();
        let is_ours = self.account_name.as_deref().is_none_or(|ours| ours == account);
        let of_cloud = Url::parse(&self.cloud.blob_url(account));
        match of_cloud {
            Ok(of_cloud) if is_ours && url.origin() == of_cloud.origin() => Ok(()),
            _ => Err((
                format!("{}://{place} may not be sent signatures", url.scheme()),
                "if the host is right, set storage.blob_url of this site, or add the host to media.allowed_hosts; \
                 storage.account, where it is set, must be the account that holds the asset",
            )),
        }
    }
}

/// What is wrong, and what to do.
type Problem = (String, &'static str);

/// A query goes into URLs as it is, so it must be the parameters of a service SAS and nothing else.
fn check_query(query: &str) -> Result<(), Problem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%:/+=".contains(c);
    let is_known = |pair: &str| {
        pair.split_once('=').is_some_and(|(name, value)| PARAMETERS.contains(&name) && value.chars().all(is_plain))
    };
    let is_signed = query.split('&').any(|pair| pair.starts_with("sig="));
    if query.len() <= LONGEST_QUERY && is_signed && query.split('&').all(is_known) {
        return Ok(());
    }
    Err(("its signature has not the form of a service SAS".to_owned(), "look at the locator in the media service"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::StorageAccess;

    const QUERY: &str = "?sv=2012-02-12&sr=c&si=0b6d2f10-7a1e&sig=a%2Bb%3D&st=2017-02-21T12%3A00%3A00Z&se=2017-02-22";

    fn storage(account: Option<&str>, blob_url: Option<&str>, hosts: &[&str]) -> SasStorage {
        let settings = StorageSettings {
            access: StorageAccess::SasLocators,
            account: account.map(Into::into),
            key: None,
            key_file: None,
            blob_url: blob_url.map(|url| url.parse().unwrap()),
        };
        let http = crate::settings::load(None, Default::default()).unwrap().http;
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let transport = StorageTransport::new(&http).unwrap();
        SasStorage::new(&"west".parse().unwrap(), &settings, Cloud::China, &hosts, &transport)
    }

    fn url(storage: &SasStorage, address: &str, query: &str) -> Result<String, &'static str> {
        let container = storage.container("asset-1", address, &Secret::new(query)).map_err(|failure| failure.code)?;
        Ok(container.url(super::super::sas::Grant::Read("a b.mp4")).unwrap().to_string())
    }

    #[test]
    fn a_locators_signature_is_used_as_it_is() {
        let file = |root: &str| Ok(format!("{root}/asset-1/a%20b.mp4{QUERY}"));
        let any = storage(None, None, &[]);
        for root in ["https://store.blob.core.chinacloudapi.cn", "https://other.blob.core.chinacloudapi.cn"] {
            assert_eq!(url(&any, &format!("{root}/asset-1"), QUERY), file(root));
            assert_eq!(url(&any, &format!("{root}/asset-1/"), &QUERY[1..]), file(root));
        }
        let set = storage(None, Some("http://127.0.0.1:10000/west/"), &[]);
        assert_eq!(url(&set, "https://evil.example/asset-1", QUERY), file("http://127.0.0.1:10000/west"));
        for name in ["127.0.0.1", "127.0.0.1:10000"] {
            let named = storage(None, None, &[name]);
            assert_eq!(url(&named, "http://127.0.0.1:10000/west/asset-1", QUERY), file("http://127.0.0.1:10000/west"));
        }
        let container = any.container("asset-1", "https://a.blob.core.chinacloudapi.cn/asset-1", &Secret::new(QUERY));
        assert!(!format!("{container:?}").contains("sig="), "{container:?}");
    }

    #[test]
    fn no_other_place_is_sent_a_signature() {
        let ours = storage(Some("store"), None, &["named:1"]);
        for address in [
            "https://other.blob.core.chinacloudapi.cn/asset-1",
            "https://store.blob.core.windows.net/asset-1",
            "http://store.blob.core.chinacloudapi.cn/asset-1",
            "https://store.blob.core.chinacloudapi.cn:8443/asset-1",
            "https://store.blob.core.chinacloudapi.cn.evil.example/asset-1",
            "https://store.evil.blob.core.chinacloudapi.cn/asset-1",
            "https://store@evil.example/asset-1",
            "https://user@store.blob.core.chinacloudapi.cn/asset-1",
            "https://evil.example/asset-1",
            "http://169.254.169.254/asset-1",
            "http://named:2/asset-1",
            "ftp://named:1/asset-1",
            "https://store.blob.core.chinacloudapi.cn/asset-2",
            "https://store.blob.core.chinacloudapi.cn/asset-1/../x",
            "https://store.blob.core.chinacloudapi.cn/asset-1?comp=acl",
            "https://store.blob.core.chinacloudapi.cn/asset-1#x",
            "asset-1",
            "",
        ] {
            assert_eq!(url(&ours, address, QUERY), Err("sas-refused-by-us"), "{address}");
        }
    }

    #[test]
    fn only_a_signature_is_taken_as_one() {
        let set = storage(None, Some("https://set.example/"), &[]);
        for query in [
            "",
            "?",
            "sv=2012-02-12&sr=c",
            "sig=a&comp=acl",
            "sig=a&restype=container&comp=list",
            "sig=a#fragment",
            "sig=a b",
            "sig=a&",
            "sig=ä",
            "sig=a\r\nx: y",
        ] {
            assert_eq!(url(&set, "", query), Err("sas-refused-by-us"), "{query:?}");
        }
        assert_eq!(url(&set, "", &format!("sig={}", "a".repeat(LONGEST_QUERY))), Err("sas-refused-by-us"));
    }
}
