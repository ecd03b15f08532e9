//! A password that is changed while the worker runs: the next connection reads it anew from its file.

use anyhow::{Context, Result};

use super::scene::{BEGUN, Scene};

/// What the user's password is changed to.
const NEW_PASSWORD: &str = "rotated-hunter2";

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
