//! `check`: says for the broker and every site what can be reached, and what cannot and why. Changes nothing.

use url::Url;

use super::Exit;
use crate::failure::Failure;
use crate::http::{Method, Request};
use crate::media_service::ams_v2::AmsV2;
use crate::rabbitmq;
use crate::replication::{AllSites, Site, SiteStorage};
use crate::settings::Settings;

/// Checks everything; fails when anything cannot be reached.
pub async fn check(settings: &Settings) -> Exit {
    let sites = match AllSites::connect(settings) {
        Ok(sites) => sites,
        Err(failure) => {
            eprintln!("{failure}");
            return Exit::BadSettings;
        }
    };
    let mut good = check_broker(settings).await;
    for site in sites.iter() {
        good &= check_site(site).await;
    }
    good &= check_cors(&sites).await;
    if sites.iter().next().is_none() {
        say!("no sites are set: add [sites.<name>], as config/default.toml shows");
        good = false;
    }
    if good { Exit::Done } else { Exit::Failed }
}

async fn check_broker(settings: &Settings) -> bool {
    let Some(url) = &settings.rabbitmq.url else {
        return say("broker", "rabbitmq", Err("rabbitmq.url is not set".to_owned()));
    };
    let report = match rabbitmq::check(&settings.rabbitmq).await {
        Ok(report) => report,
        Err(error) => return say("broker", "rabbitmq", Err(error.to_string())),
    };
    let mut good = say("broker", "rabbitmq", Ok(format!("reached at {url}")));
    if report.is_complete() {
        let compared = if report.not_permitted().next().is_none() {
            "everything is there"
        } else {
            "everything is there; arguments not checked, as this user has no permission to configure"
        };
        good &= say("broker", "topology", Ok(compared.to_owned()));
    }
    let missing: Vec<_> = report.missing().map(ToString::to_string).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let text = format!("missing: {missing}; run `stream-replicator topology apply`, as a worker does at its start");
        good &= say("broker", "topology", Err(text));
    }
    for queue in report.left_over() {
        let text = format!("{queue} holds messages of a migration that was cut short; run it again");
        good &= say("broker", "topology", Err(text));
    }
    for (different, cause) in report.different() {
        let text = format!(
            "not as these settings say: {different}: {cause}; `stream-replicator topology check` says how to migrate"
        );
        good &= say("broker", "topology", Err(text));
    }
    good
}

async fn check_site(site: &Site) -> bool {
    let name = site.name.as_str();
    let mut good = match &site.media {
        Some(media) => check_media(site, media).await,
        None => say(name, "streaming", check_files(site).await.map_err(|failure| explain(&failure))),
    };
    let storage = match &site.storage {
        SiteStorage::Key(account) => account.verify_reachable().await.map(|()| "reached, key accepted"),
        SiteStorage::Sas(_) => Ok("not looked at: it is reached through SAS locators, which only a job makes"),
    };
    good &= say(name, "storage", storage.map(str::to_owned).map_err(|failure| explain(&failure)));
    good
}

async fn check_media(site: &Site, media: &AmsV2) -> bool {
    let name = site.name.as_str();
    let identity = media.verify_identity().await;
    let identified = identity.is_ok();
    let identity = identity.map(|identity| format!("cloud {}, {identity}", site.cloud.name()));
    let mut good = say(name, "identity", identity.map_err(|failure| explain(&failure)));
    let mut reached = false;
    if identified {
        let media = media.verify_reachable().await;
        reached = media.is_ok();
        good &= say(name, "media service", media.map_err(|failure| explain(&failure)));
    }
    if reached {
        good &= say(name, "streaming", check_streaming(site, media).await.map_err(|failure| explain(&failure)));
    }
    good
}

/// The endpoint must run, and its host must answer.
async fn check_streaming(site: &Site, media: &AmsV2) -> Result<String, Failure> {
    let endpoint = media.verify_streaming_endpoint(None).await?;
    let unusable =
        || Failure::permanent("streaming-host", format!("host name '{}' cannot be used", endpoint.host_name));
    let base = site.streaming_base(&format!("http://{}/", endpoint.host_name)).ok_or_else(unusable)?;
    answer(site, base).await.map(|base| format!("running, answers at {base}"))
}

/// What serves files straight from storage has no state of its own.
async fn check_files(site: &Site) -> Result<String, Failure> {
    let missing = || Failure::permanent("streaming-url", "streaming_url is not set").at_site(&site.name);
    let base = site.streaming_url.clone().ok_or_else(missing)?;
    answer(site, base).await.map(|base| format!("answers at {base}"))
}

/// Any status will do, as nothing is asked for.
async fn answer(site: &Site, base: Url) -> Result<Url, Failure> {
    let answer = site.player.send(Request::new(Method::GET, base.clone())).await;
    answer.map_err(|error| error.into_failure(&site.name)).map(|_| base)
}

/// Browsers play from both sites of a route only where both storage accounts let the same pages read.
async fn check_cors(sites: &AllSites) -> bool {
    let mut good = true;
    for route in sites.routes() {
        for replica in &route.replicas {
            let (Ok(ours), Ok(theirs)) = (sites.site(&route.source), sites.site(replica)) else { continue };
            if ours.media.is_some() {
                continue;
            }
            let (SiteStorage::Key(from), SiteStorage::Key(to)) = (&ours.storage, &theirs.storage) else { continue };
            let told = match futures::future::try_join(from.cors_rules(), to.cors_rules()).await {
                Ok((ours, theirs)) if ours == theirs => Ok(format!("same CORS rules ({})", ours.len())),
                Ok((ours, theirs)) => Err(format!(
                    "CORS rules differ: browsers may not play from both; at {}: {}; at {replica}: {}",
                    route.source,
                    shown(&ours),
                    shown(&theirs)
                )),
                Err(failure) => Err(explain(&failure)),
            };
            good &= say(&format!("{}>{replica}", route.source), "cors", told);
        }
    }
    good
}

fn shown(rules: &[String]) -> String {
    if rules.is_empty() { "none".to_owned() } else { rules.join(" | ") }
}

fn explain(failure: &Failure) -> String {
    failure.hint.as_deref().map_or_else(|| failure.to_string(), |hint| format!("{failure}; {hint}"))
}

fn say(who: &str, what: &str, found: Result<String, String>) -> bool {
    let (word, text) = match &found {
        Ok(text) => ("ok", text),
        Err(text) => ("FAILED", text),
    };
    say!("{who:<10} {what:<14} {word:<7} {text}");
    found.is_ok()
}
