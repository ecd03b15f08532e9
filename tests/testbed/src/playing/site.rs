//! A site's web server: serves the public blobs of one storage account below a path, under its own names only.

use anyhow::{Context, Result, ensure};
use reqwest::Url;

use super::nginx::{Answered, Nginx};

/// What a site serves and how it is addressed.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// Where the blob storage listens, without an account.
    pub storage: Url,
    /// The storage account, whose containers must be public (see `Storage::create_public_container`).
    pub account: String,
    /// What is before the container in the path: empty, or for example `/vod`.
    pub base_path: String,
    /// A `Host` that it knows besides its address; it refuses all others (421), as hosted origins do.
    pub host: Option<String>,
}

/// A running site; dropping it ends it.
pub struct Site {
    nginx: Nginx,
    base_path: String,
}

impl Site {
    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// When nginx is not installed or does not start, or the options hold something that fits in no address.
    pub async fn start(options: SiteOptions) -> Result<Self> {
        let base_path = options.base_path.trim_end_matches('/').to_owned();
        let is_plain =
            |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/-._~:".contains(letter));
        ensure!(base_path.is_empty() || base_path.starts_with('/'), "a base path begins with a slash: {base_path}");
        for text in [Some(&base_path), Some(&options.account), options.host.as_ref()].into_iter().flatten() {
            ensure!(is_plain(text), "a site's address cannot hold this: {text}");
        }
        let storage = options.storage;
        let host = storage.host_str().context("the storage's address has no host")?;
        let storage = format!("{host}:{}", storage.port_or_known_default().unwrap_or(80));
        let (account, names, base) = (options.account, options.host, base_path.clone());
        let nginx = Nginx::start(move |port| blocks(port, &storage, &account, &base, names.as_deref())).await?;
        Ok(Self { nginx, base_path })
    }

    /// Its address with the base path and no slash behind: `http://127.0.0.1:PORT/vod`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port(), self.base_path)
    }

    /// The port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.nginx.port()
    }

    /// Ends it at once; connections break.
    pub fn stop(&self) {
        self.nginx.stop();
    }

    /// Lets it answer what it has begun, and ends it then.
    ///
    /// # Errors
    /// When it cannot be signalled, or does not end in time.
    pub async fn quit(&self) -> Result<()> {
        self.nginx.quit().await
    }

    /// Starts it again at the same address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> Result<()> {
        self.nginx.restart().await
    }

    /// What it has answered so far, in this order.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn answered(&self) -> Result<Vec<Answered>> {
        self.nginx.answered()
    }
}

/// The path behind the base path is passed on as the client wrote it. `/healthz` is answered with and without base
/// path: some probe a host, others what is below the path of an origin.
fn blocks(port: u16, storage: &str, account: &str, base_path: &str, host: Option<&str>) -> String {
    let host = host.map(|host| format!("\"{host}\" 1;")).unwrap_or_default();
    let pattern = base_path.replace('.', "[.]");
    let health = |path: &str| format!("location = {path}/healthz {{ default_type text/plain; return 200 \"ok\\n\"; }}");
    let inner_health = if base_path.is_empty() { String::new() } else { health(base_path) };
    format!(
        r#"
    map $http_host $is_ours {{ default 0; "127.0.0.1:{port}" 1; {host} }}
    map $request_uri $blob {{ default ""; "~^{pattern}(?<path>/.+)$" $path; }}
    upstream storage {{ server {storage}; }}
    server {{
        listen 127.0.0.1:{port};
        if ($is_ours = 0) {{ return 421; }}
        {} {inner_health}
        location / {{
            if ($blob = "") {{ return 404; }}
            proxy_pass http://storage/{account}$blob;
            proxy_set_header Host {storage};
        }}
    }}
"#,
        health("")
    )
}
