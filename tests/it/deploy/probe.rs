//! `probe`: what a health check of an image without a shell asks, and what it is told.

use anyhow::{Context, Result};
use testbed::tcp_proxy::TcpProxy;

use super::prometheus::free_port;
use crate::support::rabbitmq::url_through;
use crate::support::story::SITES;
use crate::support::{World, eventually, run_once};

/// The exit code, and both outputs.
async fn probe(world: &World, more: &[&str]) -> Result<(Option<i32>, String)> {
    let arguments: Vec<_> = ["probe"].iter().chain(more).copied().collect();
    let output = run_once(&world.config(), &arguments).await?;
    Ok((output.status.code(), String::from_utf8([output.stdout, output.stderr].concat())?))
}

#[tokio::test]
async fn the_program_asks_itself_whether_it_is_alive_and_whether_it_is_ready() -> Result<()> {
    let world = World::start().await?;
    let wire = TcpProxy::before_port(world.vhost.broker().amqp_port()).await?;
    let (code, told) = probe(&world, &[]).await?;
    assert!(code == Some(64) && told.starts_with("admin.listen: "), "{told}");
    world.write_config(&SITES, &format!("[admin]\nlisten = '0.0.0.0:{}'\n", free_port()?))?;
    world.change_config(&world.vhost.amqp_url(), &url_through(&wire, &world.vhost))?;
    let (code, told) = probe(&world, &[]).await?;
    assert!(code == Some(1) && told.contains("cannot be asked"), "{told}");

    let worker = world.worker().await?;
    let ready_is = async |wanted: i32| {
        let look = || async { Ok(Some(probe(&world, &["--ready"]).await?).filter(|(code, _)| *code == Some(wanted))) };
        anyhow::Ok(eventually("another answer", look).await.with_context(|| worker.log())?.1)
    };
    assert_eq!(ready_is(0).await?, "ready\n");
    wire.refuse_next(u32::MAX);
    wire.reset();
    assert!(ready_is(1).await?.len() > 10, "the reason is told");
    assert_eq!(probe(&world, &[]).await?, (Some(0), "alive\n".to_owned()));
    Ok(())
}
