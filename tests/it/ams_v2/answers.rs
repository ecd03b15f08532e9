//! Every status that the contract names, in every shape of body, at every verb: its class, its text, and how often it is asked.

use stream_replicator::failure::Failure;
use stream_replicator::media_service::ams_v2::AmsV2;
use stream_replicator::model::LocatorId;
use testbed::emulator::{FaultAction, FaultBody, FaultRule, PreparedFile, Set};
use time::OffsetDateTime;
use uuid::Uuid;

use super::world::{DAY, EAST, World, mark};

/// Tries of one call.
const TRIES: usize = 2;

const PERMANENT: &str = "permanent";
const TRANSIENT: &str = "transient";

/// Status, class and code; and whether it is certain that nothing has happened (contract ams-v2, sections 5.2 and 5.3).
const STATUSES: [(u16, &str, &str, bool); 12] = [
    (400, PERMANENT, "bad-request", true),
    (401, PERMANENT, "unauthorized", true),
    (403, PERMANENT, "forbidden", true),
    (404, PERMANENT, "not-found", true),
    (408, TRANSIENT, "media-service-busy", true),
    (409, PERMANENT, "conflict", true),
    (412, PERMANENT, "refused", true),
    (429, TRANSIENT, "media-service-busy", true),
    (500, TRANSIENT, "media-service-error", false),
    (502, TRANSIENT, "media-service-error", false),
    (503, TRANSIENT, "media-service-busy", true),
    (504, TRANSIENT, "media-service-error", false),
];

/// What the calls below are made about.
struct Subject {
    world: World,
    client: AmsV2,
    asset: String,
    file: String,
}

impl Subject {
    async fn prepare() -> anyhow::Result<Self> {
        let world = World::start().await?;
        let (client, east) = (world.client_that_tries(EAST, TRIES)?, world.account(EAST));
        let asset = east.create_asset("n", 0).await?;
        east.upload(&asset, &[PreparedFile::new("a.mp4", "x")]).await?;
        let file = east.files(&asset).remove(0).id;
        client.verify_reachable().await?;
        Ok(Self { world, client, asset, file })
    }

    /// Makes one call that meets nothing but this answer, and counts how often it was sent.
    async fn meet(&self, call: (&str, &str), status: u16, body: FaultBody) -> (Option<Failure>, usize) {
        let (method, set) = call;
        let action = FaultAction::Answer { status, body, retry_after_seconds: None };
        self.world.emulator.fault(FaultRule::new(action).on(method, set).times(99));
        self.world.emulator.clear_requests();
        let expires = OffsetDateTime::now_utc() + DAY;
        let client = &self.client;
        let failure = match call {
            ("GET", "Assets") => client.list_files(&self.asset).await.err(),
            ("GET", "CreateFileInfos") => client.register_files(&self.asset).await.err(),
            ("MERGE", _) => client.describe_file(&self.file, None, Some("video/mp4")).await.err(),
            ("POST", "Assets") => client.ensure_replica_asset("n", &mark("m"), "m").await.err(),
            ("POST", _) => {
                client.ensure_locator(LocatorId(Uuid::new_v4()), &self.asset, None, expires, None).await.err()
            }
            _ => client.delete_asset(&self.asset).await.err(),
        };
        self.world.emulator.clear_faults();
        (failure, self.world.requests_on(method, set, EAST))
    }
}

#[tokio::test]
async fn every_status_has_its_class_in_every_shape_at_every_verb() {
    let subject = Subject::prepare().await.unwrap();
    let calls = [
        ("GET", "Assets"),
        ("GET", "CreateFileInfos"),
        ("MERGE", "Files"),
        ("POST", "Assets"),
        ("POST", "AccessPolicies"),
        ("DELETE", "Assets"),
    ];
    for (status, kind, code, _) in STATUSES {
        for body in [FaultBody::Odata, FaultBody::Html, FaultBody::Empty] {
            for call in calls {
                let what = format!("{status} {body:?} {call:?}");
                let (failure, sent) = subject.meet(call, status, body).await;
                let is_page = status == 404 && body == FaultBody::Html;
                let (kind, code) = if is_page { (TRANSIENT, "unexpected-answer") } else { (kind, code) };
                if call == ("DELETE", "Assets") && code == "not-found" {
                    assert!(failure.is_none(), "{what}: gone is deleted: {failure:?}");
                    continue;
                }
                // Reads may lag behind: the asset is there, only this function does not see it.
                let (kind, code) = if call.1 == "CreateFileInfos" && code == "not-found" {
                    (TRANSIENT, "not-visible-yet")
                } else {
                    (kind, code)
                };
                let failure = failure.unwrap_or_else(|| panic!("{what}: passed"));
                assert_eq!((failure.kind.name(), failure.code), (kind, code), "{what}: {failure}");
                let text = &failure.message;
                assert!(text.contains(&status.to_string()) && text.contains(call.1), "{what}: {text}");
                assert!(!text.contains(['<', '\n']) && text.len() < 500, "{what}: {text}");
                assert_eq!(failure.hint.is_some(), kind == PERMANENT, "{what}: {failure:?}");
                let twice = kind == TRANSIENT && code != "not-visible-yet" || status == 401;
                assert_eq!(sent, if twice { 2 } else { 1 }, "{what}: {failure}");
            }
        }
    }
    assert_eq!(subject.world.account(EAST).assets().len(), 1, "nothing was made");
    assert_eq!(subject.world.account(EAST).access_policies().len(), 0, "nothing was made");
}

#[tokio::test]
async fn a_creation_is_asked_for_again_at_once_only_where_nothing_can_have_happened() {
    let subject = Subject::prepare().await.unwrap();
    for (status, kind, _, nothing_happened) in STATUSES.into_iter().filter(|(_, kind, ..)| *kind == TRANSIENT) {
        let (failure, _) = subject.meet(("POST", "Assets"), status, FaultBody::Empty).await;
        assert_eq!(failure.unwrap().kind.name(), kind);
        let requests = subject.world.emulator.requests();
        let verbs: String = requests
            .iter()
            .map(|request| request.method.as_str())
            .filter(|verb| *verb != "HEAD")
            .collect::<Vec<_>>()
            .join(" ");
        let wanted = if nothing_happened { "GET POST POST" } else { "GET POST GET POST" };
        assert_eq!(verbs, wanted, "{status}: looks before it repeats");
    }
}

#[tokio::test]
async fn a_locator_that_is_refused_is_looked_for_before_anything_is_said() {
    let subject = Subject::prepare().await.unwrap();
    for (status, kind, code) in [
        (403, PERMANENT, "locator-taken-by-other-account"),
        (409, TRANSIENT, "locator-conflict"),
        (404, TRANSIENT, "not-visible-yet"),
        (400, PERMANENT, "bad-request"),
    ] {
        let (failure, _) = subject.meet(("POST", "Locators"), status, FaultBody::Empty).await;
        let failure = failure.unwrap();
        assert_eq!((failure.kind.name(), failure.code), (kind, code), "{status}: {failure}");
    }
    // The conflict is with itself: another run has made it between our look and our call.
    for status in [403, 409] {
        let rule = FaultRule::status(status).on("POST", "Locators").after_commit();
        subject.world.emulator.fault(rule);
        let (id, expires) = (LocatorId(Uuid::new_v4()), OffsetDateTime::now_utc() + DAY);
        let made = subject.client.ensure_locator(id, &subject.asset, None, expires, None).await.unwrap();
        assert_eq!(made.id, id, "{status}");
    }
    assert_eq!(subject.world.account(EAST).entities(Set::Locators).len(), 2);
}
