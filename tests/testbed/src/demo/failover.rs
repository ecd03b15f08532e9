//! The acts of the failover: films come to both sites; their source is killed in mid-play, and nobody sees it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cinema::{CONTAINER, Cinema};
use super::ground::SITES;
use super::messages::{announce, replicated, subscribe, within};
use super::screen::{Screen, pretty, table};
use super::worker::Log;
use crate::amqp::{Amqp, Subscription};
use crate::playing::{
    Film, Format, Front, PlayOptions, Played, Variants, calm_after, ensure_complete, ensure_failed_over, play,
    start_playing,
};

/// The films: how each is made, its protocol in the event, its folder.
const FILMS: [(Format, &str, &str); 2] = [(Format::HlsTs, "hls", "night-train"), (Format::Dash, "dash", "lighthouse")];
/// As much of a digest as fits on the screen.
const DIGEST: usize = 16;

/// Everybody who plays.
pub(super) struct Premiere<'a> {
    screen: &'a Screen,
    cinema: &'a Cinema,
    log: Log,
    broker: Amqp,
    events: Subscription,
}

/// A film that is at both sites.
pub(super) struct Shown {
    format: Format,
    folder: &'static str,
    /// How many a viewer asks for: each once.
    files: usize,
    event: Value,
    /// How it plays where nothing is between a site and its viewer.
    direct: Played,
}

impl<'a> Premiere<'a> {
    /// Lets everybody connect; the worker consumes already, so that its exchanges are there.
    pub(super) async fn set(screen: &'a Screen, cinema: &'a Cinema, log: Log) -> Result<Self> {
        let broker = cinema.amqp().await?;
        let events = subscribe(&broker).await?;
        Ok(Self { screen, cinema, log, broker, events })
    }

    /// From the encoder to two sites that play alike.
    pub(super) async fn replicate(&mut self) -> Result<Vec<Shown>> {
        self.screen.heading("Act 1: an HLS and a DASH film of the west become playable in the east");
        let mut shown = Vec::new();
        for (format, protocol, folder) in FILMS {
            let film = within("the film", Film::encode(format)).await?;
            self.upload(&film, protocol, folder).await?;
            let event = self.replicate_one(folder).await?;
            let urls = event["data"]["urls"].as_array().context("the event has no urls")?;
            ensure!(urls.len() == 1 && urls[0]["protocol"] == protocol, "the event does not announce {protocol} alone");
            let direct = self.compare(format, &urls[0]).await?;
            shown.push(Shown { format, folder, files: film.files().len(), event, direct });
        }
        Ok(shown)
    }

    async fn upload(&self, film: &Film, protocol: &str, folder: &str) -> Result<()> {
        let (files, bytes) = (film.files().len(), film.files().iter().map(|file| file.bytes.len()).sum::<usize>());
        let protocol = protocol.to_uppercase();
        let text = format!(
            "makes the {protocol} film {folder} with FFmpeg: ten seconds, 100 pictures in each of two sizes ({files} \
             files, {bytes} bytes)"
        );
        self.screen.step("encoder", &text);
        within("the upload", self.cinema.upload(film, &format!("{folder}/"))).await?;
        let text = format!("uploads it to the west: public container {CONTAINER}, folder {folder}");
        self.screen.step("encoder", &text);
        Ok(())
    }

    async fn replicate_one(&mut self, folder: &str) -> Result<Value> {
        let seen = self.log.len();
        let asset = json!({ "location": { "container": CONTAINER, "prefix": format!("{folder}/") } });
        announce(self.screen, &self.broker, asset).await?;
        let subject = format!("{CONTAINER}/{folder}/");
        let event = replicated(self.screen, &mut self.events, (&mut self.log, seen), &subject).await?;
        let data = &event["data"];
        self.screen.step("cdn", "reads this of the event:");
        let short = json!({
            "type": event["type"], "subject": event["subject"],
            "data": {
                "pathPrefix": data["pathPrefix"], "sites": data["sites"], "urls": data["urls"], "probe": data["probe"],
            },
        });
        self.screen.block(&pretty(&short));
        Ok(event)
    }

    /// Plays both URLs to the end; they must be alike, picture by picture.
    async fn compare(&self, format: Format, url: &Value) -> Result<Played> {
        let mut rows = vec![["site", "URL", "pictures", "SHA-256 of frames"].map(str::to_owned).to_vec()];
        let mut playbacks = Vec::new();
        for (site, role) in SITES.into_iter().zip(["source", "replica"]) {
            let address = url[role].as_str().with_context(|| format!("the event has no URL of the {role}"))?;
            let played = within("a playback", play(&address.parse()?, PlayOptions::default())).await?;
            ensure_complete(format, &played).with_context(|| address.to_owned())?;
            rows.push(vec![site.to_owned(), address.to_owned(), pictures(&played), digest(&played)]);
            playbacks.push(played);
        }
        self.screen.step("viewer", "has played both URLs to the end with FFmpeg:");
        self.screen.block(&table(&rows));
        let [here, there] = playbacks.try_into().ok().context("two playbacks")?;
        ensure!(here == there, "the two sites do not play alike");
        Ok(here)
    }

    /// The source's web server is killed in mid-play, once for each film.
    pub(super) async fn fail_over(&self, films: &[Shown]) -> Result<()> {
        self.screen.heading("Act 2: the west's web server is killed in mid-play; the viewers see nothing of it");
        for (index, film) in films.iter().enumerate() {
            if index > 0 {
                self.cinema.west.restart().await?;
                self.screen.step("west", "its web server is started again");
            }
            self.watch(film).await.with_context(|| format!("the failover of {}", film.folder))?;
        }
        Ok(())
    }

    async fn watch(&self, film: &Shown) -> Result<()> {
        let front = within("the CDN's stand-in", Front::start(&film.event)).await?;
        let path = film.event["data"]["urls"][0]["path"].as_str().context("the event has no path")?;
        let address = format!("{}{path}", front.url());
        let text = format!(
            "a stand-in (nginx) for {} is set up from nothing but the event: west first, east where that fails",
            film.folder
        );
        self.screen.step("cdn", &text);
        self.probe(&front, [true, true]).await?;

        let began = Instant::now();
        let realtime = PlayOptions { variants: Variants::All, realtime: true };
        let mut playback = start_playing(&address.parse()?, realtime)?;
        self.screen.step("viewer", &format!("begins to watch {address}"));
        // the first third is asked for at once, to find out what there is
        within("a calm moment", calm_after(film.files * 2 / 3, &front)).await?;
        self.cinema.west.stop();
        let seconds = began.elapsed().as_secs_f64();
        ensure!(playback.is_running()?, "it was over after {seconds:.1} s, before the source was killed");
        self.screen.step("west", &format!("its web server is killed, {seconds:.1} s into the film"));
        self.probe(&front, [false, true]).await?;
        let played = within("the end of the film", playback.wait()).await?;
        let seconds = began.elapsed().as_secs_f64();
        self.screen.step("viewer", &format!("has seen the film to its end, after {seconds:.1} s"));

        ensure_complete(film.format, &played)?;
        ensure!(played == film.direct, "what was seen is not what the sites play");
        let counts = ensure_failed_over(&front.answered()?, "west", "east")?;
        let east = format!("{}, {} of them asked of the west first, in vain", counts.by_replica, counts.saved);
        let frames = format!("{}, as in act 1", digest(&played));
        self.screen.card(&[
            ("requests", &(counts.by_source + counts.by_replica).to_string()),
            ("answered by west", &counts.by_source.to_string()),
            ("answered by east", &east),
            ("failed", "0"),
            ("pictures seen", &pictures(&played)),
            ("SHA-256 of frames", &frames),
        ]);
        Ok(())
    }

    /// Asks both sites for the event's probe path, through the CDN's stand-in.
    async fn probe(&self, front: &Front, expected: [bool; 2]) -> Result<()> {
        let answers = within("the probes", front.probe()).await?;
        let tell = |answers: &[(String, bool)]| {
            let word = |is_healthy: bool| if is_healthy { "healthy" } else { "down" };
            let told: Vec<_> = answers.iter().map(|(site, healthy)| format!("{site} is {}", word(*healthy))).collect();
            told.join(", ")
        };
        self.screen.step("cdn", &format!("probes both sites: {}", tell(&answers)));
        let expected: Vec<_> = SITES.map(str::to_owned).into_iter().zip(expected).collect();
        ensure!(answers == expected, "the probes should have found that {}", tell(&expected));
        Ok(())
    }
}

/// Those of both sizes, which come before the sounds.
fn pictures(played: &Played) -> String {
    played.streams.iter().take(2).map(Vec::len).sum::<usize>().to_string()
}

fn digest(played: &Played) -> String {
    format!("{}...", &played.digest()[..DIGEST])
}
