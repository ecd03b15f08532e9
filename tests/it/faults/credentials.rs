//! Passwords and keys that are changed while the worker runs: they are read anew from their files.

use anyhow::{Context, Result};

use testbed::process::ACCOUNTS;

use super::scene::{BEGUN, LIMIT, Scene};
use crate::support::MEDIA_KEY;

/// What the user's password is changed to.
const NEW_PASSWORD: &str = "rotated-hunter2";
/// What keys were once.
const STALE_KEY: &str = "c3RhbGUga2V5IG9mIGxhc3QgeWVhciwgZ3VhcmRzIG5vdGhpbmc=";

#[tokio::test]
async fn a_changed_password_is_read_again_at_the_next_connection() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    let config = std::fs::read_to_string(scene.world.config())?;
    let old = config.lines().find_map(|line| line.strip_prefix("url = '")).context("no url")?.trim_end_matches('\'');
    let (scheme_and_user, rest) = old.rsplit_once('@').context("no user")?;
    let (scheme_and_user, _) = scheme_and_user.rsplit_once(':').context("no password")?;
    let file = scene.world.config().with_file_name("broker-url");
    std::fs::write(&file, format!("{old}\n"))?;
    scene.world.change_config(&format!("url = '{old}'"), &format!("url_file = '{}'", file.display()))?;
    scene.worker = scene.world.worker().await?;
    scene.send_and_hold().await?;

    let vhost = &scene.world.vhost;
    let (broker, user) = (vhost.broker().clone(), vhost.user());
    broker.add_user(user, NEW_PASSWORD, ".*", ".*", ".*", vhost.name()).await?;
    // What rotates a secret may take the old one away first.
    std::fs::remove_file(&file)?;
    scene.proxy.reset();
    scene.logs_times("rabbitmq.url_file: file", 1).await?;
    std::fs::write(&file, format!("{scheme_and_user}:{NEW_PASSWORD}@{rest}\n"))?;
    scene.logs_times(BEGUN, 2).await?;
    assert!(!scene.worker.log().contains(NEW_PASSWORD), "{}", scene.worker.log());
    scene.release();
    // for the books, which are kept under the old one
    broker.add_user(user, vhost.password(), ".*", ".*", ".*", vhost.name()).await?;
    scene.send(1).await?;
    scene.finish().await
}

/// Both keys of a site are rolled, and the files that hold them are written anew only afterwards, one after the other.
#[tokio::test]
async fn keys_that_are_rolled_before_their_files_cost_nothing_but_time() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    let config = std::fs::read_to_string(scene.world.config())?;
    let (account, key) = ACCOUNTS[1];
    let (storage_file, media_file) =
        (scene.world.config().with_file_name("storage-key"), scene.world.config().with_file_name("media-key"));
    let (east, media) = config.split_once("[sites.east.media]").context("no east")?;
    let media =
        media.replace(&format!("key = '{MEDIA_KEY}'"), &format!("key_file = '{}'", media_file.display())).replace(
            &format!("'{account}'\nkey = '{key}'"),
            &format!("'{account}'\nkey_file = '{}'", storage_file.display()),
        );
    std::fs::write(scene.world.config(), format!("{east}[sites.east.media]{media}"))?;
    std::fs::write(&storage_file, STALE_KEY)?;
    std::fs::write(&media_file, STALE_KEY)?;
    scene.worker = scene.world.worker().await?;
    scene.send(2).await?;
    scene.logs_times("code=\"storage-denied\"", 1).await?;
    // what rotates a file may write it in two steps
    std::fs::remove_file(&storage_file)?;
    scene.logs_times("cannot be read again, the old ones stay in use", 1).await?;
    std::fs::write(&storage_file, key)?;
    scene.logs_times("code=\"token-refused\"", 1).await?;
    std::fs::write(&media_file, MEDIA_KEY)?;
    scene.ledger.settle(&scene.world, LIMIT).await.with_context(|| scene.worker.log())?;
    for secret in [STALE_KEY, MEDIA_KEY, key] {
        assert!(!scene.worker.log().contains(secret), "{}", scene.worker.log());
    }
    scene.finish().await
}
