//! Job notifications: to webhooks with their signature, and to whoever listens in the same process (contract ams-v2 section 7).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::emulator::odata::dates::{self, DateForm};
use crate::emulator::odata::schema::Set;
use crate::emulator::shared::Shared;
use crate::emulator::state::{JobState, NotificationTarget};

/// A webhook gets this many tries.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// What happened, with its number in webhooks and its name in queues.
#[derive(Clone, Copy)]
struct EventType(u8, &'static str);

const JOB_STATE_CHANGE: EventType = EventType(1, "JobStateChange");
const END_POINT_REGISTRATION: EventType = EventType(2, "NotificationEndPointRegistration");

/// Tells a job's subscribers that it changed. Without subscribers, only listeners in this process hear of it.
pub(crate) async fn announce_job(shared: &Shared, account: &str, job_id: &str, old: JobState, new: JobState) {
    let (account_id, targets, job_name) = {
        let mut state = shared.state.lock();
        let Ok(account) = state.account(account) else { return };
        let Ok(job) = account.find(Set::Jobs, job_id).cloned() else { return };
        let name = job.text("Name").unwrap_or_default().to_owned();
        (account.id.clone(), account.notification_targets(&job), name)
    };
    let properties = json!({
        "JobId": job_id, "JobName": job_name, "OldState": old.name(), "NewState": new.name(),
        "AccountName": account, "AccountId": account_id,
    });
    if targets.is_empty() {
        let _ = shared.notifications.send(message(JOB_STATE_CHANGE, &properties, None));
    }
    for target in targets.iter().filter(|target| new.is_final() || !target.final_only) {
        deliver(shared, target, &account_id, JOB_STATE_CHANGE, &properties).await;
    }
}

/// The first message on a new endpoint tells that it is registered.
pub(crate) fn announce_end_point(shared: &Arc<Shared>, account_id: String, target: NotificationTarget, name: &str) {
    let created = dates::write(OffsetDateTime::now_utc(), DateForm::IsoWithZone);
    let properties = json!({"State": "Registered", "Name": name, "Created": created});
    let (shared, stop) = (Arc::clone(shared), shared.stop.clone());
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let delivery = deliver(&shared, &target, &account_id, END_POINT_REGISTRATION, &properties);
        stop.run_until_cancelled(delivery).await
    });
}

async fn deliver(shared: &Shared, target: &NotificationTarget, account_id: &str, event: EventType, properties: &Value) {
    let body = message(event, properties, Some(target));
    let _ = shared.notifications.send(body.clone());
    if !target.webhook {
        return;
    }
    for _ in 0..TRIES {
        let mut request = shared.http.post(&target.address).header("Content-Type", "application/json");
        request = request.header("ms-mediaservices-accountid", account_id);
        if let Some(signature) = target.signing_key.as_deref().and_then(|key| sign(body.as_bytes(), key)) {
            request = request.header("ms-signature", signature);
        }
        match request.body(body.clone()).send().await {
            Ok(response) if response.status().is_success() => return,
            Ok(response) => tracing::warn!(status = response.status().as_u16(), "a webhook refused a notification"),
            Err(error) => tracing::warn!(%error, "a webhook could not be reached"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The raw body. `EventType` is a number for webhooks and a name for queues; all properties are strings.
fn message(event: EventType, properties: &Value, target: Option<&NotificationTarget>) -> String {
    let mut properties: Map<String, Value> = properties.as_object().cloned().unwrap_or_default();
    if let Some(target) = target {
        properties.insert("NotificationEndPointId".to_owned(), json!(target.id));
    }
    let time_stamp = dates::write(OffsetDateTime::now_utc(), DateForm::IsoWithZone);
    let unique = format!("{}{time_stamp}{properties:?}", uuid::Uuid::new_v4());
    let event_type = if target.is_none_or(|target| target.webhook) { json!(event.0) } else { json!(event.1) };
    let message = json!({
        "MessageVersion": "1.1",
        "ETag": hex(&Sha256::digest(unique.as_bytes()), false),
        "EventType": event_type,
        "TimeStamp": time_stamp,
        "Properties": properties,
    });
    message.to_string()
}

/// `sha256=` and the upper-case hexadecimal HMAC of the body.
fn sign(body: &[u8], key_base64: &str) -> Option<String> {
    let key = STANDARD.decode(key_base64).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(body);
    Some(format!("sha256={}", hex(&mac.finalize().into_bytes(), true)))
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
        text
    })
}
