//! The clouds that Azure Media Services v2 ran in, each a preset of every address that a site needs.

use serde::{Deserialize, Serialize};

/// One of Azure's clouds: four worlds of their own, with their own names for everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// The public cloud.
    #[default]
    Global,
    /// Azure operated by 21Vianet.
    China,
    /// Azure Government.
    UsGov,
    /// Azure Germany, closed in 2021.
    Germany,
}

/// What a cloud calls its services (contract ams-v2, sections 1.1 to 1.3, 4.2 and 6).
#[derive(Debug, PartialEq, Eq)]
struct Names {
    /// The word used in settings.
    name: &'static str,
    /// The base of the ACS token door; only the two oldest clouds had one.
    acs_url: Option<&'static str>,
    /// Where Entra ID (Azure AD) gives tokens; the tenant comes below it.
    authority_url: &'static str,
    /// What an Entra token is asked for.
    resource: &'static str,
    /// The front door shared by all accounts; the younger clouds have none.
    api_url: Option<&'static str>,
    /// The zone of the clusters behind that front door.
    cluster_zone: Option<&'static str>,
    /// The zone of the doors that each account has.
    account_zone: &'static str,
    /// What follows `<account>.blob.`.
    storage_suffix: &'static str,
    /// The zone of streaming endpoints made by this API, `<account>.streaming.mediaservices...`.
    streaming_zone: &'static str,
    /// The zone of streaming endpoints of accounts made in Entra's days, `<account>-<region>.streaming.media...`.
    young_streaming_zone: &'static str,
}

const GLOBAL: Names = Names {
    name: "global",
    acs_url: Some("https://wamsprodglobal001acs.accesscontrol.windows.net/v2/OAuth2-13"),
    authority_url: "https://login.microsoftonline.com/",
    resource: "https://rest.media.azure.net",
    api_url: Some("https://media.windows.net/API/"),
    cluster_zone: Some("cloudapp.net"),
    account_zone: "media.azure.net",
    storage_suffix: "core.windows.net",
    streaming_zone: "streaming.mediaservices.windows.net",
    young_streaming_zone: "streaming.media.azure.net",
};

const CHINA: Names = Names {
    name: "china",
    acs_url: Some("https://wamsprodglobal001acs.accesscontrol.chinacloudapi.cn/v2/OAuth2-13"),
    authority_url: "https://login.chinacloudapi.cn/",
    resource: "https://rest.media.chinacloudapi.cn",
    api_url: Some("https://media.chinacloudapi.cn/api/"),
    cluster_zone: Some("chinacloudapp.cn"),
    account_zone: "media.chinacloudapi.cn",
    storage_suffix: "core.chinacloudapi.cn",
    streaming_zone: "streaming.mediaservices.chinacloudapi.cn",
    young_streaming_zone: "streaming.media.chinacloudapi.cn",
};

const US_GOV: Names = Names {
    name: "us-gov",
    acs_url: None,
    authority_url: "https://login.microsoftonline.us/",
    resource: "https://rest.media.usgovcloudapi.net",
    api_url: None,
    cluster_zone: None,
    account_zone: "media.usgovcloudapi.net",
    storage_suffix: "core.usgovcloudapi.net",
    streaming_zone: "streaming.mediaservices.usgovcloudapi.net",
    young_streaming_zone: "streaming.media.usgovcloudapi.net",
};

const GERMANY: Names = Names {
    name: "germany",
    acs_url: None,
    authority_url: "https://login.microsoftonline.de/",
    resource: "https://rest.media.cloudapi.de",
    api_url: None,
    cluster_zone: None,
    account_zone: "media.cloudapi.de",
    storage_suffix: "core.cloudapi.de",
    streaming_zone: "streaming.mediaservices.cloudapi.de",
    young_streaming_zone: "streaming.media.cloudapi.de",
};

impl Cloud {
    fn names(self) -> &'static Names {
        match self {
            Self::Global => &GLOBAL,
            Self::China => &CHINA,
            Self::UsGov => &US_GOV,
            Self::Germany => &GERMANY,
        }
    }

    /// The word used in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().name
    }

    /// The token door of the Access Control Service, where the cloud has ever had one.
    #[must_use]
    pub fn acs_url(self) -> Option<&'static str> {
        self.names().acs_url
    }

    /// The authority of Entra ID (Azure AD), without the tenant.
    #[must_use]
    pub fn authority_url(self) -> &'static str {
        self.names().authority_url
    }

    /// The `resource` that an Entra token is asked for.
    #[must_use]
    pub fn resource(self) -> &'static str {
        self.names().resource
    }

    /// The front door shared by all accounts, where the cloud has one.
    #[must_use]
    pub fn api_url(self) -> Option<&'static str> {
        self.names().api_url
    }

    /// An account's own door: `https://<account>.restv2.<region>.<zone>/api/`.
    #[must_use]
    pub fn account_api_url(self, account: &str, region: &str) -> String {
        format!("https://{account}.restv2.{region}.{}/api/", self.account_zone())
    }

    /// The zone of the clusters behind the front door. Anybody may own a name in it.
    #[must_use]
    pub fn cluster_zone(self) -> Option<&'static str> {
        self.names().cluster_zone
    }

    /// The zone of the doors that each account has.
    #[must_use]
    pub fn account_zone(self) -> &'static str {
        self.names().account_zone
    }

    /// The blob service of a storage account: `https://<account>.blob.<suffix>/`.
    #[must_use]
    pub fn blob_url(self, account: &str) -> String {
        format!("https://{account}.blob.{}/", self.names().storage_suffix)
    }

    /// Whether `host` is a streaming endpoint of this cloud, which answers `https` whatever its locators say (contract
    /// ams-v2, section 6). Names in `origin.` zones are not: they have no TLS (section 4.2).
    #[must_use]
    pub fn is_streaming_host(self, host: &str) -> bool {
        [self.names().streaming_zone, self.names().young_streaming_zone]
            .iter()
            .any(|zone| host.strip_suffix(zone).and_then(|label| label.strip_suffix('.')).is_some_and(is_label))
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of contract ams-v2, sections 1.1 to 1.3, row by row.
    #[test]
    fn the_presets_are_those_of_the_contract() {
        let acs = |zone| format!("https://wamsprodglobal001acs.accesscontrol.{zone}/v2/OAuth2-13");
        for (cloud, name, acs, authority, resource, api, own_door, blobs) in [
            (
                Cloud::Global,
                "global",
                Some(acs("windows.net")),
                "https://login.microsoftonline.com/",
                "https://rest.media.azure.net",
                Some("https://media.windows.net/API/"),
                "https://west.restv2.westeurope-2.media.azure.net/api/",
                "https://store.blob.core.windows.net/",
            ),
            (
                Cloud::China,
                "china",
                Some(acs("chinacloudapi.cn")),
                "https://login.chinacloudapi.cn/",
                "https://rest.media.chinacloudapi.cn",
                Some("https://media.chinacloudapi.cn/api/"),
                "https://west.restv2.westeurope-2.media.chinacloudapi.cn/api/",
                "https://store.blob.core.chinacloudapi.cn/",
            ),
            (
                Cloud::UsGov,
                "us-gov",
                None,
                "https://login.microsoftonline.us/",
                "https://rest.media.usgovcloudapi.net",
                None,
                "https://west.restv2.westeurope-2.media.usgovcloudapi.net/api/",
                "https://store.blob.core.usgovcloudapi.net/",
            ),
            (
                Cloud::Germany,
                "germany",
                None,
                "https://login.microsoftonline.de/",
                "https://rest.media.cloudapi.de",
                None,
                "https://west.restv2.westeurope-2.media.cloudapi.de/api/",
                "https://store.blob.core.cloudapi.de/",
            ),
        ] {
            assert_eq!((cloud.name(), cloud.acs_url()), (name, acs.as_deref()));
            assert_eq!((cloud.authority_url(), cloud.resource(), cloud.api_url()), (authority, resource, api));
            assert_eq!(cloud.account_api_url("west", "westeurope-2"), own_door);
            assert_eq!(cloud.blob_url("store"), blobs);
            assert_eq!(serde_json::to_value(cloud).unwrap(), name);
        }
        let zones = [Cloud::Global, Cloud::China, Cloud::UsGov, Cloud::Germany].map(Cloud::cluster_zone);
        assert_eq!(zones, [Some("cloudapp.net"), Some("chinacloudapp.cn"), None, None]);
        assert_eq!(Cloud::default(), Cloud::Global);
    }

    #[test]
    fn streaming_hosts_are_those_of_their_own_cloud() {
        for (cloud, zone) in [
            (Cloud::Global, "windows.net"),
            (Cloud::China, "chinacloudapi.cn"),
            (Cloud::UsGov, "usgovcloudapi.net"),
            (Cloud::Germany, "cloudapi.de"),
        ] {
            for name in ["west", "named-west"] {
                let host = format!("{name}.streaming.mediaservices.{zone}");
                let of: Vec<_> = [Cloud::Global, Cloud::China, Cloud::UsGov, Cloud::Germany]
                    .into_iter()
                    .filter(|cloud| cloud.is_streaming_host(&host))
                    .collect();
                assert_eq!(of, [cloud], "{host}");
            }
        }
        assert!(Cloud::Global.is_streaming_host("west-euwe.streaming.media.azure.net"));
        for host in [
            "west.origin.mediaservices.windows.net",
            "streaming.mediaservices.windows.net",
            "a.b.streaming.mediaservices.windows.net",
            "west.streaming.mediaservices.windows.net.example",
            "west.streaming.example",
        ] {
            assert!(!Cloud::Global.is_streaming_host(host), "{host}");
        }
    }
}
