//! Assets and files: found, made once, registered, refused.

use stream_replicator::failure::FailureKind;
use stream_replicator::model::AssetMark;
use testbed::emulator::{FaultAction, FaultRule, PreparedFile, Set};
use testbed::storage::PutOptions;

use super::world::{EAST, WEST, World, mark};

#[tokio::test]
async fn a_replica_is_found_by_its_mark_and_by_nothing_less() {
    let world = World::start().await.unwrap();
    let (client, east) = (world.client(EAST).unwrap(), world.account(EAST));
    // Ids of which one begins with the other, and quotes, which end a literal unless they are doubled.
    let marks = ["nb:cid:UUID:12", "nb:cid:UUID:1", "o'clock' or '' eq '", "ß%&+#?/"].map(mark);
    let mut made = Vec::new();
    for mark in &marks {
        let text = mark.alternate_id(Some("the owner's 'own'\nÿ€ & more"));
        let asset = client.ensure_replica_asset("Zoë's \"film\" <1>", mark, &text).await.unwrap();
        assert_eq!(asset.alternate_id.as_deref(), Some(&*text));
        assert_eq!(AssetMark::parse(&text).as_ref(), Some(mark));
        assert_eq!((&*asset.name, asset.static_encryption), ("Zoë's \"film\" <1>", None));
        assert!(asset.created.is_some());
        assert!(east.storage().unwrap().list(&asset.container).await.unwrap().is_some(), "{asset:?}");
        made.push(asset);
    }
    assert_eq!(east.assets().len(), marks.len());
    for (mark, asset) in marks.iter().zip(&made) {
        let found = client.ensure_replica_asset("other", mark, "other").await.unwrap();
        assert_eq!((&found.id, &found.name), (&asset.id, &asset.name));
        assert_eq!(client.find_asset(&asset.id).await.unwrap().unwrap().id, asset.id);
    }
    assert_eq!(east.assets().len(), marks.len());
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_not_repeated_blindly() {
    let world = World::start().await.unwrap();
    let (client, east) = (world.client(EAST).unwrap(), world.account(EAST));
    let lost = [FaultRule::status(500), FaultRule::new(FaultAction::Drop), FaultRule::status(504)];
    for (at, rule) in lost.into_iter().enumerate() {
        world.emulator.fault(rule.on("POST", "Assets").after_commit());
        let mark = mark(&format!("lost-{at}"));
        let asset = client.ensure_replica_asset("n", &mark, &mark.alternate_id(None)).await.unwrap();
        assert_eq!(east.assets().len(), at + 1);
        assert_eq!(east.assets()[at].id, asset.id);
    }
    // Nothing happened, so that the same call is simply made again.
    world.emulator.fault(FaultRule::status(503).on("POST", "Assets").times(2));
    world.emulator.clear_requests();
    let busy = mark("busy");
    client.ensure_replica_asset("n", &busy, &busy.alternate_id(None)).await.unwrap();
    assert_eq!(world.requests_on("POST", "Assets", EAST), 3);
    assert_eq!(world.requests_on("GET", "Assets", EAST), 2);
}

#[tokio::test]
async fn of_two_replicas_made_at_once_one_stays() {
    let world = World::start().await.unwrap();
    let (one, two) = (world.client(EAST).unwrap(), world.client(EAST).unwrap());
    let mark = mark("raced");
    let text = mark.alternate_id(None);
    // The first to create is held up until the other has looked and created too.
    world.emulator.fault(FaultRule::new(FaultAction::DelayMilliseconds(500)).on("POST", "Assets"));
    let (first, second) =
        tokio::join!(one.ensure_replica_asset("n", &mark, &text), two.ensure_replica_asset("n", &mark, &text));
    let left: Vec<_> = world.account(EAST).assets().into_iter().map(|asset| asset.id).collect();
    assert_eq!(left, [first.unwrap().id]);
    assert_eq!(left, [second.unwrap().id]);
}

#[tokio::test]
async fn files_are_registered_from_blobs_and_described() {
    let world = World::start().await.unwrap();
    let (client, east) = (world.client(EAST).unwrap(), world.account(EAST));
    let mark = mark("a");
    let asset = client.ensure_replica_asset("n", &mark, &mark.alternate_id(None)).await.unwrap();
    let storage = east.storage().unwrap();
    for (name, body) in [("Zoë 1.ism", "<smil/>"), ("film_400.mp4", "12345"), ("empty.xml", "")] {
        storage.put(&asset.container, name, body, PutOptions::default()).await.unwrap();
    }
    assert_eq!(client.list_files(&asset.id).await.unwrap(), []);
    client.register_files(&asset.id).await.unwrap();
    let files = client.list_files(&asset.id).await.unwrap();
    let mut sizes: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size_bytes)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [("Zoë 1.ism", 7), ("empty.xml", 0), ("film_400.mp4", 5)]);
    assert!(files.iter().all(|file| !file.is_primary && !file.is_encrypted && file.mime_type.is_none()));

    let ism = files.iter().find(|file| file.name.ends_with(".ism")).unwrap();
    client.describe_file(&ism.id, Some(true), Some("application/octet-stream")).await.unwrap();
    client.describe_file(&ism.id, None, None).await.unwrap();
    let files = client.list_files(&asset.id).await.unwrap();
    let primary: Vec<_> = files.iter().filter(|file| file.is_primary).collect();
    assert_eq!(primary.len(), 1);
    assert_eq!(primary[0].mime_type.as_deref(), Some("application/octet-stream"));

    let second = files.iter().find(|file| !file.is_primary).unwrap();
    let failure = client.describe_file(&second.id, Some(true), None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "conflict"));

    world.emulator.fault(FaultRule::status(404).on("GET", "CreateFileInfos").times(1));
    assert_eq!(client.register_files(&asset.id).await.unwrap_err().code, "not-visible-yet");
    client.delete_asset(&asset.id).await.unwrap();
    client.delete_asset(&asset.id).await.unwrap();
    let failure = client.register_files(&asset.id).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "not-found"));
    assert_eq!(client.find_asset(&asset.id).await.unwrap(), None);
}

#[tokio::test]
async fn protected_assets_are_refused_with_a_hint() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    let refusal = async |id: &str| {
        let asset = client.find_asset(id).await.unwrap().unwrap();
        let failure = client.verify_replicable(&asset).await.err()?;
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.hint.is_some(), "{failure:?}");
        Some(failure.code)
    };
    for (options, code) in
        [(1, "asset-storage-encrypted"), (2, "asset-common-encrypted"), (4, "asset-envelope-encrypted")]
    {
        let id = west.create_asset("n", options).await.unwrap();
        assert_eq!(refusal(&id).await, Some(code));
    }
    let clear = west.create_asset("n", 0).await.unwrap();
    west.upload(&clear, &[PreparedFile::new("a.ism", "x"), PreparedFile::new("a.mp4", "y")]).await.unwrap();
    assert_eq!(refusal(&clear).await, None);
    let file = &west.files(&clear)[1];
    west.set(Set::Files, &file.id, |row| {
        row.set("IsEncrypted", true);
    })
    .unwrap();
    let files = client.list_files(&clear).await.unwrap();
    let encrypted: Vec<_> = files.iter().filter(|file| file.is_encrypted).map(|file| &file.id).collect();
    assert_eq!(encrypted, [&file.id]);
    west.add_content_key(&clear).unwrap();
    assert_eq!(refusal(&clear).await, Some("asset-has-content-keys"));
    west.add_delivery_policy(&clear, 3).unwrap();
    assert_eq!(refusal(&clear).await, Some("asset-has-delivery-policies"));
}
