//! `top`: what running workers have in hand and what they count, live at a terminal; elsewhere once, as plain text.
//!
//! Every worker is asked by a task of its own, and so is the broker: what does not answer holds up nothing else.

mod answer;
mod ask;
mod frame;
mod prometheus;
mod queues;
mod rows;
mod terminal;
mod totals;
mod words;

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use console::Term;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use self::ask::{Asker, Seen};
use self::frame::Frame;
use self::queues::Known;
use self::terminal::{Event, Screen};
use super::Exit;
use super::dead_letters::table::width;
use super::output::print;
use crate::http::HttpClient;
use crate::settings::{AdminSettings, HttpSettings, RabbitmqSettings, Settings};

/// A worker that is there answers sooner, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Whom to ask, and how often.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TopArguments {
    /// Where a worker answers, such as http://127.0.0.1:9464; may be given again for others; default: from admin.listen
    #[arg(long, value_name = "URL")]
    url: Vec<Url>,
    /// How often to ask: seconds, or with a unit such as 500ms, 2s, 1m
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    interval: Duration,
    /// Print it once and end, as is always done where standard output is no terminal
    #[arg(long)]
    once: bool,
}

const AFTER_HELP: &str = "\
Asks workers for /metrics and /jobs, and the broker of the settings for the depths of its queues; changes nothing.
Counts are those since each worker began; a rate in brackets is that since the last look. q or Ctrl-C ends.
Exit codes: 0 done; 1 failed, or printed once and no worker answered; 64 wrong arguments or settings.";

/// Shows it.
pub async fn top(settings: &Settings, arguments: &TopArguments) -> Exit {
    let askers = match askers(settings, arguments) {
        Ok(askers) => askers,
        Err(problem) => {
            eprintln!("{problem}");
            return Exit::BadSettings;
        }
    };
    if arguments.once || !std::io::stdout().is_terminal() {
        return once(askers, &settings.rabbitmq).await;
    }
    match live(askers, settings.rabbitmq.clone(), arguments.interval).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("the terminal cannot be used, say --once: {error}");
            Exit::Failed
        }
    }
}

fn askers(settings: &Settings, arguments: &TopArguments) -> Result<Vec<Asker>, String> {
    let mut urls = arguments.url.clone();
    if urls.is_empty() {
        urls.push(own_url(&settings.admin)?);
    }
    if let Some(url) = urls.iter().find(|url| !matches!(url.scheme(), "http" | "https")) {
        return Err(format!("--url: {} is no http or https address", url.scheme()));
    }
    if urls.iter().any(|url| !url.username().is_empty() || url.password().is_some()) {
        return Err("--url: leave out user and password, workers ask for none".to_owned());
    }
    let (connect_timeout_seconds, timeout_seconds) =
        (settings.http.connect_timeout_seconds.min(PATIENCE_SECONDS), PATIENCE_SECONDS);
    let http = HttpSettings { connect_timeout_seconds, timeout_seconds, ..settings.http.clone() };
    let client = HttpClient::new(&http).map_err(|error| error.to_string())?;
    Ok(urls.into_iter().map(|url| Asker::new(client.clone(), url)).collect())
}

/// Where a worker with these settings answers, as seen from the same machine.
fn own_url(settings: &AdminSettings) -> Result<Url, String> {
    let listen = settings.listen.filter(|listen| listen.port() != 0);
    let listen = listen.ok_or("which worker? say --url http://HOST:PORT, or set admin.listen to a fixed port")?;
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listen.port());
    format!("http://{address}").parse().map_err(|error| format!("admin.listen: {error}"))
}

async fn once(mut askers: Vec<Asker>, settings: &RabbitmqSettings) -> Exit {
    let asking = futures::future::join_all(askers.iter_mut().map(Asker::ask));
    let (seen, queues) = futures::join!(asking, queues::look_once(settings));
    let frame = Frame { seen: &seen, queues: Some(&queues), now: OffsetDateTime::now_utc() };
    let exit = if seen.iter().any(|seen| seen.up.is_some()) { Exit::Done } else { Exit::Failed };
    print(&format!("{}\n", frame.lines(width(), None, "").join("\n")), exit)
}

/// What the tasks that ask have learnt; they end with it.
struct Watched {
    workers: Vec<watch::Receiver<Seen>>,
    queues: watch::Receiver<Option<Known>>,
    /// Told whenever somebody was asked.
    news: Arc<Notify>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Watched {
    fn begin(askers: Vec<Asker>, settings: RabbitmqSettings, interval: Duration) -> Self {
        let ((tell, queues), news) = (watch::channel(None), Arc::new(Notify::new()));
        let mut tasks = vec![tokio::spawn(queues::keep_looking(settings, interval, tell, Arc::clone(&news)))];
        let workers = askers.into_iter().map(|asker| {
            let (tell, seen) = watch::channel(asker.unseen());
            tasks.push(tokio::spawn(asker.keep_asking(interval, tell, Arc::clone(&news))));
            seen
        });
        let workers = workers.collect();
        Self { workers, queues, news, _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect() }
    }

    /// Waits for the first news of every worker.
    async fn all_seen(&mut self) {
        for worker in &mut self.workers {
            // Who asks ends after us.
            let _ = worker.wait_for(|seen| seen.up.is_some() || seen.gone.is_some()).await;
        }
    }
}

async fn live(askers: Vec<Asker>, settings: RabbitmqSettings, interval: Duration) -> std::io::Result<()> {
    let mut watched = Watched::begin(askers, settings, interval);
    let (screen, mut events) = Screen::take()?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let hint = format!("every {}, q quits", words::span(interval.as_secs_f64()));
    tokio::select! {
        () = watched.all_seen() => {}
        event = events.next() => if event == Event::End { return Ok(()) },
    }
    loop {
        let seen: Vec<_> = watched.workers.iter().map(|seen| seen.borrow().clone()).collect();
        let queues = watched.queues.borrow().clone();
        let frame = Frame { seen: &seen, queues: queues.as_ref(), now: OffsetDateTime::now_utc() };
        let height = Term::stdout().size_checked().map(|(rows, _)| rows.into()).filter(|rows| *rows > 0);
        screen.show(&frame.lines(width(), height, &hint))?;
        tokio::select! {
            _ = ticks.tick() => {}
            () = watched.news.notified() => {}
            event = events.next() => if event == Event::End { return Ok(()) },
        }
    }
}

/// A number and its unit, which is seconds where there is none.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let wrong = || "is no time: say 500ms, 1s or 1m".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * seconds;
    if !(0.1..=3_600.0).contains(&seconds) {
        return Err("is to be 100ms at least and 60m at most".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_told_as_people_do() {
        let intervals = ["500ms", "2", "1.5s", "1m"].map(|text| parse_interval(text).map(|time| time.as_millis()));
        assert_eq!(intervals, [Ok(500), Ok(2_000), Ok(1_500), Ok(60_000)]);
        for wrong in ["", "s", "1h", "0", "-1s", "99m", "1..5s"] {
            assert!(parse_interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_worker_that_listens_everywhere_is_asked_on_this_machine() {
        let url = |listen: &str| own_url(&AdminSettings { listen: listen.parse().ok() }).map(String::from);
        assert_eq!(url("127.0.0.1:9464"), Ok("http://127.0.0.1:9464/".to_owned()));
        assert_eq!(url("0.0.0.0:9464"), Ok("http://127.0.0.1:9464/".to_owned()));
        assert_eq!(url("[::]:9464"), Ok("http://[::1]:9464/".to_owned()));
        assert!(url("").is_err() && url("127.0.0.1:0").is_err());
    }
}
