//! Content keys, whose ids the client chooses and the data centre keeps unique.

use super::{AmsError, Entity, State};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::schema::Set;

impl State {
    /// Contract ams-v2 section 4.2: the same two statuses as for locator ids.
    pub(super) fn new_content_key(&mut self, account: &str, input: &Input) -> Result<Entity, AmsError> {
        let schema = Set::ContentKeys.schema();
        let id =
            input.text("Id").ok_or_else(|| AmsError::bad_request("the property 'Id' of 'ContentKey' is required"))?;
        let uuid = id.strip_prefix(schema.prefix).filter(|uuid| uuid::Uuid::try_parse(uuid).is_ok());
        if uuid.is_none() {
            return Err(AmsError::bad_request(format!(
                "a content key id must read {}<guid>, not '{id}'",
                schema.prefix
            )));
        }
        self.refuse_taken_id(account, Set::ContentKeys, id)?;
        self.account(account)?.new_entity(Set::ContentKeys, input, Some(id.to_owned()))
    }

    /// 409 when this account holds the id, 403 when another account of the same data centre does.
    pub(super) fn refuse_taken_id(&self, account: &str, set: Set, id: &str) -> Result<(), AmsError> {
        let data_centre = self.accounts.get(account).map(|account| &account.data_centre);
        let type_name = set.schema().type_name;
        for other in self.accounts.values().filter(|other| Some(&other.data_centre) == data_centre) {
            if other.find(set, id).is_err() {
                continue;
            }
            if other.name == account {
                return Err(AmsError::conflict(format!("a {type_name} with the id '{id}' already exists")));
            }
            let text = format!("attempt to overwrite some other account's {type_name}: the id '{id}' is taken");
            return Err(AmsError::new(403, text));
        }
        Ok(())
    }
}
