//! The listeners of every door: bound first, then served, so that everything knows every address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::cluster::{self, Own};
use super::config::EmulatorConfig;
use super::doors::gate::{self, Place};
use super::doors::listener::{self, Door};
use super::doors::{acs, front_door};
use super::shared::{Addresses, Shared};
use super::traffic::DoorKind;
use super::{entra, streaming};

/// The listeners, bound before anything is served so that everything knows every address.
pub(super) struct Listeners {
    front_door: TcpListener,
    acs: TcpListener,
    entra: TcpListener,
    clusters: BTreeMap<String, TcpListener>,
    restv2: BTreeMap<String, TcpListener>,
    streaming: BTreeMap<String, TcpListener>,
}

impl Listeners {
    pub(super) async fn bind(config: &EmulatorConfig) -> anyhow::Result<Self> {
        let data_centres: BTreeSet<&str> = config.accounts.iter().map(|account| account.data_centre.as_str()).collect();
        let mut clusters = BTreeMap::new();
        for name in data_centres {
            let port = config.ports.clusters.get(name).copied().unwrap_or(0);
            clusters.insert(name.to_owned(), listener::bind(port).await?);
        }
        let (mut restv2, mut streaming) = (BTreeMap::new(), BTreeMap::new());
        for account in &config.accounts {
            restv2.insert(account.name.clone(), listener::bind(account.restv2_port).await?);
            streaming.insert(account.name.clone(), listener::bind(account.streaming_port).await?);
        }
        let front_door = listener::bind(config.ports.front_door).await?;
        let (acs, entra) = (listener::bind(config.ports.acs).await?, listener::bind(config.ports.entra).await?);
        Ok(Self { front_door, acs, entra, clusters, restv2, streaming })
    }

    pub(super) fn addresses(&self, config: &EmulatorConfig) -> anyhow::Result<Addresses> {
        let url = |listener: &TcpListener| listener.local_addr().map(|address| format!("http://{address}"));
        let urls = |listeners: &BTreeMap<String, TcpListener>| {
            listeners.iter().map(|(name, listener)| Ok((name.clone(), url(listener)?))).collect::<std::io::Result<_>>()
        };
        Ok(Addresses {
            front_door: url(&self.front_door)?,
            acs: url(&self.acs)?,
            entra: url(&self.entra)?,
            clusters: urls(&self.clusters)?,
            public_clusters: config.public_clusters.clone(),
            restv2: urls(&self.restv2)?,
            streaming: urls(&self.streaming)?,
        })
    }

    pub(super) fn open(
        self,
        shared: &Arc<Shared>,
        data_centres: &BTreeMap<String, String>,
    ) -> anyhow::Result<Vec<(Place, Door)>> {
        let open = |place: Place, listener, router| -> anyhow::Result<(Place, Door)> {
            Ok((place, Door::open(listener, router, shared.tasks.clone())?))
        };
        let place = |kind| Place { kind, ..Place::default() };
        let mut doors = Vec::new();
        let router = gate::router(Arc::clone(shared), place(DoorKind::FrontDoor), front_door::serve);
        doors.push(open(place(DoorKind::FrontDoor), self.front_door, router)?);
        let router = gate::router(Arc::clone(shared), place(DoorKind::Acs), acs::serve);
        doors.push(open(place(DoorKind::Acs), self.acs, router)?);
        let router = gate::router(Arc::clone(shared), place(DoorKind::Entra), entra::serve);
        doors.push(open(place(DoorKind::Entra), self.entra, router)?);
        for (name, listener) in self.clusters {
            let place = Place { data_centre: Some(name.clone()), ..place(DoorKind::Cluster) };
            let own = Own { root: shared.root_of(&name), data_centre: name, account: None };
            let serve = move |shared, call| cluster::serve(shared, call, own.clone());
            let router = gate::router(Arc::clone(shared), place.clone(), serve);
            doors.push(open(place, listener, router)?);
        }
        for (name, listener) in self.restv2 {
            let data_centre = data_centres.get(&name).cloned().unwrap_or_default();
            let root = shared.addresses.restv2.get(&name).map(|base| format!("{base}/api/")).unwrap_or_default();
            let place =
                Place { data_centre: Some(data_centre.clone()), account: Some(name.clone()), kind: DoorKind::Cluster };
            let own = Own { root, data_centre, account: Some(name) };
            let serve = move |shared, call| cluster::serve(shared, call, own.clone());
            let router = gate::router(Arc::clone(shared), place.clone(), serve);
            doors.push(open(place, listener, router)?);
        }
        for (name, listener) in self.streaming {
            let data_centre = data_centres.get(&name).cloned();
            let place = Place { data_centre, account: Some(name.clone()), kind: DoorKind::Streaming };
            let serve = move |shared, call| streaming::serve(shared, call, name.clone());
            let router = gate::router(Arc::clone(shared), place.clone(), serve);
            doors.push(open(place, listener, router)?);
        }
        Ok(doors)
    }
}
