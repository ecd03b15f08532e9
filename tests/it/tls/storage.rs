//! Storage and streaming endpoints over TLS: believed for their certificates, refused with what is wrong with them.

use std::fmt::Write;

use anyhow::{Result, ensure};
use testbed::certificates::{Authority, Validity};
use testbed::process::shared;
use testbed::zone::{Behind, Zone};

use crate::support::run_once;

const HOSTS: [(&str, &str); 2] = [("west", "west.blobs.test"), ("east", "east.blobs.test")];

/// Runs a command with both sites' storage behind TLS; gives what it printed and its exit code.
async fn run(
    arguments: &[&str],
    trusted: &Authority,
    issuer: &Authority,
    names: [&str; 2],
    validity: Validity,
) -> Result<(String, Option<i32>)> {
    let (shared, folder) = (shared().await?, tempfile::tempdir()?);
    let mut behind = Vec::new();
    for (site, host) in HOSTS {
        behind.push((host.to_owned(), Behind::Blobs(shared.storage(site)?)));
    }
    let zone = Zone::with_certificate(folder.path(), behind, trusted, &issuer.server(names, validity)?).await?;
    let places = zone.places().map(|(name, address)| format!("'{name}={address}'")).collect::<Vec<_>>().join(", ");
    let mut text = format!("[http]\ntries = 1\nca_file = '{}'\nresolve = [{places}]\n", zone.ca_file().display());
    for (site, host) in HOSTS {
        let key = shared.storage(site)?.key_base64().to_owned();
        write!(
            text,
            "[sites.{site}]\nkind = 'static-origin'\n[sites.{site}.storage]\naccount = '{site}'\nkey = '{key}'\n\
             blob_url = 'https://{host}/'\n"
        )?;
    }
    text += "[routes.west]\nreplicas = ['east']\n";
    let config = folder.path().join("worker.toml");
    std::fs::write(&config, text)?;
    let output = run_once(&config, arguments).await?;
    let told = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    for (site, _) in HOSTS {
        ensure!(!told.contains(shared.storage(site)?.key_base64()), "a key is told: {told}");
    }
    Ok((told, output.status.code()))
}

#[tokio::test]
async fn sites_are_believed_for_their_certificates_and_refused_for_what_is_wrong_with_them() -> Result<()> {
    let (ours, theirs, namesake) = (Authority::named("ours")?, Authority::new()?, Authority::named("ours")?);
    let names = HOSTS.map(|(_, host)| host);
    let elsewhere = ["north.blobs.test", "south.blobs.test"];
    for (issuer, names, validity, told, hint) in [
        (&theirs, names, Validity::Now, "signed by an authority that is not trusted here", "(PEM) to http.ca_file"),
        (&namesake, names, Validity::Now, "signed by an authority that is not trusted here", "(PEM) to http.ca_file"),
        (&ours, names, Validity::Past, "its certificate expired at 20", "renew it there"),
        (&ours, names, Validity::Future, "its certificate is not valid before 20", "this machine's clock"),
        (&ours, elsewhere, Validity::Now, "its certificate is not for west.blobs.test but for", "use a name of its"),
    ] {
        let (printed, code) = run(&["check"], &ours, issuer, names, validity).await?;
        assert_eq!(code, Some(1), "{printed}");
        for what in ["west       streaming", "west       storage"] {
            let line = printed.lines().find(|line| line.starts_with(what)).unwrap_or_default();
            ensure!(line.contains(told) && line.contains(hint), "{what}: not '{told}' and '{hint}': {printed}");
        }
    }
    let (printed, code) = run(&["check"], &ours, &ours, names, Validity::Now).await?;
    let sites: Vec<_> = printed.lines().filter(|line| !line.starts_with("broker")).collect();
    ensure!(sites.len() >= 4 && sites.iter().all(|line| line.contains(" ok ")), "{code:?} {printed}");
    Ok(())
}
