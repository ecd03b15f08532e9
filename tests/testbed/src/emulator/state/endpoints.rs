//! Streaming endpoints, and the furniture that every account begins with.

use super::assets::new_uuid;
use super::{Account, AmsError, Entity};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::edm::Edm;
use crate::emulator::odata::schema::Set;

impl Account {
    /// The default streaming endpoint; the storage accounts; the encoders.
    pub(super) fn furnish(&mut self) {
        let mut endpoint = Entity::new(Set::StreamingEndpoints, format!("nb:oid:UUID:{}", new_uuid()));
        let host = self.streaming_root.trim_start_matches("http://").to_owned();
        let state = if self.switches.default_endpoint_stopped { "Stopped" } else { "Running" };
        endpoint.set("Name", "default").set("State", state).set("HostName", host).set("ScaleUnits", 0);
        endpoint.set("CdnEnabled", false).set("StreamingEndpointVersion", "2.0").set("Description", "");
        self.insert(endpoint);

        let names: Vec<String> = std::iter::once(&self.storage)
            .chain(&self.more_storage)
            .map(|storage| storage.account().to_owned())
            .collect();
        for (at, name) in names.into_iter().enumerate() {
            let mut storage = Entity::new(Set::StorageAccounts, name);
            storage.set("IsDefault", at == 0);
            self.insert(storage);
        }

        // the last two are what older clients ask for by name
        for (name, version) in
            [("Media Encoder Standard", "1.1"), ("Azure Media Encoder", "4.7"), ("Windows Azure Media Encoder", "3.7")]
        {
            let mut encoder = Entity::new(Set::MediaProcessors, format!("nb:mpid:UUID:{}", new_uuid()));
            encoder.set("Name", name).set("Description", name);
            encoder.set("Vendor", "Microsoft").set("Version", version).set("Sku", "");
            self.insert(encoder);
        }
    }

    pub(super) fn new_streaming_endpoint(&self, input: &Input) -> Result<Entity, AmsError> {
        let mut endpoint = self.new_entity(Set::StreamingEndpoints, input, None)?;
        let name = endpoint.text("Name").unwrap_or_default().to_owned();
        if self.all(Set::StreamingEndpoints).iter().any(|other| other.text("Name") == Some(&name)) {
            return Err(AmsError::conflict(format!("a streaming endpoint named '{name}' already exists")));
        }
        endpoint.set("State", "Stopped").set("HostName", self.streaming_root.trim_start_matches("http://"));
        Ok(endpoint)
    }

    /// `Start`, `Stop` and, with a number of units, `Scale`: an operation whose first reader sees it in progress.
    pub(crate) fn act_on_endpoint(&mut self, key: &str, action: &str, units: Option<i32>) -> Result<Entity, AmsError> {
        let (passing, reached) = match action {
            "Start" => ("Starting", "Running"),
            "Stop" => ("Stopping", "Stopped"),
            "Scale" => ("Scaling", "Running"),
            _ => return Err(AmsError::not_found(action)),
        };
        let endpoint = self.find_mut(Set::StreamingEndpoints, key)?;
        let key = endpoint.key().to_owned();
        if action == "Scale" {
            let units = units.filter(|units| *units >= 0);
            endpoint.set("ScaleUnits", units.ok_or_else(|| AmsError::bad_request("'scaleUnits' must be a number"))?);
        }
        endpoint.set("State", reached).show_stale(1, vec![("State", Edm::from(passing))]);
        endpoint.touch();
        let mut operation = Entity::new(Set::Operations, format!("nb:opid:UUID:{}", new_uuid()));
        operation.set("State", "Succeeded").set("TargetEntityId", key);
        operation.show_stale(1, vec![("State", Edm::from("InProgress"))]);
        self.insert(operation.clone());
        Ok(operation)
    }

    /// Whether the default endpoint packages on the fly: running, and with a unit if it is a classic one
    /// (contract ams-v2 sections 6 and 9).
    pub(crate) fn can_stream(&self) -> bool {
        self.all(Set::StreamingEndpoints).iter().find(|endpoint| endpoint.text("Name") == Some("default")).is_some_and(
            |endpoint| {
                let classic = endpoint.text("StreamingEndpointVersion") == Some("1.0");
                let units = endpoint.number("ScaleUnits").unwrap_or(0);
                endpoint.text("State") == Some("Running") && (!classic || units > 0)
            },
        )
    }
}
