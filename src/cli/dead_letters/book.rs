//! Writes the audit records of one run into the log.

use time::OffsetDateTime;
use uuid::Uuid;

use super::summary::Shelf;
use crate::events::{AUDIT_CONTENT_TYPE, AuditAction, AuditRecord, format_time};
use crate::rabbitmq::{Message, PublishError, Publisher};

/// The records of one run.
#[derive(Clone)]
pub struct Book {
    /// The run's id.
    pub run: String,
    /// Who it is.
    pub who: String,
    /// How the letters were chosen.
    pub selection: String,
    /// Why, where that was asked for.
    pub reason: Option<String>,
    /// The id of the message that an edited letter becomes.
    pub new_id: Option<String>,
    /// Where they lie.
    pub shelf: Shelf,
    /// The exchange of everything that is set aside, to which the log is bound.
    pub exchange: String,
}

impl Book {
    /// A new run's id.
    pub fn new_run() -> String {
        let mut id = Uuid::new_v4().simple().to_string();
        id.truncate(12);
        id
    }

    /// Records that something is done with these letters, and waits until it is stored.
    pub async fn record(
        &self,
        publisher: &Publisher,
        action: AuditAction,
        ids: Vec<String>,
    ) -> Result<(), PublishError> {
        if ids.is_empty() {
            return Ok(());
        }
        let now = OffsetDateTime::now_utc();
        let record = AuditRecord {
            action,
            run: self.run.clone(),
            who: self.who.clone(),
            at: format_time(now),
            queue: self.shelf.name().to_owned(),
            ids,
            selection: self.selection.clone(),
            reason: self.reason.clone(),
            new_id: self.new_id.clone(),
        };
        let mut message = Message {
            body: record.encode().into(),
            message_id: Some(Uuid::new_v4().to_string()),
            content_type: Some(AUDIT_CONTENT_TYPE.to_owned()),
            kind: Some("stream-replicator.audit.v1".to_owned()),
            timestamp: Some(now),
            ..Message::default()
        };
        message.headers.set("x-replication-who", self.who.as_str());
        message.headers.set("x-replication-run", self.run.as_str());
        publisher.publish(&self.exchange, &record.routing_key(), &message).await
    }
}

/// Who calls: the user and the machine, as far as they tell.
pub fn caller() -> String {
    let user =
        ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match (user, host.trim()) {
        (Some(user), "") => user,
        (Some(user), host) => format!("{user}@{host}"),
        (None, "") => "unknown".to_owned(),
        (None, host) => format!("unknown@{host}"),
    }
}
