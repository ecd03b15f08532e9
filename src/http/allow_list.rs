//! Which hosts may be sent a bearer token after a redirect (contract ams-v2, section 1.3). Pure.

use url::Url;

use crate::model::Cloud;

/// Why an address may not be sent a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its host is not one we know.
    #[error("host {0} is not allowed")]
    UnknownHost(String),
    /// It is a well-known host, but not over TLS.
    #[error("host {0} is asked for without TLS")]
    Downgrade(String),
}

/// The hosts that may be sent a token: the front door, the well-known ones, and those that the settings name.
#[derive(Debug, Clone)]
pub struct AllowList {
    front_door: Url,
    cloud: Cloud,
    named: Vec<String>,
}

impl AllowList {
    /// The well-known hosts are those of `cloud`; `named` holds `host` (any port) or `host:port`.
    #[must_use]
    pub fn new(front_door: &Url, cloud: Cloud, named: &[String]) -> Self {
        let named = named.iter().map(|host| host.trim().to_ascii_lowercase()).collect();
        Self { front_door: front_door.clone(), cloud, named }
    }

    /// Says yes, or why not. A host named in the settings may also be asked without TLS.
    ///
    /// # Errors
    /// When the host is unknown, or TLS would be given up.
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let place = format!("{host}:{port}");
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UnknownHost(place));
        }
        if self.named.iter().any(|name| *name == host || *name == place) || url.origin() == self.front_door.origin() {
            return Ok(());
        }
        let front_door_with_tls = self.front_door.scheme() == "https" && self.front_door.host_str() == Some(host);
        match url.scheme() {
            "http" if front_door_with_tls || is_well_known(self.cloud, host) => Err(Refusal::Downgrade(place)),
            "https" if url.port().is_none() && is_well_known(self.cloud, host) => Ok(()),
            _ => Err(Refusal::UnknownHost(place)),
        }
    }
}

/// Anybody may own a name in the zone of the clusters, so the first label is matched too.
fn is_well_known(cloud: Cloud, host: &str) -> bool {
    let Some((label, zone)) = host.split_once('.') else { return false };
    is_cluster(label) && cloud.cluster_zone() == Some(zone)
        || host.strip_suffix(cloud.account_zone()).is_some_and(is_account_door)
}

/// `wams*clus*rest-hs`, stars being letters and digits.
fn is_cluster(label: &str) -> bool {
    let stars = label.strip_prefix("wams").and_then(|rest| rest.strip_suffix("rest-hs")?.split_once("clus"));
    stars.is_some_and(|(place, number)| {
        [place, number].iter().all(|star| star.chars().all(|c| c.is_ascii_alphanumeric()))
    })
}

/// `<account>.restv2.<region>.`: an account is 3 to 24 letters and digits, a region one label.
fn is_account_door(labels: &str) -> bool {
    let labels: Vec<_> = labels.split('.').collect();
    let [account, "restv2", region, ""] = labels.as_slice() else { return false };
    (3..=24).contains(&account.len()) && account.chars().all(|c| c.is_ascii_alphanumeric()) && !region.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in(cloud: Cloud, front_door: &str, named: &[&str], url: &str) -> Result<(), Refusal> {
        let named: Vec<_> = named.iter().map(ToString::to_string).collect();
        AllowList::new(&Url::parse(front_door).unwrap(), cloud, &named).check(&Url::parse(url).unwrap())
    }

    fn check(front_door: &str, named: &[&str], url: &str) -> Result<(), Refusal> {
        check_in(Cloud::Global, front_door, named, url)
    }

    #[test]
    fn well_known_hosts_are_allowed_over_tls_only_and_in_their_own_cloud_only() {
        let clouds = [Cloud::Global, Cloud::China, Cloud::UsGov, Cloud::Germany];
        for (own, host) in [
            (Cloud::Global, "wamsbayclus001rest-hs.cloudapp.net"),
            (Cloud::China, "wamsbjbclus001rest-hs.chinacloudapp.cn"),
            (Cloud::China, "wamsshaclus001rest-hs.chinacloudapp.cn"),
            (Cloud::Global, "west.restv2.westeurope.media.azure.net"),
            (Cloud::Global, "west.restv2.westeurope-2.media.azure.net"),
            (Cloud::China, "east.restv2.chinaeast.media.chinacloudapi.cn"),
            (Cloud::UsGov, "gov.restv2.usgovvirginia.media.usgovcloudapi.net"),
            (Cloud::Germany, "berlin.restv2.germanycentral.media.cloudapi.de"),
        ] {
            let (with_tls, without) = (format!("https://{host}/api/"), format!("http://{host}/api/"));
            for cloud in clouds {
                let check = |url| check_in(cloud, "https://door.example/API/", &[], url);
                if cloud == own {
                    assert_eq!(check(&with_tls), Ok(()), "{host}");
                    assert_eq!(check(&without), Err(Refusal::Downgrade(format!("{host}:80"))));
                } else {
                    assert_eq!(check(&with_tls), Err(Refusal::UnknownHost(format!("{host}:443"))), "{cloud:?}");
                }
            }
        }
        let front_door = "https://media.windows.net/API/";
        assert_eq!(check(front_door, &[], "https://media.windows.net/api/"), Ok(()));
        let plain = check(front_door, &[], "http://media.windows.net/api/");
        assert_eq!(plain, Err(Refusal::Downgrade("media.windows.net:80".into())));
    }

    #[test]
    fn look_alikes_are_refused() {
        for url in [
            "https://evil.example/api/",
            "https://cloudapp.net/api/",
            "https://mine.cloudapp.net/api/",
            "https://wamsbayclus001rest-hs.evil.cloudapp.net/api/",
            "https://wamsbayclus001rest-hs.cloudapp.net.evil.example/api/",
            "https://wams-evil-clus001rest-hs.cloudapp.net/api/",
            "https://wamsbayclus001rest-hs.cloudapp.net:8443/api/",
            "https://ab.restv2.region.media.azure.net/api/",
            "https://west.restv2.a.b.media.azure.net/api/",
            "https://west.restv2.xmedia.azure.net/api/",
            "https://evilmedia.windows.net/api/",
            "https://user@media.windows.net/api/",
            "ftp://media.windows.net/api/",
        ] {
            assert!(matches!(check("https://media.windows.net/API/", &[], url), Err(Refusal::UnknownHost(_))), "{url}");
        }
    }

    #[test]
    fn settings_may_name_hosts_with_and_without_port() {
        let front_door = "http://127.0.0.1:8080/API/";
        assert_eq!(check(front_door, &[], "http://127.0.0.1:8080/api/"), Ok(()));
        assert!(check(front_door, &[], "http://127.0.0.1:8081/api/").is_err());
        assert_eq!(check(front_door, &["127.0.0.1:8081"], "http://127.0.0.1:8081/api/"), Ok(()));
        assert_eq!(check(front_door, &["Cluster.Example"], "http://cluster.example:99/api/"), Ok(()));
        assert!(check(front_door, &["cluster.example:98"], "http://cluster.example:99/api/").is_err());
    }
}
