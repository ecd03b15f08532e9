//! What waits at the broker, asked for again and again; where it cannot be asked, why not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::rabbitmq::{Depth, Depths, RabbitmqError};
use crate::settings::RabbitmqSettings;

/// Time for one look at all queues.
const PATIENCE: Duration = Duration::from_secs(5);
/// A broker that cannot be asked is asked again so much later.
const PAUSE: Duration = Duration::from_secs(5);
/// Queues are not looked at more often.
const OFTEN_ENOUGH: Duration = Duration::from_secs(1);

/// The depths, by short names, or why they are not known.
pub type Known = Result<Vec<Depth>, String>;

/// Looks once.
pub async fn look_once(settings: &RabbitmqSettings) -> Known {
    if settings.url.is_none() {
        return Err(not_set());
    }
    let look = async {
        let mut depths = Depths::open(settings).await?;
        let known = depths.look().await;
        depths.close().await;
        known
    };
    in_time(look).await.map(|depths| shorten(depths, settings))
}

/// Looks for as long as somebody wants to know.
pub async fn keep_looking(
    settings: RabbitmqSettings,
    interval: Duration,
    tell: watch::Sender<Option<Known>>,
    news: Arc<Notify>,
) {
    if settings.url.is_none() {
        tell.send_replace(Some(Err(not_set())));
        return news.notify_one();
    }
    let mut open = None;
    while !tell.is_closed() {
        let look = async {
            let mut depths = match open.take() {
                Some(depths) => depths,
                None => Depths::open(&settings).await?,
            };
            let known = depths.look().await?;
            open = Some(depths);
            Ok(known)
        };
        let known = in_time(look).await.map(|depths| shorten(depths, &settings));
        let pause = if known.is_ok() { interval.max(OFTEN_ENOUGH) } else { PAUSE };
        tell.send_replace(Some(known));
        news.notify_one();
        sleep(pause).await;
    }
}

async fn in_time(look: impl Future<Output = Result<Vec<Depth>, RabbitmqError>>) -> Known {
    match timeout(PATIENCE, look).await {
        Ok(known) => known.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the broker has not answered for {} s", PATIENCE.as_secs())),
    }
}

fn not_set() -> String {
    "rabbitmq.url is not set".to_owned()
}

/// Without the prefix that all of them have.
fn shorten(depths: Vec<Depth>, settings: &RabbitmqSettings) -> Vec<Depth> {
    let prefix = format!("{}.", settings.prefix);
    let short = |name: String| name.strip_prefix(&prefix).map(str::to_owned).unwrap_or(name);
    depths.into_iter().map(|(name, depth)| (short(name), depth)).collect()
}
