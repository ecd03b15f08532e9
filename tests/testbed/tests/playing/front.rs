//! What a front passes on, and how.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use testbed::playing::{Format, Front, Site};
use testbed::tcp_proxy::TcpProxy;
use testbed::zone::{Behind, Zone};

use crate::world::{CONTAINER, WEST_BASE_PATH, World, options};

const LARGE: &str = "HlsByteRanges/high/film.ts";

#[tokio::test]
async fn a_front_passes_requests_on_as_they_are_and_nothing_besides() -> Result<()> {
    let world = World::with(&[Format::HlsByteRanges]).await?;
    let front = Front::start(&world.event(&world.west)).await?;
    let client = Client::builder().no_proxy().build()?;
    let (_, film) = &world.films[0];
    let file = film.files().iter().find(|file| file.name == "high/film.ts").context("no such file")?;
    let path = format!("/{CONTAINER}/HlsByteRanges/high/film.ts");

    let head = client.head(format!("{}{path}", front.url())).send().await?;
    ensure!(head.status() == StatusCode::OK && head.headers()["content-type"] == "video/mp2t");
    ensure!(head.headers()["content-length"] == file.bytes.len().to_string());
    let range = client.get(format!("{}{path}", front.url())).header("range", "bytes=188-375").send().await?;
    ensure!(range.status() == StatusCode::PARTIAL_CONTENT && range.bytes().await? == file.bytes[188..376]);
    for (path, status) in [("/", 404), ("/films", 404), ("/healthz", 404), ("/films/none", 404)] {
        let answer = client.get(format!("{}{path}", front.url())).send().await?;
        ensure!(answer.status() == status, "{path}: {}", answer.status());
    }
    // the sites are as strange to each other's names as hosted origins are
    for (host, status) in [("west.example", 200), ("east.example", 421), ("127.0.0.1", 421)] {
        let request = client.get(format!("{}{path}", world.west.url()));
        let answer = request.header("host", host).send().await?;
        ensure!(answer.status() == status, "{host}: {}", answer.status());
    }

    ensure!(front.probe().await? == [("west".to_owned(), true), ("east".to_owned(), true)]);
    world.west.stop();
    ensure!(front.probe().await? == [("west".to_owned(), false), ("east".to_owned(), true)]);
    let answer = client.get(format!("{}{path}", front.url())).send().await?;
    ensure!(answer.status() == StatusCode::OK && answer.bytes().await? == file.bytes);
    world.east.stop();
    let answer = client.get(format!("{}{path}", front.url())).send().await?;
    ensure!(answer.status() == StatusCode::BAD_GATEWAY, "{}", answer.status());
    world.west.restart().await?;
    let asked: Vec<_> =
        front.answered()?.into_iter().map(|one| (one.method, one.status, one.asked.join(" "))).collect();
    let one = |method: &str, status, asked: &str| (method.to_owned(), status, asked.to_owned());
    ensure!(asked[..2] == [one("HEAD", 200, "west"), one("GET", 206, "west")], "{asked:?}");
    ensure!(asked[2..6] == [one("GET", 404, ""), one("GET", 404, ""), one("GET", 404, ""), one("GET", 404, "west")]);
    ensure!(asked[6..] == [one("GET", 200, "west east"), one("GET", 502, "west east")], "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_front_speaks_tls_to_a_site_and_names_it() -> Result<()> {
    let (world, folder) = (World::with(&[Format::HlsByteRanges]).await?, tempfile::tempdir()?);
    let server = Behind::Server(format!("http://127.0.0.1:{}", world.west.port()).parse()?);
    let zone = Zone::start(folder.path(), [("west.example".to_owned(), server)]).await?;
    let (_, address) = zone.places().next().context("no zone")?;
    let mut event = world.event(&world.west);
    event["data"]["sites"][1]["scheme"] = "https".into();
    event["data"]["sites"][1]["port"] = address.port().into();
    let front = Front::start(&event).await?;
    ensure!(front.probe().await? == [("west".to_owned(), true), ("east".to_owned(), true)]);
    let client = Client::builder().no_proxy().build()?;
    let answer = client.get(format!("{}/{CONTAINER}/{LARGE}", front.url())).send().await?;
    ensure!(answer.status() == StatusCode::OK && !answer.bytes().await?.is_empty());
    ensure!(front.answered()?[0].asked == ["west"]);
    let seen = zone.requests().pop().context("nothing came by TLS")?;
    ensure!(seen.path == format!("{WEST_BASE_PATH}/{CONTAINER}/{LARGE}"), "{}", seen.path);
    Ok(())
}

/// What a front cannot save is at least seen in its log.
#[tokio::test]
async fn an_answer_that_breaks_off_is_not_whole() -> Result<()> {
    let world = World::with(&[Format::HlsByteRanges]).await?;
    let azurite = world.azurite.endpoint();
    let proxy = TcpProxy::before_port(azurite.port().context("azurite has no port")?).await?;
    let behind = format!("http://127.0.0.1:{}", proxy.port()).parse()?;
    let west = Site::start(options(&behind, "west", WEST_BASE_PATH)).await?;
    let front = Front::start(&world.event(&west)).await?;
    proxy.slow_down(100_000);
    let client = Client::builder().no_proxy().build()?;
    let mut answer = client.get(format!("{}/{CONTAINER}/{LARGE}", front.url())).send().await?;
    ensure!(answer.status() == StatusCode::OK && answer.chunk().await?.is_some());
    proxy.reset();
    ensure!(answer.bytes().await.is_err());
    let answered = front.answered()?;
    ensure!(answered.len() == 1 && answered[0].status == 200 && !answered[0].is_whole, "{answered:?}");
    Ok(())
}
