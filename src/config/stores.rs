//! `[stores.<name>]`: further databases that the data map erases in.

use std::collections::BTreeMap;

use super::database::SCHEMES;
use super::reader::Reader;
use super::secret::ServiceUrl;

/// The name under which the data map knows `database.url`.
const DEFAULT_STORE: &str = "default";

/// One further database.
#[derive(Clone, Debug)]
pub struct StoreEntry {
    pub url: ServiceUrl,
}

pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, StoreEntry> {
    let mut stores = BTreeMap::new();
    for name in reader.section_names("stores.") {
        let key = format!("stores.{name}.url");
        let url = reader.service_url(&key, &SCHEMES, false);
        if name == DEFAULT_STORE {
            reader.complain(&key, "the store named `default` is database.url; give this one another name");
        } else if !is_name(&name) {
            reader.complain(&key, "a store's name is made of lower-case letters, digits and underscores");
        }
        stores.insert(name, StoreEntry { url });
    }
    stores
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
