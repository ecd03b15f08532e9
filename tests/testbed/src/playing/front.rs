//! The CDN's stand-in: an nginx before both sites, set up from nothing but a replicated event.
//!
//! Viewers ask it for the paths of the event's URLs. It takes them from the site of the first priority, and from the
//! other one where that does not answer, or answers 500, 502, 503 or 504; a viewer sees nothing of it. Only an answer that
//! breaks off in its middle is lost, as at any CDN that passes bytes on as they come. It does not verify the certificates
//! of sites.

use anyhow::{Context, Result, ensure};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::nginx::{Answered, Nginx};
use crate::storage::http_client_builder;

/// The part of the event that a CDN needs (contract `events`, "Out").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    path_prefix: String,
    sites: Vec<Place>,
    probe: Probe,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    name: String,
    priority: u32,
    scheme: String,
    host: String,
    port: u16,
    base_path: String,
    host_header: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    path: String,
    expected_status: u16,
}

/// A running front; dropping it ends it.
pub struct Front {
    nginx: Nginx,
    sites: Vec<String>,
    probe: Probe,
}

impl Front {
    /// Starts one for a whole event, or for its `data`, on a free loopback port.
    ///
    /// # Errors
    /// When the event lacks something, names other than two sites or a host that cannot be resolved, or nginx is not
    /// installed or does not start.
    pub async fn start(event: &Value) -> Result<Self> {
        let data = event.get("data").unwrap_or(event).clone();
        let mut data: Data = serde_json::from_value(data).context("this event does not tell a CDN enough")?;
        ensure!(data.sites.len() == 2, "a front stands before two sites, not {}", data.sites.len());
        data.sites.sort_by_key(|site| site.priority);
        check(&data)?;
        let (sites, prefix) = (data.sites, data.path_prefix);
        let names = sites.iter().map(|site| site.name.clone()).collect();
        let nginx = Nginx::start(move |port| blocks(port, &prefix, &sites)).await?;
        Ok(Self { nginx, sites: names, probe: data.probe })
    }

    /// Its address, without a slash behind.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.nginx.port())
    }

    /// What it has answered so far, in this order; `asked` are names of sites.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn answered(&self) -> Result<Vec<Answered>> {
        let mut all = self.nginx.answered()?;
        for server in all.iter_mut().flat_map(|answered| &mut answered.asked) {
            let name = server.strip_prefix("unix:").and_then(|socket| socket.strip_suffix(".sock"));
            *server = name.unwrap_or(server).to_owned();
        }
        Ok(all)
    }

    /// Asks each site for the event's probe path, in the order of their priorities: its name, and whether it answers as
    /// the event says. The path is taken as below the site's base path, like all paths of an event.
    ///
    /// # Errors
    /// When the front itself does not answer.
    pub async fn probe(&self) -> Result<Vec<(String, bool)>> {
        let mut answers = Vec::new();
        for name in &self.sites {
            let socket = self.nginx.dir().join(format!("{name}.sock"));
            let client = http_client_builder().unix_socket(socket).build()?;
            let answer = client.get(format!("http://{name}{}", self.probe.path)).send().await;
            let status = answer.context("the front does not answer")?.status();
            answers.push((name.clone(), status == self.probe.expected_status));
        }
        Ok(answers)
    }
}

/// Whether all texts can stand in a configuration of nginx.
fn check(data: &Data) -> Result<()> {
    ensure!(data.path_prefix.starts_with('/'), "pathPrefix: begins with a slash");
    ensure!(data.probe.path.starts_with('/'), "probe.path: begins with a slash");
    for site in &data.sites {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        ensure!(!site.name.is_empty() && site.name.chars().all(is_name), "sites: {} is no name", site.name);
        ensure!(["http", "https"].contains(&site.scheme.as_str()), "sites: cannot speak {}", site.scheme);
        ensure!(site.base_path.is_empty() || site.base_path.starts_with('/'), "basePath: begins with a slash");
        for text in [&data.path_prefix, &site.host, &site.base_path, &site.host_header] {
            let is_odd = |letter: char| letter.is_control() || "\"\\$".contains(letter);
            ensure!(!text.contains(is_odd), "a front's configuration cannot hold this: {text}");
        }
    }
    Ok(())
}

/// Each site has a server of its own in here, on a socket in our directory, because nginx sends one `Host` and one path
/// to all servers of an `upstream`. Where such a server cannot reach its site, it answers 502 or 504, and the public one
/// goes on.
fn blocks(port: u16, prefix: &str, sites: &[Place]) -> String {
    let (mut servers, mut order) = (String::new(), String::new());
    for (index, site) in sites.iter().enumerate() {
        let Place { name, scheme, host, port, base_path, host_header, .. } = site;
        let base_path = base_path.trim_end_matches('/');
        let tls_name = host_header.split(':').next().unwrap_or(host);
        // the second one is asked even when it has just failed: there is nobody else
        let role = if index == 0 { "max_fails=2 fail_timeout=5s" } else { "backup max_fails=0" };
        order.push_str(&format!("server unix:{name}.sock {role}; "));
        servers.push_str(&format!(
            r#"
    upstream site-{name} {{ server "{host}:{port}"; }}
    server {{
        listen unix:{name}.sock;
        access_log off;
        location / {{
            proxy_pass "{scheme}://site-{name}{base_path}$request_uri";
            proxy_set_header Host "{host_header}";
            proxy_ssl_server_name on;
            proxy_ssl_name "{tls_name}";
            proxy_connect_timeout 1s;
            proxy_read_timeout 5s;
        }}
    }}
"#
        ));
    }
    // locations are compared with the decoded path
    let prefix = percent_decode_str(prefix).decode_utf8_lossy();
    // nginx would redirect to the prefix from the path that lacks its slash
    let bare = prefix.strip_suffix('/').filter(|bare| !bare.is_empty());
    let bare = bare.map(|bare| format!("location = \"{bare}\" {{ return 404; }}")).unwrap_or_default();
    format!(
        r#"{servers}
    upstream sites {{ {order} }}
    server {{
        listen 127.0.0.1:{port};
        location "{prefix}" {{
            proxy_pass http://sites;
            proxy_next_upstream error timeout http_500 http_502 http_503 http_504;
            proxy_connect_timeout 1s;
            proxy_read_timeout 8s;
            proxy_buffering on;
            proxy_cache off;
        }}
        {bare}
        location / {{ return 404; }}
    }}
"#
    )
}
